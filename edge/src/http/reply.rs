//! Answers: a body and where it comes from.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, ETAG, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use cluster::fabric::Provenance;
use cluster::ids::Position;
use serde::Serialize;

use super::conditional;
use super::error::{ApiError, Kept, insert_text};
use super::positions::{IDEMPOTENT_REPLAYED, OMNI_SEQ, OmniSeq};
use super::schema::Described;

/// The answer of an entity, rendered.
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Vec<u8>>,
    positions: Vec<Position>,
    etag_seq: Option<u64>,
    location: Option<String>,
    kept: Kept,
}

impl Reply {
    /// A resource at the sequence that its provenance names.
    pub(super) fn resource(
        status: StatusCode,
        resource: &(impl Serialize + Described),
        provenance: Provenance,
    ) -> Result<Self, ApiError> {
        let body = rendered(resource)?;
        let etag_seq = Some(provenance.seq);
        Ok(Self { body: Some(body), etag_seq, ..Self::empty(status, provenance) })
    }

    /// A body that comes from no place in any history.
    pub(super) fn unplaced(
        status: StatusCode,
        body: &(impl Serialize + Described),
    ) -> Result<Self, ApiError> {
        Ok(Self {
            status,
            body: Some(rendered(body)?),
            positions: Vec::new(),
            etag_seq: None,
            location: None,
            kept: Kept::No,
        })
    }

    pub(super) fn empty(status: StatusCode, provenance: Provenance) -> Self {
        Self {
            status,
            body: None,
            positions: vec![provenance.position],
            etag_seq: None,
            location: None,
            kept: Kept::No,
        }
    }

    pub(super) fn not_modified(provenance: Provenance) -> Self {
        Self { etag_seq: Some(provenance.seq), ..Self::empty(StatusCode::NOT_MODIFIED, provenance) }
    }

    /// The body is not the resource of the path, so it has no tag.
    pub(super) fn without_etag(mut self) -> Self {
        self.etag_seq = None;
        self
    }

    pub(super) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    pub(super) fn kept(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }

    pub(super) fn and_position(mut self, position: Position) -> Self {
        self.positions.push(position);
        self
    }
}

fn rendered(resource: &impl Serialize) -> Result<Vec<u8>, ApiError> {
    // Most carts fit: growing the body step by step would copy it.
    const BODY_BYTES_USUAL: usize = 1_024;
    let mut body = Vec::with_capacity(BODY_BYTES_USUAL);
    serde_json::to_writer(&mut body, resource).map_err(|error| {
        tracing::error!(%error, "an answer could not be rendered");
        ApiError::internal()
    })?;
    Ok(body)
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let has_body = self.body.is_some();
        let mut response = Response::new(self.body.map_or_else(Body::empty, Body::from));
        *response.status_mut() = self.status;
        // Room for these and for what the middleware and the server add.
        const HEADERS_USUAL: usize = 12;
        let headers = response.headers_mut();
        headers.reserve(HEADERS_USUAL);
        if has_body {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(seq) = self.etag_seq {
            insert_text(headers, ETAG, conditional::etag(seq));
        }
        if let Some(location) = self.location {
            insert_text(headers, LOCATION, location);
        }
        if !self.positions.is_empty() {
            insert_text(headers, OMNI_SEQ, OmniSeq(&self.positions).to_string());
        }
        if self.kept == Kept::Replayed {
            headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}

//! The simulator's HTTP API: parcels, their labels, and its ledger to compare with.
//!
//! ```text
//! POST /v1/parcels              with an Idempotency-Key: the same key, the same answer
//! GET  /v1/parcels/{reference}  one that is booked
//! GET  /labels/{tracking}       what is to be stuck on it
//! GET  /ledger?after&limit      all that was answered, in order
//! ```
//!
//! **Invariants:** an answer is sent only when its entry is on disk; a body is at most 16 KiB.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use storage::disk::Disk;

use super::behaviour::Behaviour;
use super::desk::{self, Desk, NoAnswer};
use super::wire::{Parcel, Reference};
use crate::providers::journal::JournalError;
use crate::providers::notices::{NoticeTarget, Notices};
use crate::providers::service::{
    BODY_BYTES_MAX, LedgerPage, PageQuery, json, key_of, refused, silence,
};

#[derive(Clone)]
struct Service(Arc<Inside>);

struct Inside {
    desk: Mutex<Desk>,
    behaviour: Behaviour,
    notices: Option<Notices>,
}

/// The whole API, with the ledger that lies in the root of this folder. Labels lie below `labels`. What
/// was on its way goes on, so this needs the runtime.
pub fn router(
    disk: &dyn Disk,
    behaviour: Behaviour,
    labels: String,
    target: Option<NoticeTarget>,
) -> Result<Router, JournalError> {
    let desk = Desk::open(disk, behaviour.clone(), labels)?;
    let notices = target.map(Notices::new);
    if let Some(notices) = &notices {
        desk::resume(&desk, notices);
    }
    let desk = Mutex::new(desk);
    Ok(Router::new()
        .route("/v1/parcels", post(book))
        .route("/v1/parcels/{reference}", get(show))
        .route("/labels/{tracking}", get(label))
        .route("/ledger", get(list))
        .route("/healthz", get(async || "ok"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Service(Arc::new(Inside { desk, behaviour, notices }))))
}

async fn book(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(key) = key_of(&headers) else {
        return refused(StatusCode::BAD_REQUEST, "an Idempotency-Key is required");
    };
    let Ok(parcel) = serde_json::from_slice::<Parcel>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the parcel cannot be read");
    };
    let inside = Arc::clone(&service.0);
    // It waits for the disk.
    let booked = tokio::task::spawn_blocking(move || inside.desk().book(&key, &parcel)).await;
    let attempted = match booked {
        Ok(attempted) => attempted,
        Err(error) => {
            tracing::error!("a parcel was not booked: {error}");
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "failed");
        }
    };
    if let (Some(entry), Some(notices)) = (&attempted.news, &service.0.notices) {
        desk::tell(&service.0.behaviour, notices, entry);
    }
    match attempted.answer {
        Ok(entry) => json(&entry),
        Err(NoAnswer::Silence) => silence().await,
        Err(error @ NoAnswer::Conflict) => refused(StatusCode::CONFLICT, &error.to_string()),
        Err(NoAnswer::Journal(error)) => {
            // Whether it is on disk is not known, and what follows would be built on it.
            tracing::error!("the ledger cannot be written: {error}");
            std::process::abort();
        }
    }
}

async fn show(State(service): State<Service>, Path(reference): Path<String>) -> Response {
    let reference = Reference::try_from(reference).ok();
    let entry = reference.and_then(|reference| service.0.desk().ledger.find(reference).cloned());
    entry.map_or_else(|| refused(StatusCode::NOT_FOUND, "it is not booked"), |entry| json(&entry))
}

async fn label(Path(tracking): Path<String>) -> String {
    format!("{tracking}\n")
}

async fn list(State(service): State<Service>, Query(page): Query<PageQuery>) -> Response {
    let page = LedgerPage::of(service.0.desk().ledger.entries(), &page);
    json(&page)
}

impl Inside {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

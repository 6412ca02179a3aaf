//! Answers that are made while they are sent.
//!
//! **Invariants:** of an answer [`PIECES_AHEAD`] pieces are held at most, however slowly its client
//! reads; one that cannot be made to its end breaks off, so that its client sees that it is not whole.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::mpsc;

const PIECES_AHEAD: usize = 2;

/// Why the rest of an answer does not come.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer cannot be made to its end")]
pub(super) struct BrokenOff;

/// Takes the pieces of an answer.
pub(super) type Pieces = mpsc::Sender<Result<Bytes, BrokenOff>>;

struct Streamed(mpsc::Receiver<Result<Bytes, BrokenOff>>);

impl HttpBody for Streamed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}

/// An answer, and where its pieces are put. Dropping that ends it.
pub(super) fn streamed(content_type: &'static str) -> (Response, Pieces) {
    let (pieces, sent) = mpsc::channel(PIECES_AHEAD);
    let mut response = Response::new(Body::new(Streamed(sent)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    (response, pieces)
}

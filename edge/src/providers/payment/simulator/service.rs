//! The simulator's HTTP API: operations, and its ledger to compare with.
//!
//! ```text
//! POST /v1/operations              with an Idempotency-Key: the same key, the same answer
//! GET  /v1/operations/{reference}  what became of one
//! GET  /ledger?after&limit         all of them, in order
//! ```
//!
//! **Invariants:** an answer is sent only when its entry is on disk; a body is at most 16 KiB.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use storage::disk::Disk;

use super::behaviour::Behaviour;
use super::book::{Book, Refused};
use super::ledger::Decided;
use super::wire::{Entry, NoticeBody, Operation, Reference};
use crate::providers::chance::Manner;
use crate::providers::journal::JournalError;
use crate::providers::notices::{NoticeTarget, Notices};
use crate::providers::service::{
    BODY_BYTES_MAX, LedgerPage, PageQuery, json, key_of, refused, silence,
};

/// Long enough for a later notice to overtake.
const ODD_DELAY: Duration = Duration::from_millis(400);
#[derive(Clone)]
struct Service(Arc<Inside>);

struct Inside {
    book: Mutex<Book>,
    attempts: Attempts,
    behaviour: Behaviour,
    notices: Option<Notices>,
}

/// How often each operation was asked for since the start.
#[derive(Default)]
pub(super) struct Attempts(Mutex<BTreeMap<Reference, u32>>);

impl Attempts {
    /// The number of this attempt, from zero.
    pub(super) fn count(&self, reference: Reference) -> u32 {
        let mut attempts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = attempts.entry(reference).or_default();
        let attempt = *next;
        *next = attempt.saturating_add(1);
        attempt
    }
}

/// The whole API, with the ledger that lies in the root of this folder.
pub fn router(
    disk: &dyn Disk,
    behaviour: Behaviour,
    target: Option<NoticeTarget>,
) -> Result<Router, JournalError> {
    let book = Mutex::new(Book::open(disk)?);
    let notices = target.map(Notices::new);
    let service =
        Service(Arc::new(Inside { book, attempts: Attempts::default(), behaviour, notices }));
    Ok(Router::new()
        .route("/v1/operations", post(carry_out))
        .route("/v1/operations/{reference}", get(show))
        .route("/ledger", get(list))
        .route("/healthz", get(async || "ok"))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(service))
}

async fn carry_out(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(key) = key_of(&headers) else {
        return refused(StatusCode::BAD_REQUEST, "an Idempotency-Key is required");
    };
    let Ok(operation) = serde_json::from_slice::<Operation>(&body) else {
        return refused(StatusCode::BAD_REQUEST, "the operation cannot be read");
    };
    let attempt = service.0.attempts.count(operation.reference);
    let token = operation.action.token();
    let manner = service.0.behaviour.manner(operation.reference, token, attempt);
    if manner == Manner::Lost {
        return silence().await;
    }
    let inside = Arc::clone(&service.0);
    // It waits for the disk.
    let carried_out = tokio::task::spawn_blocking(move || {
        inside.book().carry_out(&inside.behaviour, &key, &operation)
    });
    let entry = match carried_out.await {
        Ok(Ok(Decided::New(entry))) => {
            service.0.notify(&entry);
            entry
        }
        Ok(Ok(Decided::Known(entry))) => entry,
        Ok(Err(error @ Refused::Conflict)) => {
            return refused(StatusCode::CONFLICT, &error.to_string());
        }
        Ok(Err(Refused::Journal(error))) => {
            // Whether it is on disk is not known, and what follows would be built on it.
            tracing::error!("the ledger cannot be written: {error}");
            std::process::abort();
        }
        Err(error) => {
            tracing::error!("an operation was not carried out: {error}");
            return refused(StatusCode::INTERNAL_SERVER_ERROR, "failed");
        }
    };
    if manner == Manner::Late {
        return silence().await;
    }
    json(&entry)
}

async fn show(State(service): State<Service>, Path(reference): Path<String>) -> Response {
    let reference = Reference::try_from(reference).ok();
    let entry = reference.and_then(|reference| service.0.book().ledger.find(reference).cloned());
    entry.map_or_else(|| refused(StatusCode::NOT_FOUND, "it never arrived"), |entry| json(&entry))
}

async fn list(State(service): State<Service>, Query(page): Query<PageQuery>) -> Response {
    let page = LedgerPage::of(service.0.book().ledger.entries(), &page);
    json(&page)
}

impl Inside {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notify(&self, entry: &Entry) {
        let Some(notices) = &self.notices else { return };
        let event = format!("evt_{}", entry.number);
        let Ok(body) = serde_json::to_vec(&NoticeBody { event, entry: entry.clone() }) else {
            return;
        };
        let is_odd = self.behaviour.is_odd_notice(entry.operation.reference);
        let (after, times) = if is_odd { (ODD_DELAY, 2) } else { (Duration::ZERO, 1) };
        notices.send(body, after, times);
    }
}

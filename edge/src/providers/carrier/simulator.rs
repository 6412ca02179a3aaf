//! A carrier that is none: for trying out, for tests and for the demo.
//!
//! **Invariants:** it keeps a ledger of its own, on disk before it answers; it misbehaves as told, and
//! never in its ledger; every parcel that it booked arrives, whatever becomes of the notices of it.
//!
//! It runs as a process of its own ([`service`]) that [`Simulator`] talks to, or inside of the
//! server of a demo ([`InProcess`]): the rules are the same.

mod behaviour;
mod desk;
mod in_process;
mod ledger;
pub mod service;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use actors::domain::carrier::{BookingAnswer, BookingRequest, ParcelReference};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

pub use behaviour::Behaviour;
pub use in_process::InProcess;

use super::{Carrier, Notice};
use crate::providers::client::{Answered, Caller};
use crate::providers::door::{ProviderFuture, in_doubt};
use crate::providers::notices;
use crate::providers::signature::{NoticeRefused, NoticeSecret};
use wire::{Entry, NoticeBody, Parcel};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PARCELS: &str = "/v1/parcels";

/// A simulator in a process of its own.
pub struct Simulator {
    caller: Arc<Caller>,
    /// Without it no notice is believed.
    secret: Option<NoticeSecret>,
}

impl Simulator {
    pub fn new(caller: Caller, secret: Option<NoticeSecret>) -> Self {
        Self { caller: Arc::new(caller), secret }
    }
}

impl Carrier for Simulator {
    fn book(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer> {
        let caller = Arc::clone(&self.caller);
        Box::pin(async move {
            let body = serde_json::to_vec(&Parcel::from(&request)).map_err(in_doubt)?;
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(KEY, HeaderValue::try_from(key).map_err(in_doubt)?);
            let answered = caller.send(Method::POST, PARCELS, headers, body).await;
            let answered = answered.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered, request.parcel),
                status => Err(unclear(status)),
            }
        })
    }

    fn look_up(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        let caller = Arc::clone(&self.caller);
        Box::pin(async move {
            let path = format!("{PARCELS}/{}", request.parcel);
            let answered = caller.send(Method::GET, &path, HeaderMap::new(), Vec::new()).await;
            let answered = answered.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered, request.parcel).map(Some),
                StatusCode::NOT_FOUND => Ok(None),
                status => Err(unclear(status)),
            }
        })
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        read_notice(self.secret.as_ref(), headers, body, now).map(Some)
    }
}

fn read_notice(
    secret: Option<&NoticeSecret>,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<Notice, NoticeRefused> {
    notices::check(secret, headers, body, now)?;
    let NoticeBody { event, parcel, place } =
        serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)?;
    let event = event.parse().map_err(|_| NoticeRefused::Unreadable)?;
    Ok(Notice { event, parcel: parcel.0, to: place.into() })
}

/// An answer about something else is none.
fn read(answered: &Answered, parcel: ParcelReference) -> Result<BookingAnswer, InDoubt> {
    let entry: Entry = serde_json::from_slice(&answered.body).map_err(in_doubt)?;
    let answer = entry.answer();
    let answer = answer.ok_or_else(|| InDoubt("an answer that cannot be kept".into()))?;
    let is_asked = answer.parcel == parcel;
    is_asked.then_some(answer).ok_or_else(|| InDoubt("an answer to something else".into()))
}

fn unclear(status: StatusCode) -> InDoubt {
    InDoubt(format!("the simulator answered {status}"))
}

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

use actors::domain::carrier::{BookingAnswer, BookingRequest, ParcelReference};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

pub use behaviour::Behaviour;
pub use in_process::InProcess;

use super::{Carrier, Notice};
use crate::providers::client::Caller;
use crate::providers::door::ProviderFuture;
use crate::providers::remote::Remote;
use crate::providers::signature::{NoticeRefused, NoticeSecret};
use wire::{Entry, NoticeBody, Parcel};

const PARCELS: &str = "/v1/parcels";

/// A simulator in a process of its own.
pub struct Simulator(Remote);

impl Simulator {
    pub fn new(caller: Caller, secret: Option<NoticeSecret>) -> Self {
        Self(Remote::new(caller, secret))
    }
}

impl Carrier for Simulator {
    fn book(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer> {
        let sent = self.0.send::<Entry>(PARCELS, key, &Parcel::from(&request));
        Box::pin(async move { answer(&sent.await?, request.parcel) })
    }

    fn look_up(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        let found = self.0.find::<Entry>(format!("{PARCELS}/{}", request.parcel));
        Box::pin(
            async move { found.await?.map(|entry| answer(&entry, request.parcel)).transpose() },
        )
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        notice(self.0.read_notice(headers, body, now)?).map(Some)
    }
}

fn notice(NoticeBody { event, parcel, place }: NoticeBody) -> Result<Notice, NoticeRefused> {
    let event = event.parse().map_err(|_| NoticeRefused::Unreadable)?;
    Ok(Notice { event, parcel: parcel.0, to: place.into() })
}

/// An answer about something else is none.
fn answer(entry: &Entry, parcel: ParcelReference) -> Result<BookingAnswer, InDoubt> {
    let answer = entry.answer();
    let answer = answer.ok_or_else(|| InDoubt("an answer that cannot be kept".into()))?;
    let is_asked = answer.parcel == parcel;
    is_asked.then_some(answer).ok_or_else(|| InDoubt("an answer to something else".into()))
}

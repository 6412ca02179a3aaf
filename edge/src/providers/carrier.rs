//! Carriers, behind one port.
//!
//! **Invariants:** a booking goes to the carrier that it names, and to no other; only a carrier's own
//! definite word is an answer; what it says unasked is believed when it is signed.

pub mod simulator;

use std::sync::Arc;

use actors::domain::carrier::{
    BookingAnswer, BookingOutcome, BookingRequest, PORT, ParcelReference, Whereabouts,
};
use actors::domain::payment::{ProviderEventId, ProviderName};
use axum::http::HeaderMap;
use cluster::entity::{Answer, Port, Wire};
use cluster::time::Timestamp;

use super::door::ProviderFuture;
use super::doors::{Doors, Outside};
use super::signature::NoticeRefused;

/// One carrier.
pub trait Carrier: Send + Sync + 'static {
    /// Books a parcel, once for each reference and each key however often it is sent.
    fn book(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer>;
    /// Whether a parcel is booked; `None` when it is not.
    fn look_up(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>>;
    /// Goes on with what it was about when the process ended, once its notices can be taken here. It
    /// may wait for the disk; a carrier elsewhere has not ended.
    fn go_on(&self) {}
    /// What a notice says, once its signature is checked; `None` for what is not about a parcel.
    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused>;
}

/// What a carrier says unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub event: ProviderEventId,
    pub parcel: ParcelReference,
    pub to: Whereabouts,
}

/// All carriers of a shop.
pub type Carriers = Doors<dyn Carrier>;

impl Carriers {
    /// To be called once notices can be taken.
    pub async fn go_on(&self) {
        for (_, carrier) in self.all() {
            let carrier = Arc::clone(carrier);
            if let Err(error) = tokio::task::spawn_blocking(move || carrier.go_on()).await {
                tracing::error!("a carrier does not go on: {error}");
            }
        }
    }

    pub(crate) fn first(&self) -> Option<ProviderName> {
        self.all().next().map(|(name, _)| name.clone())
    }

    /// The carrier that goes by these words, if it is one of ours.
    pub(crate) fn named(&self, words: &str) -> Option<ProviderName> {
        words.parse().ok().filter(|name| self.has(name))
    }
}

impl Outside for dyn Carrier {
    type Request = BookingRequest;
    type Answer = BookingAnswer;
    const PORT: Port = PORT;
    const SORT: &'static str = "carrier";

    fn addressee(request: &BookingRequest) -> &ProviderName {
        &request.carrier
    }

    fn attempt(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer> {
        self.book(key, request)
    }

    fn find(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        self.look_up(request)
    }

    fn told(answer: &BookingAnswer) -> Answer {
        match answer.outcome {
            BookingOutcome::Booked(_) => Answer::Done(answer.to_bytes()),
            BookingOutcome::Refused(_) => Answer::Refused(answer.to_bytes()),
        }
    }
}

//! Carriers, behind one port.
//!
//! **Invariants:** a booking goes to the carrier that it names, and to no other; only a carrier's own
//! definite word is an answer; what it says unasked is believed when it is signed.

pub mod simulator;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actors::domain::carrier::{
    BookingAnswer, BookingOutcome, BookingRequest, PORT, ParcelReference, Whereabouts,
};
use actors::domain::payment::{ProviderEventId, ProviderName};
use axum::http::HeaderMap;
use cluster::entity::{Answer, Port, Wire};
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};
use cluster::time::Timestamp;

use super::door::{Door, HORIZON, ProviderFuture};
use super::signature::NoticeRefused;
use crate::metrics::{NoticeOutcome, ProviderMetrics};

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

/// All carriers of a shop, by their names.
#[derive(Clone)]
pub struct Carriers {
    doors: Arc<BTreeMap<ProviderName, Door<Arc<dyn Carrier>>>>,
    metrics: ProviderMetrics,
}

impl fmt::Debug for Carriers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.doors.keys()).finish()
    }
}

impl Carriers {
    pub fn new(
        carriers: BTreeMap<ProviderName, Arc<dyn Carrier>>,
        metrics: ProviderMetrics,
    ) -> Self {
        let door = |carrier| Door::new(carrier, metrics.clone());
        let doors = carriers.into_iter().map(|(name, carrier)| (name, door(carrier)));
        Self { doors: Arc::new(doors.collect()), metrics }
    }

    pub fn find(&self, name: &ProviderName) -> Option<&dyn Carrier> {
        self.doors.get(name).map(|door| door.provider.as_ref())
    }

    /// To be called once notices can be taken.
    pub async fn go_on(&self) {
        for door in self.doors.values() {
            let carrier = Arc::clone(&door.provider);
            if let Err(error) = tokio::task::spawn_blocking(move || carrier.go_on()).await {
                tracing::error!("a carrier does not go on: {error}");
            }
        }
    }

    pub(crate) fn first(&self) -> Option<ProviderName> {
        self.doors.keys().next().cloned()
    }

    /// The carrier that goes by these words, if it is one of ours.
    pub(crate) fn named(&self, words: &str) -> Option<ProviderName> {
        words.parse().ok().filter(|name| self.doors.contains_key(name))
    }

    pub(crate) fn noticed(&self, outcome: NoticeOutcome) {
        self.metrics.noticed(outcome);
    }
}

impl PortAdapter for Carriers {
    fn port(&self) -> Port {
        PORT
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::Idempotent { horizon: HORIZON }
    }

    fn invoke(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read(&request)?;
            let Some(door) = doors.get(&request.carrier) else { return Err(nobody(&request)) };
            let attempt = door.provider.book(id.to_string(), request);
            Ok(answer(&door.attempt(attempt).await?))
        })
    }

    fn ask(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Option<Answer>> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read(&request)?;
            // Sending it stays in doubt in the same way.
            let Some(door) = doors.get(&request.carrier) else { return Ok(None) };
            let attempt = door.provider.look_up(request);
            Ok(door.attempt(attempt).await?.as_ref().map(answer))
        })
    }
}

fn read(request: &[u8]) -> Result<BookingRequest, InDoubt> {
    BookingRequest::from_bytes(request).map_err(|error| InDoubt(error.to_string()))
}

fn answer(answer: &BookingAnswer) -> Answer {
    match answer.outcome {
        BookingOutcome::Booked(_) => Answer::Done(answer.to_bytes()),
        BookingOutcome::Refused(_) => Answer::Refused(answer.to_bytes()),
    }
}

/// Another node, which has the carrier, may have asked before: an operator is to configure it here too.
fn nobody(request: &BookingRequest) -> InDoubt {
    InDoubt(format!("carrier {} is not configured", request.carrier))
}

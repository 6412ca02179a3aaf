//! A payment provider that is not one: for trying out, for tests and for the demo.
//!
//! **Invariants:** it keeps a ledger of its own, on disk before it answers, to be compared with what
//! the shop believes; it misbehaves as told, and never in its ledger.
//!
//! It runs as a process of its own ([`service`]) that [`Simulator`] talks to, or inside of the
//! server of a demo ([`InProcess`]): the rules are the same.

mod behaviour;
mod book;
mod in_process;
mod ledger;
pub mod service;
#[cfg(test)]
mod tests;
mod wire;

use actors::domain::payment::{Fact, Outcome, ProviderAnswer, ProviderRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

pub use behaviour::Behaviour;
pub use in_process::InProcess;

use super::{Notice, NoticeRefused, NoticeSecret, PaymentProvider, ProviderFuture, in_doubt};
use crate::providers::client::Caller;
use crate::providers::remote::Remote;
use wire::{Entry, NoticeBody, Operation, Reference};

const OPERATIONS: &str = "/v1/operations";

/// A simulator in a process of its own.
pub struct Simulator(Remote);

impl Simulator {
    pub fn new(caller: Caller, secret: Option<NoticeSecret>) -> Self {
        Self(Remote::new(caller, secret))
    }
}

impl PaymentProvider for Simulator {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let reference = Reference(request.reference);
        let operation = Operation::try_from(&request).map_err(in_doubt);
        let sent = operation.map(|operation| self.0.send::<Entry>(OPERATIONS, key, &operation));
        Box::pin(async move { answer(&sent?.await?, reference) })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let reference = Reference(request.reference);
        let found = self.0.find::<Entry>(format!("{OPERATIONS}/{}", request.reference));
        Box::pin(async move { found.await?.map(|entry| answer(&entry, reference)).transpose() })
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        let NoticeBody { event, entry } = self.0.read_notice(headers, body, now)?;
        let event = event.parse().map_err(|_| NoticeRefused::Unreadable)?;
        let (payment, fact) = (entry.operation.reference.0.payment, fact(&entry));
        Ok(Some(Notice { event, payment, fact }))
    }
}

fn fact(entry: &Entry) -> Fact {
    let ProviderAnswer { operation, outcome } = entry.answer();
    let amount = entry.operation.action.amount();
    match outcome {
        Outcome::Done { reference } => Fact::Done { operation, reference, amount },
        Outcome::Refused(_) => Fact::Refused { operation },
        Outcome::Pending { .. } => unreachable!("the simulator does everything at once"),
    }
}

/// An answer about something else is none.
fn answer(entry: &Entry, reference: Reference) -> Result<ProviderAnswer, InDoubt> {
    let is_asked = entry.operation.reference == reference;
    is_asked.then(|| entry.answer()).ok_or_else(|| InDoubt("an answer to something else".into()))
}

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
mod notices;
pub mod service;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use actors::domain::payment::{Fact, Outcome, ProviderAnswer, ProviderRequest};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

pub use behaviour::{Behaviour, InvalidPercent, Percent};
pub use book::BookError;
pub use in_process::InProcess;

use super::signature::NoticeSecret;
use super::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, in_doubt};
use crate::providers::client::{Answered, Caller};
use wire::{Entry, NoticeBody, Operation, Reference};

const SIGNATURE: HeaderName = HeaderName::from_static("omni-signature");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const OPERATIONS: &str = "/v1/operations";

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

impl PaymentProvider for Simulator {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let caller = Arc::clone(&self.caller);
        Box::pin(async move {
            let operation = Operation::try_from(&request).map_err(in_doubt)?;
            let body = serde_json::to_vec(&operation).map_err(in_doubt)?;
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(KEY, HeaderValue::try_from(key).map_err(in_doubt)?);
            let answered = caller.send(Method::POST, OPERATIONS, headers, body).await;
            let answered = answered.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered, operation.reference),
                status => Err(unclear(status)),
            }
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let caller = Arc::clone(&self.caller);
        Box::pin(async move {
            let path = format!("{OPERATIONS}/{}", request.reference);
            let answered = caller.send(Method::GET, &path, HeaderMap::new(), Vec::new()).await;
            let answered = answered.map_err(in_doubt)?;
            match answered.status {
                StatusCode::OK => read(&answered, Reference(request.reference)).map(Some),
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
        let secret = self.secret.as_ref().ok_or(NoticeRefused::BadSignature)?;
        let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        secret.check(signature.ok_or(NoticeRefused::BadSignature)?, body, now)?;
        let NoticeBody { event, entry } =
            serde_json::from_slice(body).map_err(|_| NoticeRefused::Unreadable)?;
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
fn read(answered: &Answered, reference: Reference) -> Result<ProviderAnswer, InDoubt> {
    let entry: Entry = serde_json::from_slice(&answered.body).map_err(in_doubt)?;
    let is_asked = entry.operation.reference == reference;
    is_asked.then(|| entry.answer()).ok_or_else(|| InDoubt("an answer to something else".into()))
}

fn unclear(status: StatusCode) -> InDoubt {
    InDoubt(format!("the simulator answered {status}"))
}

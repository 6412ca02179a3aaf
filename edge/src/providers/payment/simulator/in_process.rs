//! The simulator inside of a demo's server: nothing is sent, and there are no notices.

use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::payment::{ProviderAnswer, ProviderRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use storage::disk::Disk;

use super::behaviour::{Behaviour, Manner};
use super::book::{Book, BookError};
use super::ledger::Decided;
use super::service::Attempts;
use super::wire::{Operation, Reference, SimulatedAction};
use crate::providers::payment::{Notice, NoticeRefused, PaymentProvider, ProviderFuture};

pub struct InProcess {
    inside: Arc<Inside>,
}

struct Inside {
    book: Mutex<Book>,
    attempts: Attempts,
    behaviour: Behaviour,
}

impl InProcess {
    /// Its ledger is a file in the root of this folder.
    pub fn open(disk: &dyn Disk, behaviour: Behaviour) -> Result<Self, BookError> {
        let book = Mutex::new(Book::open(disk)?);
        Ok(Self { inside: Arc::new(Inside { book, attempts: Attempts::default(), behaviour }) })
    }
}

impl Inside {
    fn carry_out(&self, key: &str, operation: &Operation) -> Result<ProviderAnswer, InDoubt> {
        let token = operation.action.token();
        let attempt = self.attempts.count(operation.reference);
        let manner = self.behaviour.manner(operation.reference, token, attempt);
        if manner == Manner::Lost {
            return Err(InDoubt("the simulator is told not to answer".to_owned()));
        }
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        let decided = book.carry_out(&self.behaviour, key, operation);
        match decided.map_err(|error| InDoubt(error.to_string()))? {
            Decided::New(_) | Decided::Known(_) if manner == Manner::Late => {
                Err(InDoubt("the simulator is told to answer late".to_owned()))
            }
            Decided::New(entry) | Decided::Known(entry) => Ok(entry.answer()),
        }
    }

    fn look_up(&self, reference: Reference) -> Option<ProviderAnswer> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.ledger.find(reference).map(|entry| entry.answer())
    }
}

impl PaymentProvider for InProcess {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let inside = Arc::clone(&self.inside);
        Box::pin(async move {
            // It waits for the disk.
            let carry_out = move || inside.carry_out(&key, &Operation::from(&request));
            let carried_out = tokio::task::spawn_blocking(carry_out).await;
            carried_out.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let inside = Arc::clone(&self.inside);
        Box::pin(async move { Ok(inside.look_up(Reference(request.reference))) })
    }

    fn read_notice(
        &self,
        _: &HeaderMap,
        _: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        Err(NoticeRefused::BadSignature)
    }
}

impl SimulatedAction {
    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Authorise { token, .. } => Some(token.0.as_str()),
            Self::Capture { .. } | Self::Void { .. } | Self::Refund { .. } => None,
        }
    }
}

//! The simulator inside of a demo's server: nothing is sent, and there are no notices.

use std::path::PathBuf;
use std::sync::Arc;

use actors::domain::payment::{ProviderAnswer, ProviderRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;

use super::behaviour::Behaviour;
use super::book::Book;
use super::ledger::Decided;
use super::service::Attempts;
use super::wire::{Operation, Reference, SimulatedAction};
use crate::providers::chance::Manner;
use crate::providers::inside::{Opened, waiting};
use crate::providers::payment::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, in_doubt};

pub struct InProcess {
    inside: Arc<Inside>,
}

struct Inside {
    book: Opened<Book>,
    attempts: Attempts,
    behaviour: Behaviour,
}

impl InProcess {
    /// Its ledger is a file in the root of this folder.
    pub fn new(folder: PathBuf, behaviour: Behaviour) -> Self {
        let (book, attempts) = (Opened::in_folder(folder), Attempts::default());
        Self { inside: Arc::new(Inside { book, attempts, behaviour }) }
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
        let decided = self.with_book(|book| {
            let decided = book.carry_out(&self.behaviour, key, operation);
            decided.map_err(|error| InDoubt(error.to_string()))
        });
        match decided? {
            Decided::New(_) | Decided::Known(_) if manner == Manner::Late => {
                Err(InDoubt("the simulator is told to answer late".to_owned()))
            }
            Decided::New(entry) | Decided::Known(entry) => Ok(entry.answer()),
        }
    }

    fn look_up(&self, reference: Reference) -> Result<Option<ProviderAnswer>, InDoubt> {
        self.with_book(|book| Ok(book.ledger.find(reference).map(|entry| entry.answer())))
    }

    fn with_book<T>(
        &self,
        ask: impl FnOnce(&mut Book) -> Result<T, InDoubt>,
    ) -> Result<T, InDoubt> {
        self.book.with(|disk| Book::open(disk), ask)?
    }
}

impl PaymentProvider for InProcess {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let inside = Arc::clone(&self.inside);
        waiting(move || {
            let operation = Operation::try_from(&request).map_err(in_doubt)?;
            inside.carry_out(&key, &operation)
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let inside = Arc::clone(&self.inside);
        waiting(move || inside.look_up(Reference(request.reference)))
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

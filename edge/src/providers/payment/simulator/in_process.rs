//! The simulator inside of a demo's server: nothing is sent, and there are no notices.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::payment::{ProviderAnswer, ProviderRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use storage::disk::RealDisk;

use super::behaviour::{Behaviour, Manner};
use super::book::{Book, BookError};
use super::ledger::Decided;
use super::service::Attempts;
use super::wire::{Operation, Reference, SimulatedAction};
use crate::providers::payment::{Notice, NoticeRefused, PaymentProvider, ProviderFuture, in_doubt};

pub struct InProcess {
    inside: Arc<Inside>,
}

struct Inside {
    folder: PathBuf,
    /// Opened by the first who needs it: by then the server has its data folder for itself.
    book: Mutex<Option<Book>>,
    attempts: Attempts,
    behaviour: Behaviour,
}

impl InProcess {
    /// Its ledger is a file in the root of this folder.
    pub fn new(folder: PathBuf, behaviour: Behaviour) -> Self {
        let (book, attempts) = (Mutex::default(), Attempts::default());
        Self { inside: Arc::new(Inside { folder, book, attempts, behaviour }) }
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
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(book) = book.as_mut() {
            return ask(book);
        }
        let opened = RealDisk::open(&self.folder).map_err(BookError::from);
        let opened = opened.and_then(|disk| Book::open(&disk));
        let opened = opened.map_err(|error| InDoubt(error.to_string()))?;
        ask(book.insert(opened))
    }
}

impl PaymentProvider for InProcess {
    fn carry_out(&self, key: String, request: ProviderRequest) -> ProviderFuture<ProviderAnswer> {
        let inside = Arc::clone(&self.inside);
        Box::pin(async move {
            let operation = Operation::try_from(&request).map_err(in_doubt)?;
            // It waits for the disk.
            let carry_out = move || inside.carry_out(&key, &operation);
            let carried_out = tokio::task::spawn_blocking(carry_out).await;
            carried_out.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
        })
    }

    fn look_up(&self, request: ProviderRequest) -> ProviderFuture<Option<ProviderAnswer>> {
        let inside = Arc::clone(&self.inside);
        Box::pin(async move {
            let look_up = move || inside.look_up(Reference(request.reference));
            let looked_up = tokio::task::spawn_blocking(look_up).await;
            looked_up.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
        })
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

//! The simulator inside of a demo's server. Its notices go the way of any other's: over HTTP, signed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use actors::domain::carrier::{BookingAnswer, BookingRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use storage::disk::RealDisk;

use super::behaviour::Behaviour;
use super::desk::{self, Desk};
use super::wire::{Parcel, Reference};
use super::{Carrier, Notice, read_notice};
use crate::providers::door::{ProviderFuture, in_doubt};
use crate::providers::journal::JournalError;
use crate::providers::notices::{NoticeTarget, Notices};
use crate::providers::signature::{NoticeRefused, NoticeSecret};

/// Nothing is printed.
const LABELS: &str = "https://carrier.invalid/labels";

pub struct InProcess {
    inside: Arc<Inside>,
    secret: NoticeSecret,
}

struct Inside {
    folder: PathBuf,
    behaviour: Behaviour,
    notices: Notices,
    /// Opened by the first who needs it: by then the server has its data folder for itself.
    desk: Mutex<Option<Desk>>,
}

impl InProcess {
    /// Its ledger is a file in the root of this folder.
    pub fn new(folder: PathBuf, behaviour: Behaviour, target: NoticeTarget) -> Self {
        let secret = target.secret.clone();
        let (notices, desk) = (Notices::new(target), Mutex::default());
        Self { inside: Arc::new(Inside { folder, behaviour, notices, desk }), secret }
    }
}

impl Inside {
    fn with_desk<T>(&self, ask: impl FnOnce(&mut Desk) -> T) -> Result<T, InDoubt> {
        let mut desk = self.desk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(desk) = desk.as_mut() {
            return Ok(ask(desk));
        }
        let opened = RealDisk::open(&self.folder).map_err(JournalError::from);
        let behaviour = self.behaviour.clone();
        let opened = opened.and_then(|disk| Desk::open(&disk, behaviour, LABELS.to_owned()));
        let opened = desk.insert(opened.map_err(in_doubt)?);
        desk::resume(opened, &self.notices);
        Ok(ask(opened))
    }

    fn book(&self, key: &str, parcel: &Parcel) -> Result<BookingAnswer, InDoubt> {
        let attempted = self.with_desk(|desk| desk.book(key, parcel))?;
        if let Some(entry) = &attempted.news {
            desk::tell(&self.behaviour, &self.notices, entry);
        }
        let answer = attempted.answer.map_err(in_doubt)?.answer();
        answer.ok_or_else(|| InDoubt("an answer that cannot be kept".to_owned()))
    }
}

impl Carrier for InProcess {
    fn book(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer> {
        let inside = Arc::clone(&self.inside);
        // It waits for the disk.
        let book = move || inside.book(&key, &Parcel::from(&request));
        Box::pin(async move {
            let booked = tokio::task::spawn_blocking(book).await;
            booked.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
        })
    }

    fn look_up(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        let inside = Arc::clone(&self.inside);
        let find =
            move || inside.with_desk(|desk| desk.ledger.find(Reference(request.parcel))?.answer());
        Box::pin(async move {
            let found = tokio::task::spawn_blocking(find).await;
            found.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
        })
    }

    fn go_on(&self) {
        // Where nothing was asked yet, nothing is made.
        if self.inside.folder.exists()
            && let Err(error) = self.inside.with_desk(|_| ())
        {
            tracing::warn!("notices of parcels do not go on: {error}");
        }
    }

    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        read_notice(Some(&self.secret), headers, body, now).map(Some)
    }
}

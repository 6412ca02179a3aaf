//! The simulator inside of a demo's server. Its notices go the way of any other's: over HTTP, signed.

use std::path::PathBuf;
use std::sync::Arc;

use actors::domain::carrier::{BookingAnswer, BookingRequest};
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use storage::disk::RealDisk;

use super::behaviour::Behaviour;
use super::desk::{self, Desk};
use super::wire::{Parcel, Reference};
use super::{Carrier, Notice, notice};
use crate::providers::door::{ProviderFuture, in_doubt};
use crate::providers::inside::{Opened, waiting};
use crate::providers::notices::{self, NoticeTarget, Notices};
use crate::providers::signature::{NoticeRefused, NoticeSecret};

/// Nothing is printed.
const LABELS: &str = "https://carrier.invalid/labels";

pub struct InProcess {
    inside: Arc<Inside>,
    secret: NoticeSecret,
}

struct Inside {
    behaviour: Behaviour,
    notices: Notices,
    desk: Opened<Desk>,
}

impl InProcess {
    /// Its ledger is a file in the root of this folder.
    pub fn new(folder: PathBuf, behaviour: Behaviour, target: NoticeTarget) -> Self {
        let secret = target.secret.clone();
        let (notices, desk) = (Notices::new(target), Opened::in_folder(folder));
        Self { inside: Arc::new(Inside { behaviour, notices, desk }), secret }
    }
}

impl Inside {
    fn with_desk<T>(&self, ask: impl FnOnce(&mut Desk) -> T) -> Result<T, InDoubt> {
        let open = |disk: &RealDisk| {
            let desk = Desk::open(disk, self.behaviour.clone(), LABELS.to_owned())?;
            desk::resume(&desk, &self.notices);
            Ok(desk)
        };
        self.desk.with(open, ask)
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
        waiting(move || inside.book(&key, &Parcel::from(&request)))
    }

    fn look_up(&self, request: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        let inside = Arc::clone(&self.inside);
        waiting(move || {
            inside.with_desk(|desk| desk.ledger.find(Reference(request.parcel))?.answer())
        })
    }

    fn go_on(&self) {
        // Where nothing was asked yet, nothing is made.
        if self.inside.desk.is_there()
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
        notice(notices::read(Some(&self.secret), headers, body, now)?).map(Some)
    }
}

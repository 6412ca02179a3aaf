//! A simulator inside of a server, with its ledger in the data folder.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cluster::runtime::ports::InDoubt;
use storage::disk::RealDisk;

use super::door::{ProviderFuture, in_doubt};
use super::journal::JournalError;

/// What is in the root of a folder. It is opened by the first who needs it: by then the server has its
/// data folder for itself.
pub(super) struct Opened<T> {
    folder: PathBuf,
    opened: Mutex<Option<T>>,
}

impl<T> Opened<T> {
    pub(super) fn in_folder(folder: PathBuf) -> Self {
        Self { folder, opened: Mutex::default() }
    }

    /// Whether there may be anything to be opened.
    pub(super) fn is_there(&self) -> bool {
        self.folder.exists()
    }

    pub(super) fn with<R>(
        &self,
        open: impl FnOnce(&RealDisk) -> Result<T, JournalError>,
        ask: impl FnOnce(&mut T) -> R,
    ) -> Result<R, InDoubt> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = opened.as_mut() {
            return Ok(ask(opened));
        }
        let disk = RealDisk::open(&self.folder).map_err(JournalError::from);
        let now = disk.and_then(|disk| open(&disk)).map_err(in_doubt)?;
        Ok(ask(opened.insert(now)))
    }
}

/// What waits for the disk, and so not on a thread that others need.
pub(super) fn waiting<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, InDoubt> + Send + 'static,
) -> ProviderFuture<T> {
    Box::pin(async move {
        let done = tokio::task::spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(InDoubt(error.to_string())))
    })
}

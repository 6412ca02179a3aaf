//! Opening sled, and calling it without letting a panic out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use sled::Db;

use super::{FolderFound, IndexFault, IndexOptions, folder, record};

const FLUSH_EVERY_MS: u64 = 1000;
const LOCK_TRIES_MAX: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);
const OWN_GENERATION: u8 = b'g';

/// Runs a call of sled and turns a panic into a fault.
pub(super) fn caught<T>(
    doing: &'static str,
    call: impl FnOnce() -> Result<T, IndexFault>,
) -> Result<T, IndexFault> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("no message");
        Err(IndexFault::Panicked { doing, message: message.to_owned() })
    })
}

/// As [`open_current`], in a thread of its own: when sled fails, panics or outlives the deadline, the
/// folder counts as bad.
pub(super) fn open_in_time(
    path: &Path,
    options: &IndexOptions,
) -> Result<(Db, u64, FolderFound), IndexFault> {
    let (result_tx, result_rx) = mpsc::sync_channel(1);
    let (home, cache_bytes) = (path.to_owned(), options.cache_bytes);
    std::thread::Builder::new()
        .name("state-index-open".to_owned())
        .spawn(move || {
            let opened = caught("opening", || open_current(&home, cache_bytes));
            // Nobody listens after the deadline; sled is then closed here, in its old folder.
            drop(result_tx.send(opened));
        })
        .map_err(|error| IndexFault::io("starting a thread for", path, error))?;
    match result_rx.recv_timeout(options.deadline) {
        Ok(opened) => opened,
        Err(mpsc::RecvTimeoutError::Timeout) => {
            Err(IndexFault::OpenTimedOut { deadline: options.deadline })
        }
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(IndexFault::ThreadLost { doing: "opening" })
        }
    }
}

/// Opens the current generation, or creates one that the caller then makes current.
fn open_current(path: &Path, cache_bytes: u64) -> Result<(Db, u64, FolderFound), IndexFault> {
    match folder::current(path)? {
        Some(generation) => {
            let home = folder::generation_path(path, generation);
            folder::check_present(&home)?;
            let db = open_sled(&home, cache_bytes)?;
            let found = generation_in(&db)?;
            if found != Some(generation) {
                return Err(IndexFault::Generation { marker: generation, found });
            }
            Ok((db, generation, FolderFound::Existing))
        }
        None => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(|error| {
                IndexFault::io("naming", path, io::Error::other(error.to_string()))
            })?;
            let generation = u64::from_le_bytes(bytes);
            let home = folder::generation_path(path, generation);
            let db = open_sled(&home, cache_bytes)?;
            let key = record::own_key(OWN_GENERATION, 0);
            let value = record::own_value(&key, &[generation]);
            db.insert(key, value).map_err(IndexFault::sled("creating"))?;
            db.flush().map_err(IndexFault::sled("creating"))?;
            folder::sync_files(path, &home)?;
            Ok((db, generation, FolderFound::Created))
        }
    }
}

/// No compression: bodies may be sealed, and snapshots hold the compressed copy. The flusher must
/// run, for sled reclaims space only in it. (sled's `mode` is read by nothing in this version.)
fn open_sled(home: &Path, cache_bytes: u64) -> Result<Db, IndexFault> {
    folder::remove_unfinished(home);
    let config = sled::Config::new()
        .path(home)
        .cache_capacity(cache_bytes)
        .flush_every_ms(Some(FLUSH_EVERY_MS))
        .use_compression(false);
    let mut tries = 1;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && tries < LOCK_TRIES_MAX => {
                tries += 1;
            }
            opened => return opened.map_err(IndexFault::sled("opening")),
        }
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// sled's own threads may hold the files of an index for a moment after it was dropped. Its error
/// for that has no kind of its own.
pub(super) fn is_locked(error: &io::Error) -> bool {
    error.to_string().starts_with("could not acquire lock")
}

fn generation_in(db: &Db) -> Result<Option<u64>, IndexFault> {
    let key = record::own_key(OWN_GENERATION, 0);
    let value = db.get(&key).map_err(IndexFault::sled("opening"))?;
    Ok(value.and_then(|value| record::own_numbers::<1>(&key, &value)).map(|[number]| number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_fault_that_says_what_it_said() {
        let cases: [(fn(), &str); 3] = [
            (|| panic!("range end index"), "range end index"),
            (|| panic!("page {}", 7), "page 7"),
            (|| std::panic::panic_any(7_u32), "no message"),
        ];
        for (call, said) in cases {
            let result = caught("reading", || {
                call();
                Ok(())
            });
            let Err(IndexFault::Panicked { doing, message }) = result else {
                panic!("not caught: {result:?}");
            };
            assert_eq!((doing, message.as_str()), ("reading", said));
        }
    }
}

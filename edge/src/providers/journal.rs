//! What a simulator keeps on disk: one JSON line an entry.
//!
//! **Invariants:** an entry is on disk before anyone hears of it; a last line without its end was
//! never heard of, and is cut off; any other line that cannot be read is damage and is refused.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::disk::{Disk, DiskFile};

pub(super) const FILE: &str = "ledger.jsonl";

pub(super) struct Journal {
    file: Box<dyn DiskFile>,
    end: u64,
}

/// Why a ledger cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("the simulator's ledger cannot be used")]
    Io(#[from] io::Error),
    #[error("line {line} of {FILE} cannot be read")]
    Damaged {
        line: usize,
        #[source]
        why: serde_json::Error,
    },
    #[error("line {line} of {FILE} is out of order")]
    OutOfOrder { line: usize },
}

/// One line: it says which, counted from one.
pub(super) trait Line: Serialize + DeserializeOwned {
    fn number(&self) -> u64;
}

impl Journal {
    /// The journal in the root of this folder, and what is in it.
    pub(super) fn open<L: Line>(disk: &dyn Disk) -> Result<(Self, Vec<L>), JournalError> {
        let file = if disk.exists(FILE)? {
            disk.open(FILE)?
        } else {
            let file = disk.create_new(FILE)?;
            file.sync_all()?;
            disk.sync_dir("")?;
            file
        };
        let length = usize::try_from(file.len()?).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let read = file.read_full_at(0, &mut bytes)?;
        bytes.truncate(read);
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        bytes.truncate(whole);
        let mut lines = Vec::new();
        for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let entry: L =
                serde_json::from_slice(text).map_err(|why| JournalError::Damaged { line, why })?;
            if usize::try_from(entry.number()) != Ok(line) {
                return Err(JournalError::OutOfOrder { line });
            }
            lines.push(entry);
        }
        let end = whole as u64;
        file.set_len(end)?;
        file.sync_all()?;
        Ok((Self { file, end }, lines))
    }

    pub(super) fn write(&mut self, entry: &impl Line) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).map_err(io::Error::other)?;
        line.push(b'\n');
        self.file.write_at(self.end, &line)?;
        self.file.sync_all()?;
        self.end += line.len() as u64;
        Ok(())
    }
}

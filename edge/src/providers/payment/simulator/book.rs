//! The simulator's ledger on disk: one JSON line an entry.
//!
//! **Invariants:** an entry is on disk before anyone hears of it; a last line without its end was
//! never heard of, and is cut off; any other line that cannot be read is damage and is refused.

use std::io;

use storage::disk::{Disk, DiskFile};

use super::behaviour::Behaviour;
use super::ledger::{Conflict, Decided, Ledger};
use super::wire::{Entry, Operation};

const FILE: &str = "ledger.jsonl";

pub(crate) struct Book {
    pub(crate) ledger: Ledger,
    file: Box<dyn DiskFile>,
    end: u64,
}

/// Why the book cannot be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
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

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the key or the reference stands for another operation")]
    Conflict,
    #[error(transparent)]
    Book(#[from] BookError),
}

impl Book {
    pub(crate) fn open(disk: &dyn Disk) -> Result<Self, BookError> {
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
        let mut ledger = Ledger::default();
        for (line, text) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
            let entry: Entry =
                serde_json::from_slice(text).map_err(|why| BookError::Damaged { line, why })?;
            if usize::try_from(entry.number) != Ok(line) {
                return Err(BookError::OutOfOrder { line });
            }
            ledger.add(entry);
        }
        let end = whole as u64;
        file.set_len(end)?;
        file.sync_all()?;
        Ok(Self { ledger, file, end })
    }

    /// What an operation comes to: as it did the first time, or written down now.
    pub(crate) fn carry_out(
        &mut self,
        behaviour: &Behaviour,
        key: &str,
        operation: &Operation,
    ) -> Result<Decided, Refused> {
        let decided = self.ledger.decide(behaviour, key, operation);
        let decided = decided.map_err(|Conflict| Refused::Conflict)?;
        if let Decided::New(entry) = &decided {
            self.write(entry)?;
            self.ledger.add(entry.clone());
        }
        Ok(decided)
    }

    fn write(&mut self, entry: &Entry) -> Result<(), BookError> {
        let mut line = serde_json::to_vec(entry).map_err(io::Error::other)?;
        line.push(b'\n');
        self.file.write_at(self.end, &line)?;
        self.file.sync_all()?;
        self.end += line.len() as u64;
        Ok(())
    }
}

//! `omnicart inspect`: shows what a data folder holds.
//!
//! **Invariants:** read-only; contents of entities are never printed, because they may name people:
//! what is shown is where things are, how large they are and what the fabric says about them.

mod history;
mod log;
mod snapshot;
mod state;

use std::io::Write;
use std::path::PathBuf;

use super::{Output, Printer, chain};
use crate::failure::{Exit, Failure};
use crate::folder::{InUse, ReadOnlyFolder};

/// Which part of a folder to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Log,
    Snapshot,
    State,
    History,
}

/// What to show, and how.
#[derive(Clone, Debug)]
pub struct Request {
    pub part: Part,
    pub folder: PathBuf,
    pub key_file: Option<PathBuf>,
    /// Only this shard's.
    pub shard: Option<u32>,
    /// Files and totals, without what is in them.
    pub detail: Detail,
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    Files,
    Records,
}

impl Request {
    fn wants(&self, shard: u32) -> bool {
        self.shard.is_none_or(|wanted| wanted == shard)
    }
}

/// Runs the command.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    let folder = ReadOnlyFolder::open(&request.folder, request.key_file.as_deref(), InUse::Warn)?;
    let mut printer = Printer::new(out, request.output);
    match request.part {
        Part::Log => log::show(&folder, request, &mut printer),
        Part::Snapshot => snapshot::show(&folder, request, &mut printer),
        Part::State => state::show(&folder, request, &mut printer),
        Part::History => history::show(&folder, request, &mut printer),
    }
}

/// Damage met on the way: it is named where it is met, what can be read after it is shown all the
/// same, and the exit code tells of it in the end.
#[derive(Default)]
struct Damages(u64);

impl Damages {
    fn note(
        &mut self,
        error: &(dyn std::error::Error + 'static),
        printer: &mut Printer<'_>,
    ) -> Result<(), Failure> {
        self.0 += 1;
        let reason = chain(error);
        let fields = || vec![("reason", reason.as_str().into())];
        printer.line("damage", || format!("damage: {reason}"), fields)
    }

    fn end(self) -> Result<(), Failure> {
        match self.0 {
            0 => Ok(()),
            n => Err(Failure::new(Exit::Damaged, anyhow::anyhow!("{n} places are damaged"))),
        }
    }
}

/// A key of the fabric as people read it: an entity's address, or a word of the fabric's own.
fn entity_name(key: &[u8]) -> String {
    match storage::codec::decode::<cluster::ids::EntityRef>(key) {
        Ok(entity) => entity.to_string(),
        Err(_) => key.escape_ascii().to_string(),
    }
}

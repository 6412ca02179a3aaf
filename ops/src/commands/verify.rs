//! `omnicart verify`: reads every byte of a data folder that counts, and reports all that is wrong.
//!
//! **Invariants:** nothing in the folder changes; damage does not end the walk; a torn tail is no
//! damage, because the next start cuts what was never acknowledged. The state index is passed over:
//! it is rebuilt from the rest and never trusted.

mod audit;
mod groups;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use cluster::placement::shard_map::ShardMap;
use cluster::runtime::identity::{Identity, IdentityError};
use storage::history::{Before, HistoryError, HistoryReader, Reach};
use storage::log::{Finding, LogError, inspect};
use storage::snapshot::{self, SnapshotError, SnapshotReader};
use storage::vault::KeyCheckError;

use self::audit::Audit;
use self::groups::Groups;
use super::{Output, Printer, chain};
use crate::failure::{Exit, Failure};
use crate::folder::{HISTORY_DIR, InUse, LOG_DIR, ReadOnlyFolder, SNAPSHOT_DIR, groups_of};

/// What to verify, and how to print it.
#[derive(Clone, Debug)]
pub struct Request {
    pub folder: PathBuf,
    pub key_file: Option<PathBuf>,
    pub output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sound,
    Damaged,
}

/// Runs the command.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<Verdict, Failure> {
    let folder = ReadOnlyFolder::open(&request.folder, request.key_file.as_deref(), InUse::Refuse)?;
    let printer = Printer::new(out, request.output);
    let (checked, audit) = (Checked::default(), Audit::default());
    let mut verifier = Verifier { folder: &folder, printer, damages: 0, checked, audit };
    let identity = verifier.identity()?;
    let groups = verifier.log()?;
    let all = verifier.groups(identity.as_ref(), &groups)?;
    verifier.snapshots(&groups)?;
    verifier.histories(&all)?;
    verifier.acts(identity.as_ref())?;
    verifier.summary()
}

#[derive(Default)]
struct Checked {
    records: u64,
    segments: u64,
    snapshots: u64,
    history_entries: u64,
    acts: u64,
}

struct Verifier<'a> {
    folder: &'a ReadOnlyFolder,
    printer: Printer<'a>,
    damages: u64,
    checked: Checked,
    audit: Audit,
}

impl Verifier<'_> {
    /// A key that does not fit is no damage: nothing could be said about the rest.
    fn identity(&mut self) -> Result<Option<Identity>, Failure> {
        let read = Identity::read(self.folder.disk.as_ref(), self.folder.vault.as_deref());
        match read {
            Ok(Some(identity)) => Ok(Some(identity)),
            Ok(None) => self.damage("IDENTITY", None, "the file is missing").map(|()| None),
            Err(error) => {
                let file = match &error {
                    IdentityError::Io { file, .. } => *file,
                    IdentityError::Key(KeyCheckError::Damaged(_)) => "KEYCHECK",
                    IdentityError::Damaged { file, .. } => file,
                    IdentityError::Foreign { .. }
                    | IdentityError::Newer { .. }
                    | IdentityError::Level { .. }
                    | IdentityError::OtherShards { .. }
                    | IdentityError::OtherNumber { .. }
                    | IdentityError::Key(_)
                    | IdentityError::Random(_) => {
                        return Err(Failure::new(crate::failure::of_identity(&error), error));
                    }
                };
                self.damage(file, None, &chain(&error)).map(|()| None)
            }
        }
    }

    fn log(&mut self) -> Result<Groups, Failure> {
        let (disk, vault) = (Arc::clone(&self.folder.disk), self.folder.vault.clone());
        let seal = vault.as_deref().map(|vault| vault as &dyn storage::seal::Seal);
        let mut groups = Groups::default();
        let mut visit = |finding: Finding| {
            self.finding(finding, &mut groups)
                .map_err(|failure| failure.error.into_boxed_dyn_error())
        };
        match inspect(disk.as_ref(), LOG_DIR, seal, &mut visit) {
            Ok(totals) => {
                self.checked.records = totals.records;
                self.checked.segments = totals.segments;
                if totals.segments == 0 {
                    self.damage(LOG_DIR, None, "the log has no segments")?;
                }
            }
            Err(LogError::Visitor { source, .. }) => {
                return Err(Failure::new(Exit::Failed, anyhow::anyhow!("{source}")));
            }
            Err(error) => self.damage(LOG_DIR, None, &chain(&error))?,
        }
        Ok(groups)
    }

    fn finding(&mut self, finding: Finding, groups: &mut Groups) -> Result<(), Failure> {
        match finding {
            Finding::Record(report) => {
                let at = Some(report.offset);
                let Some(record) = report.record else { return Ok(()) };
                if let Err(reason) = groups.take(&record) {
                    self.damage(&report.file, at, &reason)?;
                }
                let taken = self.audit.log(&record, &(report.file.clone(), at));
                taken.or_else(|error| self.damage(&report.file, at, &error.to_string()))
            }
            Finding::Segment(_) => Ok(()),
            Finding::TornTail(torn) => {
                let reason = format!(
                    "an unfinished write of {} bytes, which the next start cuts",
                    torn.bytes
                );
                self.note(&torn.file, torn.offset, &reason)
            }
            Finding::Damage(error) => {
                groups.skip();
                let (file, offset) = place(&error);
                self.damage(&file, offset, &chain(&error))
            }
        }
    }

    /// The groups whose files to look at. Every shard must be known to the log since the folder was
    /// made; groups beside the shards may be younger than it.
    fn groups(
        &mut self,
        identity: Option<&Identity>,
        groups: &Groups,
    ) -> Result<Vec<u32>, Failure> {
        let known: BTreeSet<_> = groups.known().collect();
        let Some(identity) = identity else { return Ok(known.into_iter().collect()) };
        let shards = 0..identity.n_shards;
        let members_of = |group: &u32| shards.contains(group) || known.contains(group);
        let all = groups_of(identity)?;
        for group in all.iter().filter(|group| members_of(group) && !groups.has_members(**group)) {
            let reason = format!("it does not say who the members of shard {group} are");
            self.damage(LOG_DIR, None, &reason)?;
        }
        Ok(all)
    }

    fn snapshots(&mut self, groups: &Groups) -> Result<(), Failure> {
        let disk = Arc::clone(&self.folder.disk);
        let files = match snapshot::list(disk.as_ref(), SNAPSHOT_DIR) {
            Ok(files) => files,
            Err(error) => return self.damage(SNAPSHOT_DIR, None, &chain(&error)),
        };
        for file in files {
            let read =
                SnapshotReader::open(disk.as_ref(), &file.path, file.shard, self.folder.seal());
            match read.and_then(|reader| self.snapshot(&file.path, reader)) {
                Ok(unread) => {
                    self.checked.snapshots += 1;
                    unread.iter().try_for_each(|why| self.damage(&file.path, None, why))?;
                }
                Err(error) => {
                    self.damage(&file.path, snapshot_offset(&error), &chain(&error))?;
                }
            }
        }
        for (shard, file) in groups.snapshots() {
            if !disk.exists(file).unwrap_or(false) {
                let reason = format!("the log of shard {shard} goes on from it and it is missing");
                self.damage(file, None, &reason)?;
            }
        }
        Ok(())
    }

    /// Reads a snapshot to its end; says what in it is sound and makes no sense.
    fn snapshot(
        &mut self,
        file: &str,
        reader: SnapshotReader,
    ) -> Result<Vec<String>, SnapshotError> {
        let (place, mut unread) = ((file.to_owned(), None), Vec::new());
        for item in reader {
            let item = item?;
            let Some(body) = item.body else { continue };
            let taken = self.audit.stored(&item.key, &body, &place);
            unread.extend(taken.err().map(|error| error.to_string()));
        }
        Ok(unread)
    }

    /// Holds every chain of acts against itself.
    fn acts(&mut self, identity: Option<&Identity>) -> Result<(), Failure> {
        let (n_acts, flaws) = std::mem::take(&mut self.audit).end();
        self.checked.acts = n_acts;
        let shards = identity.and_then(|identity| ShardMap::even(identity.n_shards).ok());
        for (id, reason, (file, offset)) in flaws {
            let name = shards.map_or_else(|| format!("{id:?}"), |shards| id.name(shards));
            self.damage(&file, offset, &format!("{reason} in the chain of {name}"))?;
        }
        Ok(())
    }

    fn histories(&mut self, shards: &[u32]) -> Result<(), Failure> {
        for shard in shards {
            let disk = Arc::clone(&self.folder.disk);
            let reach = match Reach::read(disk.as_ref(), HISTORY_DIR, *shard) {
                Ok(reach) => reach,
                Err(error) => {
                    self.history_damage(&error)?;
                    continue;
                }
            };
            if let Reach { since, before: Before::Partial } = reach {
                let reason = format!(
                    "of shard {shard}, what came before entry {since} is not all here; other nodes \
                     have it"
                );
                self.found("note", HISTORY_DIR, None, &reason)?;
            }
            let reader = HistoryReader::new(disk, HISTORY_DIR, *shard, self.folder.seal());
            for part in reach.parts() {
                self.history(&reader.clone().within(part))?;
            }
        }
        Ok(())
    }

    fn history(&mut self, reader: &HistoryReader) -> Result<(), Failure> {
        let scan = match reader.scan(0) {
            Ok(scan) => scan,
            Err(error) => return self.history_damage(&error),
        };
        for entry in scan {
            match entry {
                Ok(entry) => {
                    self.checked.history_entries += 1;
                    let place = (HISTORY_DIR.to_owned(), None);
                    let taken = self.audit.history(&entry, &place);
                    taken.or_else(|error| self.damage(&place.0, None, &error.to_string()))?;
                }
                Err(error) => self.history_damage(&error)?,
            }
        }
        Ok(())
    }

    fn history_damage(&mut self, error: &HistoryError) -> Result<(), Failure> {
        let (file, offset) = history_place(error);
        self.damage(file, offset, &chain(error))
    }

    fn damage(&mut self, file: &str, offset: Option<u64>, reason: &str) -> Result<(), Failure> {
        self.damages += 1;
        self.found("damage", file, offset, reason)
    }

    fn note(&mut self, file: &str, offset: u64, reason: &str) -> Result<(), Failure> {
        self.found("note", file, Some(offset), reason)
    }

    fn found(
        &mut self,
        what: &str,
        file: &str,
        offset: Option<u64>,
        reason: &str,
    ) -> Result<(), Failure> {
        self.printer.line(
            what,
            || {
                let offset = offset.map_or(String::new(), |offset| format!(" offset {offset}"));
                format!("{what}: {file}{offset}: {reason}")
            },
            || vec![("file", file.into()), ("offset", offset.into()), ("reason", reason.into())],
        )
    }

    fn summary(mut self) -> Result<Verdict, Failure> {
        let Checked { records, segments, snapshots, history_entries, acts } = self.checked;
        let verdict = if self.damages == 0 { Verdict::Sound } else { Verdict::Damaged };
        let damages = self.damages;
        self.printer.line(
            "verdict",
            || {
                let found = match damages {
                    0 => "no damage".to_owned(),
                    n => format!("{n} damaged places"),
                };
                format!(
                    "{found} in {records} log records of {segments} segments, {snapshots} \
                     snapshots and {history_entries} history entries, {acts} acts among them"
                )
            },
            || {
                vec![
                    ("damages", damages.into()),
                    ("records", records.into()),
                    ("segments", segments.into()),
                    ("snapshots", snapshots.into()),
                    ("history_entries", history_entries.into()),
                    ("acts", acts.into()),
                ]
            },
        )?;
        Ok(verdict)
    }
}

/// Where the bytes are that an error is about.
fn place(error: &LogError) -> (String, Option<u64>) {
    match error {
        LogError::Damaged { file, offset, .. }
        | LogError::Unseal { file, offset, .. }
        | LogError::Visitor { file, offset, .. } => (file.clone(), Some(*offset)),
        LogError::Io { file, .. }
        | LogError::NewerFormat { file, .. }
        | LogError::SealedWithoutKey { file } => (file.clone(), None),
        LogError::SegmentBytes { .. }
        | LogError::Compacted { .. }
        | LogError::OutOfRange { .. }
        | LogError::Failed(_) => (LOG_DIR.to_owned(), None),
    }
}

fn snapshot_offset(error: &SnapshotError) -> Option<u64> {
    match error {
        SnapshotError::Damaged { offset, .. }
        | SnapshotError::Seal { offset, .. }
        | SnapshotError::Block { offset, .. } => Some(*offset),
        SnapshotError::Io { .. }
        | SnapshotError::NewerFormat { .. }
        | SnapshotError::ForeignShard { .. }
        | SnapshotError::ForeignFile { .. }
        | SnapshotError::Sealed { .. }
        | SnapshotError::ItemTooLarge { .. }
        | SnapshotError::EndTooLow { .. }
        | SnapshotError::OutOfOrder { .. } => None,
    }
}

fn history_place(error: &HistoryError) -> (&str, Option<u64>) {
    match error {
        HistoryError::Damaged { file, offset, .. }
        | HistoryError::Seal { file, offset, .. }
        | HistoryError::Block { file, offset, .. } => (file, Some(*offset)),
        HistoryError::Io { file, .. }
        | HistoryError::NewerFormat { file, .. }
        | HistoryError::ForeignShard { file, .. }
        | HistoryError::Sealed { file } => (file, None),
        HistoryError::OutOfOrder { .. }
        | HistoryError::EntryTooLarge { .. }
        | HistoryError::Elsewhere { .. }
        | HistoryError::TooShort { .. }
        | HistoryError::Failed { .. } => (HISTORY_DIR, None),
    }
}

//! History: the committed entries that are kept after the log was trimmed.

use std::sync::Arc;

use storage::history::{Before, HistoryEntry, HistoryReader, Reach};

use super::{Damages, Detail, Request, entity_name};
use crate::commands::Printer;
use crate::failure::Failure;
use crate::folder::{HISTORY_DIR, ReadOnlyFolder, groups_of};

pub(super) fn show(
    folder: &ReadOnlyFolder,
    request: &Request,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let identity = folder.identity()?;
    let mut shown = Shown { request, printer, damages: Damages::default(), total: 0 };
    for shard in groups_of(&identity)?.into_iter().filter(|shard| request.wants(*shard)) {
        let disk = Arc::clone(&folder.disk);
        let reach = match Reach::read(disk.as_ref(), HISTORY_DIR, shard) {
            Ok(reach) => reach,
            Err(error) => {
                shown.damages.note(&error, shown.printer)?;
                continue;
            }
        };
        let reader = HistoryReader::new(disk, HISTORY_DIR, shard, folder.seal());
        for part in reach.parts() {
            shown.part(&reader.clone().within(part), shard)?;
        }
        if let Reach { since, before: Before::Partial } = reach {
            shown.printer.line(
                "history_missing",
                || format!("shard {shard}: what came before entry {since} is not all here"),
                || vec![("shard", shard.into()), ("since", since.into())],
            )?;
        }
    }
    let Shown { printer, damages, total, .. } = shown;
    printer.line(
        "history",
        || format!("history: {total} entries"),
        || vec![("entries", total.into())],
    )?;
    damages.end()
}

struct Shown<'a, 'b> {
    request: &'a Request,
    printer: &'a mut Printer<'b>,
    damages: Damages,
    total: u64,
}

impl Shown<'_, '_> {
    /// Shows the entries of one part, within which there is no hole.
    fn part(&mut self, reader: &HistoryReader, shard: u32) -> Result<(), Failure> {
        let mut entries = 0_u64;
        let mut span = None;
        let scan = match reader.scan(0) {
            Ok(scan) => scan,
            Err(error) => return self.damages.note(&error, self.printer),
        };
        for entry in scan {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.damages.note(&error, self.printer)?;
                    continue;
                }
            };
            entries += 1;
            span = Some((span.map_or(entry.index, |(first, _)| first), entry.index));
            if self.request.detail != Detail::Files {
                self.entry(shard, &entry)?;
            }
        }
        self.total += entries;
        let Some((first, last)) = span else { return Ok(()) };
        self.printer.line(
            "history_shard",
            || format!("shard {shard}: {entries} entries, {first} to {last}"),
            || {
                vec![
                    ("shard", shard.into()),
                    ("entries", entries.into()),
                    ("first_index", first.into()),
                    ("last_index", last.into()),
                ]
            },
        )
    }

    fn entry(&mut self, shard: u32, entry: &HistoryEntry) -> Result<(), Failure> {
        let entities: Vec<_> = entry.entities.iter().map(|key| entity_name(key)).collect();
        self.printer.line(
            "entry",
            || {
                let (bytes, names) = (entry.payload.len(), entities.join(" "));
                let (index, time) = (entry.index, entry.time_micros);
                format!("  shard {shard} entry {index} at {time} µs: {bytes} bytes, {names}")
            },
            || {
                vec![
                    ("shard", shard.into()),
                    ("index", entry.index.into()),
                    ("time_micros", entry.time_micros.into()),
                    ("payload_bytes", entry.payload.len().into()),
                    ("entities", entities.clone().into()),
                ]
            },
        )
    }
}

//! History: the committed entries that are kept after the log was trimmed.

use std::sync::Arc;

use storage::history::HistoryReader;

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
    let mut damages = Damages::default();
    let mut total = 0_u64;
    for shard in groups_of(&identity)?.into_iter().filter(|shard| request.wants(*shard)) {
        let disk = Arc::clone(&folder.disk);
        let reader = HistoryReader::new(disk, HISTORY_DIR, shard, folder.seal());
        let mut entries = 0_u64;
        let mut span = None;
        let scan = match reader.scan(0) {
            Ok(scan) => scan,
            Err(error) => {
                damages.note(&error, printer)?;
                continue;
            }
        };
        for entry in scan {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    damages.note(&error, printer)?;
                    continue;
                }
            };
            entries += 1;
            span = Some((span.map_or(entry.index, |(first, _)| first), entry.index));
            if request.detail == Detail::Files {
                continue;
            }
            let entities: Vec<_> = entry.entities.iter().map(|key| entity_name(key)).collect();
            printer.line(
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
            )?;
        }
        total += entries;
        if let Some((first, last)) = span {
            printer.line(
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
            )?;
        }
    }
    printer.line(
        "history",
        || format!("history: {total} entries"),
        || vec![("entries", total.into())],
    )?;
    damages.end()
}

//! Shard snapshots: the files, and the records in them.

use storage::snapshot::{SnapshotReader, list};

use super::{Damages, Detail, Request};
use crate::commands::Printer;
use crate::failure::{Exit, Failure};
use crate::folder::{ReadOnlyFolder, SNAPSHOT_DIR};

pub(super) fn show(
    folder: &ReadOnlyFolder,
    request: &Request,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut damages = Damages::default();
    let files = list(folder.disk.as_ref(), SNAPSHOT_DIR)
        .map_err(|error| Failure::new(Exit::Damaged, anyhow::Error::new(error)))?;
    for file in files.iter().filter(|file| request.wants(file.shard)) {
        let disk = folder.disk.as_ref();
        let reader = SnapshotReader::open(disk, &file.path, file.shard, folder.seal());
        let reader = match reader {
            Ok(reader) => reader,
            Err(error) => {
                damages.note(&error, printer)?;
                continue;
            }
        };
        let (meta, items, end) = (*reader.meta(), reader.items(), reader.end());
        printer.line(
            "snapshot",
            || {
                format!(
                    "snapshot {}: shard {}, start {} (term {}), end {end}, {items} records",
                    file.path, file.shard, meta.start, meta.start_term
                )
            },
            || {
                vec![
                    ("file", file.path.as_str().into()),
                    ("shard", file.shard.into()),
                    ("start", meta.start.into()),
                    ("start_term", meta.start_term.into()),
                    ("end", end.into()),
                    ("records", items.into()),
                ]
            },
        )?;
        if request.detail == Detail::Files {
            continue;
        }
        for item in reader {
            let item = match item {
                Ok(item) => item,
                Err(error) => {
                    damages.note(&error, printer)?;
                    break;
                }
            };
            super::state::print_record(
                file.shard,
                &item.key,
                item.position,
                item.body.as_ref().map(Vec::len),
                printer,
            )?;
        }
    }
    let shown = files.iter().filter(|file| request.wants(file.shard)).count();
    printer.line(
        "snapshots",
        || format!("snapshots: {shown}"),
        || vec![("files", shown.into())],
    )?;
    damages.end()
}

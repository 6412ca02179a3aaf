//! The state index: records of the entities that left memory.
//!
//! sled cannot be opened for reading only: it sets its files in order when it opens them. So a copy
//! is opened, in a temporary folder that is removed afterwards.

use std::fs;
use std::path::Path;

use anyhow::Context;
use storage::state::{IndexOptions, StateIndex};

use super::{Detail, Request, entity_name};
use crate::commands::Printer;
use crate::failure::{Exit, Failure};
use crate::folder::{INDEX_DIR, ReadOnlyFolder, groups_of};

pub(super) fn show(
    folder: &ReadOnlyFolder,
    request: &Request,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let identity = folder.identity()?;
    let source = folder.path.join(INDEX_DIR);
    if !source.is_dir() {
        return printer.line("index", || "state index: none".to_owned(), Vec::new);
    }
    let copy = tempfile::tempdir()
        .and_then(|copy| copy_folder(&source, &copy.path().join(INDEX_DIR)).map(|()| copy))
        .with_context(|| format!("cannot copy {}", source.display()))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let failed = |error| Failure::new(Exit::Failed, anyhow::Error::new(error));
    let options = IndexOptions { seal: folder.seal(), ..IndexOptions::default() };
    let opened = StateIndex::open(&copy.path().join(INDEX_DIR), &options).map_err(failed)?;
    let mut index = opened.index;
    let mut total = 0_u64;
    for shard in groups_of(&identity)?.into_iter().filter(|shard| request.wants(*shard)) {
        let floor = index.floor(shard).map_err(failed)?;
        let mut records = 0_u64;
        for record in index.scan(shard).map_err(failed)? {
            let (key, record) = record.map_err(failed)?;
            records += 1;
            if request.detail == Detail::Records {
                let bytes = record.body.map(|body| body.len());
                print_record(shard, &key, record.position, bytes, printer)?;
            }
        }
        total += records;
        if records > 0 {
            printer.line(
                "index_shard",
                || format!("shard {shard}: {records} records, floor {}", floor.unwrap_or(0)),
                || {
                    vec![
                        ("shard", shard.into()),
                        ("records", records.into()),
                        ("floor", floor.into()),
                    ]
                },
            )?;
        }
    }
    printer.line(
        "index",
        || format!("state index {:016x}: {total} records", opened.generation),
        || vec![("records", total.into())],
    )
}

/// One record, of the index or of a snapshot; without a size it is a tombstone.
pub(super) fn print_record(
    shard: u32,
    key: &[u8],
    position: u64,
    bytes: Option<usize>,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let name = entity_name(key);
    printer.line(
        "record",
        || {
            let size = bytes.map_or("deleted".to_owned(), |bytes| format!("{bytes} bytes"));
            format!("  shard {shard} entity {name}: position {position}, {size}")
        },
        || {
            vec![
                ("shard", shard.into()),
                ("entity", name.as_str().into()),
                ("position", position.into()),
                ("bytes", bytes.into()),
            ]
        },
    )
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

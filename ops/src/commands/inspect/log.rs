//! The log: its segments, and the records in them.

use cluster::shard::contents::{Content, rewritten};
use storage::log::{EntryKind, Finding, LogEntry, Record, RecordReport, SegmentReport, inspect};

use super::{Detail, Request};
use crate::commands::{Printer, chain};
use crate::failure::{Exit, Failure};
use crate::folder::{LOG_DIR, ReadOnlyFolder};

pub(super) fn show(
    folder: &ReadOnlyFolder,
    request: &Request,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    // Sealed payloads are optional here: heads of records are readable without the key.
    let vault = folder.vault.as_deref().map(|vault| vault as &dyn storage::seal::Seal);
    let mut visit = |finding: Finding| {
        print(&finding, request, printer).map_err(|failure| failure.error.into_boxed_dyn_error())
    };
    let totals = inspect(folder.disk.as_ref(), LOG_DIR, vault, &mut visit)
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    printer.line(
        "log",
        || {
            format!(
                "log: {} segments of {} bytes, {} records, {} damages, {} torn bytes",
                totals.segments, totals.bytes, totals.records, totals.damages, totals.torn_bytes
            )
        },
        || {
            vec![
                ("segments", totals.segments.into()),
                ("bytes", totals.bytes.into()),
                ("records", totals.records.into()),
                ("damages", totals.damages.into()),
                ("torn_bytes", totals.torn_bytes.into()),
            ]
        },
    )
}

fn print(finding: &Finding, request: &Request, printer: &mut Printer<'_>) -> Result<(), Failure> {
    match finding {
        Finding::Record(record) => {
            let wanted = request.detail == Detail::Records && request.wants(record.group.0);
            if wanted { print_record(record, printer) } else { Ok(()) }
        }
        Finding::Segment(segment) => print_segment(segment, request, printer),
        Finding::TornTail(torn) => printer.line(
            "torn_tail",
            || format!("{} offset {}: torn tail of {} bytes", torn.file, torn.offset, torn.bytes),
            || {
                vec![
                    ("file", torn.file.as_str().into()),
                    ("offset", torn.offset.into()),
                    ("bytes", torn.bytes.into()),
                ]
            },
        ),
        Finding::Damage(error) => printer.line(
            "damage",
            || format!("damage: {}", chain(error)),
            || vec![("reason", chain(error).into())],
        ),
    }
}

fn print_record(record: &RecordReport, printer: &mut Printer<'_>) -> Result<(), Failure> {
    let detail = record.record.as_ref().and_then(detail);
    printer.line(
        "record",
        || {
            format!(
                "{} offset {}: {} shard {} term {} index {}, {} bytes{}",
                record.file,
                record.offset,
                record.kind,
                record.group,
                record.term,
                record.index,
                record.payload_bytes,
                detail.as_ref().map_or(String::new(), |detail| format!(", {detail}"))
            )
        },
        || {
            let mut members = vec![
                ("file", record.file.as_str().into()),
                ("offset", record.offset.into()),
                ("kind", record.kind.into()),
                ("shard", record.group.0.into()),
                ("term", record.term.into()),
                ("index", record.index.into()),
                ("payload_bytes", record.payload_bytes.into()),
            ];
            members.extend(detail.as_ref().map(|detail| ("detail", detail.as_str().into())));
            members
        },
    )
}

/// What a record says besides its head.
fn detail(record: &Record) -> Option<String> {
    match record {
        // A barrier of the group has no payload.
        Record::Entry(LogEntry { kind: EntryKind::Normal, payload, .. }) if !payload.is_empty() => {
            unreadable(Content::Entry, payload)
        }
        Record::Entry(_) | Record::Truncate { .. } | Record::IndexFloor { .. } => None,
        Record::HardState { vote, commit, .. } => Some(format!("vote {vote}, commit {commit}")),
        Record::SnapshotPointer { end, file, conf, .. } => {
            let place = format!("snapshot {file}, end {end}");
            let why = unreadable(Content::Coverage, conf);
            Some(why.map_or(place.clone(), |why| format!("{place}, {why}")))
        }
        Record::GroupMeta { payload, .. } => {
            let members = format!("members in {} bytes", payload.len());
            Some(unreadable(Content::Members, payload).unwrap_or(members))
        }
    }
}

/// Why the shard that these bytes belong to would not take them.
fn unreadable(content: Content<'_>, bytes: &[u8]) -> Option<String> {
    rewritten(content, bytes).err().map(|error| format!("unreadable: {error}"))
}

fn print_segment(
    segment: &SegmentReport,
    request: &Request,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let groups = || segment.groups.iter().filter(|(group, _)| request.wants(group.0));
    let state = if segment.complete { "complete" } else { "open" };
    let sealed = if segment.sealed { ", encrypted" } else { "" };
    printer.line(
        "segment",
        || {
            format!(
                "segment {}: {} of {} bytes used, {} records, {state}{sealed}",
                segment.file, segment.used, segment.bytes, segment.records
            )
        },
        || {
            vec![
                ("file", segment.file.as_str().into()),
                ("sequence", segment.sequence.into()),
                ("bytes", segment.bytes.into()),
                ("used", segment.used.into()),
                ("records", segment.records.into()),
                ("complete", segment.complete.into()),
                ("sealed", segment.sealed.into()),
            ]
        },
    )?;
    for (group, span) in groups() {
        printer.line(
            "segment_shard",
            || {
                let entries = span
                    .entries
                    .map_or(String::new(), |(first, last)| format!(", entries {first} to {last}"));
                format!("  shard {group}: {} records{entries}", span.records)
            },
            || {
                vec![
                    ("file", segment.file.as_str().into()),
                    ("shard", group.0.into()),
                    ("records", span.records.into()),
                    ("first_index", span.entries.map(|(first, _)| first).into()),
                    ("last_index", span.entries.map(|(_, last)| last).into()),
                ]
            },
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use storage::log::GroupId;

    use super::*;

    #[track_caller]
    fn check(record: &Record, expected: Option<&str>) {
        let detail = detail(record);
        let told = expected.is_none_or(|part| detail.as_deref().unwrap_or("").contains(part));
        assert!(told && detail.is_some() == expected.is_some(), "{detail:?}");
    }

    fn entry(payload: &'static [u8]) -> Record {
        let (group, kind) = (GroupId(1), EntryKind::Normal);
        Record::Entry(LogEntry { group, term: 1, index: 1, kind, payload: payload.into() })
    }

    #[test]
    fn what_no_shard_would_read_is_told() {
        // Version 1, term, previous index, time, no items.
        check(
            &entry(b"\x01\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            None,
        );
        check(&entry(b""), None);
        check(&entry(b"\x02\0"), Some("unreadable: cannot decode log entry"));
        let group = GroupId(1);
        check(&Record::GroupMeta { group, payload: b"x"[..].into() }, Some("unreadable"));
        let members = [[1_u8, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]].concat();
        check(&Record::GroupMeta { group, payload: members.into() }, Some("members in 16 bytes"));
    }
}

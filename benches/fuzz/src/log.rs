//! The log: bytes as up to four segments behind each other, inspected, opened and used.

use std::sync::Arc;

use storage::disk::Disk;
use storage::log::{
    Class, EntryKind, Finding, GroupId, Log, LogEntry, LogError, LogOptions, Record, Recovery,
    VisitError, inspect,
};
use storage::seal::Seal;
use storage::sim_disk::SimDisk;

use crate::allocation::bounded;
use crate::world::{choosing, chosen, disk_with, marked, read};

const DIR: &str = "log";
const SEGMENT_BYTES: usize = 2048;
const SEGMENTS_MAX: usize = 4;
/// Spares, copies of segments and what an index of a few records takes.
const FIXED_BYTES: usize = 1 << 20;
const GROUP: GroupId = GroupId(7);

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let seal = if choice == 0 { None } else { marked() };
    let segments: Vec<_> = bytes.chunks(SEGMENT_BYTES).take(SEGMENTS_MAX).map(whole).collect();
    let disk = disk_with(DIR, segments.iter().zip(1..).map(named));
    let len = segments.len() * SEGMENT_BYTES;
    bounded(len, FIXED_BYTES, || damages(&disk, seal.as_deref()));
    let opened = bounded(len, FIXED_BYTES, || open(&disk, seal.clone(), &mut |_| Ok(())));
    drop(opened.map(|opened| opened_well(&disk, seal, opened)));
}

fn whole(part: &[u8]) -> Vec<u8> {
    let mut segment = part.to_vec();
    segment.resize(SEGMENT_BYTES, 0);
    segment
}

fn named((bytes, sequence): (&Vec<u8>, u64)) -> (String, &[u8]) {
    (format!("{DIR}/{sequence:020}.seg"), bytes)
}

/// A log that opened is sound: it opens again with the same records, and takes more.
fn opened_well(disk: &SimDisk, seal: Option<Arc<dyn Seal>>, (log, first): (Log, Recovery)) {
    for (group, found) in &first.groups {
        if let (Some(low), Some(last)) = (found.first_index, found.last_index) {
            let high = last.checked_add(1).expect("an index has a next one");
            log.read_entries(*group, low, high, u64::MAX).expect("it was just recovered");
        }
    }
    drop(log);
    assert_eq!(damages(disk, seal.as_deref()), 0, "an open log has no damage");
    let again = open_keeping(disk, seal.clone());
    let (mut log, second, mut records) = again.expect("it opened before");
    assert_eq!(second.torn, None, "a torn tail is cut once");
    assert_eq!(second.groups, first.groups);
    assert_eq!(second.records, first.records);
    let vote = Record::HardState { group: GROUP, term: 9, vote: 1, commit: 0 };
    if log.append(std::slice::from_ref(&vote), Class::Essential).is_ok() {
        log.sync().expect("nothing fails here");
        records.push(vote);
        drop(log);
        let (_, _, third) = open_keeping(disk, seal).expect("it opened before");
        assert_eq!(third, records);
    }
}

/// Opens the log and keeps its records.
fn open_keeping(
    disk: &SimDisk,
    seal: Option<Arc<dyn Seal>>,
) -> Result<(Log, Recovery, Vec<Record>), LogError> {
    let mut records = Vec::new();
    let (log, recovery) = open(disk, seal, &mut |record| {
        records.push(record);
        Ok(())
    })?;
    Ok((log, recovery, records))
}

fn open(
    disk: &SimDisk,
    seal: Option<Arc<dyn Seal>>,
    visit: &mut dyn FnMut(Record) -> Result<(), VisitError>,
) -> Result<(Log, Recovery), LogError> {
    let options = LogOptions { segment_bytes: SEGMENT_BYTES as u64, seal, seed: 5 };
    Log::open(Arc::new(disk.clone()), DIR, options, visit)
}

/// How many damages an inspection reports; each has a text that is not empty.
fn damages(disk: &SimDisk, seal: Option<&dyn Seal>) -> u64 {
    let totals = inspect(disk, DIR, seal, &mut |finding| {
        if let Finding::Damage(error) = finding {
            assert!(!error.to_string().is_empty());
        }
        Ok(())
    });
    totals.expect("a folder that can be listed").damages
}

fn batches() -> Vec<Vec<Record>> {
    let entry = |index, kind, payload: Vec<u8>| {
        Record::Entry(LogEntry { group: GROUP, term: 2, index, kind, payload: payload.into() })
    };
    let pointer = Record::SnapshotPointer {
        group: GROUP,
        start: 2,
        start_term: 2,
        end: 3,
        file: "snapshots/a".to_owned(),
        conf: "conf".into(),
    };
    vec![
        vec![
            Record::GroupMeta { group: GROUP, payload: "members".into() },
            Record::HardState { group: GROUP, term: 2, vote: 1, commit: 0 },
            entry(1, EntryKind::Normal, b"tea".to_vec()),
            entry(2, EntryKind::ConfChange, Vec::new()),
        ],
        // Masked, as it holds a whole sector of zeros.
        vec![entry(3, EntryKind::Normal, vec![0; 1_200])],
        vec![
            entry(4, EntryKind::ConfChangeV2, b"cup".to_vec()),
            Record::Truncate { group: GROUP, from: 4 },
            entry(4, EntryKind::Normal, vec![7; 900]),
        ],
        vec![pointer, Record::IndexFloor { group: GROUP, position: 3 }],
    ]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for choice in 0..2 {
        let seal = if choice == 0 { None } else { marked() };
        let disk = SimDisk::new(1);
        let (mut log, _) = open(&disk, seal, &mut |_| Ok(())).expect("a new log");
        for batch in batches() {
            log.append(&batch, Class::Essential).expect("space");
            log.sync().expect("nothing fails here");
            while let Some(wanted) = log.wanted_spare() {
                log.add_spare(wanted.allocate(&disk).expect("space"));
            }
            let names = disk.list(DIR).expect("the folder");
            let segments = names.iter().filter(|name| name.ends_with(".seg"));
            let bytes: Vec<u8> =
                segments.flat_map(|name| read(&disk, &format!("{DIR}/{name}"))).collect();
            seeds.push(choosing(choice, &bytes));
        }
    }
    seeds
}

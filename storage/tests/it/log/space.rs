//! A full disk: who is refused, who is not, and how the log gets going again.

use super::world::{SEGMENT_BYTES, open, options, segments};
use bytes::Bytes;
use std::collections::BTreeMap;
use storage::log::{AppendError, Class, EntryKind, GroupId, Log, LogEntry, Pin, Record};
use storage::sim_disk::SimDisk;

const GROUP: GroupId = GroupId(1);

fn entry(index: u64) -> Record {
    let payload = Bytes::from(vec![3; 800]);
    Record::Entry(LogEntry { group: GROUP, term: 1, index, kind: EntryKind::Normal, payload })
}

fn hard_state(commit: u64) -> Record {
    Record::HardState { group: GROUP, term: 1, vote: 1, commit }
}

fn pointer(start: u64) -> Record {
    let (file, conf) = ("s".to_owned(), Bytes::new());
    Record::SnapshotPointer { group: GROUP, start, start_term: 1, end: start, file, conf }
}

/// Appends entries as a client until there is no space; returns the next index.
fn fill(log: &mut Log, mut next: u64) -> u64 {
    loop {
        match log.append(&[entry(next)], Class::Client) {
            Ok(()) => next += 1,
            Err(AppendError::NoSpace) => return next,
            Err(other) => panic!("{other}"),
        }
        log.sync().unwrap();
    }
}

fn allocate(log: &mut Log, disk: &SimDisk) -> usize {
    let mut added = 0;
    while let Some(spare) = log.wanted_spare().and_then(|wanted| wanted.allocate(disk).ok()) {
        log.add_spare(spare);
        added += 1;
    }
    added
}

#[test]
fn clients_are_refused_first_and_trimming_makes_room() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    disk.set_capacity(Some(disk.used() + 100));
    let next = fill(&mut log, 1);
    assert_eq!((log.stats().segments, log.stats().spares), (2, 1));
    assert_eq!(allocate(&mut log, &disk), 0);
    // Refused, yet unharmed: the same record goes through from the reserve.
    log.append(&[entry(next)], Class::Essential).unwrap();
    log.append(&[hard_state(next), pointer(next)], Class::Essential).unwrap();
    log.sync().unwrap();
    // The reserve is in use, so clients must not touch what is left of it.
    assert_eq!(log.stats().spares, 0);
    let refused = log.append(&[hard_state(1)], Class::Client);
    assert!(matches!(refused, Err(AppendError::NoSpace)));
    let report = log.trim(&BTreeMap::from([(GROUP, next)])).unwrap();
    assert_eq!((report.segments_removed, report.bytes_freed), (2, 2 * SEGMENT_BYTES));
    assert_eq!(allocate(&mut log, &disk), 2);
    assert!(fill(&mut log, next + 1) > next + 1);
    drop(log);
    let (log, _, recovery) = open(&disk, options(None)).unwrap();
    assert_eq!(recovery.groups[&GROUP].first_index, Some(next));
    assert_eq!(log.first_index(GROUP), Some(next));
}

#[test]
fn a_log_opens_on_a_full_disk_and_goes_on_when_there_is_space() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let next = fill(&mut log, 1);
    drop(log);
    for spare in ["log/spare-0", "log/spare-1", "log/spare-2"] {
        drop(storage::disk::Disk::remove(&disk, spare));
    }
    disk.set_capacity(Some(disk.used() + SEGMENT_BYTES / 2));
    let (mut log, records, _) = open(&disk, options(None)).unwrap();
    assert_eq!((records.len() as u64, log.stats().spares), (next - 1, 0));
    let refused = log.append(&[hard_state(1)], Class::Client);
    assert!(matches!(refused, Err(AppendError::NoSpace)));
    log.append(&[hard_state(1)], Class::Essential).unwrap();
    log.sync().unwrap();
    disk.set_capacity(None);
    assert_eq!(allocate(&mut log, &disk), 2);
    log.append(&[entry(next)], Class::Client).unwrap();
}

#[test]
fn a_new_log_needs_space_for_one_segment() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(SEGMENT_BYTES - 1));
    let error = open(&disk, options(None)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("00000000000000000001.seg"), "{error}");
    disk.set_capacity(Some(SEGMENT_BYTES));
    let (log, _, _) = open(&disk, options(None)).unwrap();
    assert_eq!((log.stats().segments, log.stats().spares), (1, 0));
}

#[test]
fn a_batch_over_several_segments_is_appended_whole_or_not_at_all() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let batch: Vec<_> = (1..=12).map(entry).collect();
    let refused = log.append(&batch, Class::Client);
    assert!(matches!(refused, Err(AppendError::NoSpace)));
    assert_eq!((log.stats().records, log.last_index(GROUP)), (0, None));
    log.append(&batch, Class::Essential).unwrap();
    log.sync().unwrap();
    assert_eq!(segments(&disk).len(), 3);
    drop(log);
    assert_eq!(open(&disk, options(None)).unwrap().1, batch);
}

#[test]
fn a_record_that_fits_no_segment_is_refused_unharmed() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let max = match log.append(&[meta(5000)], Class::Client) {
        Err(AppendError::TooLarge { bytes: 5000, max }) => max,
        other => panic!("{other:?}"),
    };
    log.append(&[meta(max)], Class::Client).unwrap();
    log.append(&[meta(max)], Class::Client).unwrap();
    log.sync().unwrap();
    drop(log);
    assert_eq!(open(&disk, options(None)).unwrap().1, [meta(max), meta(max)]);
}

fn meta(bytes: usize) -> Record {
    Record::GroupMeta { group: GROUP, payload: vec![0; bytes].into() }
}

#[test]
fn a_group_that_pins_segments_is_named() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let other = GroupId(2);
    log.append(&[Record::GroupMeta { group: other, payload: Bytes::new() }], Class::Client)
        .unwrap();
    for index in 1..=20 {
        log.append(&[entry(index)], Class::Client).unwrap();
        allocate(&mut log, &disk);
    }
    let all = u64::try_from(log.stats().segments).unwrap();
    let needed = BTreeMap::from([(GROUP, 20)]);
    assert_eq!(log.pinned_by(&needed, all), []);
    // Without a snapshot nothing may go, whatever is asked for.
    assert_eq!(log.pinned_by(&needed, 2), [Pin { group: GROUP, segments: all }]);
    assert_eq!(log.trim(&needed).unwrap().segments_removed, 0);
    log.append(&[pointer(20)], Class::Client).unwrap();
    assert_eq!(log.pinned_by(&needed, 2), []);
    assert!(log.trim(&needed).unwrap().segments_removed > 3);
}

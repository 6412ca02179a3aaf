//! Bit rot, lost sectors, and files that are missing, foreign or swapped.

use super::for_seeds;
use super::world::{SEGMENT_BYTES, World, damages, open, options, segments};
use bytes::Bytes;
use std::sync::Arc;
use storage::disk::Disk;
use storage::log::{Class, EntryKind, Finding, GroupId, Log, LogEntry, LogError, Record, inspect};
use storage::sim_disk::SimDisk;

const SEEDS: u64 = 60;
const FLIPS: u64 = 60;
const GROUP: GroupId = GroupId(1);

fn entry(index: u64, payload: impl Into<Bytes>) -> Record {
    let (term, kind, payload) = (1, EntryKind::Normal, payload.into());
    Record::Entry(LogEntry { group: GROUP, term, index, kind, payload })
}

/// A world with everything synced and the log closed.
fn settled(seed: u64) -> World {
    let mut world = World::new(seed, None);
    for _ in 0..60 {
        assert!(world.append());
        world.spares();
        if world.random.one_in(3) {
            assert!(world.sync());
        }
    }
    assert!(world.sync());
    world.log = None;
    world
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    for_seeds(SEEDS, |seed| {
        let mut world = settled(seed);
        let files = segments(&world.disk);
        assert!(files.len() > 5);
        for _ in 0..FLIPS {
            let disk = world.disk.fork(seed);
            let at = world.random.below(files.len() as u64);
            let file = &files[usize::try_from(at).unwrap()];
            let offset = world.random.below(SEGMENT_BYTES);
            disk.flip_bit(file, offset, 3).unwrap();
            let damaged = damages(&disk, None) > 0;
            match open(&disk, options(None)) {
                Ok((_, records, _)) => {
                    assert!(records == world.appended, "{file} at {offset}");
                    assert!(!damaged, "{file} at {offset}");
                }
                Err(error) => {
                    assert!(error.to_string().contains(file.as_str()), "{file}: {error}");
                    assert!(matches!(error, LogError::Damaged { .. }), "{error}");
                    assert!(damaged, "{file} at {offset}");
                }
            }
        }
    });
}

/// Three synced records in the only epoch there is: nothing after them proves anything.
fn one_epoch(payload: Bytes) -> (SimDisk, Vec<Record>, u64) {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let records = vec![entry(1, "first"), entry(2, payload), entry(3, "last")];
    log.append(&records, Class::Client).unwrap();
    log.sync().unwrap();
    let used = log.stats().record_bytes;
    (disk, records, used)
}

#[test]
fn every_bit_of_the_last_epoch_is_guarded() {
    for payload in [Bytes::from(vec![0; 1500]), Bytes::from(vec![7; 300])] {
        let (disk, _, used) = one_epoch(payload);
        let file = &segments(&disk)[0];
        for offset in 0..512 + used {
            let disk = disk.fork(1);
            disk.flip_bit(file, offset, u32::try_from(offset % 8).unwrap()).unwrap();
            match open(&disk, options(None)) {
                Err(LogError::Damaged { file: found, offset: at, .. }) => {
                    assert_eq!(&found, file);
                    assert!(at <= offset && (offset < 512) == (at < 512), "{at} for {offset}");
                }
                Err(other) => panic!("{other}"),
                Ok(_) => panic!("offset {offset} was not missed"),
            }
        }
    }
}

#[test]
fn a_sector_lost_before_a_later_sync_is_damage() {
    for_seeds(SEEDS, |seed| {
        let world = settled(seed);
        // All segments but the last are complete, so all their sectors were synced.
        let files = segments(&world.disk);
        for file in &files[files.len().saturating_sub(4)..files.len() - 1] {
            for sector in 0..SEGMENT_BYTES / 512 {
                let disk = world.disk.fork(seed);
                disk.zero_sector(file, sector * 512).unwrap();
                match open(&disk, options(None)) {
                    Ok((_, records, _)) => assert_eq!(records, world.appended),
                    Err(error) => assert!(error.to_string().contains(file.as_str()), "{error}"),
                }
            }
        }
    });
}

#[test]
fn a_lost_sector_in_front_of_a_later_epoch_is_damage() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    for index in 1..=4 {
        log.append(&[entry(index, vec![7; 600])], Class::Client).unwrap();
        log.sync().unwrap();
    }
    drop(log);
    let file = &segments(&disk)[0];
    // The first record that survives whole behind the lost sector was written after a sync of it.
    for sector in 1..4 {
        let disk = disk.fork(1);
        disk.zero_sector(file, sector * 512).unwrap();
        refused(&disk, "it was durable when the record at offset");
    }
}

/// Writes two batches, the second unsynced, and lets any subset of its sectors arrive.
#[test]
fn any_torn_last_write_is_cut() {
    let first = vec![entry(1, "kept")];
    let second = vec![entry(2, vec![0; 900]), entry(3, vec![5; 700]), entry(4, "tail")];
    let whole = SimDisk::new(1);
    let (mut log, _, _) = open(&whole, options(None)).unwrap();
    log.append(&first, Class::Client).unwrap();
    log.sync().unwrap();
    let before = whole.fork(1);
    log.append(&second, Class::Client).unwrap();
    let file = &segments(&whole)[0];
    let (old, new) = (before.open(file).unwrap(), whole.open(file).unwrap());
    let sectors = SEGMENT_BYTES / 512;
    for subset in 0_u64..1 << sectors {
        let disk = before.fork(subset);
        let torn = disk.open(file).unwrap();
        for sector in 0..sectors {
            let mut bytes = [0; 512];
            let source = if subset >> sector & 1 == 1 { &new } else { &old };
            source.read_full_at(sector * 512, &mut bytes).unwrap();
            torn.write_at(sector * 512, &bytes).unwrap();
        }
        let (mut log, records, recovery) =
            open(&disk, options(None)).unwrap_or_else(|error| panic!("{subset:b}: {error}"));
        let all: Vec<_> = first.iter().chain(&second).cloned().collect();
        assert!(!records.is_empty() && records == all[..records.len()], "{subset:b}");
        assert!(records.len() < 4 || recovery.torn.is_none());
        log.append(&[entry(records.len() as u64 + 1, "more")], Class::Client).unwrap();
        log.sync().unwrap();
        let (_, again, recovery) = open(&disk, options(None)).unwrap();
        assert_eq!((again.len(), recovery.torn), (records.len() + 1, None));
    }
}

#[track_caller]
fn refused(disk: &SimDisk, reason: &str) {
    let error = open(disk, options(None)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(reason), "{error}");
    assert!(damages(disk, None) > 0);
}

#[test]
fn missing_swapped_and_foreign_segments_are_refused() {
    let world = settled(1);
    let files = segments(&world.disk);
    for file in &files {
        let disk = world.disk.fork(1);
        disk.remove(file).unwrap();
        refused(&disk, &format!("{file} is damaged at offset 0: the segment file is missing"));
    }
    let disk = world.disk.fork(1);
    disk.rename(&files[1], "x").unwrap();
    disk.rename(&files[2], &files[1]).unwrap();
    disk.rename("x", &files[2]).unwrap();
    refused(&disk, &format!("{} is damaged at offset 0: the file holds segment 3", files[1]));
    let other = settled(2);
    let copy = |to: &SimDisk, file: &str| {
        let mut bytes = vec![0; usize::try_from(SEGMENT_BYTES).unwrap()];
        other.disk.open(file).unwrap().read_full_at(0, &mut bytes).unwrap();
        to.open(file).unwrap().write_at(0, &bytes).unwrap();
    };
    let disk = world.disk.fork(1);
    copy(&disk, &files[2]);
    refused(&disk, "the segment does not continue the one before it");
    let disk = world.disk.fork(1);
    disk.open(&files[1]).unwrap().set_len(SEGMENT_BYTES / 2).unwrap();
    refused(&disk, "the file has 2048 of its 4096 bytes");
    disk.open(&files[1]).unwrap().set_len(100).unwrap();
    refused(&disk, "shorter than a segment header");
    let disk = world.disk.fork(1);
    disk.fail_reads(&files[1], 600).unwrap();
    refused(&disk, &format!("{} cannot be used", files[1]));
}

/// A client that puts a whole record, or a whole segment, into a payload gains nothing.
#[test]
fn a_record_within_a_payload_is_no_record() {
    let other = SimDisk::new(2);
    let (mut log, _, _) = open(&other, options(None)).unwrap();
    for index in 1..=20 {
        log.append(&[entry(index, "y")], Class::Client).unwrap();
        log.sync().unwrap();
    }
    let mut stolen = vec![0; 2048];
    other.open(&segments(&other)[0]).unwrap().read_full_at(0, &mut stolen).unwrap();
    let (disk, _, _) = one_epoch("x".into());
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    log.append(&[entry(4, stolen)], Class::Client).unwrap();
    log.sync().unwrap();
    drop(log);
    let file = &segments(&disk)[0];
    let sound = disk.fork(1);
    assert_eq!(open(&sound, options(None)).unwrap().1.len(), 4);
    // The head of the record is lost with its sector, so a search for records sees the copies.
    let lost = disk.fork(1);
    lost.zero_sector(file, 600).unwrap();
    match open(&lost, options(None)) {
        Ok((_, records, _)) => assert!(records.len() < 4),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_damaged_log_is_left_as_it_is_and_inspected_to_its_end() {
    let world = settled(3);
    let files = segments(&world.disk);
    let disk = world.disk.fork(1);
    disk.flip_bit(&files[1], 700, 0).unwrap();
    let before = disk.counters();
    open(&disk, options(None)).map(|_| ()).unwrap_err();
    let (mut seen, mut damage, mut reports) = (0, Vec::new(), Vec::new());
    let totals = inspect(&disk, "log", None, &mut |finding| {
        match finding {
            Finding::Record(report) => seen += u64::from(report.record.is_some()),
            Finding::Segment(report) => reports.push(report),
            Finding::Damage(error) => damage.push(error.to_string()),
            Finding::TornTail(torn) => panic!("{torn:?}"),
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(disk.counters().bytes_written, before.bytes_written);
    assert_eq!((damage.len(), totals.damages), (1, 1), "{damage:?}");
    assert!(damage[0].contains(&files[1]), "{damage:?}");
    assert_eq!(reports.len(), files.len());
    assert!(reports[..files.len() - 1].iter().all(|report| report.complete));
    assert!((world.appended.len() as u64 - seen) <= 2, "{seen} of {}", world.appended.len());
}

#[test]
fn the_visitors_refusal_names_the_record() {
    let (disk, _, _) = one_epoch("x".into());
    let opened = Log::open(Arc::new(disk), "log", options(None), &mut |record| match record {
        Record::Entry(entry) if entry.index == 2 => Err("no".into()),
        _ => Ok(()),
    });
    let error = opened.map(|_| ()).unwrap_err();
    let expected =
        "a record of log file log/00000000000000000001.seg at offset 568 was not accepted";
    assert_eq!(error.to_string(), expected);
}

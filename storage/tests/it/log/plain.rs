//! The log on a sound disk: sealing, reading, and the rules it holds its caller to.

use super::for_seeds;
use super::world::{DIR, World, damages, open, options, segments};
use bytes::Bytes;
use std::sync::Arc;
use storage::disk::{Disk, RealDisk};
use storage::log::{
    AppendError, Class, EntryKind, Fatal, GroupId, Log, LogEntry, LogError, LogOptions, Record,
};
use storage::seal::{Seal, SealError};
use storage::sim_disk::SimDisk;

const SEEDS: u64 = 300;
const GROUP: GroupId = GroupId(1);

/// No cipher, but it has a key, depends on the associated data, and lengthens what it seals.
struct Toy(u8);

impl Toy {
    fn tag(&self, aad: &[u8], plain: &[u8]) -> u8 {
        aad.iter().chain(plain).fold(self.0, |sum, byte| sum.wrapping_mul(31).wrapping_add(*byte))
    }
}

impl Seal for Toy {
    fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut sealed: Vec<u8> = plain.iter().map(|byte| byte ^ self.0).collect();
        sealed.push(self.tag(aad, plain));
        Ok(sealed)
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (tag, body) = sealed.split_last().ok_or(SealError::Open)?;
        let plain: Vec<u8> = body.iter().map(|byte| byte ^ self.0).collect();
        if *tag == self.tag(aad, &plain) { Ok(plain) } else { Err(SealError::Open) }
    }
}

fn toy(key: u8) -> Option<Arc<dyn Seal>> {
    Some(Arc::new(Toy(key)))
}

fn entry(index: u64, payload: &'static str) -> Record {
    let (kind, payload) = (EntryKind::Normal, Bytes::from(payload));
    Record::Entry(LogEntry { group: GROUP, term: 1, index, kind, payload })
}

#[test]
fn a_sealed_log_survives_crashes_too() {
    for_seeds(SEEDS, |seed| {
        let mut world = World::new(seed, toy(0x55));
        for _ in 0..40 {
            assert!(world.step());
        }
        world.disk.crash();
        world.reopen();
        world.read();
    });
}

#[test]
fn a_sealed_log_needs_its_key_and_shows_no_plain_text() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(toy(9))).unwrap();
    log.append(&[entry(1, "canary in the log")], Class::Client).unwrap();
    log.sync().unwrap();
    drop(log);
    let file = &segments(&disk)[0];
    let mut bytes = vec![0; 4096];
    disk.open(file).unwrap().read_full_at(0, &mut bytes).unwrap();
    assert!(!bytes.windows(6).any(|window| window == b"canary"));
    let error = open(&disk, options(None)).map(|_| ()).unwrap_err();
    let expected = format!("log file {file} is encrypted and no key is configured");
    assert_eq!(error.to_string(), expected);
    let error = open(&disk, options(toy(8))).map(|_| ()).unwrap_err();
    assert!(matches!(error, LogError::Unseal { offset: 512, .. }), "{error}");
    assert_eq!((damages(&disk, None), damages(&disk, Some(&Toy(9)))), (0, 0));
    assert!(damages(&disk, Some(&Toy(8))) > 0);
}

#[test]
fn sealing_can_be_switched_on_later() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    log.append(&[entry(1, "in the open")], Class::Client).unwrap();
    log.sync().unwrap();
    let (mut log, _, _) = open(&disk, options(toy(9))).unwrap();
    log.append(&[entry(2, "canary")], Class::Client).unwrap();
    log.sync().unwrap();
    assert_eq!(segments(&disk).len(), 2);
    let (log, records, _) = open(&disk, options(toy(9))).unwrap();
    assert_eq!(records, [entry(1, "in the open"), entry(2, "canary")]);
    assert_eq!(log.read_entries(GROUP, 1, 3, u64::MAX).unwrap().len(), 2);
}

#[test]
fn reading_outside_of_what_is_held_says_so() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    log.append(&[entry(5, "a"), entry(6, "b")], Class::Client).unwrap();
    let read = |low, high| log.read_entries(GROUP, low, high, 0);
    assert!(matches!(read(4, 6), Err(LogError::Compacted { low: 4, first: 5, .. })));
    assert!(matches!(read(5, 8), Err(LogError::OutOfRange { end: 7, .. })));
    assert!(matches!(read(6, 5), Err(LogError::OutOfRange { .. })));
    assert_eq!(read(7, 7).unwrap(), []);
    assert_eq!(read(5, 7).unwrap().len(), 1);
    assert!(log.read_entries(GroupId(9), 1, 2, 0).is_err());
    assert_eq!((log.term(GROUP, 5), log.term(GROUP, 7)), (Some(1), None));
}

#[test]
fn an_entry_out_of_order_is_fatal_and_not_written() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    log.append(&[entry(1, "a")], Class::Client).unwrap();
    log.sync().unwrap();
    let error = log.append(&[entry(3, "c")], Class::Client).unwrap_err();
    let AppendError::Fatal(fatal) = error else { panic!("{error}") };
    assert_eq!(fatal.to_string(), "group 1 expects entry 2 next, and 3 was appended");
    assert!(matches!(log.sync(), Err(Fatal::Dead)));
    assert!(log.read_entries(GROUP, 1, 2, 0).is_err());
    assert_eq!(open(&disk, options(None)).unwrap().1, [entry(1, "a")]);
}

#[test]
fn an_append_is_one_write_and_no_sync() {
    let disk = SimDisk::new(1);
    let (mut log, _, _) = open(&disk, options(None)).unwrap();
    let before = disk.counters();
    log.append(&[entry(1, "a"), entry(2, "b")], Class::Client).unwrap();
    assert_eq!(disk.counters().syncs, before.syncs);
    let epoch = log.stats().epoch;
    log.sync().unwrap();
    log.sync().unwrap();
    assert_eq!((disk.counters().syncs, log.stats().epoch), (before.syncs + 1, epoch + 1));
    let (log, _, _) = open(&disk, options(None)).unwrap();
    assert!(log.stats().epoch > epoch);
}

#[test]
fn a_real_folder_holds_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Arc::new(RealDisk::open(folder.path()).unwrap());
    let options = LogOptions { segment_bytes: 1 << 16, ..LogOptions::default() };
    let mut appended = Vec::new();
    for round in 0..3 {
        let mut found = Vec::new();
        let visit = &mut |record| {
            found.push(record);
            Ok(())
        };
        let (mut log, recovery) =
            Log::open(Arc::clone(&disk) as Arc<dyn Disk>, DIR, options.clone(), visit).unwrap();
        assert_eq!((found, recovery.torn), (appended.clone(), None));
        for index in 1..200 {
            let record = entry(round * 199 + index, "on a real disk");
            log.append(std::slice::from_ref(&record), Class::Essential).unwrap();
            appended.push(record);
            if let Some(wanted) = log.wanted_spare() {
                log.add_spare(wanted.allocate(disk.as_ref()).unwrap());
            }
        }
        log.sync().unwrap();
    }
}

#[test]
fn segment_sizes_that_cannot_work_are_refused() {
    for segment_bytes in [512, 4097, 1 << 40] {
        let disk = SimDisk::new(1);
        let options = LogOptions { segment_bytes, ..LogOptions::default() };
        let error = open(&disk, options).map(|_| ()).unwrap_err();
        assert!(matches!(error, LogError::SegmentBytes { .. }), "{error}");
    }
}

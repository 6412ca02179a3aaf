//! A torn tail is cut; damage is refused, by file and offset.

use super::{DIR, SMALL_FILES, entries, filled, open, open_with, paths, scan, seal_for, vault};
use std::sync::Arc;
use storage::disk::Disk;
use storage::history::{HistoryError, HistoryOptions, HistoryReader};
use storage::sim_disk::{SimDisk, SplitMix64};

#[test]
fn a_torn_tail_is_cut_and_appending_goes_on() {
    let disk = filled(1, None);
    let last = paths(&disk).pop().unwrap();
    let file = disk.open(&last).unwrap();
    let len = file.len().unwrap();
    file.write_at(len, b"OCHBLOCK and then the power went").unwrap();
    assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..301));
    let mut writer = open(&disk, None);
    assert_eq!(disk.open(&last).unwrap().len().unwrap(), len);
    writer.append(&entries(301..400)).unwrap();
    writer.sync().unwrap();
    assert_eq!(scan(&disk, None, 0).unwrap(), entries(1..400));
}

#[test]
fn damage_before_the_last_sync_is_refused() {
    for seed in 0..300 {
        let mut random = SplitMix64::new(seed);
        let seal = seal_for(seed);
        let disk = filled(seed, seal.clone());
        let paths = paths(&disk);
        let path = &paths[random.below(paths.len() as u64) as usize];
        let len = disk.open(path).unwrap().len().unwrap();
        let offset = random.below(len);
        if seed % 2 == 0 {
            disk.flip_bit(path, offset, random.below(8) as u32).unwrap();
        } else {
            disk.open(path).unwrap().set_len(offset).unwrap();
        }
        let what = format!("seed {seed}: {path} at {offset} of {len}");
        // Reading: an error that names the file, or (in the last file) a shorter history.
        let is_last = *path == paths[paths.len() - 1];
        match scan(&disk, seal.clone(), 0) {
            Ok(found) if is_last => {
                assert!(found.len() < 300, "{what}");
                assert_eq!(found, entries(1..found.len() as u64 + 1), "{what}");
            }
            Ok(_) => panic!("{what}: not noticed"),
            Err(error) => assert!(error.to_string().contains(path), "{what}: {error}"),
        }
        // Opening with the knowledge of how far history reached: never a silent cut.
        let options = HistoryOptions { reaches: Some(300), ..SMALL_FILES };
        let before = disk.open(path).unwrap().len().unwrap();
        let opened = open_with(&disk, seal, options);
        assert_eq!(opened.is_err(), is_last, "{what}");
        if let Err(error) = opened {
            let short = matches!(error, HistoryError::TooShort { .. });
            assert!(short || error.to_string().contains(path), "{what}: {error}");
            // Only a file cut to its header or less may go: nothing was ever durable in such a one.
            let unborn = before <= 40 && !disk.exists(path).unwrap();
            assert!(unborn || disk.open(path).unwrap().len().unwrap() == before, "{what}: cut");
        }
    }
}

#[test]
fn damage_between_two_syncs_is_told_from_a_torn_tail() {
    let disk = SimDisk::new(1);
    let mut writer = open_with(&disk, None, HistoryOptions::default()).unwrap();
    for chunk in entries(1..61).chunks(20) {
        writer.append(chunk).unwrap();
        writer.sync().unwrap();
    }
    let path = paths(&disk).pop().unwrap();
    disk.flip_bit(&path, 200, 0).unwrap();
    let error = open_with(&disk, None, HistoryOptions::default()).map(|_| ()).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { offset: 40, .. }), "{error}");
    let error = scan(&disk, None, 0).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { offset: 40, .. }), "{error}");
}

#[test]
fn a_wrong_shard_or_key_is_named_and_a_flipped_version_is_damage() {
    let disk = filled(1, vault(1));
    let open_it = |seal| open_with(&disk, seal, SMALL_FILES).map(|_| ()).unwrap_err();
    assert!(matches!(open_it(None), HistoryError::Sealed { .. }));
    assert!(matches!(scan(&disk, vault(2), 0), Err(HistoryError::Seal { .. })));
    let first = paths(&disk).remove(0);
    let foreign = first.replace("history-0000000009", "history-0000000008");
    disk.rename(&first, &foreign).unwrap();
    let other = HistoryReader::new(Arc::new(disk.clone()), DIR, 8, vault(1));
    let error = other.scan(0).unwrap().next().unwrap().unwrap_err();
    assert!(matches!(error, HistoryError::ForeignShard { expected: 8, found: 9, .. }), "{error}");
    let last = paths(&disk).pop().unwrap();
    disk.flip_bit(&last, 9, 0).unwrap();
    assert!(matches!(open_it(vault(1)), HistoryError::Damaged { offset: 0, .. }));
}

//! Two parts of one history: what was brought from elsewhere, and what was written here after it.

use storage::history::{HistoryError, HistoryOptions, HistoryWriter, Stretch, remove_behind};
use storage::sim_disk::SimDisk;

use super::{DIR, SHARD, SMALL_FILES, entries, entry, open_with, reader, seal_for};

/// The first index of the second part is behind this one.
const SINCE: u64 = 200;

fn part(disk: &SimDisk, seed: u64, stretch: Stretch) -> HistoryWriter {
    open_with(disk, seal_for(seed), HistoryOptions { stretch, ..SMALL_FILES }).unwrap()
}

fn indexes(disk: &SimDisk, seed: u64, stretch: Stretch) -> Result<Vec<u64>, HistoryError> {
    let scan = reader(disk, seal_for(seed)).within(stretch).scan(0)?;
    scan.map(|entry| entry.map(|entry| entry.index)).collect()
}

#[test]
fn the_earlier_part_grows_through_crashes_beside_the_later_one() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let mut own = part(&disk, seed, Stretch::behind(SINCE));
        own.append(&entries(SINCE + 1..SINCE + 60)).unwrap();
        own.sync().unwrap();
        let mut reached = 0;
        while reached < SINCE {
            let mut before = part(&disk, seed, Stretch::up_to(SINCE));
            assert_eq!(before.last_index().unwrap_or(0), reached, "what was synced, nothing torn");
            let synced = (reached + 20).min(SINCE);
            before.append(&entries(reached + 1..synced + 1)).unwrap();
            before.sync().unwrap();
            reached = synced;
            if reached < SINCE {
                // Written and not synced: a crash may leave any of it.
                before.append(&entries(reached + 1..SINCE + 1)).unwrap();
            }
            disk.crash();
            let read = indexes(&disk, seed, Stretch::behind(SINCE)).unwrap();
            assert_eq!(read, (SINCE + 1..SINCE + 60).collect::<Vec<_>>());
            let read = indexes(&disk, seed, Stretch::up_to(SINCE)).unwrap();
            assert!(read.starts_with(&(1..=reached).collect::<Vec<_>>()), "{read:?}");
            let torn = part(&disk, seed, Stretch::up_to(SINCE));
            reached = torn.last_index().unwrap();
        }
        let mut own = part(&disk, seed, Stretch::behind(SINCE));
        assert_eq!(own.last_index(), Some(SINCE + 59));
        own.append(&entries(SINCE + 60..SINCE + 80)).unwrap();
        own.sync().unwrap();
        let all = indexes(&disk, seed, Stretch::ALL).unwrap();
        assert_eq!(all, (1..SINCE + 80).collect::<Vec<_>>());
    }
}

#[test]
fn an_entry_of_the_other_part_is_refused() {
    let disk = SimDisk::new(1);
    for (stretch, index) in [(Stretch::up_to(SINCE), SINCE + 1), (Stretch::behind(SINCE), SINCE)] {
        let refused = part(&disk, 1, stretch).append(&[entry(index)]).unwrap_err();
        assert!(matches!(refused, HistoryError::Elsewhere { shard: SHARD, .. }), "{refused}");
    }
}

#[test]
fn what_begins_behind_an_index_can_be_let_go() {
    let disk = SimDisk::new(1);
    for (stretch, range) in [(Stretch::up_to(SINCE), 1..60), (Stretch::behind(SINCE), 201..260)] {
        let mut writer = part(&disk, 1, stretch);
        writer.append(&entries(range)).unwrap();
        writer.sync().unwrap();
    }
    remove_behind(&disk, DIR, SHARD + 1, 0).unwrap();
    remove_behind(&disk, DIR, SHARD, SINCE).unwrap();
    disk.crash();
    assert_eq!(indexes(&disk, 1, Stretch::ALL).unwrap(), (1..60).collect::<Vec<_>>());
}

//! Power cuts, killed processes, failing and lying syncs.

use super::for_seeds;
use super::world::{World, damages, open, options};
use std::cell::Cell;

const SEEDS: u64 = 1500;

/// Steps, then a crash, several times over.
fn run(world: &mut World, faults: bool) {
    for _ in 0..=world.random.below(4) {
        if faults && world.random.one_in(2) {
            let nth = 1 + world.random.below(30);
            if world.random.one_in(3) {
                world.disk.fail_write(nth);
            } else {
                world.disk.fail_sync(nth);
            }
        }
        let mut alive = true;
        for _ in 0..world.random.below(60) {
            alive = alive && world.step();
        }
        // Without a power cut only the process starts again, and unwritten pages look written.
        if world.random.below(4) > 0 {
            world.disk.crash();
        } else {
            world.disk.fail_sync(u64::MAX);
            world.disk.fail_write(u64::MAX);
        }
        assert_eq!(damages(&world.disk, None), 0);
        world.reopen();
        world.spares();
    }
    world.read();
    assert!(world.append());
    assert!(world.sync());
    world.disk.crash();
    world.reopen();
}

#[test]
fn what_was_synced_survives_and_what_survives_is_a_prefix() {
    for_seeds(SEEDS, |seed| run(&mut World::new(seed, None), false));
}

#[test]
fn failing_disks_end_the_process_and_lose_nothing_synced() {
    for_seeds(SEEDS, |seed| run(&mut World::new(seed, None), true));
}

#[test]
fn trimming_loses_nothing_that_is_needed() {
    for_seeds(SEEDS, |seed| {
        let mut world = World::new(seed, None);
        world.trims = true;
        run(&mut world, seed % 2 == 1);
    });
}

#[test]
fn a_crash_while_opening_changes_nothing() {
    for_seeds(SEEDS, |seed| {
        let mut world = World::new(seed, None);
        for _ in 0..40 {
            assert!(world.step());
        }
        world.disk.crash();
        let (_, first, _) = open(&world.disk.fork(1), options(None)).unwrap();
        for nth in 1..6 {
            world.disk.fail_sync(nth);
            drop(open(&world.disk, options(None)));
            world.disk.crash();
        }
        let (_, second, _) = open(&world.disk, options(None)).unwrap();
        assert_eq!(first, second);
        world.log = None;
        world.accept(&second);
    });
}

/// When syncs lie, what was acknowledged may be lost, but never silently changed or reordered.
#[test]
fn lying_syncs_lose_a_suffix_or_are_found_out() {
    let (kept, refused) = (Cell::new(0), Cell::new(0));
    for_seeds(SEEDS, |seed| {
        let mut world = World::new(seed, None);
        world.disk.set_lying_sync(seed % 4 > 0);
        for _ in 0..50 {
            assert!(world.step());
            if world.random.one_in(40) {
                world.disk.set_lying_sync(true);
            }
        }
        world.disk.set_lying_sync(false);
        world.disk.crash();
        world.log = None;
        world.synced = 0;
        match open(&world.disk, options(None)) {
            Ok((_, records, _)) => {
                world.accept(&records);
                kept.set(kept.get() + 1);
            }
            Err(error) => {
                assert!(error.to_string().contains("log/"), "{error}");
                assert!(damages(&world.disk, None) > 0);
                refused.set(refused.get() + 1);
            }
        }
    });
    eprintln!("{} kept a prefix, {} refused", kept.get(), refused.get());
}

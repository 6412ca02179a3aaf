use super::*;

fn read_all(disk: &SimDisk, path: &str) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; to_usize(file.len().unwrap())];
    file.read_full_at(0, &mut bytes).unwrap();
    bytes
}

/// A disk with one durable file of `sectors` sectors of ones.
fn disk_with_file(seed: u64, sectors: usize) -> SimDisk {
    let disk = SimDisk::new(seed);
    let file = disk.create_new("a").unwrap();
    file.write_at(0, &vec![1; sectors * 512]).unwrap();
    file.sync().unwrap();
    disk.sync_dir("").unwrap();
    disk
}

#[test]
fn what_was_synced_survives_a_crash() {
    for seed in 0..50 {
        let disk = disk_with_file(seed, 3);
        disk.crash();
        assert_eq!(read_all(&disk, "a"), vec![1; 1536], "seed {seed}");
    }
}

#[test]
fn unsynced_sectors_are_each_wholly_old_or_wholly_new() {
    let mut torn = 0;
    for seed in 0..200 {
        let disk = disk_with_file(seed, 8);
        disk.open("a").unwrap().write_at(0, &[2; 4096]).unwrap();
        disk.crash();
        let bytes = read_all(&disk, "a");
        let new = bytes.chunks(512).filter(|sector| sector == &[2; 512]).count();
        let old = bytes.chunks(512).filter(|sector| sector == &[1; 512]).count();
        assert_eq!(new + old, 8, "seed {seed}");
        torn += u32::from(new > 0 && old > 0);
    }
    assert!(torn > 20, "only {torn} of 200 crashes tore the write");
}

#[test]
fn a_name_may_be_lost_until_its_folder_is_synced() {
    let mut lost = 0;
    for seed in 0..100 {
        let disk = disk_with_file(seed, 1);
        disk.rename("a", "b").unwrap();
        disk.crash();
        let names = disk.list("").unwrap();
        assert!(names == ["a"] || names == ["b"], "seed {seed}: {names:?}");
        lost += u32::from(names == ["a"]);
        if names == ["a"] {
            disk.rename("a", "b").unwrap();
        }
        disk.sync_dir("").unwrap();
        disk.crash();
        assert_eq!(disk.list("").unwrap(), ["b"], "seed {seed}");
    }
    assert!((20..80).contains(&lost), "{lost} of 100");
}

#[test]
fn a_failed_sync_drops_the_pages_and_the_next_one_pretends() {
    let disk = disk_with_file(1, 1);
    let file = disk.open("a").unwrap();
    file.write_at(0, &[2; 512]).unwrap();
    disk.fail_sync(1);
    file.sync().unwrap_err();
    file.sync().unwrap();
    assert_eq!(read_all(&disk, "a"), vec![2; 512]);
    disk.crash();
    assert_eq!(read_all(&disk, "a"), vec![1; 512]);
}

#[test]
fn a_lying_sync_keeps_nothing_for_certain() {
    let lost = (0..50).filter(|&seed| {
        let disk = disk_with_file(seed, 1);
        disk.set_lying_sync(true);
        let file = disk.open("a").unwrap();
        file.write_at(0, &[2; 512]).unwrap();
        file.sync().unwrap();
        disk.crash();
        read_all(&disk, "a") == vec![1; 512]
    });
    assert!(lost.count() > 5);
}

#[test]
fn growth_past_the_capacity_is_refused_and_rewriting_is_not() {
    let disk = disk_with_file(1, 2);
    disk.set_capacity(Some(1500));
    let file = disk.open("a").unwrap();
    file.write_at(0, &[2; 1024]).unwrap();
    assert_eq!(file.write_at(1024, &[3; 512]).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(disk.used(), 1500);
    assert_eq!(file.set_len(2000).unwrap_err().kind(), ErrorKind::StorageFull);
    disk.set_capacity(None);
    file.set_len(2000).unwrap();
    disk.remove("a").unwrap();
    assert_eq!(disk.used(), 0);
}

#[test]
fn rot_and_bad_sectors_hit_what_is_read() {
    let disk = disk_with_file(1, 3);
    disk.flip_bit("a", 5, 7).unwrap();
    disk.zero_sector("a", 600).unwrap();
    let bytes = read_all(&disk, "a");
    assert_eq!(bytes[5], 0x81);
    assert_eq!(bytes[511..1025].iter().map(|byte| usize::from(*byte)).sum::<usize>(), 2);
    disk.fail_reads("a", 1100).unwrap();
    let file = disk.open("a").unwrap();
    file.read_at(0, &mut [0; 1024]).unwrap();
    file.read_at(1000, &mut [0; 100]).unwrap_err();
    file.write_at(1024, &[4; 512]).unwrap();
    file.read_at(1000, &mut [0; 100]).unwrap();
}

#[test]
fn a_handle_from_before_a_crash_is_dead() {
    let disk = disk_with_file(1, 1);
    let file = disk.open("a").unwrap();
    disk.crash();
    file.read_at(0, &mut [0; 8]).unwrap_err();
    file.write_at(0, &[0; 8]).unwrap_err();
    file.sync().unwrap_err();
}

#[test]
fn the_same_seed_crashes_the_same_way() {
    let run = |seed| {
        let disk = disk_with_file(seed, 64);
        disk.open("a").unwrap().write_at(0, &[2; 64 * 512]).unwrap();
        disk.crash();
        read_all(&disk, "a")
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn folders_are_created_listed_and_removed() {
    let disk = SimDisk::new(1);
    disk.create_new("x/y/a").map(|_| ()).unwrap_err();
    disk.create_dir_all("x/y").unwrap();
    disk.create_new("x/y/a").unwrap();
    disk.create_new("x/b").unwrap();
    assert_eq!(disk.list("x").unwrap(), ["b", "y"]);
    assert_eq!(disk.list("").unwrap(), ["x"]);
    disk.rename("x/y", "x/z").unwrap();
    assert_eq!(disk.list("x/z").unwrap(), ["a"]);
    disk.remove_dir_all("x").unwrap();
    assert_eq!(disk.list("").unwrap(), Vec::<String>::new());
}

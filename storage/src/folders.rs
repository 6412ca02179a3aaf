//! Folders that survive a crash from their creation on.

use std::io;

use crate::disk::Disk;

/// Creates a folder and those above it, and makes every new name durable.
pub(crate) fn create_durably(disk: &dyn Disk, dir: &str) -> io::Result<()> {
    if disk.exists(dir)? {
        return Ok(());
    }
    disk.create_dir_all(dir)?;
    let mut child = dir;
    while let Some((parent, _)) = child.rsplit_once('/') {
        disk.sync_dir(parent)?;
        child = parent;
    }
    disk.sync_dir("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim_disk::SimDisk;

    #[test]
    fn each_new_name_is_synced_in_the_folder_above_it_once() {
        let disk = SimDisk::new(1);
        create_durably(&disk, "data/history").unwrap();
        assert!(disk.exists("data/history").unwrap());
        assert_eq!(disk.counters().dir_syncs, 2);
        create_durably(&disk, "data/history").unwrap();
        assert_eq!(disk.counters().dir_syncs, 2);
    }
}

//! A small file system of its own for one node, which can be filled to the last byte.
//!
//! **Invariants:** it is gone with its handle.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::Command;

use anyhow::Context as _;

pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one at a folder that it makes.
    pub(crate) fn mount(at: PathBuf, mib: u64) -> anyhow::Result<Self> {
        std::fs::create_dir(&at).with_context(|| format!("cannot make {}", at.display()))?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"])
            .arg(&at)
            .output()
            .context("cannot run mount")?;
        let said = String::from_utf8_lossy(&mounted.stderr);
        anyhow::ensure!(mounted.status.success(), "a full disk needs the right to mount: {said}");
        Ok(Self(at))
    }

    /// Takes all space that is left, again and again as others give some back.
    pub(crate) fn fill(&self) -> anyhow::Result<()> {
        let filler = self.filler();
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&filler)
            .with_context(|| format!("cannot write {}", filler.display()))?;
        for block in [vec![1_u8; 1 << 20], vec![1_u8; 1 << 12]] {
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Gives the space back; one that was not filled has it.
    pub(crate) fn relieve(&self) -> anyhow::Result<()> {
        match std::fs::remove_file(self.filler()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).context("the disk keeps its filler")
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still writes there is ended after this, or never was.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

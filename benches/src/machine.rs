//! The machine under the figures: cores, its disk's sync, and what a process holds in memory.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;
use storage::clock;

use crate::load::histogram::Latencies;

/// Facts without which the figures of a run say little.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) cpu: String,
    /// Of one block, written over and over in a file that is allocated: what a log does.
    pub(crate) fdatasync_p50_us: u64,
    pub(crate) fdatasync_p99_us: u64,
    pub(crate) load_average_at_start: String,
}

/// Measures the machine, its disk in `folder`.
pub(crate) fn measure(folder: &Path) -> anyhow::Result<Machine> {
    let syncs = sync_latencies(folder)
        .with_context(|| format!("cannot measure the disk in {}", folder.display()))?;
    Ok(Machine {
        cores: std::thread::available_parallelism()?.get(),
        cpu: cpu_model(),
        fdatasync_p50_us: syncs.percentiles().p50_us,
        fdatasync_p99_us: syncs.percentiles().p99_us,
        load_average_at_start: fs::read_to_string("/proc/loadavg")
            .map(|text| text.trim_end().to_owned())
            .unwrap_or_default(),
    })
}

fn sync_latencies(folder: &Path) -> std::io::Result<Latencies> {
    const BLOCK_BYTES: usize = 4_096;
    const BLOCKS: u64 = 1_024;
    const SYNCS: u64 = 1_000;
    let path = folder.join("fdatasync.probe");
    let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
    file.write_all_at(&vec![0; BLOCK_BYTES * 1_024], 0)?;
    file.sync_all()?;
    let mut latencies = Latencies::new();
    for nth in 0..SYNCS {
        let fill = u8::try_from(nth % 251).unwrap_or(0);
        file.write_all_at(&[fill; BLOCK_BYTES], nth % BLOCKS * BLOCK_BYTES as u64)?;
        let started = clock::monotonic();
        file.sync_data()?;
        latencies.record(started.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(latencies)
}

fn cpu_model() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    model.map_or_else(|| "unknown".to_owned(), |(_, name)| name.to_owned())
}

/// Memory of this process that is its own: not the program's file, not shared.
pub(crate) fn resident_bytes() -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read own status")?;
    resident_in(&status).context("the system does not tell a process's resident memory")
}

fn resident_in(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_from_the_status() {
        let status = "VmRSS:\t    9000 kB\nRssAnon:\t    5120 kB\nRssFile:\t    3880 kB\n";
        assert_eq!(resident_in(status), Some(5_120 * 1_024));
        assert_eq!(resident_in("VmRSS:\t 1 kB\n"), None);
        assert!(resident_bytes().unwrap() > 100_000);
    }

    #[test]
    fn a_disk_is_measured_and_left_clean() {
        let folder = tempfile::tempdir().unwrap();
        let machine = measure(folder.path()).unwrap();
        assert!(machine.fdatasync_p50_us > 0 && machine.cores > 0);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

//! The machine under the figures: cores, its disk's sync, and what a process holds in memory.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use storage::clock;

use crate::load::histogram::{Latencies, Percentiles};

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
    const SYNCS: u64 = 1_000;
    let probe = Probe::create(folder)?;
    let mut latencies = Latencies::new();
    for nth in 0..SYNCS {
        latencies.record(probe.sync(nth)?);
    }
    Ok(latencies)
}

/// A file of its own to sync, gone when dropped.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    const BLOCK_BYTES: usize = 4_096;
    const BLOCKS: u64 = 1_024;

    fn create(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("fdatasync.probe");
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        file.write_all_at(&vec![0; Self::BLOCK_BYTES * 1_024], 0)?;
        file.sync_all()?;
        Ok(Self { path, file })
    }

    /// Writes one block and makes it durable.
    fn sync(&self, nth: u64) -> std::io::Result<Duration> {
        let fill = u8::try_from(nth % 251).unwrap_or(0);
        let at = nth % Self::BLOCKS * Self::BLOCK_BYTES as u64;
        self.file.write_all_at(&[fill; Self::BLOCK_BYTES], at)?;
        let started = clock::monotonic();
        self.file.sync_data()?;
        Ok(started.elapsed())
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        // It lies in a folder that goes with the run.
        fs::remove_file(&self.path).ok();
    }
}

/// Syncs a block from time to time while something else uses the disk, on a thread of its own.
pub(crate) struct Syncs {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<std::io::Result<Latencies>>,
}

impl Syncs {
    /// Seldom enough that the disk hardly notices.
    const EVERY: Duration = Duration::from_millis(20);

    pub(crate) fn begin(folder: &Path) -> anyhow::Result<Self> {
        let probe = Probe::create(folder).context("no file can be synced")?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new().name("syncs".to_owned()).spawn(move || {
            let mut latencies = Latencies::new();
            for nth in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                latencies.record(probe.sync(nth)?);
                std::thread::sleep(Self::EVERY);
            }
            Ok(latencies)
        })?;
        Ok(Self { stop, thread })
    }

    pub(crate) fn end(self) -> anyhow::Result<Percentiles> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        let latencies = ended.map_err(|_| anyhow::anyhow!("the thread that syncs panicked"))?;
        Ok(latencies.context("the disk cannot be measured")?.percentiles())
    }
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

/// The most memory that a process ever had.
pub(crate) fn peak_resident_bytes(pid: u32) -> anyhow::Result<u64> {
    memory_of(pid, "VmHWM:")
}

/// The memory that a process has, like [`peak_resident_bytes`].
pub(crate) fn resident_bytes_of(pid: u32) -> anyhow::Result<u64> {
    memory_of(pid, "VmRSS:")
}

fn memory_of(pid: u32, name: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is gone"))?;
    bytes_in(&status, name).context("the system does not tell a process's memory")
}

fn resident_in(status: &str) -> Option<u64> {
    bytes_in(status, "RssAnon:")
}

/// What a line of a process's status says.
fn bytes_in(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
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
        let syncs = Syncs::begin(folder.path()).unwrap();
        assert!(syncs.end().unwrap().max_us < 600_000_000);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

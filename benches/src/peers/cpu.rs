//! What a process spends of the processors, and how much of them it may have.
//!
//! **Invariants:** a cap ends with its handle; where the system refuses one, the process is bound to
//! a single core instead, and which of the two it was is told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;

/// Ticks a second in which the system counts a process's time, on every Linux there is.
const TICKS: u64 = 100;
const PERIOD_US: u64 = 100_000;

/// Processor time that a process has used so far, in user mode and for it in the kernel.
pub(crate) fn used(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .with_context(|| format!("process {pid} is gone"))?;
    let ticks = ticks_in(&stat).context("the system does not tell a process's time")?;
    Ok(Duration::from_millis(ticks * 1_000 / TICKS))
}

fn ticks_in(stat: &str) -> Option<u64> {
    // The name may hold anything but ends with the last bracket; the state follows as field 3.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// How a process is kept from using more than its share.
pub(crate) enum Cap {
    /// A control group, at this folder.
    Group(PathBuf),
    /// One core of its own, or one that it shares.
    Core,
}

impl Cap {
    /// Lets a process have so many percent of one core; `nth` tells the caps of a run apart.
    pub(crate) fn on(pid: u32, percent: u64, nth: usize) -> anyhow::Result<Self> {
        let name = format!("omnicart-bench-{}-{nth}", std::process::id());
        let quota = PERIOD_US * percent / 100;
        // The first layout of control groups has a tree of its own for processors.
        let first = Path::new("/sys/fs/cgroup/cpu").join(&name);
        let second = Path::new("/sys/fs/cgroup").join(&name);
        let first_quota = [("cpu.cfs_period_us", PERIOD_US.to_string())];
        let first_quota = first_quota.into_iter().chain([("cpu.cfs_quota_us", quota.to_string())]);
        if let Ok(group) = group(first, first_quota, pid) {
            return Ok(group);
        }
        let second_quota = [("cpu.max", format!("{quota} {PERIOD_US}"))];
        if let Ok(group) = group(second, second_quota.into_iter(), pid) {
            return Ok(group);
        }
        let cores = std::thread::available_parallelism()?.get();
        let bound = Command::new("taskset")
            .args(["-a", "-c", "-p", &(nth % cores).to_string(), &pid.to_string()])
            .output()
            .context("neither control groups nor taskset are to be had")?;
        anyhow::ensure!(bound.status.success(), "process {pid} cannot be bound to a core");
        Ok(Self::Core)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Group(_) => "cgroup",
            Self::Core => "affinity",
        }
    }
}

fn group(
    at: PathBuf,
    settings: impl Iterator<Item = (&'static str, String)>,
    pid: u32,
) -> std::io::Result<Cap> {
    std::fs::create_dir(&at)?;
    // From here on it is removed again, whatever fails.
    let group = Cap::Group(at.clone());
    for (name, value) in settings {
        std::fs::write(at.join(name), value)?;
    }
    std::fs::write(at.join("cgroup.procs"), pid.to_string())?;
    Ok(group)
}

impl Drop for Cap {
    fn drop(&mut self) {
        if let Self::Group(at) = self {
            // Only an empty one can be removed: its process ends first.
            std::fs::remove_dir(at).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_read_behind_a_name_of_any_kind() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14";
        assert_eq!(ticks_in(stat), Some(11 + 12));
        assert_eq!(ticks_in("7 (a) S 1"), None);
        assert!(used(std::process::id()).is_ok());
    }
}

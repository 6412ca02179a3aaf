//! What the process says about itself, for Prometheus.
//!
//! **Invariants:** values are read from the kernel when they are asked for, so nothing runs between
//! two scrapes; what the kernel does not tell is left out rather than guessed.

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// Adds everything of this crate.
pub fn register(registry: &mut Registry, started_micros: u64) {
    let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("omnicart_ops_build", "The program that runs", build);
    registry.register_collector(Box::new(Process { started_seconds: started_micros / 1_000_000 }));
}

#[derive(Debug)]
struct Process {
    started_seconds: u64,
}

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let started = ConstGauge::new(self.started_seconds);
        let mut gauge = |name: &str, help: &str, unit: Option<&Unit>, value: ConstGauge<u64>| {
            let metric = encoder.encode_descriptor(name, help, unit, value.metric_type())?;
            value.encode(metric)
        };
        gauge(
            "omnicart_ops_process_start_time",
            "When the process started, since the Unix epoch",
            Some(&Unit::Seconds),
            started,
        )?;
        if let Some(bytes) = resident_bytes() {
            let help = "Memory of the process that is in RAM";
            let name = "omnicart_ops_process_resident_memory";
            gauge(name, help, Some(&Unit::Bytes), ConstGauge::new(bytes))?;
        }
        if let Some(open) = open_files() {
            let help = "Files, sockets and pipes the process holds open";
            gauge("omnicart_ops_process_open_files", help, None, ConstGauge::new(open))?;
        }
        if let Some(ticks) = cpu_ticks() {
            let counter = ConstCounter::new(ticks);
            encoder
                .encode_descriptor(
                    "omnicart_ops_process_cpu_ticks",
                    "Processor time used, in hundredths of a second",
                    None,
                    counter.metric_type(),
                )
                .and_then(|metric| counter.encode(metric))?;
        }
        Ok(())
    }
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn open_files() -> Option<u64> {
    u64::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()
}

/// User and system time; the name of the program, in front of them, may contain spaces.
fn cpu_ticks() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_whitespace().skip(11);
    let user: u64 = times.next()?.parse().ok()?;
    let system: u64 = times.next()?.parse().ok()?;
    user.checked_add(system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_describes_itself() {
        let mut registry = Registry::default();
        register(&mut registry, 1_700_000_000_000_000);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "omnicart_ops_build_info{version=\"0.0.0\"} 1",
            "omnicart_ops_process_start_time_seconds 1700000000",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        for name in [
            "omnicart_ops_process_resident_memory_bytes ",
            "omnicart_ops_process_open_files ",
            "omnicart_ops_process_cpu_ticks_total ",
        ] {
            assert!(text.lines().any(|found| found.starts_with(name)), "{name} in\n{text}");
        }
    }
}

//! What storage counts, for Prometheus. Whoever drives the log, the snapshots and the state index
//! says when to look at them: they run in threads that are not this crate's.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::log::LogStats;
use crate::snapshot::SnapshotFile;
use crate::state::IndexWorker;

/// All metrics of this crate. Cheap to clone.
#[derive(Clone)]
pub struct StorageMetrics {
    log_sync_seconds: Histogram,
    log_records: Counter,
    log_bytes: Counter,
    log_segments: Gauge,
    log_allocated_bytes: Gauge,
    log_full: Gauge,
    snapshots: Counter,
    snapshot_bytes: Counter,
    index_queue_bytes: Gauge,
    index_lacks_space: Gauge,
    index_stall_seconds: Gauge<f64, AtomicU64>,
}

impl StorageMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            log_sync_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            log_records: Counter::default(),
            log_bytes: Counter::default(),
            log_segments: Gauge::default(),
            log_allocated_bytes: Gauge::default(),
            log_full: Gauge::default(),
            snapshots: Counter::default(),
            snapshot_bytes: Counter::default(),
            index_queue_bytes: Gauge::default(),
            index_lacks_space: Gauge::default(),
            index_stall_seconds: Gauge::default(),
        };
        metrics.describe(registry);
        metrics
    }

    fn describe(&self, registry: &mut Registry) {
        let name = |name: &str| format!("omnicart_storage_{name}");
        let mut count = |noun, help, metric: &Counter| {
            registry.register(name(noun), help, metric.clone());
        };
        count("log_records", "Records appended to the log", &self.log_records);
        count("log_bytes", "Bytes of records appended to the log", &self.log_bytes);
        count("snapshots", "Snapshots of shards written", &self.snapshots);
        count("snapshot_bytes", "Bytes of the snapshots written", &self.snapshot_bytes);
        let mut show = |noun, help, metric: &Gauge| {
            registry.register(name(noun), help, metric.clone());
        };
        show("log_segments", "Segments the log is made of", &self.log_segments);
        show(
            "log_allocated_bytes",
            "Disk space of the log, claimed ahead included",
            &self.log_allocated_bytes,
        );
        show("log_full", "Whether changes are refused for want of disk space", &self.log_full);
        show("index_queue_bytes", "Work that waits for the state index", &self.index_queue_bytes);
        show(
            "index_lacks_space",
            "Whether what the state index is to keep waits for disk space",
            &self.index_lacks_space,
        );
        registry.register(
            name("log_sync_duration_seconds"),
            "Time of one sync of the log",
            self.log_sync_seconds.clone(),
        );
        registry.register(
            name("index_stall_seconds"),
            "How long the state index has been at one operation",
            self.index_stall_seconds.clone(),
        );
    }

    /// A sync of the log completed.
    pub fn log_synced(&self, took: Duration, stats: &LogStats) {
        self.log_sync_seconds.observe(took.as_secs_f64());
        self.log_stands(stats);
    }

    /// The numbers of the process's one log.
    pub fn log_stands(&self, stats: &LogStats) {
        self.log_records.inc_by(stats.records.saturating_sub(self.log_records.get()));
        self.log_bytes.inc_by(stats.record_bytes.saturating_sub(self.log_bytes.get()));
        self.log_segments.set(i64::try_from(stats.segments).unwrap_or(i64::MAX));
        self.log_allocated_bytes.set(i64::try_from(stats.bytes).unwrap_or(i64::MAX));
    }

    pub fn log_space(&self, is_full: bool) {
        self.log_full.set(i64::from(is_full));
    }

    pub fn snapshot_written(&self, file: &SnapshotFile) {
        self.snapshots.inc();
        self.snapshot_bytes.inc_by(file.bytes);
    }

    pub fn index_stands(&self, index: &IndexWorker) {
        self.index_queue_bytes.set(i64::try_from(index.queued_bytes()).unwrap_or(i64::MAX));
        self.index_lacks_space.set(i64::from(index.lacks_space()));
        self.index_stall_seconds.set(index.stalled_for().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[test]
    fn the_log_counts_on_from_what_it_said_before() {
        let mut registry = Registry::default();
        let metrics = StorageMetrics::register(&mut registry);
        let stats = |records| LogStats {
            segments: 3,
            bytes: 1 << 20,
            records,
            record_bytes: records * 100,
            ..LogStats::default()
        };
        metrics.log_synced(Duration::from_millis(1), &stats(7));
        metrics.log_stands(&stats(9));
        metrics.log_space(true);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "log_records_total 9",
            "log_bytes_total 900",
            "log_segments 3",
            "log_allocated_bytes 1048576",
            "log_full 1",
            "log_sync_duration_seconds_count 1",
            "snapshot_bytes_total 0",
            "index_queue_bytes 0",
        ] {
            let line = format!("omnicart_storage_{line}");
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
    }
}

//! What the fabric counts, for Prometheus.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// All metrics of this crate.
pub struct ClusterMetrics {
    sync_seconds: Histogram,
    sync_records: Counter,
    sync_bytes: Counter,
    pub(crate) turns: Counter,
    pub(crate) commands: Counter,
    pub(crate) queries: Counter,
    pub(crate) refused_busy: Counter,
    pub(crate) panics: Counter,
    pub(crate) quarantined: Counter,
    pub(crate) loads: Counter,
    pub(crate) passivations: Counter,
    pub(crate) shards_led: Gauge,
    pub(crate) shards_fenced: Gauge,
}

impl ClusterMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            sync_seconds: Histogram::new(exponential_buckets(0.000_05, 2.0, 16)),
            sync_records: Counter::default(),
            sync_bytes: Counter::default(),
            turns: Counter::default(),
            commands: Counter::default(),
            queries: Counter::default(),
            refused_busy: Counter::default(),
            panics: Counter::default(),
            quarantined: Counter::default(),
            loads: Counter::default(),
            passivations: Counter::default(),
            shards_led: Gauge::default(),
            shards_fenced: Gauge::default(),
        };
        metrics.describe(registry);
        metrics
    }

    fn describe(&self, registry: &mut Registry) {
        let mut add = |name: &str, help: &str, metric: &Counter| {
            registry.register(format!("omnicart_cluster_{name}"), help, metric.clone());
        };
        add("log_records", "Records written to the log", &self.sync_records);
        add("log_bytes", "Bytes of records written to the log", &self.sync_bytes);
        add("turns", "Log entries decided", &self.turns);
        add("commands", "Commands taken from clients", &self.commands);
        add("queries", "Queries taken from clients", &self.queries);
        add("refused_busy", "Requests refused because a queue was full", &self.refused_busy);
        add("panics", "Commands refused because an entity panicked", &self.panics);
        add("quarantined", "Internal commands set aside as unprocessable", &self.quarantined);
        add("loads", "Entities loaded from the state index", &self.loads);
        add("passivations", "Entities handed to the state index", &self.passivations);
        registry.register(
            "omnicart_cluster_log_sync_seconds",
            "Time of one sync of the log",
            self.sync_seconds.clone(),
        );
        registry.register(
            "omnicart_cluster_shards_led",
            "Shards this node leads and serves",
            self.shards_led.clone(),
        );
        registry.register(
            "omnicart_cluster_shards_fenced",
            "Shards that stopped after a fault",
            self.shards_fenced.clone(),
        );
    }

    pub(crate) fn synced(&self, took: Duration, records: usize, bytes: usize) {
        self.sync_seconds.observe(took.as_secs_f64());
        self.sync_records.inc_by(u64::try_from(records).unwrap_or(u64::MAX));
        self.sync_bytes.inc_by(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// Syncs of the log so far, and the records they covered: the worth of group commit.
    pub fn log_records(&self) -> u64 {
        self.sync_records.get()
    }
}

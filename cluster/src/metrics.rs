//! What the fabric counts, for Prometheus.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// All metrics of this crate.
pub struct ClusterMetrics {
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
        add("turns", "Log entries decided", &self.turns);
        add("commands", "Commands taken from clients", &self.commands);
        add("queries", "Queries taken from clients", &self.queries);
        add("refused_busy", "Requests refused because a queue was full", &self.refused_busy);
        add("panics", "Commands refused because an entity panicked", &self.panics);
        add("quarantined", "Internal commands set aside as unprocessable", &self.quarantined);
        add("loads", "Entities loaded from the state index", &self.loads);
        add("passivations", "Entities handed to the state index", &self.passivations);
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
}

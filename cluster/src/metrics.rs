//! What the fabric counts, for Prometheus.

use std::collections::BTreeSet;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::ids::NodeId;
use crate::placement::cluster::Cluster;
use crate::placement::member::Standing;
use crate::placement::tolerance::risk;
use crate::wire::Lane;

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
    pub(crate) lonely: Gauge,
    pub(crate) apply_lag: Gauge,
    level: Gauge,
    pub(crate) clock_ahead: Gauge,
    pub(crate) groups_resting: Gauge,
    shards_moving: Gauge,
    not_fault_tolerant: Gauge,
    nodes: Family<StandingLabels, Gauge>,
    nodes_silent: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StandingLabels {
    standing: &'static str,
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
            lonely: Gauge::default(),
            apply_lag: Gauge::default(),
            level: Gauge::default(),
            clock_ahead: Gauge::default(),
            groups_resting: Gauge::default(),
            shards_moving: Gauge::default(),
            not_fault_tolerant: Gauge::default(),
            nodes: Family::default(),
            nodes_silent: Gauge::default(),
        };
        metrics.describe(registry);
        metrics.describe_cluster(registry);
        metrics.cluster_stands(&Cluster::default(), &BTreeSet::new());
        metrics
    }

    /// What is known of the cluster; of a node that is alone, nothing.
    pub(crate) fn cluster_stands(&self, cluster: &Cluster, silent: &BTreeSet<NodeId>) {
        let moving = cluster.places().filter(|(_, place)| place.is_moving()).count();
        self.shards_moving.set(as_gauge(moving));
        self.not_fault_tolerant.set(i64::from(risk(cluster, silent).is_some()));
        self.nodes_silent.set(as_gauge(silent.len()));
        self.level.set(i64::from(cluster.level()));
        for standing in Standing::ALL {
            let n = cluster.members().filter(|(_, member)| member.standing == standing).count();
            let labels = StandingLabels { standing: standing.name() };
            self.nodes.get_or_create(&labels).set(as_gauge(n));
        }
    }

    fn describe_cluster(&self, registry: &mut Registry) {
        registry.register(
            "omnicart_cluster_not_fault_tolerant",
            "Whether the loss of one more node would stop some shard: 1 if so",
            self.not_fault_tolerant.clone(),
        );
        registry.register(
            "omnicart_cluster_nodes",
            "Nodes the cluster knows, by what is wanted of them",
            self.nodes.clone(),
        );
        registry.register(
            "omnicart_cluster_nodes_silent",
            "Nodes of the cluster that this node has not heard of for some seconds",
            self.nodes_silent.clone(),
        );
        registry.register(
            "omnicart_cluster_shards_moving",
            "Shards on their way to other nodes, the group of the cluster itself included",
            self.shards_moving.clone(),
        );
        registry.register(
            "omnicart_cluster_level",
            "The feature level that the cluster works at; 0 for a node that is alone",
            self.level.clone(),
        );
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
        registry.register(
            "omnicart_cluster_lonely",
            "1 while no other node of the cluster is heard of and this one therefore does not serve",
            self.lonely.clone(),
        );
        registry.register(
            "omnicart_cluster_apply_lag_entries",
            "Committed entries that are not applied yet, of the shard on this node with most",
            self.apply_lag.clone(),
        );
        registry.register(
            "omnicart_cluster_peers_clock_ahead_seconds",
            "How far the clock that most nodes agree on is ahead of this node's; past 5 it leads nothing",
            self.clock_ahead.clone(),
        );
        registry.register(
            "omnicart_cluster_groups_resting",
            "Groups of this node that nobody ticks because nothing happens in them",
            self.groups_resting.clone(),
        );
    }
}

/// What travels in bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bulk {
    Snapshot,
    History,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BulkLabels {
    what: &'static str,
}

/// What a node fetches from others to become and stay a whole replica. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct TransferMetrics {
    fetched: Family<BulkLabels, Counter>,
    pub(crate) snapshot_bytes_remaining: Gauge,
    pub(crate) history_missing: Gauge,
}

impl TransferMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "omnicart_cluster_fetched_bytes",
            "Bytes fetched from other nodes for replicas of this one, by what they are",
            metrics.fetched.clone(),
        );
        registry.register(
            "omnicart_cluster_snapshot_remaining_bytes",
            "Bytes of snapshots that are being fetched and not here yet",
            metrics.snapshot_bytes_remaining.clone(),
        );
        registry.register(
            "omnicart_cluster_history_missing_entries",
            "Log positions of before this node's replicas whose history is not here yet",
            metrics.history_missing.clone(),
        );
        metrics
    }

    pub(crate) fn fetched(&self, what: Bulk, bytes: usize) {
        let what = match what {
            Bulk::Snapshot => "snapshot",
            Bulk::History => "history",
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fetched.get_or_create(&BulkLabels { what }).inc_by(bytes);
    }
}

fn as_gauge(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    In,
    Out,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    lane: &'static str,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallsLabels {
    lane: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HandshakeLabels {
    direction: &'static str,
    reason: &'static str,
}

/// What the mesh counts. Cheap to clone.
#[derive(Clone, Default)]
pub struct MeshMetrics {
    pub(crate) lanes_up: Gauge,
    pub(crate) certificate_expires: Gauge,
    pub(crate) redials: Counter,
    calls_waiting: Family<CallsLabels, Gauge>,
    pub(crate) answers_late: Counter,
    frames: Family<LaneLabels, Counter>,
    bytes: Family<LaneLabels, Counter>,
    drops: Family<LaneLabels, Counter>,
    handshakes_failed: Family<HandshakeLabels, Counter>,
}

impl MeshMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let mut add = |name: &str, help: &str, metric: &Family<LaneLabels, Counter>| {
            registry.register(format!("omnicart_cluster_mesh_{name}"), help, metric.clone());
        };
        add("frames", "Frames carried between nodes", &metrics.frames);
        add("bytes", "Bytes of frames carried between nodes", &metrics.bytes);
        add("drops", "Frames given up because a lane had no room", &metrics.drops);
        let mut add = |name: &str, help: &str, metric: &Counter| {
            registry.register(format!("omnicart_cluster_mesh_{name}"), help, metric.clone());
        };
        add("redials", "Dials of a peer that failed and are tried again", &metrics.redials);
        add("answers_late", "Answers that nobody waited for any more", &metrics.answers_late);
        registry.register(
            "omnicart_cluster_mesh_lanes_up",
            "Connections to peers that are open",
            metrics.lanes_up.clone(),
        );
        registry.register(
            "omnicart_cluster_mesh_certificate_expiry_timestamp_seconds",
            "Until when this node's certificate is valid; 0 without certificates",
            metrics.certificate_expires.clone(),
        );
        registry.register(
            "omnicart_cluster_mesh_calls_waiting",
            "Calls to peers that wait for an answer, by lane",
            metrics.calls_waiting.clone(),
        );
        registry.register(
            "omnicart_cluster_mesh_handshakes_failed",
            "Connections that did not come to be, by who dialed and why",
            metrics.handshakes_failed.clone(),
        );
        metrics
    }

    pub(crate) fn carried(&self, lane: Lane, direction: Direction, frames: u64, bytes: u64) {
        let labels = LaneLabels { lane: lane.name(), direction: direction.name() };
        self.frames.get_or_create(&labels).inc_by(frames);
        self.bytes.get_or_create(&labels).inc_by(bytes);
    }

    pub(crate) fn calls_waiting(&self, lane: Lane, n: i64) {
        self.calls_waiting.get_or_create(&CallsLabels { lane: lane.name() }).set(n);
    }

    pub(crate) fn dropped(&self, lane: Lane, direction: Direction) {
        let labels = LaneLabels { lane: lane.name(), direction: direction.name() };
        self.drops.get_or_create(&labels).inc();
    }

    pub(crate) fn handshake_failed(&self, direction: Direction, reason: &'static str) {
        let labels = HandshakeLabels { direction: direction.name(), reason };
        self.handshakes_failed.get_or_create(&labels).inc();
    }
}

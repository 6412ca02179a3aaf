//! What this node says about itself and its replicas.
//!
//! **Invariants:** it is said by the deadline, whatever is stuck: a replica that gives no answer is
//! named as mute, and the others are not held up by it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::clock;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ids::ShardId;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::report::{NodeReport, PeerReport, REPLICAS_MAX, ReplicaReport};

/// Left of the time to bring an answer home.
const WAY_HOME: Duration = Duration::from_millis(200);

impl Services {
    /// Everything from a group on, as much as one report takes.
    pub(crate) async fn report(&self, from: ShardId, deadline: Instant) -> NodeReport {
        let mut report = self.report_of_node();
        let mut groups = self.map.groups().skip_while(|group| *group != from);
        let asked: Vec<_> = groups
            .by_ref()
            .take(REPLICAS_MAX)
            .filter_map(|group| Some((group, self.ask_replica(group)?)))
            .collect();
        report.next = groups.next();
        let deadline = deadline.checked_sub(WAY_HOME).unwrap_or(deadline);
        for (group, answer) in asked {
            match tokio::time::timeout_at(deadline, answer).await {
                Ok(Ok(Some(replica))) => report.replicas.push(self.with_sizes(replica)),
                // It holds none, or the node is stopping.
                Ok(Ok(None) | Err(_)) => {}
                Err(_elapsed) => report.mute.push(group),
            }
        }
        report
    }

    fn report_of_node(&self) -> NodeReport {
        NodeReport {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_ms: millis(self.began.elapsed()),
            clock_micros: clock::wall_micros(),
            cluster_version: self.cluster.borrow().version(),
            is_ready: *self.leaders.unsettled().borrow() == 0 && !self.shards.is_stopping(),
            is_stopping: self.shards.is_stopping(),
            is_storage_full: self.log.is_full(),
            peers: self.peer_reports(),
            ..NodeReport::default()
        }
    }

    fn peer_reports(&self) -> Vec<PeerReport> {
        let Some(network) = self.network.get() else { return Vec::new() };
        let links = network.mesh.links().borrow().clone();
        let now = clock::monotonic();
        let report = |(node, link): (_, &crate::runtime::mesh::Link)| {
            let heard = network.mesh.last_heard(node);
            let silent_ms = heard.map(|heard| millis(now.saturating_duration_since(heard)));
            PeerReport { node, silent_ms, is_linked: link.is_whole() }
        };
        links.iter().map(|(node, link)| report((*node, link))).collect()
    }

    fn ask_replica(&self, group: ShardId) -> Option<oneshot::Receiver<Option<ReplicaReport>>> {
        let (reply, answer) = oneshot::channel();
        self.shards.get(group)?.cast(ShardMessage::Report(reply)).ok()?;
        Some(answer)
    }

    /// Adds what the replica itself does not know.
    fn with_sizes(&self, mut replica: ReplicaReport) -> ReplicaReport {
        if let Some(progress) = self.progress_of(replica.group) {
            replica.log_bytes = progress.appended_bytes.load(Ordering::Relaxed);
            replica.snapshot_bytes = progress.snapshot_bytes.load(Ordering::Relaxed);
        }
        replica
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

//! What operators see of a cluster and do to it, from any of its nodes.
//!
//! **Invariants:** looking ends by its deadline, with what is known by then; what is changed is
//! changed in `meta` and nowhere else, so it outlives whoever was asked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::fabric::{
    CommandError, Envelope, Executed, Fabric, Provenance, QueryError, Unavailable,
};
use crate::ids::{NodeId, Position, ShardId};
use crate::placement::cluster::{Cluster, Command, Query, Rejection, Reply, cluster_ref};
use crate::placement::survey::Survey;
use crate::runtime::services::Services;
use crate::shard::question::{Answer, Question};
use crate::shard::report::NodeReport;
use crate::time::{Span, Timestamp};

/// The operator's hands and eyes. Cheap to clone.
#[derive(Clone)]
pub struct Operations {
    pub(crate) fabric: Fabric,
    pub(crate) services: Arc<Services>,
}

/// A survey, and how sure what it says of the cluster is.
#[derive(Debug)]
pub struct Surveyed {
    pub survey: Survey,
    /// Where in the history of `meta` it was read; none when `meta` gave no answer, so that only
    /// what this node last heard is known.
    pub agreed: Option<Provenance>,
}

impl Operations {
    pub(crate) fn new(fabric: Fabric, services: Arc<Services>) -> Self {
        Self { fabric, services }
    }

    /// The node that is asked.
    pub fn node(&self) -> NodeId {
        self.services.node
    }

    /// Changes what the cluster agrees on.
    pub async fn execute(
        &self,
        envelope: &Envelope,
        command: Command,
    ) -> Result<Executed<Reply>, CommandError<Rejection>> {
        self.fabric.execute_in::<Cluster>(ShardId::META, &cluster_ref(), envelope, command).await
    }

    /// Asks everybody. `at_least` is what the caller has seen of `meta` before; when that cannot be
    /// read again, the caller is not told an older state.
    pub async fn survey(
        &self,
        at_least: &[Position],
        within: Duration,
    ) -> Result<Surveyed, Unavailable> {
        let deadline = Instant::from_std(clock::monotonic()) + within;
        let until = Timestamp::from_micros(clock::wall_micros()).plus(span(within));
        let meta = cluster_ref();
        let has_seen_meta = at_least.iter().any(|position| position.shard == ShardId::META);
        let agreed =
            self.fabric.query_in::<Cluster>(ShardId::META, &meta, at_least, until, Query::Whole);
        let (agreed, own, mut reports) =
            tokio::join!(agreed, self.own_report(deadline), self.reports_of_peers(deadline));
        reports.insert(self.services.node, own);
        let (cluster, agreed) = match agreed {
            Ok(viewed) => (viewed.view, Some(viewed.provenance)),
            Err(QueryError::Unavailable(error)) if has_seen_meta => return Err(error),
            // Whoever looks because something is wrong is to see what can be seen.
            Err(QueryError::Unavailable(_) | QueryError::Undecodable) => {
                (Cluster::clone(&self.services.cluster.borrow()), None)
            }
        };
        let survey = Survey { asked: self.services.node, map: self.services.map, cluster, reports };
        Ok(Surveyed { survey, agreed })
    }

    /// How far the replicas of other nodes have come, of those that answer.
    pub(crate) async fn applied_elsewhere(&self, deadline: Instant) -> BTreeMap<ShardId, u64> {
        let mut applied = BTreeMap::<ShardId, u64>::new();
        let reports = self.reports_of_peers(deadline).await;
        let replicas = reports.values().flat_map(|report| &report.replicas);
        for replica in replicas.filter(|replica| replica.is_whole) {
            let known = applied.entry(replica.group).or_default();
            *known = replica.applied.max(*known);
        }
        applied
    }

    async fn own_report(&self, deadline: Instant) -> NodeReport {
        let services = &self.services;
        let pages = |from| async move { Some(services.report(from, deadline).await) };
        whole(services, pages).await.unwrap_or_default()
    }

    async fn reports_of_peers(&self, deadline: Instant) -> BTreeMap<NodeId, NodeReport> {
        let mut asked = JoinSet::new();
        let cluster = Arc::clone(&self.services.cluster.borrow());
        for (node, member) in cluster.members() {
            if node != self.services.node && member.standing.takes_part() {
                let services = Arc::clone(&self.services);
                asked.spawn(async move { (node, ask(&services, node, deadline).await) });
            }
        }
        let mut reports = BTreeMap::new();
        while let Some(answered) = asked.join_next().await {
            if let Ok((node, Some(report))) = answered {
                reports.insert(node, report);
            }
        }
        reports
    }
}

async fn ask(services: &Arc<Services>, node: NodeId, deadline: Instant) -> Option<NodeReport> {
    let network = services.network.get()?;
    let pages = |from| async move {
        match network.ask(node, &Question::Report { from }, deadline).await {
            Ok(Answer::Report(bytes)) => NodeReport::decode(&bytes)
                .inspect_err(|error| tracing::warn!(peer.id = node.0, %error, "no report"))
                .ok(),
            Ok(
                Answer::Reply(_)
                | Answer::Taken
                | Answer::Piece(_)
                | Answer::Gone
                | Answer::History(_)
                | Answer::Clock { .. }
                | Answer::Part { .. },
            )
            | Err(_) => None,
        }
    };
    whole(services, pages).await
}

/// All pages of a report as one; none when not even the first came.
async fn whole<F>(services: &Services, page: impl Fn(ShardId) -> F) -> Option<NodeReport>
where
    F: Future<Output = Option<NodeReport>>,
{
    let first = services.map.groups().next()?;
    let mut report = page(first).await?;
    // A node cannot have more pages than there are groups, whatever it says.
    for _ in services.map.groups() {
        let Some(from) = report.next.take() else { break };
        let Some(page) = page(from).await else { break };
        report.replicas.extend(page.replicas);
        report.mute.extend(page.mute);
        report.next = page.next;
    }
    Some(report)
}

fn span(duration: Duration) -> Span {
    Span::from_micros(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX))
}

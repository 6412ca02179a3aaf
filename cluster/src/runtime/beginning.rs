//! How a group that every node replicates begins in a folder, or a cluster, of before there was one.
//!
//! **Invariants:** it begins once: on the only node there is, before the cluster is founded, and
//! later on the node that `meta` names; its first report to `meta` ends the choice for good.

use std::time::Duration;

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Cluster, Command, Rejection};
use crate::runtime::asking::ask;
use crate::runtime::leaders::Known;
use crate::runtime::membership::{ClusterError, ClusterHandle, Newer};
use crate::runtime::postponed::Postponed;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::io::Input;

const ROUND: Duration = Duration::from_millis(50);

/// What this node is to do about a group that has no replica here.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    Begin,
    /// Say that it begins here.
    Claim {
        seen: u64,
    },
    Wait,
}

impl ClusterHandle {
    /// Whether this node has a part in each group that every node replicates; where one never
    /// began, it is begun. `leads_meta` was so before the cluster was last looked at.
    pub(crate) async fn holds_everywhere(
        &self,
        leads_meta: bool,
        founds: bool,
    ) -> Result<bool, Postponed> {
        let mut holds_all = true;
        for group in ShardId::EVERYWHERE {
            let known = self.services.leaders.of(group);
            // Of one that nobody leads its shard may not have told yet whether there is a replica.
            holds_all &= known.is_settled(group);
            if !matches!(known, Known::NotHeld(_)) {
                continue;
            }
            let cluster = self.known();
            match due(&cluster, group, self.services.node, leads_meta, founds) {
                Due::Begin => {
                    tracing::info!(shard.id = %group, "a group of all nodes begins here");
                    let actor = self.services.shards.get(group).ok_or(Postponed::Stopping)?;
                    ask(actor, ShardMessage::Input(Input::Begin))?;
                }
                Due::Claim { seen } => {
                    let wanted = vec![(group, vec![self.services.node])];
                    match self.execute(Command::Arrange { seen, wanted }).await {
                        Ok(_) | Err(ClusterError::Rejected(Rejection::StalePlan { .. })) => {}
                        Err(error) => tracing::warn!(%error, "a group cannot begin yet"),
                    }
                }
                Due::Wait => {}
            }
        }
        Ok(holds_all)
    }
}

fn due(cluster: &Cluster, group: ShardId, me: NodeId, leads_meta: bool, founds: bool) -> Due {
    if cluster.version() == 0 {
        return if leads_meta && founds { Due::Begin } else { Due::Wait };
    }
    let may_begin = |node| cluster.member(node).is_some_and(|member| member.standing.may_hold());
    let chosen = cluster.place(group).map(|place| (place.wanted.first(), place.voters.is_empty()));
    match chosen {
        Some((_, false)) => Due::Wait,
        Some((Some(node), true)) if *node == me => Due::Begin,
        Some((Some(node), true)) if may_begin(*node) => Due::Wait,
        Some((_, true)) | None if leads_meta => Due::Claim { seen: cluster.version() },
        Some((_, true)) | None => Due::Wait,
    }
}

/// A node that is alone looks until it holds everything.
pub(crate) async fn begin_alone(handle: ClusterHandle, founds: bool) {
    while !handle.services.shards.is_stopping() {
        match look_alone(&handle, founds).await {
            Ok(true) | Err(Postponed::Stopping) => return,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the cluster could not be looked at"),
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn look_alone(handle: &ClusterHandle, founds: bool) -> Result<bool, Postponed> {
    let leads_meta = handle.services.leaders.of(ShardId::META) == Known::Here;
    if let Newer::Cluster(newer) = handle.newer().await? {
        handle.services.cluster.send_replace(newer.into());
    }
    handle.holds_everywhere(leads_meta, founds).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::entity::Entity;
    use crate::placement::cluster::Event;
    use crate::placement::member::{FolderId, Levels, Member, Standing, Start};

    const ME: NodeId = NodeId(1);
    const OTHER: NodeId = NodeId(2);
    const GROUP: ShardId = ShardId::CATALOGUE;

    fn member(standing: Standing) -> Member {
        let levels = Levels { lowest: 1, highest: 1 };
        let folder = FolderId([0; 16]);
        let (address, zone) = ("a:1".to_owned(), "z".to_owned());
        Member { address, zone, levels, folder, start: Start::default(), standing }
    }

    fn founded(more: impl IntoIterator<Item = Event>) -> Cluster {
        let mut cluster = Cluster::default();
        let (shards, level) = (vec![ShardId(0), ShardId::META], 1);
        cluster.apply(&Event::Founded {
            first: ME,
            member: member(Standing::Active),
            shards,
            level,
        });
        cluster.apply(&Event::Joined { node: OTHER, member: member(Standing::Active) });
        for event in more {
            cluster.apply(&event);
        }
        cluster
    }

    fn named(node: NodeId) -> Event {
        Event::Arranged { shard: GROUP, wanted: vec![node] }
    }

    #[test]
    fn before_the_founding_it_begins_with_the_first_node_alone() {
        let unfounded = Cluster::default();
        assert_eq!(due(&unfounded, GROUP, ME, true, true), Due::Begin);
        assert_eq!(due(&unfounded, GROUP, ME, false, true), Due::Wait);
        assert_eq!(due(&unfounded, GROUP, ME, true, false), Due::Wait);
    }

    #[test]
    fn afterwards_it_begins_where_meta_says_and_nowhere_else() {
        let lacking = founded([]);
        assert_eq!(due(&lacking, GROUP, ME, false, true), Due::Wait);
        assert_eq!(due(&lacking, GROUP, ME, true, false), Due::Claim { seen: lacking.version() });
        let claimed = founded([named(OTHER)]);
        assert_eq!(due(&claimed, GROUP, OTHER, false, false), Due::Begin);
        assert_eq!(due(&claimed, GROUP, ME, true, true), Due::Wait);
    }

    #[test]
    fn a_node_that_is_gone_is_not_waited_for_unless_the_group_has_begun() {
        let standing = Event::StandingChanged { node: OTHER, standing: Standing::Lost };
        let gone = founded([named(OTHER), standing.clone()]);
        assert_eq!(due(&gone, GROUP, ME, true, true), Due::Claim { seen: gone.version() });
        let voters = BTreeSet::from([OTHER]);
        let begun = Event::Reported { shard: GROUP, voters, at: 1 };
        let begun = founded([named(OTHER), begun, standing]);
        assert_eq!(due(&begun, GROUP, ME, true, true), Due::Wait);
    }
}

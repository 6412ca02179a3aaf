//! What whoever leads `meta` tells the cluster, now and then.
//!
//! **Invariants:** it follows from what the cluster agreed on and who is silent, so a leader that
//! lost its lead in between does no harm: what it says is void or said again by the next one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::NodeId;
use crate::placement::cluster::{Cluster, Command, Fewer};
use crate::placement::giving_up::given_up;
use crate::placement::member::Standing;
use crate::placement::planner::{Rule, plan};

/// What is due, in this order. `silence` names the nodes that are not heard of now.
pub fn due(
    cluster: &Cluster,
    silence: &BTreeMap<NodeId, Duration>,
    rule: &Rule,
    replace_after: Duration,
) -> Vec<Command> {
    let mut due = Vec::new();
    let to = cluster.level_of_all();
    if to > cluster.level() {
        due.push(Command::RaiseLevel { to });
    }
    if let Some(node) = given_up(cluster, silence, replace_after) {
        due.push(Command::SetStanding { node, to: Standing::Lost, fewer: Fewer::Accept });
    }
    due.extend(cluster.departed().into_iter().map(|node| Command::SetStanding {
        node,
        to: Standing::Removed,
        fewer: Fewer::Refuse,
    }));
    let wanted = plan(cluster, &silence.keys().copied().collect(), rule);
    if !wanted.is_empty() {
        due.push(Command::Arrange { seen: cluster.version(), wanted });
    }
    due
}

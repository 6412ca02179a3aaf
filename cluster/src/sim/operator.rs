//! What operators do to a simulated cluster: machines join, are drained, removed, wiped; leads are
//! pinned and moved. Everything else the cluster does by itself.
//!
//! **Invariants:** a machine is wiped, or started with another folder, only while every group has all
//! the voters it is to have: losing a majority of disks is no fault that anything survives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::entity::Wire;
use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{Candidate, Command, Fewer, Rejection, Reply as Told};
use crate::placement::member::{NodeNumber, Standing};
use crate::shard::io::Reply;
use crate::sim::agent::{candidate, decrees};
use crate::sim::client::{Finished, Wish};
use crate::sim::cluster::Cluster;
use crate::sim::node::End;
use crate::time::Span;

const PATIENCE: Span = Span::from_secs(20);
/// Machines beyond those of the beginning.
const EXTRA_MAX: usize = 2;

/// Operators, all of them one client.
#[derive(Default)]
pub(crate) struct Operator {
    pub(crate) client: usize,
    waiting: VecDeque<Command>,
    /// What the cluster is being told.
    open: Option<Command>,
    folders: u64,
    /// Machines without a place in the cluster, by number.
    outside: BTreeMap<u16, Candidate>,
}

impl Cluster {
    /// Does one thing that an operator may do at any time.
    pub(crate) fn operate(&mut self) -> Result<(), End> {
        if self.operator.open.is_some() {
            return Ok(());
        }
        let (node, shard) = (self.any_node(), self.any_shard());
        match self.draw(10) {
            0..2 => self.tell(Command::SetStanding {
                node,
                to: Standing::Draining,
                fewer: Fewer::Refuse,
            }),
            2..4 => self.resume_all(),
            4 => self.tell(Command::Pin { shard, to: Some(node) }),
            5 => self.tell(Command::Transfer { shard, to: node }),
            6 => self.tell(Command::SetStanding {
                node,
                to: Standing::Leaving,
                fewer: Fewer::Refuse,
            }),
            7 => self.join_one(),
            _ => self.wipe(node),
        }
        Ok(())
    }

    /// What operators leave behind when all is well again.
    pub(crate) fn resume_all(&mut self) {
        for (node, standing) in self.standings() {
            if standing == Standing::Draining {
                let (to, fewer) = (Standing::Active, Fewer::Refuse);
                self.tell(Command::SetStanding { node, to, fewer });
            }
        }
        let pinned = self.agreed().map(|cluster| {
            let pins = cluster.places().filter(|(_, place)| place.pin.is_some());
            pins.map(|(shard, _)| shard).collect::<Vec<_>>()
        });
        for shard in pinned.unwrap_or_default() {
            self.tell(Command::Pin { shard, to: None });
        }
    }

    fn standings(&self) -> Vec<(NodeId, Standing)> {
        let members = self.agreed().map(|cluster| {
            cluster.members().map(|(node, member)| (node, member.standing)).collect()
        });
        members.unwrap_or_default()
    }

    fn tell(&mut self, command: Command) {
        self.operator.waiting.push_back(command);
    }

    /// A machine with an empty disk asks to belong.
    fn join_one(&mut self) {
        let n_most = usize::try_from(self.options.n_nodes).unwrap_or(0) + EXTRA_MAX;
        if self.nodes.len() + self.operator.outside.len() >= n_most {
            return;
        }
        let used = |number: &u64| {
            let taken = self.nodes.keys().any(|id| id.0 & 0xffff == *number);
            let known = self.standings().iter().any(|(id, _)| id.0 & 0xffff == *number);
            // Of two machines with one number the cluster takes the later and refuses the other for ever.
            let asks = |candidate: &Candidate| u64::from(candidate.number.get()) == *number;
            taken || known || self.operator.outside.values().any(asks)
        };
        let Some(number) = (1..u64::from(u16::MAX)).find(|number| !used(number)) else { return };
        self.come(number);
    }

    /// A machine of this number comes with a new folder.
    fn come(&mut self, number: u64) {
        let Ok(number) = NodeNumber::try_from(number) else { return };
        self.operator.folders += 1;
        let candidate = candidate(number, 1_000 + self.operator.folders);
        self.operator.outside.insert(number.get(), candidate.clone());
        self.tell(Command::Join(candidate));
    }

    /// A machine loses its disk and comes back as another.
    fn wipe(&mut self, node: NodeId) {
        if !self.is_settled() || self.machines_up() < self.nodes.len() || self.nodes.len() < 3 {
            return;
        }
        self.coverage.wiped += 1;
        self.say(|| format!("node {} loses its disk", node.0));
        self.replace(node);
    }

    /// A machine is gone for good; another one of its number comes.
    pub(crate) fn replace(&mut self, node: NodeId) {
        self.kill(node);
        self.nodes.remove(&node);
        self.come(node.0 & 0xffff);
    }

    /// Tells the cluster what waits to be told.
    pub(crate) fn operate_on(&mut self) {
        if self.operator.open.is_some() || !self.is_idle(self.operator.client) {
            return;
        }
        let Some(command) = self.operator.waiting.pop_front() else { return };
        self.say(|| format!("an operator tells the cluster {command:?}"));
        let wish = Wish::Command { key: None, body: command.to_bytes() };
        self.operator.open = Some(command);
        self.begin_for(self.operator.client, wish, PATIENCE);
    }

    /// What the cluster said to it.
    pub(crate) fn operated(&mut self, finished: &Finished) -> Result<(), End> {
        let Some(command) = self.operator.open.take() else { return Ok(()) };
        let told = match &finished.reply {
            Some(Reply::Accepted { reply: Some(reply), .. }) => Told::from_bytes(reply).ok(),
            Some(Reply::Rejected { rejection, .. }) => {
                let why = Rejection::from_bytes(rejection);
                self.say(|| format!("the cluster refuses: {why:?}"));
                None
            }
            Some(_) | None => None,
        };
        let Command::Join(candidate) = command else { return Ok(()) };
        match told {
            Some(Told::Member(id)) => {
                self.operator.outside.remove(&candidate.number.get());
                self.coverage.joined += 1;
                self.add_node(id, &[], candidate)
            }
            // It asks until it is told.
            Some(Told::Done) | None => {
                self.tell(Command::Join(candidate));
                Ok(())
            }
        }
    }

    /// Whether nobody is outside, and every group is where it is wanted.
    pub(crate) fn is_settled(&self) -> bool {
        let Some(agreed) = self.agreed() else { return false };
        let there = agreed.members().all(|(node, member)| match member.standing {
            Standing::Active | Standing::Draining => self.nodes.contains_key(&node),
            Standing::Leaving => false,
            Standing::Lost | Standing::Removed => true,
        });
        let is_still = self.operator.outside.is_empty()
            && self.operator.open.is_none()
            && self.operator.waiting.is_empty()
            && self.is_arranged();
        is_still
            && there
            && agreed.places().all(|(group, place)| {
                !place.is_moving()
                    && self.voters_of(group).is_some_and(|voters| voters == place.voters)
            })
    }

    /// Whether nothing is to be changed.
    fn is_arranged(&self) -> bool {
        self.agreed().is_some_and(|agreed| decrees(agreed, &BTreeMap::new()).is_empty())
    }

    /// Whether every group has all its voters, and so stands the loss of any node.
    pub(crate) fn may_lose_one(&self) -> bool {
        !self.is_governed() || self.is_settled()
    }

    /// Whether some group still counts on a machine that is gone for good.
    pub(crate) fn lacks_a_voter(&self) -> bool {
        let is_gone = |node: &NodeId| !self.nodes.contains_key(node);
        let Some(agreed) = self.agreed() else { return false };
        agreed.places().any(|(_, place)| place.voters.iter().any(is_gone))
    }

    fn voters_of(&self, group: ShardId) -> Option<BTreeSet<NodeId>> {
        Some(self.leading_core(group)?.lead_view()?.configuration.voters)
    }

    /// What an agent may not go on with: its machine comes back with an empty disk.
    pub(crate) fn refused(&mut self, node: NodeId, why: &Rejection) {
        self.say(|| format!("node {} may not go on: {why}", node.0));
        if matches!(why, Rejection::Removed { .. }) {
            self.kill(node);
            self.nodes.remove(&node);
        } else {
            self.replace(node);
        }
    }
}

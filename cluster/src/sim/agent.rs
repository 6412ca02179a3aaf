//! A simulated node's part in the cluster, as `runtime::membership` plays it on real ones: it reads
//! what the members agreed on, moves the groups it leads, and governs while it leads `meta`.
//!
//! **Invariants:** everything here can be lost at any moment, and is at a restart; what it decides,
//! it decides with the code of real nodes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::entity::Wire;
use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::{
    Candidate, Cluster as Agreed, Command, Query, Rejection, cluster_ref,
};
use crate::placement::governing;
use crate::placement::member::{FolderId, Levels, NodeNumber, Start};
use crate::placement::planner::Rule;
use crate::placement::steps::Step;
use crate::placement::tending::{self, Doubts, change_of};
use crate::shard::io::{self, Freshness, Input, Reply, Token};
use crate::sim::client::{Finished, Wish};
use crate::sim::cluster::{Cluster, Slot};
use crate::sim::events::Event;
use crate::sim::nemesis::NOBODY;
use crate::time::{Span, Timestamp};

/// Between looks at the cluster.
const LOOK: Span = Span::from_millis(200);
/// Looks between decrees.
const LOOKS_PER_DECREE: u64 = 5;
const LOOKS_PER_ANNOUNCEMENT: u64 = 25;
/// A peer that was not heard of for so long leads nothing by plan, and after the other is given up.
const SILENT_AFTER: Span = Span::from_secs(3);
const REPLACE_AFTER: Duration = Duration::from_secs(12);
const MOVES_AT_ONCE: usize = 3;
/// Before a handover that did not come about is tried again.
const HANDOVER_PAUSE: Span = Span::from_secs(1);
const PATIENCE: Span = Span::from_secs(5);
/// Tokens of what an agent asks its own replica.
const OWN: Token = 1 << 61;

/// What of a node's process is not in its groups.
pub(crate) struct Agent {
    /// Which of the clients it commands the cluster with.
    pub(crate) client: usize,
    me: Candidate,
    looks: u64,
    known: Agreed,
    is_announced: bool,
    heard: BTreeMap<NodeId, Timestamp>,
    /// Whether it led `meta` at its last look.
    governs: bool,
    /// What waits to be told to the cluster.
    decrees: VecDeque<Command>,
    handovers: BTreeMap<ShardId, Timestamp>,
}

/// A simulated node doubts nobody: its peers say nothing of themselves.
struct NoDoubts;

impl Doubts for NoDoubts {
    fn is_unfit(&self, _: NodeId) -> bool {
        false
    }

    fn declines(&self, _: NodeId, _: ShardId) -> bool {
        false
    }
}

/// What is due in a cluster, by the simulator's rule.
pub(crate) fn decrees(agreed: &Agreed, silence: &BTreeMap<NodeId, Duration>) -> Vec<Command> {
    let everywhere = BTreeSet::from(ShardId::EVERYWHERE);
    let rule = Rule { everywhere, moves_at_once: MOVES_AT_ONCE };
    governing::due(agreed, silence, &rule, REPLACE_AFTER)
}

/// What a machine says of itself; each folder is another.
pub(crate) fn candidate(number: NodeNumber, folder: u64) -> Candidate {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(folder.to_be_bytes()) {
        *to = from;
    }
    Candidate {
        number,
        address: format!("node-{number}:7400"),
        zone: "zone".to_owned(),
        levels: Levels::OWN,
        folder: FolderId(id),
        start: Start { epoch: 1, run: 1 },
    }
}

impl Agent {
    pub(crate) fn new(client: usize, me: Candidate) -> Self {
        Self {
            client,
            me,
            looks: 0,
            known: Agreed::default(),
            is_announced: false,
            heard: BTreeMap::new(),
            governs: false,
            decrees: VecDeque::new(),
            handovers: BTreeMap::new(),
        }
    }

    /// The process starts anew.
    pub(crate) fn restart(&mut self, life: u64) {
        let me = Candidate { start: Start { epoch: life, run: life }, ..self.me.clone() };
        *self = Self::new(self.client, me);
    }

    pub(crate) fn known(&self) -> &Agreed {
        &self.known
    }

    pub(crate) fn hears(&mut self, peer: NodeId, now: Timestamp) {
        self.heard.insert(peer, now);
    }

    /// Everybody slept, and nobody was silent.
    pub(crate) fn sleep(&mut self, span: Span) {
        for heard in self.heard.values_mut() {
            *heard = heard.plus(span);
        }
    }

    /// Its replica of `meta` says what it holds.
    pub(crate) fn learn(&mut self, reply: &Reply) {
        let Reply::Viewed { view, .. } = reply else { return };
        if let Ok(cluster) = Agreed::from_bytes(view)
            && cluster.version() > self.known.version()
        {
            self.known = cluster;
        }
    }

    /// What the cluster answered to a command. A node that may not go on is told so here.
    pub(crate) fn finish(&mut self, finished: &Finished) -> Result<(), Rejection> {
        match &finished.reply {
            Some(Reply::Accepted { .. }) => Ok(()),
            Some(Reply::Rejected { rejection, .. }) => match Rejection::from_bytes(rejection) {
                Ok(
                    why @ (Rejection::OldCopy { .. }
                    | Rejection::GivenUp { .. }
                    | Rejection::Removed { .. }),
                ) => Err(why),
                Ok(_) | Err(_) => {
                    self.is_announced &= self.known.version() > 0;
                    Ok(())
                }
            },
            // It may have come about; what is not so is found again.
            Some(_) | None => {
                self.is_announced = false;
                Ok(())
            }
        }
    }

    /// Says that it is there: at its start, and now and then, as it may have been given up meanwhile.
    fn announce(&mut self, id: NodeId, groups: &[ShardId]) {
        self.is_announced &= !self.looks.is_multiple_of(LOOKS_PER_ANNOUNCEMENT);
        if self.is_announced || !self.decrees.is_empty() {
            return;
        }
        self.is_announced = true;
        let me = self.me.clone();
        let is_founded = self.known.version() > 0;
        self.decrees.push_back(match id == NodeId(1) && !is_founded {
            true => Command::Found { first: me, shards: groups.to_vec(), level: 1 },
            false => Command::Join(me),
        });
    }

    fn silence(&self, me: NodeId, now: Timestamp) -> BTreeMap<NodeId, Duration> {
        let peers = self.known.members().filter(|(_, member)| member.standing.takes_part());
        let since = |node: NodeId| {
            let heard = self.heard.get(&node).copied().unwrap_or(now);
            now.since(heard)
        };
        peers
            .map(|(node, _)| node)
            .filter(|node| *node != me && since(*node) >= SILENT_AFTER)
            .map(|node| (node, Duration::from_micros(since(node).as_micros())))
            .collect()
    }

    /// What is due while this node leads `meta`.
    fn govern(&mut self, me: NodeId, now: Timestamp) {
        // Outside of here every link says something ten times a second, led or not; here only who leads is
        // answered by all, and was told nothing before.
        if !std::mem::replace(&mut self.governs, true) {
            self.heard.clear();
        }
        for (node, _) in self.known.members() {
            self.heard.entry(node).or_insert(now);
        }
        if !self.looks.is_multiple_of(LOOKS_PER_DECREE) || !self.decrees.is_empty() {
            return;
        }
        let silence = self.silence(me, now);
        self.decrees.extend(decrees(&self.known, &silence));
    }

    /// Does the next thing for a group that this node leads.
    fn tend(&mut self, slot: &Tending<'_>) -> Option<Input> {
        let Tending { me, group, view, now } = slot;
        let tended = tending::tend(*me, *group, &self.known, view, &NoDoubts)?;
        if let Some(report) = tended.report
            && !self.decrees.contains(&report)
        {
            self.decrees.push_back(report);
        }
        match tended.step? {
            Step::TransferLead(to) => {
                let tried = self.handovers.get(group).copied().unwrap_or(Timestamp::ZERO);
                if now.since(tried) < HANDOVER_PAUSE {
                    return None;
                }
                self.handovers.insert(*group, *now);
                Some(Input::TransferLead { to })
            }
            step @ (Step::AddLearners(_) | Step::Become { .. }) => {
                let change = change_of(&step, view);
                Some(Input::ChangeMembers { token: NOBODY, change })
            }
        }
    }
}

/// A group that is led here.
struct Tending<'a> {
    me: NodeId,
    group: ShardId,
    view: &'a crate::shard::lead_view::LeadView,
    now: Timestamp,
}

impl Cluster {
    pub(crate) fn look_soon(&mut self, node: NodeId, life: u64) {
        if self.is_governed() {
            let pause = Span::from_micros(self.random.below(LOOK.as_micros()));
            self.after(LOOK.plus(pause), Event::Look { node, life });
        }
    }

    /// One round of a node's agent.
    pub(crate) fn look(&mut self, node: NodeId, life: u64) {
        if self.slot(node, life).is_none() {
            return;
        }
        self.look_soon(node, life);
        let (now, groups) = (self.now, self.groups());
        let Some(slot) = self.awake(node, life) else { return };
        slot.agent.looks += 1;
        slot.agent.governs &=
            slot.node.core(ShardId::META).is_some_and(|it| it.lead_view().is_some());
        slot.agent.announce(node, &groups);
        ask_own_replica(slot, node);
        for group in groups {
            let Some(view) = slot.node.core(group).and_then(|core| core.lead_view()) else {
                continue;
            };
            let tending = Tending { me: node, group, view: &view, now };
            if let Some(input) = slot.agent.tend(&tending) {
                slot.node.send(group, input);
            }
            if group == ShardId::META {
                slot.agent.govern(node, now);
            }
        }
        let client = slot.agent.client;
        if let Some(command) = self.next_decree(node, client) {
            self.say(|| format!("node {} tells the cluster {command:?}", node.0));
            let wish = Wish::Command { key: None, body: command.to_bytes() };
            self.begin_for(client, wish, PATIENCE);
        }
        self.want_turn(node);
    }

    fn next_decree(&mut self, node: NodeId, client: usize) -> Option<Command> {
        if !self.is_idle(client) {
            return None;
        }
        self.nodes.get_mut(&node)?.agent.decrees.pop_front()
    }
}

fn ask_own_replica(slot: &mut Slot, node: NodeId) {
    let query = io::Query {
        entity: cluster_ref(),
        at_least: 0,
        freshness: Freshness::Position,
        not_after: slot.node.now.plus(PATIENCE),
        body: Query::Whole.to_bytes(),
    };
    slot.node.send(ShardId::META, Input::Query { token: OWN + node.0, query });
}

/// Whose own question a token is.
pub(crate) fn asked_by_own(token: Token) -> bool {
    token >= OWN
}

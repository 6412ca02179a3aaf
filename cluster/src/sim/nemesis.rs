//! What is done to a cluster: everything its fault model names.
//!
//! **Invariants:** a fault is drawn from the seed and ends by itself, or with `heal`; wiping a disk
//! takes the node's id with it, as a node that forgot its votes must not come back as itself.

use crate::ids::{NodeId, ShardId};
use crate::placement::member::NodeNumber;
use crate::replication::members::{GroupMembers, MemberChange, MemberStep};
use crate::shard::io::Input;
use crate::sim::agent::candidate;
use crate::sim::cluster::{Cluster, Slot};
use crate::sim::events::Event;
use crate::sim::node::{End, fault};
use crate::time::Span;

/// Tokens of changes nobody waits for.
pub(crate) const NOBODY: u64 = 1 << 60;
/// One restart in so many finds no state index.
const INDEX_WIPED_ONE_IN: u64 = 6;

impl Cluster {
    /// Does one thing to the cluster. Leaves a majority of machines running.
    pub fn disturb(&mut self) -> Result<(), End> {
        let node = self.any_node();
        match self.draw(100) {
            0..14 => self.crash(node),
            14..24 => self.pause(node),
            24..38 => self.part(node),
            38..40 => self.resets_asker = true,
            40..48 => self.net.loss_one_in = 4 + self.random.below(30),
            48..62 => self.net.heal(),
            62..68 => self.fail_disk(node),
            68..74 => self.set_clock(node),
            74..79 => self.slow_disk(node),
            79..81 => self.fill_disk(node),
            81..86 => self.transfer(),
            86..88 => self.silence_port(),
            88..90 => self.cut_power(),
            90..94 => self.lull(),
            _ if self.is_governed() => self.operate()?,
            _ => self.change_members()?,
        }
        Ok(())
    }

    /// Ends every fault, except that `broken` stays as it is.
    pub fn heal(&mut self, broken: Option<NodeId>) {
        self.net.heal();
        self.resets_asker = false;
        self.port.be_silent(self.now);
        self.resume_all();
        if let Some(broken) = broken {
            self.isolate(broken);
        }
        let down: Vec<_> =
            self.nodes.iter().filter(|(_, slot)| !slot.is_up).map(|(id, _)| *id).collect();
        for node in down {
            self.restart_after(Span::from_millis(1), node);
        }
        for slot in self.nodes.values_mut() {
            slot.paused_until = slot.paused_until.min(self.now);
            slot.node.disk.fail_sync(u64::MAX);
            slot.node.disk.fail_write(u64::MAX);
            slot.node.disk.set_capacity(None);
            slot.sync_micros_max = 2_000;
        }
    }

    /// Ends whatever ails the world outside.
    pub fn heal_outside(&mut self) {
        self.port.heal(self.now);
    }

    pub(crate) fn machines_up(&self) -> usize {
        self.nodes.values().filter(|slot| slot.is_up).count()
    }

    /// Whether a majority is left when one more machine goes down: of the machines, and of every group
    /// that waits for another in place of one that is gone for good.
    pub(crate) fn can_lose_one(&self) -> bool {
        self.machines_up() * 2 > self.nodes.len() + 1 && !self.lacks_a_voter()
    }

    pub(crate) fn others(&self, node: NodeId) -> Vec<NodeId> {
        self.nodes.keys().copied().filter(|other| *other != node).collect()
    }

    fn crash(&mut self, node: NodeId) {
        if !self.can_lose_one() {
            return;
        }
        // Rather one whose promises are on their way to its disk.
        let writes = |slot: &&Slot| slot.is_up && slot.node.is_writing();
        let writing = self.nodes.iter().find(|(_, slot)| writes(slot)).map(|(id, _)| *id);
        let node = writing.unwrap_or(node);
        self.coverage.crashes += 1;
        self.kill(node);
        let quick = self.random.one_in(2);
        let pause = 50 + self.random.below(if quick { 300 } else { 6_000 });
        self.restart_after(Span::from_millis(pause), node);
    }

    /// All at once: nothing that was not synced is anywhere any more.
    fn cut_power(&mut self) {
        let all: Vec<_> = self.nodes.keys().copied().collect();
        for node in all {
            self.coverage.crashes += 1;
            self.kill(node);
            let pause = Span::from_millis(100 + self.random.below(1_000));
            self.restart_after(pause, node);
        }
    }

    /// Ends a node's process and cuts its power.
    pub(crate) fn kill(&mut self, node: NodeId) {
        self.say(|| format!("node {} loses power", node.0));
        let Some(slot) = self.nodes.get_mut(&node) else { return };
        slot.life += 1;
        slot.is_up = false;
        slot.node.lose_power();
        // A process that ends resets its connections; a machine without power does not.
        if self.random.one_in(2) {
            self.lose(node);
        }
    }

    /// Lets all others know that the connection to a node broke.
    fn lose(&mut self, node: NodeId) {
        for other in self.others(node) {
            if let Some(slot) = self.nodes.get_mut(&other).filter(|slot| slot.is_up) {
                slot.node.lose(node);
                self.want_turn(other);
            }
        }
    }

    pub(crate) fn restart(&mut self, node: NodeId) -> Result<(), End> {
        let now = self.now;
        let wipes = self.random.one_in(INDEX_WIPED_ONE_IN);
        let Some(slot) = self.nodes.get_mut(&node).filter(|slot| !slot.is_up) else {
            return Ok(());
        };
        slot.paused_until = now;
        slot.node.now = slot.clock.read(now);
        if wipes {
            slot.node.index.wipe();
        }
        slot.node.restart()?;
        self.check_start(node)?;
        self.say(|| format!("node {} starts again", node.0));
        self.began(node);
        Ok(())
    }

    fn pause(&mut self, node: NodeId) {
        let until = self.now.plus(Span::from_millis(50 + self.random.below(4_000)));
        self.coverage.pauses += 1;
        self.say(|| format!("node {} pauses until {}", node.0, until.as_micros()));
        if let Some(slot) = self.nodes.get_mut(&node) {
            slot.paused_until = until;
        }
    }

    /// Cuts a node off: from everybody or somebody, both ways or one.
    fn part(&mut self, node: NodeId) {
        self.coverage.cuts += 1;
        self.say(|| format!("node {} is cut off", node.0));
        let others = self.others(node);
        match self.draw(3) {
            0 => self.isolate(node),
            1 => {
                for other in others {
                    self.net.cut(node, other);
                }
            }
            _ => {
                let nth = usize::try_from(self.random.below(2)).unwrap_or(0);
                if let Some(other) = others.get(nth) {
                    self.net.cut(*other, node);
                }
            }
        }
    }

    fn isolate(&mut self, node: NodeId) {
        for other in self.others(node) {
            self.net.cut(node, other);
            self.net.cut(other, node);
        }
    }

    fn fail_disk(&mut self, node: NodeId) {
        if !self.can_lose_one() {
            return;
        }
        let nth = 1 + self.random.below(20);
        self.say(|| format!("the disk of node {} will fail", node.0));
        let fails_write = self.random.one_in(2);
        if let Some(slot) = self.nodes.get(&node).filter(|slot| slot.is_up) {
            match fails_write {
                true => slot.node.disk.fail_write(nth),
                false => slot.node.disk.fail_sync(nth),
            }
        }
    }

    fn slow_disk(&mut self, node: NodeId) {
        let micros = 2_000 + self.random.below(150_000);
        if let Some(slot) = self.nodes.get_mut(&node) {
            slot.sync_micros_max = micros;
        }
    }

    /// The world outside does what it is asked for, and nobody hears of it.
    fn silence_port(&mut self) {
        let until = self.now.plus(Span::from_millis(2_000 + self.random.below(20_000)));
        self.coverage.silences += 1;
        self.say(|| format!("the world outside is silent until {}", until.as_micros()));
        self.port.be_silent(until);
    }

    /// Leaves next to nothing free for a while.
    fn fill_disk(&mut self, node: NodeId) {
        let left = self.random.below(32 << 10);
        let pause = Span::from_millis(500 + self.random.below(5_000));
        let Some(slot) = self.nodes.get(&node) else { return };
        slot.node.disk.set_capacity(Some(slot.node.disk.used() + left));
        self.say(|| format!("the disk of node {} has {left} bytes left", node.0));
        self.after(pause, Event::FreeDisk { node });
    }

    pub(crate) fn free_disk(&mut self, node: NodeId) {
        if let Some(slot) = self.nodes.get(&node) {
            slot.node.disk.set_capacity(None);
        }
    }

    fn set_clock(&mut self, node: NodeId) {
        let wrong = Span::from_millis(self.random.below(4_000));
        let ahead = self.random.one_in(2);
        self.coverage.clocks_set += 1;
        self.say(|| {
            let way = if ahead { "ahead" } else { "behind" };
            format!("node {} has its clock {} us {way}", node.0, wrong.as_micros())
        });
        if let Some(slot) = self.nodes.get_mut(&node) {
            let none = Span::from_micros(0);
            if ahead { slot.clock.set(wrong, none) } else { slot.clock.set(none, wrong) }
        }
    }

    /// Lets clients ask nothing for a while, so that groups come to rest.
    fn lull(&mut self) {
        self.lull_until = self.now.plus(Span::from_millis(500 + self.random.below(4_000)));
    }

    /// Asks a leader to hand over.
    fn transfer(&mut self) {
        let shard = self.any_shard();
        let to = self.any_node();
        if let Some(leader) = self.leader_of(shard) {
            self.coverage.transfers += 1;
            self.tell_core(leader, shard, Input::TransferLead { to });
        }
    }

    pub(crate) fn any_shard(&mut self) -> ShardId {
        let n = self.draw(u64::from(self.options.world.n_shards));
        ShardId(u32::try_from(n).unwrap_or(0))
    }

    /// A running node that leads a shard, by its own word.
    pub(crate) fn leader_of(&self, shard: ShardId) -> Option<NodeId> {
        let mut leading = self.nodes.iter().filter_map(|(id, slot)| {
            let status = slot.node.core(shard).filter(|_| slot.is_up)?.status();
            status.leads.then_some((status.term, *id))
        });
        let first = leading.next()?;
        Some(leading.fold(first, |best, next| best.max(next)).1)
    }

    fn tell_core(&mut self, node: NodeId, shard: ShardId, input: Input) {
        if let Some(slot) = self.nodes.get_mut(&node).filter(|slot| slot.is_up) {
            slot.node.send(shard, input);
            self.want_turn(node);
        }
    }

    /// Takes one step of moving a replica: a learner comes, becomes a voter in place of another,
    /// and the other one goes. Now and then a whole machine is replaced.
    fn change_members(&mut self) -> Result<(), End> {
        let shard = self.shard_to_change();
        let Some(leader) = self.leader_of(shard) else { return Ok(()) };
        let Some(members) = self.members_of(leader, shard) else { return Ok(()) };
        if members.is_changing() {
            return Ok(());
        }
        let spare = self.nodes.keys().copied().find(|node| !members.contains(*node));
        let steps = match (members.learners.first(), spare) {
            (Some(learner), _) => {
                let learner = NodeId(*learner);
                if !self.is_caught_up(learner, leader, shard) {
                    return Ok(());
                }
                let goes = members.voters.iter().copied().find(|voter| NodeId(*voter) != leader);
                let Some(goes) = goes.map(NodeId) else { return Ok(()) };
                vec![MemberStep::AddVoter(learner), MemberStep::Remove(goes)]
            }
            (None, Some(spare)) => vec![MemberStep::AddLearner(spare)],
            (None, None) => {
                let next = self.nodes.keys().next_back().map_or(1, |last| last.0 + 1);
                if self.nodes.len() >= usize::try_from(self.options.n_nodes).unwrap_or(0) + 2 {
                    return Ok(());
                }
                let number = NodeNumber::try_from(next).map_err(|error| fault(&error))?;
                self.coverage.joined += 1;
                return self.add_node(NodeId(next), &[], candidate(number, next));
            }
        };
        let joins = members.learners.first().copied().map(NodeId);
        let change = MemberChange { steps };
        self.tell_core(leader, shard, Input::ChangeMembers { token: NOBODY, change });
        if let Some(learner) = joins {
            self.part_soon(leader, learner);
        }
        Ok(())
    }

    /// While members change, their leader is cut off with some of them: as each side could take
    /// itself for a majority then.
    fn part_soon(&mut self, leader: NodeId, learner: NodeId) {
        if self.random.one_in(3) {
            return;
        }
        let mut with = vec![leader, learner];
        if self.random.one_in(3) {
            with.push(self.any_node());
        }
        let pause = Span::from_micros(self.random.below(6_000));
        self.after(pause, Event::Part { with });
    }

    pub(crate) fn part_in_two(&mut self, with: &[NodeId]) {
        let all = self.nodes.keys().copied();
        let without: Vec<_> = all.filter(|node| !with.contains(node)).collect();
        self.coverage.cuts += 1;
        self.say(|| format!("{with:?} are cut off from {without:?}"));
        for one in with {
            for other in &without {
                self.net.cut(*one, *other);
                self.net.cut(*other, *one);
            }
        }
    }

    /// Rather one that has a learner, so that it becomes a voter some day.
    fn shard_to_change(&mut self) -> ShardId {
        let any = self.any_shard();
        if self.random.one_in(3) {
            return any;
        }
        let has_learner = |shard: &ShardId| {
            let leader = self.leader_of(*shard);
            let members = leader.and_then(|leader| self.members_of(leader, *shard));
            members.is_some_and(|members| !members.learners.is_empty())
        };
        self.map.shards().find(has_learner).unwrap_or(any)
    }

    fn members_of(&self, node: NodeId, shard: ShardId) -> Option<GroupMembers> {
        Some(self.nodes.get(&node)?.node.core(shard)?.members().clone())
    }

    /// Whether a learner could vote: its state is whole and close to the leader's.
    fn is_caught_up(&self, learner: NodeId, leader: NodeId, shard: ShardId) -> bool {
        let status = |node: NodeId| {
            let slot = self.nodes.get(&node).filter(|slot| slot.is_up)?;
            Some(slot.node.core(shard)?.status())
        };
        let (Some(learner), Some(leader)) = (status(learner), status(leader)) else { return false };
        learner.whole && learner.applied + 100 >= leader.applied
    }
}

//! What happens in a simulated cluster, one event after the other.
//!
//! **Invariants:** what was on its way inside a process ends with it; what happens inside a paused
//! one happens when it goes on.

use crate::ids::{NodeId, ShardId};
use crate::shard::io::Input;
use crate::sim::cluster::{Cluster, TICK};
use crate::sim::net::Packet;
use crate::sim::node::End;
use crate::time::{Span, Timestamp};

/// One tick in so many begins a snapshot.
const CHECKPOINT_ONE_IN: u64 = 10;
/// And one in so many raises a floor of the state index.
const FLOOR_ONE_IN: u64 = 4;
/// What the state index does at a time, and how long it takes.
const INDEX_JOBS_MAX: u64 = 6;
const INDEX_MICROS_MAX: u64 = 2_500;

pub(crate) enum Event {
    Arrive {
        from: NodeId,
        to: NodeId,
        packet: Packet,
    },
    Turn {
        node: NodeId,
        life: u64,
    },
    Synced {
        node: NodeId,
        life: u64,
    },
    /// The state index is done with some of what it was asked for.
    Indexed {
        node: NodeId,
        life: u64,
    },
    Tick {
        node: NodeId,
        life: u64,
    },
    Answer {
        node: NodeId,
        life: u64,
        shard: ShardId,
        input: Box<Input>,
    },
    Client {
        nth: usize,
    },
    /// The node's agent looks at the cluster.
    Look {
        node: NodeId,
        life: u64,
    },
    Restart {
        node: NodeId,
    },
    /// The machine is reset.
    Reset {
        node: NodeId,
    },
    /// Somebody made room on a disk.
    FreeDisk {
        node: NodeId,
    },
    /// These are cut off from all others.
    Part {
        with: Vec<NodeId>,
    },
}

impl Cluster {
    /// What happens inside a paused node happens when it goes on.
    fn put_off(&mut self, event: Event) -> Option<Event> {
        let node = match &event {
            Event::Turn { node, .. }
            | Event::Synced { node, .. }
            | Event::Indexed { node, .. }
            | Event::Look { node, .. }
            | Event::Answer { node, .. } => *node,
            Event::Arrive { .. }
            | Event::Tick { .. }
            | Event::Client { .. }
            | Event::Restart { .. }
            | Event::Reset { .. }
            | Event::FreeDisk { .. }
            | Event::Part { .. } => return Some(event),
        };
        let until = self.nodes.get(&node).map_or(Timestamp::ZERO, |slot| slot.paused_until);
        if until <= self.now {
            return Some(event);
        }
        self.after(until.since(self.now), event);
        None
    }

    pub(crate) fn handle(&mut self, event: Event) -> Result<(), End> {
        let Some(event) = self.put_off(event) else { return Ok(()) };
        match event {
            Event::Arrive { from, to, packet } => self.arrive(from, to, packet)?,
            Event::Turn { node, life } => {
                if let Some(slot) = self.awake(node, life) {
                    slot.turn_is_due = false;
                    self.turn(node)?;
                }
            }
            Event::Synced { node, life } => {
                if let Some(slot) = self.awake(node, life) {
                    let synced = slot.node.finish_write();
                    self.survive(node, synced)?;
                    self.want_turn(node);
                }
            }
            Event::Indexed { node, life } => {
                let jobs = 1 + usize::try_from(self.random.below(INDEX_JOBS_MAX)).unwrap_or(0);
                if let Some(slot) = self.awake(node, life) {
                    slot.index_is_due = false;
                    let worked = slot.node.work_index(jobs);
                    self.survive(node, worked)?;
                    self.want_turn(node);
                }
            }
            Event::Tick { node, life } => {
                if self.slot(node, life).is_some() {
                    self.after(TICK, Event::Tick { node, life });
                }
                if let Some(slot) = self.awake(node, life) {
                    slot.node.tick_all();
                    let begins = self.random.one_in(CHECKPOINT_ONE_IN);
                    self.checkpoint(node, begins)?;
                    self.raise_floor(node);
                    self.ask_chunks(node);
                    self.want_turn(node);
                }
            }
            Event::Answer { node, life, shard, input } => {
                if let Some(slot) = self.awake(node, life) {
                    slot.node.send(shard, *input);
                    self.want_turn(node);
                }
            }
            Event::Client { nth } => self.act(nth)?,
            Event::Look { node, life } => self.look(node, life),
            Event::Restart { node } => self.restart(node)?,
            Event::Reset { node } => self.reset(node),
            Event::FreeDisk { node } => self.free_disk(node),
            Event::Part { with } => self.part_in_two(&with),
        }
        Ok(())
    }

    fn raise_floor(&mut self, node: NodeId) {
        let begins = self.random.one_in(FLOOR_ONE_IN);
        let slot = self.nodes.get_mut(&node).filter(|slot| slot.is_up);
        let Some(slot) = slot.filter(|slot| begins || slot.node.raising.is_some()) else { return };
        slot.node.advance_floor();
    }

    /// Takes a snapshot a step further, or begins one.
    fn checkpoint(&mut self, node: NodeId, begins: bool) -> Result<(), End> {
        let Some(slot) = self.nodes.get_mut(&node) else { return Ok(()) };
        let wanted = !slot.node.wanted.is_empty();
        if !begins && !wanted && slot.node.checkpoint.is_none() {
            return Ok(());
        }
        let kept = slot.node.advance_checkpoint();
        self.survive(node, kept)
    }

    /// Gives every shard of a node its inputs, and carries on what comes out.
    fn turn(&mut self, node: NodeId) -> Result<(), End> {
        for shard in self.groups() {
            let Some(slot) = self.nodes.get_mut(&node) else { return Ok(()) };
            let mut worked = false;
            let mut done = Ok(());
            while done.is_ok() && slot.node.inbox_of(shard).is_some_and(|inbox| !inbox.is_empty()) {
                worked = true;
                done = slot.node.deliver(shard);
            }
            if !worked {
                continue;
            }
            let done = done.and_then(|()| slot.node.flush(shard));
            self.survive(node, done)?;
            self.check_leader(node, shard)?;
        }
        self.carry_away(node)?;
        self.want_index(node);
        self.write(node)
    }

    /// The state index works beside the shards, at its own pace.
    fn want_index(&mut self, node: NodeId) {
        let Some(slot) = self.nodes.get_mut(&node).filter(|slot| slot.is_up) else { return };
        if slot.index_is_due || slot.node.index.is_idle() {
            return;
        }
        slot.index_is_due = true;
        let life = slot.life;
        let micros = 30 + self.random.below(INDEX_MICROS_MAX);
        self.after(Span::from_micros(micros), Event::Indexed { node, life });
    }

    /// One write under way at a time, as production does it.
    fn write(&mut self, node: NodeId) -> Result<(), End> {
        let micros = {
            let Some(slot) = self.nodes.get_mut(&node).filter(|slot| slot.is_up) else {
                return Ok(());
            };
            if slot.node.is_writing() || slot.node.appends_waiting() == 0 {
                return Ok(());
            }
            let begun = slot.node.begin_write(usize::MAX);
            let micros = slot.sync_micros_max;
            self.survive(node, begun)?;
            micros
        };
        let Some(life) = self.nodes.get(&node).map(|slot| slot.life) else { return Ok(()) };
        let took = Span::from_micros(100 + self.random.below(micros));
        self.after(took, Event::Synced { node, life });
        Ok(())
    }
}

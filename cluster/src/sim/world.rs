//! One node driven step by step from one seed: what survives crashes of a cluster of one.
//!
//! **Invariants:** as those of the node; any step may be the last before a crash.
//!
//! What the world does not know is what the entities mean: a workload submits commands and judges
//! the replies.

use storage::sim_disk::SimDisk;

use crate::ids::{EntityKey, NodeId, ShardId};
use crate::shard::io::{Command, Input, Output, Query, Reply, Token};
use crate::sim::node::SimNode;
use crate::time::{Span, Timestamp};

pub use crate::sim::node::{End, WorldOptions, WorldStats};

pub struct World {
    node: SimNode,
    replies: Vec<(Token, Reply)>,
    last_token: Token,
    /// Whether messages between shards may be lost and doubled.
    lossy: bool,
}

impl World {
    pub fn new(seed: u64, options: WorldOptions) -> Result<Self, End> {
        let only = NodeId(1);
        let node = SimNode::new(only, seed, &[only], options)?;
        let mut world = Self { node, replies: Vec::new(), last_token: 0, lossy: true };
        world.carry_on()?;
        Ok(world)
    }

    /// A number below `bound`, from the seed.
    pub fn draw(&mut self, bound: u64) -> u64 {
        self.node.draw(bound)
    }

    pub fn now(&self) -> Timestamp {
        self.node.now
    }

    pub fn disk(&self) -> &SimDisk {
        &self.node.disk
    }

    pub fn stats(&self) -> WorldStats {
        self.node.stats
    }

    pub fn submit(&mut self, command: Command) -> Token {
        self.last_token += 1;
        let token = self.last_token;
        let shard = self.shard_of(&command.entity.key);
        self.node.send(shard, Input::Command { token, command });
        token
    }

    pub fn query(&mut self, query: Query) -> Token {
        self.last_token += 1;
        let token = self.last_token;
        let shard = self.shard_of(&query.entity.key);
        self.node.send(shard, Input::Query { token, query });
        token
    }

    pub fn shard_of(&self, key: &EntityKey) -> ShardId {
        self.node.map().shard_of(key.slot())
    }

    pub fn take_replies(&mut self) -> Vec<(Token, Reply)> {
        std::mem::take(&mut self.replies)
    }

    /// Lets one thing happen.
    pub fn step(&mut self) -> Result<(), End> {
        self.node.now = self.node.now.plus(Span::from_micros(1 + self.draw(500)));
        match self.draw(100) {
            0..50 => {
                let shard = self.node.draw_shard();
                self.node.deliver(shard)?;
            }
            50..75 => {
                let shard = self.node.draw_shard();
                self.node.flush(shard)?;
            }
            75..90 => self.write_batch()?,
            90..94 => self.tick(),
            94 => self.node.advance_floor(),
            _ => self.node.advance_checkpoint()?,
        }
        self.carry_on()
    }

    /// Runs until nothing is on its way any more. Nothing is lost meanwhile.
    pub fn settle(&mut self) -> Result<(), End> {
        self.lossy = false;
        let settled = self.run_down();
        self.lossy = true;
        settled
    }

    fn run_down(&mut self) -> Result<(), End> {
        const ROUNDS_MAX: u32 = 10_000;
        for round in 0..ROUNDS_MAX {
            if round >= 40 && self.node.cores.iter().all(|core| core.status().waiting_tells == 0) {
                return Ok(());
            }
            self.tick();
            for shard in self.node.map().shards() {
                while self.node.inbox_of(shard).is_some_and(|inbox| !inbox.is_empty()) {
                    self.node.deliver(shard)?;
                    self.carry_on()?;
                }
                self.node.flush(shard)?;
                self.carry_on()?;
            }
            self.write_batch()?;
        }
        Err(End::Fault { why: "tells are still waiting".to_owned() })
    }

    /// Cuts the power and starts again from what the disk kept.
    pub fn crash(&mut self) -> Result<(), End> {
        self.node.lose_power();
        self.reopen()
    }

    /// Starts again as a new process on the same disk.
    pub fn reopen(&mut self) -> Result<(), End> {
        self.replies.clear();
        self.node.restart()?;
        self.carry_on()
    }

    fn tick(&mut self) {
        self.node.now = self.node.now.plus(Span::from_millis(100));
        self.node.tick_all();
    }

    fn write_batch(&mut self) -> Result<(), End> {
        let waiting = self.node.appends_waiting();
        let reached = self.draw(u64::try_from(waiting).unwrap_or(0)) + 1;
        self.node.begin_write(usize::try_from(reached).unwrap_or(waiting))?;
        self.node.finish_write()
    }

    /// Everything stays on this node, if it arrives.
    fn carry_on(&mut self) -> Result<(), End> {
        self.node.work_index(usize::MAX)?;
        for (shard, output) in self.node.take_away() {
            match output {
                Output::Reply { token, reply } => self.replies.push((token, reply)),
                Output::Tell { target, tell } => match self.draw(8) {
                    0 if self.lossy => self.node.stats.tells_lost += 1,
                    1 => {
                        self.node.send(target, Input::Told(tell.clone()));
                        self.node.send(target, Input::Told(tell));
                    }
                    _ => self.node.send(target, Input::Told(tell)),
                },
                Output::AckTells { source, up_to } => {
                    if self.draw(4) > 0 || !self.lossy {
                        self.node.send(source, Input::TellsAcked { target: shard, up_to });
                    }
                }
                Output::Append { .. }
                | Output::AppendLazily(_)
                | Output::Send { .. }
                | Output::Rests(_)
                | Output::Wakes
                | Output::CannotRest { .. }
                | Output::ReadLog { .. }
                | Output::SnapshotWanted
                | Output::Fetch { .. }
                | Output::Install { .. }
                | Output::Members(_)
                | Output::Load { .. }
                | Output::Store { .. }
                | Output::Invoke { .. }
                | Output::Published { .. }
                | Output::Leads(_)
                | Output::ClockStepped { .. }
                | Output::Panicked { .. }
                | Output::Quarantined { .. }
                | Output::IndexDamaged { .. }
                | Output::Fenced { .. } => {}
            }
        }
        Ok(())
    }
}

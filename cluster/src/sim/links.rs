//! What leaves a node and where it arrives: messages, tells, replies, pieces of snapshots.
//!
//! **Invariants:** a message travels as the bytes it has on a real wire; what arrives at a machine
//! that is down is gone, and at a paused one it waits.

use std::sync::Arc;

use crate::entity::Answer;
use crate::ids::{EntityRef, NodeId, ShardId};
use crate::replication::offer::SnapshotOffer;
use crate::replication::transfer::{ChunkWanted, Transfer, read_chunk};
use crate::shard::io::{Input, Invocation, Output};
use crate::sim::agent::asked_by_own;
use crate::sim::client::Client;
use crate::sim::cluster::Cluster;
use crate::sim::events::Event;
use crate::sim::net::Packet;
use crate::sim::node::{Away, End, fault};
use crate::sim::port::Line;
use crate::time::Span;

/// Small pieces, so that a transfer has several and is cut in between.
const CHUNK_BYTES: usize = 700;
const SNAPSHOT_DIR: &str = "snapshots";

impl Cluster {
    pub(crate) fn carry_away(&mut self, node: NodeId) -> Result<(), End> {
        let away = match self.nodes.get_mut(&node) {
            Some(slot) if slot.is_up => slot.node.take_away(),
            Some(_) | None => return Ok(()),
        };
        for (shard, said) in
            self.nodes.get_mut(&node).map(|s| s.node.take_said()).into_iter().flatten()
        {
            self.witness.hear(node, shard, said).map_err(|why| fault(&why))?;
            if said.is_question() {
                self.note_question(node, shard);
            }
        }
        away.into_iter().try_for_each(|away| self.carry(node, away))?;
        let frames = self.nodes.get_mut(&node).map(|slot| slot.node.take_frames());
        for (to, frame) in frames.unwrap_or_default() {
            self.send(node, to, Packet::Raft(frame));
        }
        Ok(())
    }

    fn carry(&mut self, node: NodeId, (shard, output): Away) -> Result<(), End> {
        match output {
            Output::Reply { token, reply } => {
                if asked_by_own(token) {
                    if let Some(slot) = self.nodes.get_mut(&node) {
                        slot.agent.learn(&reply);
                    }
                    return Ok(());
                }
                let client = usize::try_from(Client::of(token)).unwrap_or(usize::MAX);
                let client = self.address_of(client);
                self.send(node, client, Packet::Reply { token, reply });
            }
            Output::Tell { target, tell } => {
                self.coverage.tells += 1;
                let to = self.leader_as_seen(node, target);
                self.send(node, to, Packet::Tell { target, tell });
            }
            Output::AckTells { source, up_to } => {
                let to = self.leader_as_seen(node, source);
                self.send(node, to, Packet::AckTells { source, target: shard, up_to });
            }
            Output::Fetch { from, offer } => self.begin_transfer(node, shard, from, offer),
            Output::Invoke { entity, invocation } => {
                self.invoke(node, shard, entity, invocation)?
            }
            Output::Members(members) => {
                self.coverage.member_changes += 1;
                self.say(|| format!("node {} has shard {shard} with {members:?}", node.0));
            }
            Output::Send { .. }
            | Output::Append { .. }
            | Output::AppendLazily(_)
            | Output::Rests(_)
            | Output::Wakes
            | Output::CannotRest { .. }
            | Output::ReadLog { .. }
            | Output::SnapshotWanted
            | Output::Install { .. }
            | Output::Load { .. }
            | Output::Store { .. }
            | Output::Published { .. }
            | Output::Leads(_)
            | Output::ClockStepped { .. }
            | Output::Panicked { .. }
            | Output::Quarantined { .. }
            | Output::IndexDamaged { .. }
            | Output::Fenced { .. } => {}
        }
        Ok(())
    }

    /// Asks the world outside. Its answer may get lost, and is asked for again.
    fn invoke(
        &mut self,
        node: NodeId,
        shard: ShardId,
        entity: EntityRef,
        invocation: Invocation,
    ) -> Result<(), End> {
        self.coverage.invocations += 1;
        let Some(slot) = self.nodes.get(&node) else { return Ok(()) };
        let (life, clock, now) = (slot.life, slot.node.now, self.now);
        let line = self.port.attempt(shard, &invocation, clock, now).map_err(|why| fault(&why))?;
        let Invocation { at: invocation, port, request, .. } = invocation;
        let answers = match self.port.provider(port) {
            Some(provider) => {
                let said = provider.attempt(&request, line, now, &mut self.random);
                said.map_err(|why| fault(&why))?
            }
            None if line == Line::Heard && self.random.below(5) > 0 => vec![request],
            None => vec![],
        };
        for answer in answers {
            let (entity, answer) = (entity.clone(), Answer::Done(answer));
            let input = Box::new(Input::Answered { entity, invocation, answer });
            let took = Span::from_millis(1 + self.random.below(40));
            self.after(took, Event::Answer { node, life, shard, input });
        }
        Ok(())
    }

    /// Where a node would send what is for the leader of a shard: by its own replica, which may have
    /// been removed and remember a leader of old, or by what the cluster's directory says.
    fn leader_as_seen(&mut self, node: NodeId, shard: ShardId) -> NodeId {
        let core = self.nodes.get(&node).and_then(|slot| slot.node.core(shard));
        let own = core.and_then(|core| core.status().leader);
        let listed = self.leader_of(shard);
        let seen = if self.random.one_in(2) { own.or(listed) } else { listed.or(own) };
        seen.unwrap_or(node)
    }

    pub(crate) fn send(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        let arrivals = self.net.send(from, to, &packet);
        for span in arrivals {
            self.after(span, Event::Arrive { from, to, packet: packet.clone() });
        }
    }

    pub(crate) fn arrive(&mut self, from: NodeId, to: NodeId, packet: Packet) -> Result<(), End> {
        if let Packet::Reply { token, reply } = packet {
            return self.answer(token, reply);
        }
        let now = self.now;
        let Some(slot) = self.nodes.get_mut(&to).filter(|slot| slot.is_up) else { return Ok(()) };
        if slot.paused_until > now {
            let pause = slot.paused_until.since(now);
            self.after(pause, Event::Arrive { from, to, packet });
            return Ok(());
        }
        self.note(to.0, from.0);
        self.say(|| format!("node {} gets from {}: {packet}", to.0, from.0));
        self.unpack(from, to, packet)?;
        self.want_turn(to);
        Ok(())
    }

    fn unpack(&mut self, from: NodeId, to: NodeId, packet: Packet) -> Result<(), End> {
        let now = self.now;
        let Some(slot) = self.nodes.get_mut(&to) else { return Ok(()) };
        slot.agent.hears(from, now);
        let node = &mut slot.node;
        match packet {
            Packet::Raft(bytes) => {
                let mut inputs = Vec::new();
                let received = node.around.receive(from, &bytes, &mut inputs);
                received.map_err(|error| fault(&error))?;
                for (shard, input) in inputs {
                    node.send(shard, input);
                }
                self.note(u64::try_from(bytes.len()).unwrap_or(0), message_sum(&bytes));
            }
            Packet::Tell { target, tell } => node.send(target, Input::Told(tell)),
            Packet::AckTells { source, target, up_to } => {
                node.send(source, Input::TellsAcked { target, up_to });
            }
            Packet::Command { shard, token, command } => {
                node.send(shard, Input::Command { token, command });
            }
            Packet::Query { shard, token, query } => {
                node.send(shard, Input::Query { token, query });
            }
            Packet::ChunkWanted { of, wanted } => {
                let file = node.files.get(&ShardId(of.shard)).filter(|(offer, _)| offer.meta == of);
                let read = file.map(|(_, path)| read_chunk(&node.disk, path, of.id, wanted));
                let bytes = read.and_then(Result::ok).flatten();
                let offset = wanted.offset;
                self.send(to, from, Packet::Chunk { of, offset, bytes });
            }
            Packet::Chunk { of, offset, bytes } => {
                let shard = ShardId(of.shard);
                self.take_chunk(to, shard, of.id, offset, bytes);
            }
            Packet::Reply { .. } => {}
        }
        Ok(())
    }

    fn begin_transfer(&mut self, node: NodeId, shard: ShardId, from: NodeId, offer: SnapshotOffer) {
        let Some(slot) = self.nodes.get_mut(&node) else { return };
        let disk = Arc::new(slot.node.disk.clone());
        match Transfer::open(disk, SNAPSHOT_DIR, offer.clone()) {
            Ok(transfer) => {
                slot.transfers.insert(shard, (from, transfer));
                // A crash may have come when everything was here and nothing was verified yet.
                self.go_on(node, shard);
            }
            Err(_) => slot.node.send(shard, Input::FetchFailed(offer)),
        }
    }

    /// Asks for what is missing, again and again: a piece may get lost.
    pub(crate) fn ask_chunks(&mut self, node: NodeId) {
        let Some(slot) = self.nodes.get(&node) else { return };
        let mut asks = Vec::new();
        for (from, transfer) in slot.transfers.values() {
            if let Some(wanted) = transfer.wanted() {
                let wanted = ChunkWanted { bytes_max: CHUNK_BYTES, ..wanted };
                asks.push((*from, Packet::ChunkWanted { of: transfer.offer().meta, wanted }));
            }
        }
        for (from, ask) in asks {
            self.send(node, from, ask);
        }
    }

    fn take_chunk(
        &mut self,
        node: NodeId,
        shard: ShardId,
        id: u64,
        offset: u64,
        bytes: Option<Vec<u8>>,
    ) {
        let Some(slot) = self.nodes.get_mut(&node) else { return };
        let Some((from, mut transfer)) = slot.transfers.remove(&shard) else { return };
        if transfer.offer().meta.id != id {
            slot.transfers.insert(shard, (from, transfer));
            return;
        }
        let offer = transfer.offer().clone();
        let taken = bytes.is_some_and(|bytes| transfer.take(offset, &bytes).is_ok());
        if !taken {
            return slot.node.send(shard, Input::FetchFailed(offer));
        }
        slot.transfers.insert(shard, (from, transfer));
        self.go_on(node, shard);
    }

    /// Asks for the next piece of a transfer, or ends it.
    fn go_on(&mut self, node: NodeId, shard: ShardId) {
        let Some(slot) = self.nodes.get_mut(&node) else { return };
        let Some((from, transfer)) = slot.transfers.remove(&shard) else { return };
        if transfer.wanted().is_some() {
            slot.transfers.insert(shard, (from, transfer));
            return self.ask_chunks(node);
        }
        let offer = transfer.offer().clone();
        let input = match transfer.finish(None) {
            Ok(file) => Input::Fetched { offer, file: file.path },
            Err(_) => Input::FetchFailed(offer),
        };
        slot.node.send(shard, input);
    }
}

fn message_sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum: u64, byte| sum.rotate_left(5) ^ u64::from(*byte))
}

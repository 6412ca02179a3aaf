//! Channels: how a tell of one shard reaches an entity of another, once and in order.
//!
//! **Invariants:** a channel's numbers are assigned while applying, without a gap; a tell stays in
//! its channel until its outcome is recorded by the target; the target accepts only the number
//! after its mark. So neither a lost nor a repeated delivery changes what happens.
//!
//! A shard's channel to itself is an ordinary one: tells that cannot be decided within the entry
//! (a cold receiver, too deep a chain) take it.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::ids::{EntityKey, EntityRef, Incarnation, ShardId};

/// A command on its way from one entity to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tell {
    pub from: ShardId,
    pub incarnation: Incarnation,
    pub seq: u64,
    pub to: EntityRef,
    #[serde(with = "crate::blob")]
    pub command: Vec<u8>,
}

/// Everything this shard still has to deliver, and how far it has received.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Channels {
    outgoing: BTreeMap<ShardId, Outgoing>,
    /// The last number of each source whose outcome is recorded here.
    received: BTreeMap<(Incarnation, ShardId), u64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Outgoing {
    last_seq: u64,
    waiting: VecDeque<Tell>,
    waiting_bytes: u64,
}

impl Channels {
    /// What all channels together may hold before commands that start more work are refused. What
    /// waits is part of the shard's header, which must stay far below the largest record.
    pub(crate) const WAITING_BYTES_MAX: u64 = 512 << 10;

    pub(crate) fn send(
        &mut self,
        from: ShardId,
        incarnation: Incarnation,
        target: ShardId,
        to: EntityRef,
        command: Vec<u8>,
    ) -> &Tell {
        let channel = self.outgoing.entry(target).or_default();
        channel.last_seq += 1;
        channel.waiting_bytes += tell_bytes(&to, &command);
        let tell = Tell { from, incarnation, seq: channel.last_seq, to, command };
        channel.waiting.push_back(tell);
        channel.waiting.back().unwrap_or_else(|| unreachable!("pushed on the line before"))
    }

    pub(crate) fn acked(&mut self, target: ShardId, up_to: u64) {
        let Some(channel) = self.outgoing.get_mut(&target) else { return };
        while let Some(tell) = channel.waiting.pop_front_if(|tell| tell.seq <= up_to) {
            let bytes = tell_bytes(&tell.to, &tell.command);
            channel.waiting_bytes = channel.waiting_bytes.saturating_sub(bytes);
        }
    }

    pub(crate) fn received_up_to(&self, from: ShardId, incarnation: Incarnation) -> u64 {
        self.received.get(&(incarnation, from)).copied().unwrap_or(0)
    }

    pub(crate) fn record_received(&mut self, from: ShardId, incarnation: Incarnation, seq: u64) {
        self.received.insert((incarnation, from), seq);
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = (ShardId, &Tell)> {
        self.outgoing
            .iter()
            .flat_map(|(target, channel)| channel.waiting.iter().map(|tell| (*target, tell)))
    }

    /// What to offer again: the oldest of every channel, so that a stuck one holds up no other.
    pub(crate) fn to_offer(
        &self,
        per_channel_max: usize,
    ) -> impl Iterator<Item = (ShardId, &Tell)> {
        self.outgoing.iter().flat_map(move |(target, channel)| {
            channel.waiting.iter().take(per_channel_max).map(|tell| (*target, tell))
        })
    }

    pub(crate) fn waits_for(&self, target: ShardId) -> bool {
        self.outgoing.get(&target).is_some_and(|channel| !channel.waiting.is_empty())
    }

    /// Whether a channel may take no more, with what is `ahead`: decided and not yet sent, by target.
    /// A channel may hold as much as all of them leave free, so one that is stuck ends at half of
    /// the bound and leaves the others theirs.
    pub(crate) fn is_congested(&self, target: ShardId, ahead: &BTreeMap<ShardId, u64>) -> bool {
        let sent: u64 = self.outgoing.values().map(|channel| channel.waiting_bytes).sum();
        let all = sent.saturating_add(ahead.values().sum());
        let of_target = self.outgoing.get(&target).map_or(0, |channel| channel.waiting_bytes);
        let of_target = of_target.saturating_add(ahead.get(&target).copied().unwrap_or(0));
        of_target >= Self::WAITING_BYTES_MAX.saturating_sub(all)
    }
}

/// A bound of what a waiting tell adds to the header.
pub(crate) fn tell_bytes(to: &EntityRef, command: &[u8]) -> u64 {
    const OVERHEAD: usize = 96;
    let name = match &to.key {
        EntityKey::Number(_) => 0,
        EntityKey::Name(name) => name.len(),
    };
    u64::try_from(OVERHEAD + name + command.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EntityKind;

    const HERE: ShardId = ShardId(1);
    const THERE: ShardId = ShardId(2);
    const FIRST: Incarnation = Incarnation(1);

    fn send(channels: &mut Channels, command: u8) -> u64 {
        let to = EntityRef { kind: EntityKind(1), key: EntityKey::Name("x".into()) };
        channels.send(HERE, FIRST, THERE, to, vec![command]).seq
    }

    fn commands(channels: &Channels) -> Vec<u8> {
        channels.waiting().flat_map(|(_, tell)| tell.command.clone()).collect()
    }

    #[test]
    fn tells_wait_in_order_until_acked() {
        let mut channels = Channels::default();
        assert_eq!([10, 11, 12].map(|command| send(&mut channels, command)), [1, 2, 3]);
        channels.acked(THERE, 2);
        assert_eq!(commands(&channels), [12]);
        assert!(channels.waits_for(THERE));
        channels.acked(THERE, 9);
        assert!(!channels.waits_for(THERE));
        assert_eq!(send(&mut channels, 13), 4, "numbers go on after an empty channel");
    }

    #[test]
    fn marks_are_kept_per_source_and_incarnation() {
        let mut channels = Channels::default();
        channels.record_received(THERE, FIRST, 5);
        assert_eq!(channels.received_up_to(THERE, FIRST), 5);
        assert_eq!(channels.received_up_to(THERE, Incarnation(2)), 0);
        assert_eq!(channels.received_up_to(HERE, FIRST), 0);
    }
}

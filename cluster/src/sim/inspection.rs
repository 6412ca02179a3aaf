//! Looking at a cluster from outside: are its replicas equal, has it come to rest.
//!
//! **Invariants:** replicas of a group that have applied the same entries hold the same bytes.

use sha2::{Digest, Sha256};

use crate::ids::{NodeId, ShardId};
use crate::shard::core::ShardCore;
use crate::shard::record::encode_ref;
use crate::shard::walk::{Walk, Walked};
use crate::sim::cluster::Cluster;
use crate::sim::node::{End, SimNode, fault};

impl Cluster {
    /// Compares replicas that are at the same place. Gives how many were.
    pub fn compare_replicas(&self) -> Result<u64, End> {
        let mut compared = 0;
        for shard in self.groups() {
            let mut seen: Vec<(u64, NodeId, [u8; 32])> = Vec::new();
            for (id, slot) in self.nodes.iter().filter(|(_, slot)| slot.is_up) {
                let Some((applied, hash)) = state_hash(&slot.node, shard) else { continue };
                let twin = seen.iter().find(|(at, ..)| *at == applied);
                if let Some((_, other, theirs)) = twin {
                    compared += 1;
                    if *theirs != hash {
                        let (NodeId(one), NodeId(two)) = (other, id);
                        let what = format!("shard {shard} at {applied} differs on {one} and {two}");
                        return Err(fault(&what));
                    }
                }
                seen.push((applied, *id, hash));
            }
        }
        Ok(compared)
    }

    /// Whether every running member of every group has applied the same, and nothing waits.
    pub fn is_at_rest(&self) -> bool {
        self.is_quiet() && self.has_no_timer()
    }

    /// Whether no group has a timer, as their leaders know; without a leader it may have some.
    pub fn has_no_timer(&self) -> bool {
        self.groups()
            .into_iter()
            .all(|shard| self.leading_core(shard).is_some_and(|core| core.status().timers == 0))
    }

    /// The replica that leads a group.
    pub(super) fn leading_core(&self, shard: ShardId) -> Option<&ShardCore> {
        self.nodes.get(&self.leader_of(shard)?)?.node.core(shard)
    }

    /// Whether nothing happens by itself before the next timer.
    pub fn is_quiet(&self) -> bool {
        let in_order = !self.is_governed() || self.is_settled();
        in_order
            && self.groups().into_iter().all(|shard| {
                let Some(leader) = self.leading_core(shard) else { return false };
                let status = leader.status();
                let members = leader.members();
                let level =
                    self.nodes.iter().filter(|(id, _)| members.contains(**id)).all(|(_, s)| {
                        s.is_up
                            && s.node
                                .core(shard)
                                .is_some_and(|c| c.status().applied == status.applied)
                    });
                let done = status.waiting_tells == 0 && status.open_invocations == 0;
                level && done && !members.is_changing()
            })
    }

    /// What an operator would look at when a cluster does not come to rest.
    pub fn describe(&self) -> String {
        let mut text = self.describe_agreed();
        for shard in self.groups() {
            for (NodeId(id), slot) in &self.nodes {
                let Some(core) = slot.node.core(shard) else { continue };
                let (status, followers) = (core.status(), core.followers());
                let line = format!("{shard} on {id} up {}: {status:?} {followers:?}\n", slot.is_up);
                text.push_str(&line);
                text.push_str(&core.open_in_words());
            }
        }
        text
    }
}

impl Cluster {
    fn describe_agreed(&self) -> String {
        let mut text = String::new();
        let Some(agreed) = self.agreed() else { return text };
        for (NodeId(id), member) in agreed.members() {
            text.push_str(&format!("member {id} is {}\n", member.standing.name()));
        }
        for (group, place) in agreed.places() {
            text.push_str(&format!("group {group}: {place:?}\n"));
        }
        text
    }
}

/// Everything a replica holds, and the index it holds it at; `None` while that is of no one moment.
fn state_hash(node: &SimNode, shard: ShardId) -> Option<(u64, [u8; 32])> {
    let core = node.core(shard)?;
    let start = core.walk_start()?;
    let mut hasher = Sha256::new();
    hasher.update(start.header.bytes);
    let mut after = None;
    loop {
        let step = core.walk_step(Walk::All, after.as_ref());
        for walked in step.walked {
            let (entity, position, bytes) = match walked {
                Walked::Record { entity, stored } => (entity, stored.position, stored.bytes),
                Walked::InIndex { entity } => {
                    let stored = node.index.latest(&entity, shard).cloned()?;
                    (entity, stored.position, stored.bytes)
                }
            };
            hasher.update(encode_ref(&entity));
            hasher.update(position.to_be_bytes());
            hasher.update(bytes);
        }
        after = step.next_after;
        if after.is_none() {
            return Some((start.index, hasher.finalize().into()));
        }
    }
}

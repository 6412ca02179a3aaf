//! Bringing replicas that lag up to the others: old entries, and snapshots where those are gone.
//!
//! **Invariants:** a leader never waits with trimming for a follower; a snapshot replaces the log in
//! one append with the pointer to its file.

use raft::eraftpb::{Message, MessageType};
use raft::{Progress, ProgressState, SnapshotStatus};
use storage::log::{LogEntry, Record};

use crate::ids::NodeId;
use crate::mutants::Mutant;
use crate::replication::group::{Group, raft_entry};
use crate::replication::offer::SnapshotOffer;

/// How far another replica is, as the leader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerStatus {
    pub node: NodeId,
    /// It holds everything up to here.
    pub matched: u64,
    /// The next entry to be sent.
    pub next: u64,
    pub pace: Pace,
}

/// How a leader feeds a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// One message at a time: it is not known what it holds.
    Probing,
    Streaming,
    /// It was offered a snapshot.
    Snapshot,
}

impl Group {
    /// The other replicas, on a leader.
    pub(crate) fn followers(&self) -> Vec<FollowerStatus> {
        let others = self.node.raft.prs().iter().filter(|(id, _)| **id != self.me.0);
        let status = |(id, progress): (&u64, &Progress)| FollowerStatus {
            node: NodeId(*id),
            matched: progress.matched,
            next: progress.next_idx,
            pace: match progress.state {
                ProgressState::Probe => Pace::Probing,
                ProgressState::Replicate => Pace::Streaming,
                ProgressState::Snapshot => Pace::Snapshot,
            },
        };
        let mut followers: Vec<_> = others.map(status).collect();
        followers.sort_unstable_by_key(|follower| follower.node);
        if self.is_leader() { followers } else { Vec::new() }
    }

    /// The answer of a replica without members to entries: a snapshot must come first.
    pub(crate) fn ask_for_snapshot(&self, append: &Message) -> Option<Message> {
        let unborn = self.members.voters.is_empty();
        let asks = unborn && append.get_msg_type() == MessageType::MsgAppend;
        asks.then(|| Message {
            msg_type: MessageType::MsgAppendResponse,
            to: append.from,
            from: self.me.0,
            term: append.term,
            index: append.index,
            reject: true,
            request_snapshot: 1,
            ..Message::default()
        })
    }

    /// Entries (first, last) that followers need and only the node's log holds.
    pub(crate) fn take_wanted_entries(&mut self) -> Vec<(u64, u64)> {
        self.node.mut_store().take_wanted()
    }

    /// Takes what the node's log gave for a read from `from` on: nothing if it was trimmed.
    pub(crate) fn take_read_entries(&mut self, from: u64, read: Vec<LogEntry>) {
        let read = read.into_iter().map(raft_entry).collect();
        if let Some(context) = self.node.mut_store().take_read(from, read) {
            self.node.on_entries_fetched(context);
            self.node.mut_store().forget_read();
        }
    }

    /// Whether a follower waits for a snapshot that is newer than the one at hand.
    pub(crate) fn take_snapshot_wanted(&mut self) -> bool {
        self.is_leader() && self.node.mut_store().take_snapshot_wanted()
    }

    /// A snapshot of this replica is durable and its log may be trimmed up to its start.
    pub(crate) fn cover(&mut self, offer: SnapshotOffer) {
        self.node.mut_store().cover(offer);
    }

    /// The file of an offered snapshot is here, whole and durable: Raft may take the message that
    /// offered it.
    pub(crate) fn take_fetched(
        &mut self,
        message: Message,
        offer: SnapshotOffer,
        file: String,
    ) -> Result<(), String> {
        self.fetched = Some((offer, file));
        self.step(message)?;
        // It may have come too late to be of use.
        self.fetched.take_if(|_| self.node.snap().is_none_or(|snapshot| snapshot.is_empty()));
        Ok(())
    }

    /// Sets the log to the fetched snapshot, and says so in the node's log.
    pub(super) fn install(&mut self, records: &mut Vec<Record>) -> Option<(SnapshotOffer, String)> {
        let (offer, file) = self.fetched.take()?;
        let void = self.node.mut_store().install(offer.clone());
        records.push(offer.pointer(&file));
        // Behind the pointer: a torn write must not take what this replica acknowledged.
        records.extend(void.map(|from| Record::Truncate { group: self.id, from }));
        records.push(offer.members.record(self.id));
        if !Mutant::SnapshotWithoutMembers.is_planted() {
            self.members = offer.members.clone();
        }
        self.follow_members();
        Some((offer, file))
    }

    /// A snapshot that was offered long ago may have been lost on the way, or be gone by now.
    pub(super) fn offer_again(&mut self) {
        let stuck = self.node.raft.prs().iter();
        let stuck = stuck.filter(|(_, progress)| progress.state == ProgressState::Snapshot);
        let mut stuck: Vec<_> = stuck.map(|(id, _)| *id).collect();
        stuck.sort_unstable();
        for id in stuck {
            self.node.report_snapshot(id, SnapshotStatus::Failure);
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::StateRole;
    use storage::log::EntryKind;
    use storage::snapshot::SnapshotMeta;

    use super::*;
    use crate::ids::ShardId;
    use crate::replication::group::{GroupConfig, GroupState, group_of};
    use crate::replication::members::GroupMembers;
    use crate::replication::term_runs::TermRuns;

    const SHARD: ShardId = ShardId(3);

    fn nodes() -> [NodeId; 3] {
        [1, 2, 3].map(NodeId)
    }

    /// A replica that has up to nine entries, two of them applied, and takes a snapshot that starts
    /// at the fifth.
    fn offered(last: u64) -> Group {
        let nodes = nodes();
        let entry = |index| {
            let (kind, payload) = (EntryKind::Normal, "tea".into());
            LogEntry { group: group_of(SHARD), term: 2, index, kind, payload }
        };
        let mut terms = TermRuns::default();
        (1..=last).for_each(|index| terms.push(index, 2));
        let (applied, entries) = ((2, 2), (3..=last).map(entry).collect());
        let blank = GroupState::new(&nodes);
        let state = GroupState { term: 2, commit: 2, applied, entries, terms, ..blank };
        let config = GroupConfig { node: nodes[0], shard: SHARD, seed: 1, log_cache_bytes_max: 0 };
        let mut group = Group::restart(config, state).expect("a sound past");
        let offer = SnapshotOffer {
            meta: SnapshotMeta { shard: SHARD.0, start: 5, start_term: 3, id: 7 },
            end: 5,
            bytes: 100,
            members: GroupMembers::voters(&nodes),
        };
        let mut message = Message { from: 2, to: 1, term: 3, ..Message::default() };
        message.set_msg_type(MessageType::MsgSnapshot);
        message.set_snapshot(offer.to_raft());
        group.take_fetched(message, offer, "snapshots/5".to_owned()).expect("taken");
        group
    }

    #[test]
    fn what_goes_on_beyond_a_snapshot_and_is_not_of_its_log_is_void() {
        let mut group = offered(9);
        let mut records = Vec::new();
        while let Some(polled) = group.poll() {
            records.extend(polled.append.into_iter().flat_map(|(_, records)| records));
        }
        let void = records.iter().position(|r| matches!(r, Record::Truncate { from: 6, .. }));
        let pointer = records.iter().position(|r| matches!(r, Record::SnapshotPointer { .. }));
        assert!(pointer.is_some() && void > pointer, "{records:?}");
    }

    #[test]
    fn who_installs_a_snapshot_stands_for_election_once_it_is_durable() {
        let mut group = offered(2);
        let mut appends = Vec::new();
        let mut drain = |group: &mut Group| {
            while let Some(polled) = group.poll() {
                appends.extend(polled.append.into_iter().map(|(number, _)| number));
            }
            appends.last().copied()
        };
        let stands = |group: &Group| group.node.raft.state != StateRole::Follower;
        let number = drain(&mut group).expect("the snapshot is logged");
        let mut timeout = Message { from: 2, to: 1, term: 3, ..Message::default() };
        timeout.set_msg_type(MessageType::MsgTimeoutNow);
        group.step(timeout.clone()).expect("too early, and no fault");
        group.campaign();
        (0..100).for_each(|_| group.tick());
        drain(&mut group);
        assert!(!stands(&group));
        // Its leader is silent, so another one may have its vote, which is given once it is durable.
        let mut vote = Message { from: 3, to: 1, term: 4, index: 5, ..Message::default() };
        (vote.log_term, vote.msg_type) = (3, MessageType::MsgRequestPreVote);
        group.step(vote).expect("taken");
        drain(&mut group);
        let said = group.persisted(number);
        let granted = |said: &Message| {
            said.msg_type == MessageType::MsgRequestPreVoteResponse && !said.reject
        };
        assert!(said.iter().any(granted), "{said:?}");
        group.step(timeout).expect("taken");
        assert!(stands(&group));
    }
}

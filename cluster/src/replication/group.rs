//! One Raft group: raft-rs' `RawNode`, fed and drained without any I/O.
//!
//! **Invariants:** an append is handed out before anything that depends on it; a message that
//! promises durability is held until `Group::persisted` says so; a commit index is logged with or
//! before anything derived from applying it.

use std::collections::VecDeque;

use bytes::Bytes;
use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType};
use raft::{Config, RawNode, Ready, StateRole};
use storage::log::{EntryKind, GroupId, LogEntry, Record};

use crate::ids::{NodeId, ShardId};
use crate::replication::group_log::GroupLog;

/// What a group is restarted from.
#[derive(Clone, Debug)]
pub struct GroupState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
    pub voters: Vec<u64>,
    /// Everything at or before this (index, term) is applied and not in `entries`.
    pub applied: (u64, u64),
    pub entries: VecDeque<LogEntry>,
}

impl GroupState {
    /// A group that has never done anything, with these voters.
    pub fn new(voters: &[NodeId]) -> Self {
        Self {
            term: 0,
            vote: 0,
            commit: 0,
            voters: voters.iter().map(|node| node.0).collect(),
            applied: (0, 0),
            entries: VecDeque::new(),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("shard {shard} cannot start its group: {why}")]
pub struct GroupError {
    shard: ShardId,
    why: String,
}

pub(crate) struct Group {
    id: GroupId,
    node: RawNode<GroupLog>,
    /// Readies whose appends are on their way to disk, oldest first.
    appending: VecDeque<Appending>,
    /// The newest commit index that is not in the log yet.
    unlogged_commit: Option<HardState>,
}

struct Appending {
    number: u64,
    messages: Vec<Message>,
}

/// Work a group hands out.
#[derive(Default)]
pub(crate) struct Polled {
    /// To be logged in this order; answered by `Group::persisted` with `number`.
    pub(crate) append: Option<(u64, Vec<Record>)>,
    pub(crate) messages: Vec<Message>,
    pub(crate) committed: Vec<LogEntry>,
    /// Contexts of reads that may be served once everything at or before the index is applied.
    pub(crate) reads: Vec<(u64, u64)>,
}

/// The group could not take a proposal; nothing was appended.
#[derive(Debug)]
pub(crate) struct ProposalDropped;

impl Group {
    pub(crate) fn restart(
        node: NodeId,
        shard: ShardId,
        state: GroupState,
    ) -> Result<Self, GroupError> {
        let hard_state = HardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit.max(state.applied.0),
            ..HardState::default()
        };
        let conf_state = ConfState { voters: state.voters, ..ConfState::default() };
        let entries = state.entries.into_iter().map(raft_entry).collect();
        let log = GroupLog::new(hard_state, conf_state, state.applied, entries);
        let config = Config {
            id: node.0,
            election_tick: 10,
            heartbeat_tick: 2,
            applied: state.applied.0,
            max_size_per_msg: 256 << 10,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            batch_append: true,
            max_uncommitted_size: 64 << 20,
            max_committed_size_per_ready: 4 << 20,
            ..Config::default()
        };
        let silent = slog::Logger::root(slog::Discard, slog::o!());
        let node = RawNode::new(&config, log, &silent)
            .map_err(|error| GroupError { shard, why: error.to_string() })?;
        Ok(Self { id: group_of(shard), node, appending: VecDeque::new(), unlogged_commit: None })
    }

    pub(crate) fn tick(&mut self) {
        self.node.tick();
    }

    /// Stands for election at once, as a group's only voter may.
    pub(crate) fn campaign(&mut self) {
        // Refused only while an election is pending: then there is nothing to hurry.
        self.node.campaign().ok();
    }

    pub(crate) fn is_only_voter(&self) -> bool {
        self.node.store().conf_state().voters == [self.node.raft.id]
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    pub(crate) fn term(&self) -> u64 {
        self.node.raft.term
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    pub(crate) fn commit(&self) -> u64 {
        self.node.raft.raft_log.committed
    }

    pub(crate) fn is_appending(&self) -> bool {
        !self.appending.is_empty()
    }

    /// Takes a message of a peer. Proposals are refused: only the leader's own turns may propose.
    pub(crate) fn step(&mut self, message: Message) {
        if message.get_msg_type() == MessageType::MsgPropose {
            return;
        }
        // A message of a removed or unknown peer is no event.
        self.node.step(message).ok();
    }

    pub(crate) fn propose(&mut self, data: Vec<u8>) -> Result<u64, ProposalDropped> {
        if !self.is_leader() || self.node.raft.lead_transferee.is_some() {
            return Err(ProposalDropped);
        }
        self.node.propose(Vec::new(), data).map_err(|_| ProposalDropped)?;
        Ok(self.last_index())
    }

    pub(crate) fn read_index(&mut self, context: u64) {
        self.node.read_index(context.to_be_bytes().to_vec());
    }

    pub(crate) fn applied(&mut self, index: u64) {
        self.node.advance_apply_to(index);
        self.node.mut_store().release(index);
    }

    /// Takes what the group wants done; `None` when it wants nothing.
    pub(crate) fn poll(&mut self) -> Option<Polled> {
        if !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        let mut polled = Polled {
            messages: ready.take_messages(),
            committed: ready
                .take_committed_entries()
                .into_iter()
                .map(|entry| log_entry(self.id, entry))
                .collect(),
            reads: ready.take_read_states().iter().filter_map(read_state).collect(),
            append: None,
        };
        let records = self.records(&ready);
        let number = ready.number();
        let messages = ready.take_persisted_messages();
        if ready.must_sync() {
            self.appending.push_back(Appending { number, messages });
            polled.append = Some((number, records));
        } else if let Some(last) = self.appending.back_mut() {
            last.messages.extend(messages);
        } else {
            polled.messages.extend(messages);
        }
        self.node.advance_append_async(ready);
        if self.appending.is_empty() {
            self.node.on_persist_ready(number);
        }
        Some(polled)
    }

    /// Everything up to and with append `number` is durable. Gives the messages that waited for it.
    pub(crate) fn persisted(&mut self, number: u64) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(done) = self.appending.pop_front_if(|append| append.number <= number) {
            messages.extend(done.messages);
        }
        self.node.on_persist_ready(number);
        messages
    }

    /// The commit index that is not in the log yet, as a record that needs no sync of its own.
    pub(crate) fn take_unlogged_commit(&mut self) -> Option<Record> {
        self.unlogged_commit.take().map(|hard_state| self.hard_state_record(&hard_state))
    }

    /// What a ready wants logged. A commit index alone waits for the next append to carry it.
    fn records(&mut self, ready: &Ready) -> Vec<Record> {
        let mut records = Vec::with_capacity(ready.entries().len() + 2);
        if let Some(hard_state) = ready.hs() {
            self.node.mut_store().set_hard_state(hard_state.clone());
            self.unlogged_commit = Some(hard_state.clone());
        }
        if !ready.must_sync() {
            return records;
        }
        if let Some(from) = self.node.mut_store().append(ready.entries()) {
            records.push(Record::Truncate { group: self.id, from });
        }
        // Behind the entries: a torn write must not leave a commit index without them.
        records.extend(self.take_unlogged_commit());
        records
            .extend(ready.entries().iter().cloned().map(|e| Record::Entry(log_entry(self.id, e))));
        records
    }

    fn hard_state_record(&self, hard_state: &HardState) -> Record {
        Record::HardState {
            group: self.id,
            term: hard_state.term,
            vote: hard_state.vote,
            commit: hard_state.commit,
        }
    }
}

/// The group of a shard in the node's log.
pub(crate) fn group_of(shard: ShardId) -> GroupId {
    GroupId(shard.0)
}

fn log_entry(group: GroupId, entry: Entry) -> LogEntry {
    let kind = match entry.entry_type {
        EntryType::EntryNormal => EntryKind::Normal,
        EntryType::EntryConfChange => EntryKind::ConfChange,
        EntryType::EntryConfChangeV2 => EntryKind::ConfChangeV2,
    };
    LogEntry { group, term: entry.term, index: entry.index, kind, payload: entry.data }
}

fn raft_entry(entry: LogEntry) -> Entry {
    let entry_type = match entry.kind {
        EntryKind::Normal => EntryType::EntryNormal,
        EntryKind::ConfChange => EntryType::EntryConfChange,
        EntryKind::ConfChangeV2 => EntryType::EntryConfChangeV2,
    };
    let data: Bytes = entry.payload;
    Entry { entry_type, term: entry.term, index: entry.index, data, ..Entry::default() }
}

fn read_state(state: &raft::ReadState) -> Option<(u64, u64)> {
    let context = state.request_ctx.as_slice().try_into().ok()?;
    Some((u64::from_be_bytes(context), state.index))
}

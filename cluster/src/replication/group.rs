//! One Raft group: raft-rs' `RawNode`, fed and drained without any I/O.
//!
//! **Invariants:** an append is handed out before anything that depends on it; a message that
//! promises durability is held until `Group::persisted` says so; a commit index is logged with or
//! before anything derived from applying it. A replica whose members are unknown takes part only
//! by a snapshot, because the log from its beginning does not say who was there at first.

pub mod catching_up;
pub(crate) mod stillness;

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use raft::eraftpb::{Entry, EntryType, HardState, Message, MessageType};
use raft::{Config, RawNode, Ready, StateRole};
use storage::log::{EntryKind, GroupId, LogEntry, Record};

use crate::ids::{NodeId, ShardId};
use crate::mutants::Mutant;
use crate::placement::steps::Progress;
use crate::replication::codec::{is_for_peers, own_payload};
use crate::replication::election::{ELECTION_TICKS, HEARTBEAT_TICKS, Patience};
use crate::replication::group_log::{GroupLog, LogState};
use crate::replication::members::{GroupMembers, MemberChange, MemberStep};
use crate::replication::offer::SnapshotOffer;
use crate::replication::term_runs::TermRuns;

/// Ticks after which a snapshot that was offered and not installed is offered again.
const OFFER_TICKS: u64 = 20;

/// What a group is restarted from.
#[derive(Clone, Debug)]
pub struct GroupState {
    pub term: u64,
    pub vote: u64,
    pub commit: u64,
    /// Without voters, a replica that is to learn everything from the others.
    pub members: GroupMembers,
    /// Everything at or before this (index, term) is applied and not in `entries`.
    pub applied: (u64, u64),
    pub entries: VecDeque<LogEntry>,
    /// Before the first entry that the node's log holds: its index and term.
    pub log_start: (u64, u64),
    /// The terms of everything after `log_start`.
    pub terms: TermRuns,
    /// The snapshot that covers everything up to `log_start`.
    pub snapshot: Option<SnapshotOffer>,
    /// Before this is applied, the state is of no single moment.
    pub whole_at: u64,
}

impl GroupState {
    /// A group that has never done anything, with these voters; with none, a replica that joins.
    pub fn new(voters: &[NodeId]) -> Self {
        Self {
            term: 0,
            vote: 0,
            commit: 0,
            members: GroupMembers::voters(voters),
            applied: (0, 0),
            entries: VecDeque::new(),
            log_start: (0, 0),
            terms: TermRuns::default(),
            snapshot: None,
            whole_at: 0,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("shard {shard} cannot start its group: {why}")]
pub struct GroupError {
    shard: ShardId,
    why: String,
}

/// Whose replica of which group this is.
pub(crate) struct GroupConfig {
    pub(crate) node: NodeId,
    pub(crate) shard: ShardId,
    /// Unlike that of any other replica.
    pub(crate) seed: u64,
    pub(crate) log_cache_bytes_max: usize,
}

pub(crate) struct Group {
    id: GroupId,
    me: NodeId,
    node: RawNode<GroupLog>,
    patience: Patience,
    members: GroupMembers,
    /// Readies whose appends are on their way to disk, oldest first.
    appending: VecDeque<Appending>,
    /// The newest commit index that is not in the log yet.
    unlogged_commit: Option<HardState>,
    /// A snapshot whose file is here, until Raft has taken it.
    fetched: Option<(SnapshotOffer, String)>,
    /// The append that makes a snapshot's pointer durable, and the snapshot's start.
    installing: Option<(u64, u64)>,
    ticks: u64,
    /// Others are to lead if they can.
    is_reluctant: bool,
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
    pub(crate) reads: Vec<(Vec<u8>, u64)>,
    /// The log goes on from this snapshot; what was applied before is void.
    pub(crate) installed: Option<(SnapshotOffer, String)>,
}

/// The group could not take a proposal; nothing was appended.
#[derive(Debug)]
pub(crate) struct ProposalDropped;

impl Group {
    pub(crate) fn restart(config: GroupConfig, state: GroupState) -> Result<Self, GroupError> {
        let GroupConfig { node, shard, seed, log_cache_bytes_max } = config;
        let hard_state = HardState {
            term: state.term,
            vote: state.vote,
            commit: state.commit.max(state.applied.0),
            ..HardState::default()
        };
        let log = GroupLog::new(LogState {
            hard_state,
            conf_state: state.members.to_conf_state(),
            applied: state.applied,
            entries: state.entries.into_iter().map(raft_entry).collect(),
            log_start: state.log_start,
            terms: state.terms,
            offer: state.snapshot,
            cache_bytes_max: log_cache_bytes_max,
        });
        let config = Config {
            id: node.0,
            election_tick: ELECTION_TICKS,
            heartbeat_tick: HEARTBEAT_TICKS,
            // Room for those that let others stand first.
            max_election_tick: 4 * ELECTION_TICKS,
            applied: state.applied.0,
            max_size_per_msg: 256 << 10,
            max_inflight_msgs: 256,
            check_quorum: true,
            pre_vote: true,
            // Messages leave with every step, so there is nothing to batch them with, and a batch
            // would have no bound.
            batch_append: false,
            max_uncommitted_size: 64 << 20,
            max_committed_size_per_ready: 4 << 20,
            ..Config::default()
        };
        let silent = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&config, log, &silent)
            .map_err(|error| GroupError { shard, why: error.to_string() })?;
        let id = group_of(shard);
        let mut group = Self {
            id,
            me: node,
            node: raw,
            patience: Patience::new(seed, node, id),
            members: state.members,
            appending: VecDeque::new(),
            unlogged_commit: None,
            fetched: None,
            installing: None,
            ticks: 0,
            is_reluctant: false,
        };
        group.follow_members();
        group.settle_patience();
        Ok(group)
    }

    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
        self.hold_back();
        self.node.tick();
        self.forget_silent_leader();
        self.settle_patience();
        if self.ticks.is_multiple_of(OFFER_TICKS) && self.is_leader() {
            self.offer_again();
        }
    }

    /// Stands for election at once, as a group's only voter may.
    pub(crate) fn campaign(&mut self) {
        if self.may_stand() {
            // Refused only while an election is pending: then there is nothing to hurry.
            self.node.campaign().ok();
            self.settle_patience();
        }
    }

    /// Who stands looks through everything that is committed and not applied for changes of members.
    /// Until a snapshot that is being installed is durable it counts as not applied, and no log holds
    /// what it covers.
    fn may_stand(&self) -> bool {
        self.installing.is_none()
    }

    /// Who may not stand waits as long as others for its leader, then forgets it: its vote is free.
    fn hold_back(&mut self) {
        let is_held = !self.may_stand();
        let raft = &mut self.node.raft;
        let last = raft.randomized_election_timeout().saturating_sub(1);
        if is_held && raft.election_elapsed + 1 > last {
            raft.election_elapsed = last.saturating_sub(1);
            raft.leader_id = raft::INVALID_ID;
        }
    }

    pub(crate) fn is_only_voter(&self) -> bool {
        self.members.voters == [self.me.0] && !self.members.is_changing()
    }

    pub(crate) fn is_leader(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// The leader as far as it is known; nobody when it is this replica.
    pub(crate) fn other_leader(&self) -> Option<NodeId> {
        let leader = NodeId(self.node.raft.leader_id);
        (leader.0 != 0 && leader != self.me).then_some(leader)
    }

    pub(crate) fn members(&self) -> &GroupMembers {
        &self.members
    }

    pub(crate) fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// The term, and who has this replica's vote in it.
    pub(crate) fn promised(&self) -> (u64, u64) {
        (self.node.raft.term, self.node.raft.vote)
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.node.raft.raft_log.last_index()
    }

    /// The index before the first one that the node's log must hold.
    pub(crate) fn log_start(&self) -> u64 {
        self.node.store().log_start()
    }

    pub(crate) fn commit(&self) -> u64 {
        self.node.raft.raft_log.committed
    }

    pub(crate) fn is_appending(&self) -> bool {
        !self.appending.is_empty()
    }

    /// Takes a message of a peer. Proposals are refused: only the leader's own turns may propose.
    /// An error says what in it cannot be: this replica's past is not what its peers remember.
    pub(crate) fn step(&mut self, message: Message) -> Result<(), String> {
        let kind = message.get_msg_type();
        let is_moot = kind == MessageType::MsgReadIndex && !self.answers(NodeId(message.from));
        let is_untimely = kind == MessageType::MsgTimeoutNow && !self.may_stand();
        if !is_for_peers(kind) || message.to != self.me.0 || is_moot || is_untimely {
            return Ok(());
        }
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            // A message of a removed or unknown peer is no event.
            self.node.step(message).ok();
        }));
        if stepped.is_err() {
            return Err("a peer knows of a past that this replica does not have".to_owned());
        }
        self.settle_patience();
        Ok(())
    }

    /// Whether this replica tells another one from where on it may read. Who does not lead would only
    /// pass the question on in its asker's name, and nobody listens to a node that speaks in another
    /// one's. Who is no member would wait for entries that nobody sends it.
    fn answers(&self, asker: NodeId) -> bool {
        self.is_leader() && self.members.contains(asker)
    }

    pub(crate) fn propose(&mut self, data: Vec<u8>) -> Result<u64, ProposalDropped> {
        if !self.is_leader() || self.is_transferring() {
            return Err(ProposalDropped);
        }
        self.node.propose(Vec::new(), data).map_err(|_| ProposalDropped)?;
        Ok(self.last_index())
    }

    /// Proposes a change of members. Raft-rs makes an empty entry of one that cannot be now.
    pub(crate) fn propose_change(&mut self, change: &MemberChange) -> Result<u64, ProposalDropped> {
        if !self.is_leader() || self.is_transferring() || self.node.raft.has_pending_conf() {
            return Err(ProposalDropped);
        }
        let proposed = self.node.propose_conf_change(change.encode(), change.to_raft());
        proposed.map_err(|_| ProposalDropped)?;
        Ok(self.last_index())
    }

    /// Makes this replica the only member of a group that has none, unless there is or was one, as
    /// far as it knows. Gives what is to be logged in front of everything else of the group.
    pub(crate) fn begin(&mut self) -> Option<Result<Record, String>> {
        let is_untouched = self.term() == 0 && self.last_index() == 0;
        if !is_untouched || self.members != GroupMembers::default() {
            return None;
        }
        let only = MemberChange { steps: vec![MemberStep::AddVoter(self.me)] };
        match self.node.apply_conf_change(&only.to_raft()) {
            Ok(conf) => {
                self.members = GroupMembers::from_conf_state(&conf, 0);
                self.node.mut_store().set_conf_state(conf);
                self.follow_members();
                Some(Ok(self.members.record(self.id)))
            }
            Err(error) => Some(Err(error.to_string())),
        }
    }

    /// Applies a committed change. One that is in the members already is passed over.
    pub(crate) fn apply_change(&mut self, entry: &LogEntry) -> Result<Option<Record>, String> {
        if entry.index <= self.members.at {
            return Ok(None);
        }
        let change = MemberChange::decode(&entry.payload).map_err(|error| error.to_string())?;
        let conf = self.node.apply_conf_change(&change.to_raft());
        let mut conf = conf.map_err(|error| error.to_string())?;
        if Mutant::JointChangeShortcut.is_planted() && !conf.voters_outgoing.is_empty() {
            let end = MemberChange::default().to_raft();
            conf = self.node.apply_conf_change(&end).map_err(|error| error.to_string())?;
        }
        self.members = GroupMembers::from_conf_state(&conf, entry.index);
        self.node.mut_store().set_conf_state(conf);
        self.follow_members();
        // It may have come to lead after its own leaving was proposed, and raft-rs knows no leader
        // outside of its group.
        if !self.members.has_voter(self.me) {
            self.step_down();
        }
        let record = self.members.record(self.id);
        Ok(Some(record).filter(|_| !Mutant::MembersNotLogged.is_planted()))
    }

    /// Leads no more, unless nobody else votes.
    pub(crate) fn step_down(&mut self) {
        if self.is_leader() && !self.is_only_voter() {
            self.node.raft.become_follower(self.node.raft.term, raft::INVALID_ID);
            self.settle_patience();
        }
    }

    /// Hands leadership to another voter, if it can take it within an election's time.
    pub(crate) fn transfer(&mut self, to: NodeId) {
        if self.is_leader() && to != self.me {
            self.node.transfer_leader(to.0);
        }
    }

    pub(crate) fn set_reluctant(&mut self, is_reluctant: bool) {
        if self.is_reluctant != is_reluctant {
            self.is_reluctant = is_reluctant;
            self.settle_patience();
        }
    }

    /// Hands leadership to the voter that is nearest, if any can take it; whether one could.
    pub(crate) fn hand_over(&mut self) -> bool {
        if !self.is_leader() || self.is_transferring() {
            return false;
        }
        let votes = |node: &NodeId| self.members.voters.contains(&node.0);
        let others = self.progress().into_iter();
        let able = others.filter(|(node, progress)| votes(node) && progress.can_be_fed());
        let nearest = able.min_by_key(|(_, progress)| progress.behind);
        let Some((to, _)) = nearest else { return false };
        self.transfer(to);
        true
    }

    /// How far the other members are, as far as a leader knows.
    pub(crate) fn progress(&self) -> BTreeMap<NodeId, Progress> {
        let (last, start) = (self.last_index(), self.log_start());
        let others = self.node.raft.prs().iter().filter(|(id, _)| **id != self.me.0);
        let progress = |(id, progress): (&u64, &raft::Progress)| {
            let behind = last.saturating_sub(progress.matched);
            // One that has everything is probed, not replicated to, until there is more.
            let follows = progress.state != raft::ProgressState::Snapshot;
            let is_live = follows && progress.recent_active;
            // One that holds nothing has acknowledged nothing.
            let has_base = progress.matched >= start.max(1);
            (NodeId(*id), Progress { behind, is_live, has_base })
        };
        others.map(progress).collect()
    }

    pub(crate) fn is_transferring(&self) -> bool {
        self.node.raft.lead_transferee.is_some()
    }

    pub(crate) fn read_index(&mut self, context: Vec<u8>) {
        self.node.read_index(context);
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
            messages: self.for_peers(ready.take_messages()),
            committed: ready
                .take_committed_entries()
                .into_iter()
                .map(|entry| log_entry(self.id, entry))
                .collect(),
            reads: ready
                .take_read_states()
                .into_iter()
                .map(|read| (read.request_ctx, read.index))
                .collect(),
            append: None,
            installed: None,
        };
        let mut records = Vec::new();
        if !ready.snapshot().is_empty() {
            polled.installed = self.install(&mut records);
        }
        self.push_records(&ready, &mut records);
        let number = ready.number();
        let mut messages = self.for_peers(ready.take_persisted_messages());
        let early = messages.extract_if(.., |message| leaves_early(message));
        polled.messages.extend(early);
        if ready.must_sync() {
            self.appending.push_back(Appending { number, messages });
            polled.append = Some((number, records));
        } else if let Some(last) = self.appending.back_mut() {
            last.messages.extend(messages);
        } else {
            polled.messages.extend(messages);
        }
        self.node.advance_append_async(ready);
        if let Some((offer, _)) = &polled.installed {
            self.installing = Some((number, offer.meta.start));
        }
        if self.appending.is_empty() || Mutant::OwnCopyBeforeSync.is_planted() {
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
        if let Some((_, start)) = self.installing.take_if(|(install, _)| *install <= number) {
            self.node.advance_apply_to(start);
        }
        if Mutant::WrongQuorum.is_planted() && self.is_leader() {
            self.count_copies_of_others();
        }
        messages
    }

    /// Pretends that all other voters hold what this replica holds.
    fn count_copies_of_others(&mut self) {
        let (term, index) = (self.term(), self.node.raft.raft_log.persisted);
        for voter in self.members.voters.clone().into_iter().filter(|voter| *voter != self.me.0) {
            let msg_type = MessageType::MsgAppendResponse;
            let from = voter;
            self.node.step(Message { msg_type, from, term, index, ..Message::default() }).ok();
        }
    }

    /// The commit index that is not in the log yet, as a record that needs no sync of its own.
    pub(crate) fn take_unlogged_commit(&mut self) -> Option<Record> {
        self.unlogged_commit.take().map(|hard_state| self.hard_state_record(&hard_state))
    }

    /// What a ready wants logged. A commit index alone waits for the next append to carry it.
    fn push_records(&mut self, ready: &Ready, records: &mut Vec<Record>) {
        if let Some(hard_state) = ready.hs() {
            self.node.mut_store().set_hard_state(hard_state.clone());
            self.unlogged_commit = Some(hard_state.clone());
        }
        if !ready.must_sync() {
            return;
        }
        if let Some(from) = self.node.mut_store().append(ready.entries()) {
            records.push(Record::Truncate { group: self.id, from });
        }
        // In front of the entries: their term is never ahead of the hard state. A torn write may leave
        // a commit index without them, and reading it back cuts it.
        let hard_state = self.take_unlogged_commit();
        records.extend(hard_state.filter(|_| !Mutant::HardStateLost.is_planted()));
        records
            .extend(ready.entries().iter().cloned().map(|e| Record::Entry(log_entry(self.id, e))));
    }

    fn hard_state_record(&self, hard_state: &HardState) -> Record {
        Record::HardState {
            group: self.id,
            term: hard_state.term,
            vote: hard_state.vote,
            commit: hard_state.commit,
        }
    }

    fn follow_members(&mut self) {
        let has_followers = !self.members.is_only(self.me);
        self.node.mut_store().keep_for_followers(has_followers);
    }

    /// A voter that does not hear its leader stands itself, and knows of none from then on. One that
    /// may not stand would count on its leader for ever, and so would whoever asks it.
    fn forget_silent_leader(&mut self) {
        let raft = &mut self.node.raft;
        let waits = raft.state == StateRole::Follower && !raft.promotable();
        if waits && raft.pass_election_timeout() {
            raft.leader_id = raft::INVALID_ID;
        }
    }

    /// Raft-rs drew a wait at random, if it drew one: this one is repeatable.
    fn settle_patience(&mut self) {
        let ticks = self.patience.ticks(self.node.raft.term, &self.members);
        // After all the others stood in vain.
        let ticks = if self.is_reluctant { ticks + 2 * ELECTION_TICKS } else { ticks };
        self.node.raft.set_randomized_election_timeout(ticks);
    }

    fn for_peers(&self, messages: Vec<Message>) -> Vec<Message> {
        messages.into_iter().filter(|message| is_for_peers(message.get_msg_type())).collect()
    }
}

/// What a planted bug sends before it is true.
fn leaves_early(message: &Message) -> bool {
    let kind = message.get_msg_type();
    (kind == MessageType::MsgRequestVoteResponse && Mutant::VoteBeforeSync.is_planted())
        || (kind == MessageType::MsgAppendResponse && Mutant::AckBeforeSync.is_planted())
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
    let payload = own_payload(&entry).clone();
    LogEntry { group, term: entry.term, index: entry.index, kind, payload }
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

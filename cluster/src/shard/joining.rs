//! What only a shard with several replicas has to do: messages, members, and going on from a snapshot
//! of another replica.
//!
//! **Invariants:** Raft hears of an offered snapshot only when its file is here and durable; from the
//! moment it takes it, nothing of the old state is read, stored or answered from; entries committed
//! meanwhile wait. The log's pointer to the file is durable before this replica says that it has it.

use std::collections::VecDeque;

use raft::eraftpb::{Message, MessageType};
use storage::log::LogEntry;

use crate::ids::NodeId;
use crate::mutants::Mutant;
use crate::replication::members::MemberChange;
use crate::replication::offer::SnapshotOffer;
use crate::shard::core::{Base, ShardCore};
use crate::shard::header::Header;
use crate::shard::io::{Output, Reply, Space};
use crate::shard::outbox::Channels;
use crate::shard::residents::Residents;
use crate::shard::timers::TimerQueue;
use crate::time::{Span, Timestamp};

/// How far this replica is with a snapshot of another one.
#[derive(Default)]
pub(crate) struct Joining {
    /// Offered and being fetched, with the message that offered it.
    fetching: Option<(SnapshotOffer, Message)>,
    /// The state is being read from a file; these entries are committed and wait for it.
    installing: Option<VecDeque<LogEntry>>,
    /// What was held before is still on the disk.
    forgetting: bool,
}

impl Joining {
    pub(crate) fn is_installing(&self) -> bool {
        self.installing.is_some()
    }

    /// Of a replica that holds nothing any more.
    pub(crate) fn forgetting() -> Self {
        Self { forgetting: true, ..Self::default() }
    }

    pub(crate) fn forgotten(&mut self) {
        self.forgetting = false;
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.fetching.is_none() && self.installing.is_none() && !self.forgetting
    }

    pub(crate) fn give_up(&mut self, offer: &SnapshotOffer) {
        self.fetching.take_if(|(fetching, _)| fetching == offer);
    }
}

impl ShardCore {
    pub(crate) fn is_installing(&self) -> bool {
        self.joining.is_installing()
    }

    /// Whether the state is that of one moment.
    pub(crate) fn is_whole(&self) -> bool {
        !self.is_installing() && self.applied.0 >= self.whole_at
    }

    pub(crate) fn take_message(&mut self, message: Message, now: Timestamp, out: &mut Vec<Output>) {
        if self.is_moot(&message) {
            return;
        }
        self.end_rest(out);
        if message.get_msg_type() == MessageType::MsgSnapshot {
            return self.take_offer(message, now, out);
        }
        if let Some(answer) = self.group.ask_for_snapshot(&message) {
            return out.push(sent(answer));
        }
        // One whose state is not whole could win, and then serve nobody until it is.
        let is_to_lead = message.get_msg_type() == MessageType::MsgTimeoutNow;
        if is_to_lead && !self.is_whole() {
            return;
        }
        // A replica without space keeps what is left of it for votes. Entries are sent again.
        let brings_entries =
            message.get_msg_type() == MessageType::MsgAppend && !message.entries.is_empty();
        if brings_entries && self.space == Space::Full {
            return;
        }
        self.step_group(message, now, out);
    }

    fn step_group(&mut self, message: Message, now: Timestamp, out: &mut Vec<Output>) {
        match self.group.step(message) {
            Ok(()) => self.pump(now, out),
            Err(why) => self.fence(why, out),
        }
    }

    /// A snapshot is offered: its file comes first. What is out of date anyway, Raft answers.
    fn take_offer(&mut self, message: Message, now: Timestamp, out: &mut Vec<Output>) {
        let Ok(offer) = SnapshotOffer::from_raft(message.get_snapshot()) else { return };
        if offer.shard() != self.id || self.joining.forgetting {
            return;
        }
        let is_old = message.term < self.group.term() || offer.meta.start <= self.group.commit();
        if is_old {
            return self.step_group(message, now, out);
        }
        if self.is_installing() {
            // Raft would take it although its file is not here; it is offered again.
            return;
        }
        let from = NodeId(message.from);
        let known = self.joining.fetching.as_ref();
        let goes_on = known
            .is_some_and(|(fetching, before)| *fetching == offer && before.from == message.from);
        self.joining.fetching = Some((offer.clone(), message));
        if !goes_on {
            out.push(Output::Fetch { from, offer });
        }
    }

    pub(crate) fn take_fetched(
        &mut self,
        offer: &SnapshotOffer,
        file: String,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let wanted = self.joining.fetching.take_if(|(fetching, _)| fetching == offer);
        let Some((offer, message)) = wanted else { return };
        match self.group.take_fetched(message, offer, file) {
            // When it came too late, the leader offers another one.
            Ok(()) => self.pump(now, out),
            Err(why) => self.fence(why, out),
        }
    }

    /// Lets go of everything: the log goes on from a snapshot's file.
    pub(crate) fn begin_install(
        &mut self,
        offer: SnapshotOffer,
        file: String,
        out: &mut Vec<Output>,
    ) {
        self.abandon_reads(out);
        let reply = self.not_leader();
        self.abandon_parked(&reply, out);
        self.header = Header::default();
        self.residents = Residents::default();
        self.timers = TimerQueue::default();
        self.invocations.clear();
        self.applied = (offer.meta.start, offer.meta.start_term);
        self.whole_at = offer.end;
        // What is on its way to the index is void, and so are the answers to it.
        self.storing_bytes = 0;
        self.joining.fetching = None;
        self.joining.installing = Some(VecDeque::new());
        out.push(Output::Install { offer, file });
    }

    pub(crate) fn take_installed(&mut self, base: Base, now: Timestamp, out: &mut Vec<Output>) {
        let Some(waiting) = self.joining.installing.take() else { return };
        self.header = base.header;
        if Mutant::ChannelMarksLost.is_planted() {
            self.header.channels = Channels::default();
        }
        self.residents = base.residents;
        self.timers = base.timers;
        self.invocations = base.invocations;
        if self.apply_all(&Vec::from(waiting), out) {
            self.pump(now, out);
        }
    }

    /// Applies what is committed, or keeps it until there is a state to apply it to.
    pub(crate) fn take_committed(
        &mut self,
        committed: Vec<LogEntry>,
        out: &mut Vec<Output>,
    ) -> bool {
        match &mut self.joining.installing {
            Some(waiting) => {
                waiting.extend(committed);
                true
            }
            None => self.apply_all(&committed, out),
        }
    }

    pub(crate) fn begin_group(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Some(begun) = self.group.begin() else { return };
        match begun {
            // In front of everything that follows from it.
            Ok(members) => out.push(Output::AppendLazily(members)),
            Err(why) => return self.fence(why, out),
        }
        out.push(Output::Members(self.group.members().clone()));
        self.start(now, out);
    }

    pub(crate) fn change_members(&mut self, change: &MemberChange) -> Reply {
        if !self.leads_started() {
            return self.not_leader();
        }
        if change.demotes(self.node) {
            return Reply::ChangeRefused { why: "a leader hands over before it leaves".to_owned() };
        }
        match self.group.propose_change(change) {
            Ok(index) => Reply::Changing { index },
            Err(_dropped) => Reply::Busy { retry_after: Span::from_secs(1) },
        }
    }
}

/// A message on its way to the peer it names.
pub(crate) fn sent(message: Message) -> Output {
    Output::Send { to: NodeId(message.to), message }
}

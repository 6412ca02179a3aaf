//! One shard's replica as a pure state machine: inputs in, outputs out, nothing else.
//!
//! **Invariants:** no clock, no randomness, no file, no hash-map order: the same inputs give the
//! same outputs, so the simulator runs what production runs; replies leave only after commit and
//! apply; a fault in a committed entry fences this replica of this shard and nothing more.
//!
//! The parts: `turn` decides, `apply` applies, `reads` reads, `loads` waits for cold entities.

use std::collections::BTreeMap;
use std::fmt;

use sha2::{Digest, Sha256};
use storage::log::LogEntry;

use crate::entity::{Catalogue, NoCatalogue};
use crate::ids::{EntityRef, Incarnation, NodeId, ShardId};
use crate::mutants::Mutant;
use crate::placement::shard_map::ShardMap;
use crate::replication::group::catching_up::FollowerStatus;
use crate::replication::group::{Group, GroupConfig, GroupError, GroupState};
use crate::replication::members::GroupMembers;
use crate::shard::clock::BelievedClock;
use crate::shard::entry::Cursor;
use crate::shard::header::Header;
use crate::shard::io::{Command, Input, Output, Reply, Space};
use crate::shard::joining::{Joining, sent};
use crate::shard::kind::Kinds;
use crate::shard::lead::{Lead, Work};
use crate::shard::loads::Loads;
use crate::shard::outbox::Tell;
use crate::shard::reads::Reads;
use crate::shard::reluctance::Reluctance;
use crate::shard::residents::{Leaving, Residents, Unstored};
use crate::shard::rest::Resting;
use crate::shard::timers::TimerQueue;
use crate::time::{Span, Timestamp};

/// Timers handed to a turn at once; the rest follow with the next tick.
const TIMERS_PER_TICK_MAX: usize = 256;
/// Ticks between offers of tells that were not acknowledged.
const TICKS_PER_OFFER: u64 = 10;
/// However small the memory for entities, this much is never too much for one shard.
const MEMORY_MIN: usize = 4 << 20;
/// Bytes on their way to the state index before letting go waits. Whoever needs an entity back in
/// memory waits behind those of all shards.
const STORING_BYTES_MAX: usize = 128 << 10;

pub struct ShardCore {
    pub(crate) id: ShardId,
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) shards: ShardMap,
    pub(crate) kinds: Kinds,
    pub(crate) resident_bytes_max: usize,
    pub(crate) entry_bytes_max: usize,
    log_cache_bytes_max: usize,
    pub(crate) group: Group,
    pub(crate) header: Header,
    /// Index and term of the last applied entry.
    pub(crate) applied: (u64, u64),
    pub(crate) residents: Residents,
    pub(crate) loads: Loads,
    pub(crate) timers: TimerQueue,
    /// Open invocations and who waits for them, whether in memory or not.
    pub(crate) invocations: BTreeMap<Cursor, EntityRef>,
    pub(crate) reads: Reads,
    pub(crate) lead: Option<Lead>,
    /// Before this index is applied, records may be of different moments.
    pub(crate) whole_at: u64,
    pub(crate) joining: Joining,
    pub(crate) catalogue: Result<Catalogue, NoCatalogue>,
    pub(crate) space: Space,
    pub(crate) seed: [u8; 32],
    pub(crate) fenced: Option<String>,
    /// Bytes handed to the state index and not yet confirmed.
    pub(crate) storing_bytes: usize,
    ticks: u64,
    pub(crate) clock: BelievedClock,
    pub(crate) rests_after: Option<u32>,
    pub(crate) resting: Resting,
    pub(crate) reluctance: Reluctance,
}

/// What a shard is made of besides its past.
#[derive(Clone)]
pub struct ShardConfig {
    pub id: ShardId,
    pub node: NodeId,
    pub incarnation: Incarnation,
    pub shards: ShardMap,
    pub kinds: Kinds,
    /// Past this many bytes of entities in memory, idle ones leave it.
    pub resident_bytes_max: usize,
    /// A turn is cut so that its entry fits this.
    pub entry_bytes_max: usize,
    /// Applied entries kept in memory for followers that lag a little.
    pub log_cache_bytes_max: usize,
    /// Ticks without anything to do after which the group rests; `None`: it never does.
    pub rests_after: Option<u32>,
    /// Random bytes of this start of this replica.
    pub seed: [u8; 32],
}

/// Numbers an operator looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStatus {
    pub leads: bool,
    pub term: u64,
    pub commit: u64,
    pub applied: u64,
    pub entities: usize,
    pub hot_entities: usize,
    pub hot_bytes: usize,
    pub timers: usize,
    pub open_invocations: usize,
    /// Tells sent whose outcome is not recorded at their target yet.
    pub waiting_tells: usize,
    pub fenced: bool,
    /// Whether the state is that of one moment: not so while a snapshot is being caught up with.
    pub whole: bool,
    /// Another replica that leads, as far as this one knows.
    pub leader: Option<NodeId>,
    /// Nothing new is decided until there is space for it.
    pub storage_full: bool,
}

impl ShardCore {
    /// A replica with the given past; `base` holds what is applied already.
    pub fn restart(config: ShardConfig, base: Base, state: GroupState) -> Result<Self, GroupError> {
        let ShardConfig { id, node, incarnation, shards, kinds, seed, rests_after, .. } = config;
        let ShardConfig { resident_bytes_max, entry_bytes_max, log_cache_bytes_max, .. } = config;
        let applied = state.applied;
        let whole_at = state.whole_at;
        let asker = asker_of(&seed, node);
        Ok(Self {
            id,
            node,
            incarnation,
            shards,
            kinds,
            resident_bytes_max,
            entry_bytes_max,
            log_cache_bytes_max,
            group: Group::restart(
                GroupConfig {
                    node,
                    shard: id,
                    seed: u64::from_be_bytes(asker),
                    log_cache_bytes_max,
                },
                state,
            )?,
            header: base.header,
            applied,
            residents: base.residents,
            loads: Loads::default(),
            timers: base.timers,
            invocations: base.invocations,
            reads: Reads::new(asker),
            lead: None,
            whole_at,
            joining: Joining::default(),
            catalogue: Err(NoCatalogue::Absent),
            space: Space::Free,
            seed,
            fenced: None,
            storing_bytes: 0,
            ticks: 0,
            clock: BelievedClock::default(),
            reluctance: Reluctance::default(),
            rests_after,
            resting: Resting::default(),
        })
    }

    /// For another group of this replica.
    pub(crate) fn group_config(&self) -> GroupConfig {
        GroupConfig {
            node: self.node,
            shard: self.id,
            seed: u64::from_be_bytes(asker_of(&self.seed, self.node)),
            log_cache_bytes_max: self.log_cache_bytes_max,
        }
    }

    /// Takes one input. Outputs are to be carried out in order.
    pub fn step(&mut self, now: Timestamp, input: Input, out: &mut Vec<Output>) {
        if self.fenced.is_some() {
            return refuse_fenced(input, out);
        }
        let now = self.believe(now, out);
        match input {
            Input::Tick if self.rests() => self.repeat_rest(out),
            Input::Tick => self.tick(now, out),
            Input::SlowTick if self.rests() => self.let_go_of_idle(out),
            // Whoever looks after it believes that it rests.
            Input::SlowTick => out.push(Output::Wakes),
            Input::Wake { silent_ticks } => {
                self.wake(silent_ticks, out);
                self.tick(now, out);
            }
            Input::LeaderRests { leader, at } => self.take_leader_rests(leader, at, now, out),
            Input::Flush => {}
            Input::Command { token, command } => self.enqueue(token, command, out),
            Input::Query { token, query } => self.take_query(token, query, now, out),
            Input::Told(tell) => self.take_tell(tell, out),
            Input::TellsAcked { target, up_to } => {
                if let Some(lead) = &mut self.lead {
                    lead.mark_tells_acked(target, up_to);
                }
            }
            Input::Answered { entity, invocation, answer } => {
                if let Some(lead) = &mut self.lead {
                    lead.inbox.push_back(Work::Answered { entity, invocation, answer });
                }
            }
            Input::CursorMoved { consumer, cursor } => {
                if let Some(lead) = &mut self.lead {
                    lead.mark_cursor(consumer, cursor);
                }
            }
            Input::Persisted { number } => {
                let messages = self.group.persisted(number);
                out.extend(messages.into_iter().map(sent));
                self.pump(now, out);
            }
            // What was asked for before is void once the shard goes on from a snapshot.
            Input::Loaded { .. } | Input::Indexed { .. } if self.is_installing() => {}
            Input::Loaded { entity, stored } => self.take_loaded(entity, stored, now, out),
            Input::Indexed { entity, position, bytes } => self.indexed(&entity, position, bytes),
            Input::Message(message) => self.take_message(message, now, out),
            Input::LogRead { from, entries } => {
                self.group.take_read_entries(from, entries);
                self.pump(now, out);
            }
            Input::ChangeMembers { token, change } => {
                out.push(Output::Reply { token, reply: self.change_members(&change) });
                self.pump(now, out);
            }
            Input::Begin => self.begin_group(now, out),
            Input::TransferLead { to } => {
                self.group.transfer(to);
                self.pump(now, out);
            }
            Input::StepDown => {
                self.group.step_down();
                self.pump(now, out);
            }
            Input::ClockIsOff(is_off) => self.set_clock_is_off(is_off),
            Input::Forgotten => self.joining.forgotten(),
            Input::Covered(offer) => self.group.cover(offer),
            Input::Fetched { offer, file } => self.take_fetched(&offer, file, now, out),
            Input::FetchFailed(offer) => self.joining.give_up(&offer),
            Input::Installed(base) => self.take_installed(*base, now, out),
            Input::InstallFailed { why } => self.fence(why, out),
            Input::Catalogue(catalogue) => self.catalogue = catalogue,
            Input::Space(space) => self.set_space(space, out),
        }
        self.wake_if_needed(now, out);
    }

    fn indexed(&mut self, entity: &EntityRef, position: u64, bytes: usize) {
        self.residents.mark_indexed(entity, position);
        self.storing_bytes = self.storing_bytes.saturating_sub(bytes);
    }

    /// Decides what has gathered and carries the group as far as it goes without the disk. To be
    /// called when there is no further input at hand.
    pub fn flush(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.fenced.is_some() {
            return;
        }
        let now = self.believe(now, out);
        self.run_turn(now, out);
        self.ask_reads();
        self.pump(now, out);
    }

    /// Becomes leader at once where there is nobody to ask.
    pub fn start(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.group.is_only_voter() {
            self.group.campaign();
        }
        self.pump(now, out);
    }

    fn believe(&mut self, now: Timestamp, out: &mut Vec<Output>) -> Timestamp {
        let (now, jump) = self.clock.read(now);
        out.extend(jump.map(|step| Output::ClockStepped { step }));
        now
    }

    fn enqueue(&mut self, token: u64, command: Command, out: &mut Vec<Output>) {
        let memory_full = self.is_memory_full();
        let reply = match (&mut self.lead, self.space) {
            // Whether there is space counts where the shard is led, and that may be elsewhere.
            (None, _) => self.not_leader(),
            (Some(_), Space::Full) => Reply::StorageFull,
            (Some(_), Space::Free) if memory_full => {
                Reply::Busy { retry_after: Span::from_secs(1) }
            }
            (Some(lead), Space::Free) => {
                return lead.inbox.push_back(Work::Command { token, command });
            }
        };
        out.push(Output::Reply { token, reply });
    }

    fn take_tell(&mut self, tell: Tell, out: &mut Vec<Output>) {
        let source = (tell.incarnation, tell.from);
        let recorded = self.header.channels.received_up_to(tell.from, tell.incarnation);
        // Before the lead has started, entries of the last term may still record this very tell.
        let Some(lead) = self.lead.as_mut().filter(|lead| lead.started) else { return };
        if tell.seq <= recorded {
            return out.push(Output::AckTells { source: tell.from, up_to: recorded });
        }
        let undecided = lead.speculation.received.get(&source).copied().unwrap_or(recorded);
        if Mutant::TellAckedEarly.is_planted() {
            out.push(Output::AckTells { source: tell.from, up_to: tell.seq });
        }
        let queue = lead.told.entry(source).or_default();
        let last = queue.back().map_or(undecided.max(recorded), |tell| tell.seq);
        let skips = tell.seq > last && Mutant::TellGapAccepted.is_planted();
        if tell.seq == last + 1 || skips {
            queue.push_back(tell);
        } else if queue.is_empty() {
            lead.told.remove(&source);
        }
    }

    fn tick(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        self.ticks += 1;
        self.clock.tick();
        self.group.tick();
        self.tick_reluctance(self.ticks);
        self.tick_reads(now, out);
        let shard_now = now.max(self.header.time);
        if let Some(lead) = self.lead.as_mut().filter(|lead| lead.started) {
            lead.make_marks_due();
            if self.space == Space::Free {
                let due: Vec<_> = self
                    .timers
                    .due(shard_now)
                    .filter(|due| !lead.firing.contains(due))
                    .take(TIMERS_PER_TICK_MAX)
                    .collect();
                for due in due {
                    lead.firing.insert(due.clone());
                    lead.inbox.push_back(Work::TimerDue(due));
                }
            }
            if self.ticks.is_multiple_of(TICKS_PER_OFFER) {
                self.offer_tells(out);
                // Answers could not be recorded, and the outside would be asked again and again.
                if self.space == Space::Free {
                    self.offer_invocations(out);
                }
            }
        } else if self.ticks.is_multiple_of(TICKS_PER_OFFER)
            && Mutant::OffersByDeposedLeader.is_planted()
        {
            self.offer_invocations(out);
        }
        out.extend(self.group.take_unlogged_commit().map(Output::AppendLazily));
        if self.ticks.is_multiple_of(TICKS_PER_OFFER) && self.group.take_snapshot_wanted() {
            out.push(Output::SnapshotWanted);
        }
        self.pump(now, out);
        self.let_go_of_idle(out);
        self.consider_rest(now, out);
    }

    /// Moves the group as far as it goes without waiting for the disk.
    pub(crate) fn pump(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if self.fenced.is_some() {
            return;
        }
        while let Some(polled) = self.group.poll() {
            out.extend(polled.messages.into_iter().map(sent));
            if let Some((number, records)) = polled.append {
                out.push(Output::Append { number, records });
            }
            self.follow_role(out);
            if let Some((offer, file)) = polled.installed {
                self.begin_install(offer, file, out);
            }
            for (context, index) in polled.reads {
                self.confirm_reads(&context, index, out);
            }
            if !self.take_committed(polled.committed, out) {
                return;
            }
            self.start_lead(out);
            self.let_go_of_idle(out);
        }
        let wanted = self.group.take_wanted_entries().into_iter();
        out.extend(wanted.map(|(from, to)| Output::ReadLog { from, to }));
        // Also when the group had nothing to say: a lead that replaced one starts here.
        self.follow_role(out);
        self.start_lead(out);
        self.serve_reads(now, out);
    }

    pub(crate) fn apply_all(&mut self, committed: &[LogEntry], out: &mut Vec<Output>) -> bool {
        for entry in committed {
            if let Err(fault) = self.apply_committed(entry, out) {
                self.fence(fault.why, out);
                return false;
            }
        }
        if let Some(last) = committed.last() {
            self.group.applied(last.index);
        }
        true
    }

    fn follow_role(&mut self, out: &mut Vec<Output>) {
        let term = self.group.term();
        match &self.lead {
            Some(lead) if self.group.is_leader() && lead.term == term => {}
            Some(_) => self.lose_lead(out),
            None if self.group.is_leader() => {
                self.lead = Some(Lead::new(term, self.group.last_index()));
            }
            None => {}
        }
    }

    /// Starts work once everything from before is applied: tells and invocations that were open
    /// under the last leader are this one's now.
    fn start_lead(&mut self, out: &mut Vec<Output>) {
        let Some(lead) = &mut self.lead else { return };
        let is_behind = self.applied.0 < lead.starts_after && !Mutant::LeadStartsEarly.is_planted();
        if lead.started || is_behind || self.joining.is_installing() {
            return;
        }
        lead.started = true;
        lead.speculation.time = self.header.time;
        out.push(Output::Leads(true));
        self.offer_tells(out);
        self.offer_invocations(out);
        // Consumers look for themselves how far they had come.
        out.push(Output::Published { index: self.applied.0 });
    }

    /// Gives up everything that leading held: the term is lost, or what it decided is void.
    pub(crate) fn lose_lead(&mut self, out: &mut Vec<Output>) {
        let Some(lead) = self.lead.take() else { return };
        if lead.started {
            out.push(Output::Leads(false));
        }
        let abandoned = lead.abandoned(self.group.other_leader());
        out.extend(abandoned.map(|h| Output::Reply { token: h.token, reply: h.reply }));
        self.abandon_reads(out);
        self.abandon_parked_commands(out);
        if !Mutant::SpeculationKept.is_planted() {
            self.residents.drop_speculation();
        }
        if self.group.is_leader() {
            self.lead = Some(Lead::new(self.group.term(), self.group.last_index()));
        }
    }

    fn set_space(&mut self, space: Space, out: &mut Vec<Output>) {
        self.space = space;
        self.refuse_without_space(out);
    }

    /// Answers the commands that wait to be decided, if there is no space for what they decide.
    pub(crate) fn refuse_without_space(&mut self, out: &mut Vec<Output>) {
        let space = self.space;
        let Some(lead) = self.lead.as_mut().filter(|_| space == Space::Full) else { return };
        let (commands, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut lead.inbox)
            .into_iter()
            .partition(|work| matches!(work, Work::Command { .. }));
        lead.inbox = rest.into();
        for work in commands {
            if let Work::Command { token, .. } = work {
                out.push(Output::Reply { token, reply: Reply::StorageFull });
            }
        }
    }

    pub(crate) fn fence(&mut self, why: String, out: &mut Vec<Output>) {
        if let Some(lead) = self.lead.take() {
            out.extend(lead.started.then_some(Output::Leads(false)));
            // What is proposed may be committed by the next leader.
            let told = |reply| if reply == Reply::Unknown { reply } else { Reply::Fenced };
            let abandoned = lead.abandoned(None);
            out.extend(abandoned.map(|h| Output::Reply { token: h.token, reply: told(h.reply) }));
        }
        self.abandon_parked(&Reply::Fenced, out);
        self.abandon_reads(out);
        self.end_rest(out);
        out.push(Output::Fenced { why: why.clone() });
        self.fenced = Some(why);
    }

    /// Whether entities come into memory faster than the state index takes them out of it.
    fn is_memory_full(&self) -> bool {
        self.residents.hot_bytes() > self.resident_bytes_max.saturating_mul(2).max(MEMORY_MIN)
    }

    /// Hands idle entities to the state index, no faster than it takes them.
    fn let_go_of_idle(&mut self, out: &mut Vec<Output>) {
        if self.storing_bytes > STORING_BYTES_MAX {
            return;
        }
        let unstored = match self.space {
            Space::Free => Unstored::Leave,
            Space::Full => Unstored::Stay,
        };
        for Leaving { entity, position, unstored } in
            self.residents.passivate(self.resident_bytes_max, unstored)
        {
            if let Some(record) = unstored {
                self.storing_bytes += record.len();
                out.push(Output::Store { entity, position, record });
            }
        }
    }

    pub(crate) fn clock_doubt(&self) -> Span {
        self.clock.doubt()
    }

    pub(crate) fn leads_started(&self) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.started)
    }

    /// Where to go instead.
    pub(crate) fn not_leader(&self) -> Reply {
        Reply::NotLeader { hint: self.group.other_leader() }
    }

    /// The group that an entity lives in.
    pub(crate) fn home_of(&self, entity: &EntityRef) -> ShardId {
        self.shards.group_of(self.kinds.home(entity.kind), &entity.key)
    }

    pub(crate) fn owns(&self, entity: &EntityRef) -> bool {
        self.home_of(entity) == self.id
    }

    /// Whether everything that was decided or noted is applied, as far as this replica leads.
    pub(crate) fn is_settled(&self) -> bool {
        let open = |lead: &Lead| lead.has_marks() || !lead.proposed.is_empty();
        !self.lead.as_ref().is_some_and(open)
    }

    pub(crate) fn cursor(&self, consumer: u8) -> Cursor {
        self.header.cursors.get(&consumer).copied().unwrap_or_default()
    }

    /// Who has a part in this shard's group, as far as this replica has applied.
    pub fn members(&self) -> &GroupMembers {
        self.group.members()
    }

    /// How far the other replicas are, on a leader.
    pub fn followers(&self) -> Vec<FollowerStatus> {
        self.group.followers()
    }

    pub fn status(&self) -> ShardStatus {
        ShardStatus {
            leads: self.leads_started(),
            term: self.group.term(),
            commit: self.group.commit(),
            applied: self.applied.0,
            entities: self.residents.count(),
            hot_entities: self.residents.hot_count(),
            hot_bytes: self.residents.hot_bytes(),
            timers: self.timers.len(),
            open_invocations: self.invocations.len(),
            waiting_tells: self.header.channels.waiting().count(),
            fenced: self.fenced.is_some(),
            whole: self.is_whole(),
            leader: if self.group.is_leader() { None } else { self.group.other_leader() },
            storage_full: self.space == Space::Full,
        }
    }
}

/// What tells one start of one replica from all others.
fn asker_of(seed: &[u8; 32], node: NodeId) -> [u8; 8] {
    let mut hasher = Sha256::new();
    hasher.update(seed);
    hasher.update(node.0.to_be_bytes());
    let hash: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = hash;
    [a, b, c, d, e, f, g, h]
}

impl fmt::Debug for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Base").field("position", &self.header.position).finish_non_exhaustive()
    }
}

/// What a shard knew at the index its log goes on from.
#[derive(Default)]
pub struct Base {
    pub(crate) header: Header,
    pub(crate) residents: Residents,
    pub(crate) timers: TimerQueue,
    pub(crate) invocations: BTreeMap<Cursor, EntityRef>,
    /// The latest position of any record.
    pub(crate) reaches: u64,
}

fn refuse_fenced(input: Input, out: &mut Vec<Output>) {
    match input {
        Input::Command { token, .. }
        | Input::Query { token, .. }
        | Input::ChangeMembers { token, .. } => {
            out.push(Output::Reply { token, reply: Reply::Fenced });
        }
        Input::Tick
        | Input::SlowTick
        | Input::Wake { .. }
        | Input::LeaderRests { .. }
        | Input::Flush
        | Input::Told(_)
        | Input::TellsAcked { .. }
        | Input::Answered { .. }
        | Input::CursorMoved { .. }
        | Input::Persisted { .. }
        | Input::Loaded { .. }
        | Input::Indexed { .. }
        | Input::Message(_)
        | Input::LogRead { .. }
        | Input::Begin
        | Input::TransferLead { .. }
        | Input::StepDown
        | Input::Forgotten
        | Input::ClockIsOff(_)
        | Input::Covered(_)
        | Input::Fetched { .. }
        | Input::FetchFailed(_)
        | Input::Installed(_)
        | Input::InstallFailed { .. }
        | Input::Catalogue(_)
        | Input::Space(_) => {}
    }
}

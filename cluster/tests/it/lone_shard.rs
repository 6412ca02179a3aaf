//! One shard's core with everything around it played by the test: the log, the state index, the
//! other shards and the clock, all at once or not until the test says so.

use std::collections::{BTreeMap, VecDeque};

use cluster::entity::{Entity, Wire};
use cluster::fabric::Precondition;
use cluster::ids::{EntityRef, Incarnation, NodeId, ShardId};
use cluster::placement::shard_map::ShardMap;
use cluster::replication::group::GroupState;
use cluster::shard::core::{Base, ShardConfig, ShardCore, ShardStatus};
use cluster::shard::entry::CommandId;
use cluster::shard::io::{Command, Freshness, Input, Output, Query, Reply, Token};
use cluster::shard::kind::Kinds;
use cluster::shard::outbox::Tell;
use cluster::shard::walk::{Walk, Walked};
use cluster::time::{Span, Timestamp};
use storage::log::Record;

use crate::tally::{Ask, Tally, TallyCommand, TallyView, key};

const NODE: NodeId = NodeId(1);
const FIRST: Incarnation = Incarnation(1);
/// The shard under test, of [`N_SHARDS`].
const OWN: ShardId = ShardId(0);
const N_SHARDS: u32 = 3;
const TICK: Span = Span::from_millis(100);

/// Every record of a shard, its own first.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShardRecords {
    header: Vec<u8>,
    entities: BTreeMap<EntityRef, (u64, Vec<u8>)>,
}

pub(crate) struct LoneShard {
    pub(crate) core: ShardCore,
    pub(crate) now: Timestamp,
    entry_bytes_max: usize,
    last_token: Token,
    inbox: VecDeque<Input>,
    replies: BTreeMap<Token, Reply>,
    log: Vec<Record>,
    /// Tells for other shards, as often as they were offered.
    pub(crate) told: Vec<(ShardId, Tell)>,
    /// What each other shard was told is recorded here.
    pub(crate) acked: BTreeMap<ShardId, u64>,
    index: BTreeMap<EntityRef, (u64, Vec<u8>)>,
    /// Given: the state index has not said yet that it holds these.
    pub(crate) index_owes: Option<Vec<Input>>,
    pub(crate) clock_steps: Vec<Span>,
    pub(crate) n_quarantined: u32,
    pub(crate) fenced: Vec<String>,
}

impl LoneShard {
    pub(crate) fn new() -> Self {
        Self::with_entries_up_to(1 << 20)
    }

    pub(crate) fn with_entries_up_to(entry_bytes_max: usize) -> Self {
        let at = Timestamp::from_micros(1_000_000_000_000);
        Self::restart(entry_bytes_max, at, Vec::new())
    }

    /// Another replica of this shard, made from its log alone, for the same clients.
    pub(crate) fn replayed(&self) -> Self {
        let replayed = Self::restart(self.entry_bytes_max, self.now, self.log.clone());
        Self { last_token: self.last_token, ..replayed }
    }

    fn restart(entry_bytes_max: usize, now: Timestamp, log: Vec<Record>) -> Self {
        let config = ShardConfig {
            id: OWN,
            node: NODE,
            incarnation: FIRST,
            shards: ShardMap::even(N_SHARDS).expect("a few shards"),
            kinds: Kinds::default().with::<Tally>(),
            resident_bytes_max: 64 << 10,
            entry_bytes_max,
            log_cache_bytes_max: 1 << 20,
            rests_after: None,
            seed: [7; 32],
        };
        let state = group_state(&log);
        let core = ShardCore::restart(config, Base::default(), state).expect("a sound past");
        let mut shard = Self {
            core,
            now,
            entry_bytes_max,
            last_token: 0,
            inbox: VecDeque::new(),
            replies: BTreeMap::new(),
            log,
            told: Vec::new(),
            acked: BTreeMap::new(),
            index: BTreeMap::new(),
            index_owes: None,
            clock_steps: Vec::new(),
            n_quarantined: 0,
            fenced: Vec::new(),
        };
        let mut out = Vec::new();
        shard.core.start(now, &mut out);
        shard.carry_out(out);
        shard.settle();
        shard
    }

    /// Puts a command before the shard without letting it decide yet.
    pub(crate) fn submit(&mut self, name: &str, command: &TallyCommand) -> Token {
        self.submit_at(name, Precondition::None, command)
    }

    pub(crate) fn submit_at(
        &mut self,
        name: &str,
        precondition: Precondition,
        command: &TallyCommand,
    ) -> Token {
        self.last_token += 1;
        let token = self.last_token;
        let command = Command {
            entity: entity(name),
            id: CommandId { router: 9, number: token },
            // Any may still be sent again: the shard takes them up in an order of its own.
            settled_below: 1,
            not_after: self.now.plus(Span::from_secs(100_000)),
            key: None,
            precondition,
            body: command.to_bytes(),
        };
        self.input(Input::Command { token, command });
        token
    }

    pub(crate) fn execute(&mut self, name: &str, command: &TallyCommand) -> Reply {
        let token = self.submit(name, command);
        self.settle();
        self.reply(token)
    }

    pub(crate) fn reply(&mut self, token: Token) -> Reply {
        self.replies.remove(&token).expect("everything is answered once the shard has settled")
    }

    /// What an entity says of itself, or why it is not asked.
    pub(crate) fn query(&mut self, name: &str) -> Result<TallyView, Reply> {
        self.last_token += 1;
        let token = self.last_token;
        let not_after = self.now.plus(Span::from_secs(100_000));
        let query = Query {
            entity: entity(name),
            at_least: 0,
            freshness: Freshness::Latest,
            not_after,
            body: Ask.to_bytes(),
        };
        self.input(Input::Query { token, query });
        self.settle();
        match self.reply(token) {
            Reply::Viewed { view, .. } => Ok(TallyView::from_bytes(&view).expect("a view")),
            other => Err(other),
        }
    }

    pub(crate) fn view(&mut self, name: &str) -> TallyView {
        self.query(name).expect("the shard serves")
    }

    pub(crate) fn tick(&mut self) {
        self.now = self.now.plus(TICK);
        self.input(Input::Tick);
        self.settle();
    }

    pub(crate) fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.core.step(self.now, input, &mut out);
        self.carry_out(out);
    }

    /// Lets the shard decide, and nothing come of it yet.
    pub(crate) fn flush(&mut self) {
        let mut out = Vec::new();
        self.core.flush(self.now, &mut out);
        self.carry_out(out);
    }

    /// Runs until nothing is on its way any more.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(input) = self.inbox.pop_front() {
                self.input(input);
            }
            self.flush();
            if self.inbox.is_empty() {
                return;
            }
        }
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Append { number, records } => {
                    self.log.extend(records);
                    self.inbox.push_back(Input::Persisted { number });
                }
                Output::AppendLazily(record) => self.log.push(record),
                Output::Reply { token, reply } => {
                    let before = self.replies.insert(token, reply);
                    assert_eq!(before, None, "one answer to one request");
                }
                Output::Load { entity } => {
                    let stored = self.index.get(&entity).cloned();
                    self.inbox.push_back(Input::Loaded { entity, stored });
                }
                Output::Store { entity, position, record } => {
                    let bytes = record.len();
                    self.index.insert(entity.clone(), (position, record));
                    let indexed = Input::Indexed { entity, position, bytes };
                    match &mut self.index_owes {
                        Some(owed) => owed.push(indexed),
                        None => self.inbox.push_back(indexed),
                    }
                }
                Output::Tell { target: OWN, tell } => self.inbox.push_back(Input::Told(tell)),
                Output::Tell { target, tell } => self.told.push((target, tell)),
                Output::AckTells { source: OWN, up_to } => {
                    self.inbox.push_back(Input::TellsAcked { target: OWN, up_to });
                }
                Output::AckTells { source, up_to } => {
                    self.acked.insert(source, up_to);
                }
                Output::ClockStepped { step } => self.clock_steps.push(step),
                Output::Quarantined { .. } => self.n_quarantined += 1,
                Output::Fenced { why } => self.fenced.push(why),
                Output::IndexDamaged { why } => panic!("{why}"),
                Output::Send { .. }
                | Output::Rests(_)
                | Output::Wakes
                | Output::CannotRest { .. }
                | Output::ReadLog { .. }
                | Output::SnapshotWanted
                | Output::Fetch { .. }
                | Output::Install { .. }
                | Output::Members(_)
                | Output::Invoke { .. }
                | Output::Published { .. }
                | Output::Leads(_)
                | Output::Panicked { .. } => {}
            }
        }
    }

    pub(crate) fn status(&self) -> ShardStatus {
        self.core.status()
    }

    /// The payload sizes of the log's entries; barriers have none.
    pub(crate) fn entry_sizes(&self) -> Vec<usize> {
        let sizes = self.log.iter().filter_map(|record| match record {
            Record::Entry(entry) => Some(entry.payload.len()),
            _ => None,
        });
        sizes.filter(|bytes| *bytes > 0).collect()
    }

    /// Everything that a snapshot would hold now; `None` while none can be taken.
    pub(crate) fn records(&self) -> Option<ShardRecords> {
        let header = self.core.walk_start()?.header.bytes;
        let mut entities = BTreeMap::new();
        let mut after = None;
        loop {
            let step = self.core.walk_step(Walk::All, after.as_ref());
            for walked in step.walked {
                let (entity, kept) = match walked {
                    Walked::Record { entity, stored } => (entity, (stored.position, stored.bytes)),
                    Walked::InIndex { entity } => {
                        let kept = self.index[&entity].clone();
                        (entity, kept)
                    }
                };
                entities.insert(entity, kept);
            }
            after = step.next_after;
            if after.is_none() {
                return Some(ShardRecords { header, entities });
            }
        }
    }
}

fn group_state(log: &[Record]) -> GroupState {
    let mut state = GroupState::new(&[NODE]);
    for record in log {
        match record {
            Record::Entry(entry) => {
                state.terms.push(entry.index, entry.term);
                state.entries.push_back(entry.clone());
            }
            Record::HardState { term, vote, commit, .. } => {
                (state.term, state.vote) = (*term, *vote);
                state.commit = state.commit.max(*commit);
            }
            other => panic!("a lone shard logs no {other:?}"),
        }
    }
    state
}

pub(crate) fn entity(name: &str) -> EntityRef {
    EntityRef { kind: Tally::KIND, key: key(name) }
}

/// The nth name of an entity that lives in a shard.
pub(crate) fn name_in(shard: ShardId, nth: usize) -> String {
    let map = ShardMap::even(N_SHARDS).expect("a few shards");
    let mut names = (0..).map(|n: u32| format!("t{n}"));
    names.by_ref().filter(|name| map.shard_of(key(name).slot()) == shard).nth(nth).expect("endless")
}

/// The nth name of an entity that lives in the shard under test.
pub(crate) fn own_name(nth: usize) -> String {
    name_in(OWN, nth)
}

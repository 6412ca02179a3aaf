//! Three replicas of one shard: one that should not lead lets another lead, and only then.

use std::collections::{BTreeMap, VecDeque};

use cluster::entity::Wire;
use cluster::fabric::Precondition;
use cluster::ids::{EntityRef, Incarnation, NodeId, ShardId};
use cluster::placement::shard_map::ShardMap;
use cluster::replication::group::GroupState;
use cluster::shard::core::{Base, ShardConfig, ShardCore};
use cluster::shard::entry::CommandId;
use cluster::shard::io::{Command, Input, Output, Reply, Token};
use cluster::shard::kind::Kinds;
use cluster::time::{Span, Timestamp};
use storage::log::{LogEntry, Record};

use crate::lone_shard::{entity, own_name};
use crate::tally::{Tally, TallyCommand};

const N: usize = 3;
const TICK: Span = Span::from_millis(100);
/// Ten seconds, and as much again for whatever follows from them.
const STUCK_TICKS: usize = 200;
const ZEROS: usize = 30_000;

struct Replica {
    core: ShardCore,
    inbox: VecDeque<Input>,
    log: BTreeMap<u64, LogEntry>,
    index: BTreeMap<EntityRef, (u64, Vec<u8>)>,
    /// Given: the state index does not answer, and what was asked of it.
    index_owes: Option<Vec<EntityRef>>,
    replies: BTreeMap<Token, Reply>,
}

struct Trio {
    replicas: Vec<Replica>,
    now: Timestamp,
    last_token: Token,
}

impl Trio {
    fn new() -> Self {
        let nodes: Vec<_> = (1..=N as u64).map(NodeId).collect();
        let replica = |node: &NodeId| {
            let config = ShardConfig {
                id: ShardId(0),
                node: *node,
                incarnation: Incarnation(1),
                shards: ShardMap::even(3).expect("a few shards"),
                kinds: Kinds::default().with::<Tally>(),
                resident_bytes_max: 64 << 10,
                entry_bytes_max: 1 << 20,
                log_cache_bytes_max: 1 << 20,
                rests_after: None,
                seed: [7; 32],
            };
            let state = GroupState::new(&nodes);
            Replica {
                core: ShardCore::restart(config, Base::default(), state).expect("a sound past"),
                inbox: VecDeque::new(),
                log: BTreeMap::new(),
                index: BTreeMap::new(),
                index_owes: None,
                replies: BTreeMap::new(),
            }
        };
        let replicas = nodes.iter().map(replica).collect();
        let mut trio =
            Self { replicas, now: Timestamp::from_micros(1_000_000_000_000), last_token: 0 };
        trio.tick_until("one leads", |trio| trio.leader().is_some());
        trio
    }

    /// The replica that leads, counted from zero.
    fn leader(&self) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.core.leads())
    }

    fn tick_until(&mut self, what: &str, condition: impl Fn(&Self) -> bool) {
        for _ in 0..2 * STUCK_TICKS {
            if condition(self) {
                return;
            }
            self.tick();
        }
        panic!("never: {what}");
    }

    fn tick(&mut self) {
        self.now = self.now.plus(TICK);
        for replica in &mut self.replicas {
            replica.inbox.push_back(Input::Tick);
        }
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            for nth in 0..N {
                let mut out = Vec::new();
                while let Some(input) = self.replicas[nth].inbox.pop_front() {
                    self.replicas[nth].core.step(self.now, input, &mut out);
                }
                self.replicas[nth].core.flush(self.now, &mut out);
                for output in out {
                    self.carry_out(nth, output);
                }
            }
            if self.replicas.iter().all(|replica| replica.inbox.is_empty()) {
                return;
            }
        }
    }

    fn carry_out(&mut self, nth: usize, output: Output) {
        let replica = &mut self.replicas[nth];
        match output {
            Output::Append { number, records } => {
                for record in records {
                    if let Record::Entry(entry) = record {
                        replica.log.insert(entry.index, entry);
                    }
                }
                replica.inbox.push_back(Input::Persisted { number });
            }
            Output::Send { to, message } => {
                let to = usize::try_from(to.0 - 1).expect("a node of three");
                self.replicas[to].inbox.push_back(Input::Message(message));
            }
            Output::ReadLog { from, to } => {
                let entries = replica.log.range(from..=to).map(|(_, entry)| entry.clone());
                let entries = entries.collect();
                replica.inbox.push_back(Input::LogRead { from, entries });
            }
            Output::Load { entity } => match &mut replica.index_owes {
                Some(owed) => owed.push(entity),
                None => replica.load(entity),
            },
            Output::Store { entity, position, record } => {
                let bytes = record.len();
                replica.index.insert(entity.clone(), (position, record));
                replica.inbox.push_back(Input::Indexed { entity, position, bytes });
            }
            Output::Reply { token, reply } => {
                replica.replies.insert(token, reply);
            }
            Output::Fenced { why } => panic!("{why}"),
            _ => {}
        }
    }

    fn execute(&mut self, name: &str, command: &TallyCommand) -> Reply {
        let leader = self.leader().expect("one leads");
        self.last_token += 1;
        let token = self.last_token;
        let command = Command {
            entity: entity(name),
            id: CommandId { router: 9, number: token },
            settled_below: 1,
            not_after: self.now.plus(Span::from_secs(100_000)),
            key: None,
            precondition: Precondition::None,
            body: command.to_bytes(),
            origin: None,
        };
        self.replicas[leader].inbox.push_back(Input::Command { token, command });
        self.settle();
        self.replicas[leader].replies.remove(&token).expect("an answer")
    }

    fn input(&mut self, nth: usize, input: Input) {
        self.replicas[nth].inbox.push_back(input);
        self.settle();
    }

    /// A trio, one of its followers, and an entity that has left the memory of both others and of it,
    /// with an entry on its way into it which the follower's index does not let it take.
    fn with_a_stuck_follower() -> (Self, usize) {
        let mut trio = Self::new();
        for nth in 0..40 {
            let grown = trio.execute(&own_name(nth), &TallyCommand::Grow(ZEROS));
            assert!(matches!(grown, Reply::Accepted { .. }), "{grown:?}");
            trio.tick();
        }
        let follower = (trio.leader().expect("one leads") + 1) % N;
        trio.replicas[follower].index_owes = Some(Vec::new());
        for nth in 0..3 {
            let added = trio.execute(&own_name(nth), &TallyCommand::Add(1));
            assert!(matches!(added, Reply::Accepted { .. }), "{added:?}");
        }
        let owed = trio.replicas[follower].index_owes.as_ref().expect("it owes").len();
        assert_eq!(owed, 3, "the follower holds the entities in its index");
        trio.tick_until("the follower knows the commit", |trio| {
            trio.replicas[follower].core.apply_lag() > 0
        });
        (trio, follower)
    }
}

impl Replica {
    fn load(&mut self, entity: EntityRef) {
        let stored = self.index.get(&entity).cloned();
        self.inbox.push_back(Input::Loaded { entity, stored });
    }

    fn pay(&mut self, n: usize) {
        let owed = self.index_owes.as_mut().expect("it owes");
        let paid: Vec<_> = owed.drain(..n).collect();
        paid.into_iter().for_each(|entity| self.load(entity));
    }
}

#[test]
fn a_leader_that_does_not_apply_what_is_committed_lets_another_lead() {
    let (mut trio, stuck) = Trio::with_a_stuck_follower();
    let leader = trio.leader().expect("one leads");
    trio.input(leader, Input::TransferLead { to: NodeId(stuck as u64 + 1) });
    trio.tick_until("the follower leads", |trio| trio.leader() == Some(stuck));
    assert!(!trio.replicas[stuck].core.is_stuck());
    trio.tick_until("another leads", |trio| trio.leader().is_some_and(|nth| nth != stuck));
    assert!(trio.replicas[stuck].core.is_stuck());
    // Once it has what it waited for, it may lead again.
    let left = trio.replicas[stuck].index_owes.as_ref().expect("it owes").len();
    trio.replicas[stuck].pay(left);
    trio.replicas[stuck].index_owes = None;
    trio.tick();
    assert!(!trio.replicas[stuck].core.is_stuck());
    assert_eq!(trio.replicas[stuck].core.apply_lag(), 0);
}

#[test]
fn loads_that_end_one_by_one_are_no_reason_to_step_down() {
    let (mut trio, slow) = Trio::with_a_stuck_follower();
    let leader = trio.leader().expect("one leads");
    trio.input(leader, Input::TransferLead { to: NodeId(slow as u64 + 1) });
    trio.tick_until("the follower leads", |trio| trio.leader() == Some(slow));
    for _ in 0..3 {
        for _ in 0..60 {
            trio.tick();
            assert_eq!(trio.leader(), Some(slow));
        }
        trio.replicas[slow].pay(1);
    }
    trio.tick();
    assert_eq!(trio.replicas[slow].core.apply_lag(), 0);
    assert_eq!(trio.leader(), Some(slow));
}

#[test]
fn a_leader_whose_clock_is_off_lets_another_lead_and_does_not_stand_first() {
    let mut trio = Trio::new();
    let off = trio.leader().expect("one leads");
    trio.input(off, Input::ClockIsOff(true));
    trio.tick_until("another leads", |trio| trio.leader().is_some_and(|nth| nth != off));
    for _ in 0..STUCK_TICKS {
        trio.tick();
        assert_ne!(trio.leader(), Some(off));
    }
}

#[test]
fn a_replica_that_should_not_lead_does_where_nobody_else_can() {
    let mut trio = Trio::new();
    for nth in 0..N {
        trio.input(nth, Input::ClockIsOff(true));
    }
    for _ in 0..STUCK_TICKS {
        trio.tick();
    }
    trio.tick_until("one leads", |trio| trio.leader().is_some());
    let added = trio.execute(&own_name(0), &TallyCommand::Add(1));
    assert!(matches!(added, Reply::Accepted { .. }), "{added:?}");
}

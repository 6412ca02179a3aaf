//! Reads at replicas that do not get what they would wait for.

use raft::eraftpb::{Entry, EntryType, Message, MessageType};

use super::*;
use crate::entity::Wire;
use crate::ids::{Incarnation, NodeId, ShardId};
use crate::placement::shard_map::ShardMap;
use crate::replication::election::ELECTION_TICKS;
use crate::replication::group::GroupState;
use crate::replication::members::{GroupMembers, MemberChange, MemberStep};
use crate::shard::core::{Base, ShardConfig};
use crate::shard::io::Input;
use crate::shard::kind::Kinds;
use crate::sim::tally::{Look, Tally};
use crate::time::Span;

const ME: NodeId = NodeId(1);
const LEADER: NodeId = NodeId(2);

/// One replica, whose disk is quick.
struct Replica {
    core: ShardCore,
    now: Timestamp,
    replies: Vec<Reply>,
    said: Vec<Message>,
}

impl Replica {
    fn of(voters: &[u64], learners: &[u64]) -> Self {
        let config = ShardConfig {
            id: ShardId(0),
            node: ME,
            incarnation: Incarnation(1),
            shards: ShardMap::even(1).expect("a shard"),
            kinds: Kinds::default().with::<Tally>(),
            resident_bytes_max: 1 << 20,
            entry_bytes_max: 1 << 20,
            log_cache_bytes_max: 1 << 20,
            rests_after: Some(1),
            seed: [7; 32],
        };
        let (voters, learners) = (voters.to_vec(), learners.to_vec());
        let members = GroupMembers { voters, learners, ..GroupMembers::default() };
        let state = GroupState { members, ..GroupState::new(&[]) };
        let core = ShardCore::restart(config, Base::default(), state).expect("a sound past");
        let now = Timestamp::from_micros(1_000_000_000_000);
        let mut replica = Self { core, now, replies: Vec::new(), said: Vec::new() };
        let mut out = Vec::new();
        replica.core.start(now, &mut out);
        replica.carry_out(out);
        replica
    }

    fn take(&mut self, input: Input) {
        let mut out = Vec::new();
        self.core.step(self.now, input, &mut out);
        self.core.flush(self.now, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Vec<Output>) {
        for output in out {
            if let Output::Append { number, .. } = output {
                self.take(Input::Persisted { number });
            } else if let Output::Reply { reply, .. } = output {
                self.replies.push(reply);
            } else if let Output::Send { message, .. } = output {
                self.said.push(message);
            }
        }
    }

    fn hear(&mut self, from: NodeId, msg_type: MessageType, message: Message) {
        self.said.clear();
        self.take(Input::Message(Message { msg_type, from: from.0, to: ME.0, ..message }));
    }

    fn hear_leader(&mut self) {
        self.hear(LEADER, MessageType::MsgHeartbeat, Message { term: 1, ..Message::default() });
    }

    fn read(&mut self, freshness: Freshness, at_least: u64) {
        let query = Query {
            entity: Tally::address("tea"),
            at_least,
            freshness,
            not_after: self.now.plus(Span::from_secs(60)),
            body: Look.to_bytes(),
        };
        self.take(Input::Query { token: 1, query });
    }

    fn tick(&mut self, ticks: usize) {
        for _ in 0..ticks {
            self.now = self.now.plus(Span::from_millis(100));
            self.take(Input::Tick);
        }
    }

    fn says(&self, kind: MessageType) -> bool {
        self.said.iter().any(|message| message.get_msg_type() == kind)
    }
}

fn go_to(leader: Option<NodeId>) -> Reply {
    Reply::NotLeader { hint: leader }
}

#[test]
fn a_replica_that_is_no_member_sends_readers_to_its_leader() {
    let mut replica = Replica::of(&[2, 3, 4], &[]);
    replica.hear_leader();
    replica.read(Freshness::Latest, 0);
    replica.read(Freshness::Position, 100);
    assert_eq!(replica.replies, [go_to(Some(LEADER)), go_to(Some(LEADER))]);
    assert!(!replica.says(MessageType::MsgReadIndex));
}

#[test]
fn a_replica_that_is_removed_lets_its_readers_go() {
    let mut replica = Replica::of(&[1, 2, 3], &[]);
    replica.hear_leader();
    replica.read(Freshness::Latest, 0);
    replica.read(Freshness::Position, 100);
    assert_eq!(replica.replies, []);
    let removal = MemberChange { steps: vec![MemberStep::Remove(ME)] };
    let entry = Entry {
        entry_type: EntryType::EntryConfChangeV2,
        term: 1,
        index: 1,
        data: removal.encode().into(),
        ..Entry::default()
    };
    let message = Message { term: 1, commit: 1, entries: vec![entry].into(), ..Message::default() };
    replica.hear(LEADER, MessageType::MsgAppend, message);
    assert_eq!(replica.replies, [go_to(Some(LEADER)), go_to(Some(LEADER))]);
}

#[test]
fn a_learner_does_not_count_on_a_leader_that_is_silent() {
    let mut replica = Replica::of(&[2, 3], &[1]);
    replica.hear_leader();
    replica.read(Freshness::Latest, 0);
    assert!(replica.says(MessageType::MsgReadIndex));
    replica.tick(ELECTION_TICKS - 1);
    assert_eq!(replica.replies, []);
    replica.tick(2 * ELECTION_TICKS);
    assert_eq!(replica.replies, [go_to(None)]);
    replica.hear_leader();
    assert_eq!(replica.core.other_leader(), Some(LEADER));
}

#[test]
fn a_replica_that_is_no_member_rests_once_it_counts_on_nobody() {
    let mut replica = Replica::of(&[2, 3, 4], &[]);
    replica.hear_leader();
    replica.tick(ELECTION_TICKS - 1);
    assert!(!replica.core.rests());
    replica.tick(2 * ELECTION_TICKS);
    assert!(replica.core.rests());
    replica.read(Freshness::Latest, 0);
    assert_eq!(replica.replies, [go_to(None)]);
}

#[test]
fn a_read_of_what_is_there_leaves_a_replica_at_rest() {
    let mut replica = Replica::of(&[1], &[]);
    replica.tick(2 * ELECTION_TICKS);
    assert!(replica.core.rests());
    replica.read(Freshness::Position, 1);
    assert!(replica.core.rests() && replica.replies.len() == 1);
    replica.read(Freshness::Latest, 1);
    assert!(!replica.core.rests() && replica.replies.len() == 2);
}

#[test]
fn a_leader_asks_the_group_for_what_is_latest_alone() {
    let mut replica = Replica::of(&[1], &[]);
    replica.read(Freshness::Position, 1);
    assert_eq!(replica.core.reads.n_asked(), 0);
    replica.read(Freshness::Latest, 1);
    assert_eq!(replica.core.reads.n_asked(), 1);
    assert!(replica.replies.iter().all(|reply| matches!(reply, Reply::Viewed { .. })));
    assert_eq!(replica.replies.len(), 2);
}

#[test]
fn a_leader_lets_members_read_and_nobody_else() {
    let mut replica = Replica::of(&[1], &[2]);
    let question = Entry { data: vec![7].into(), ..Entry::default() };
    let question = Message { entries: vec![question].into(), ..Message::default() };
    replica.hear(NodeId(2), MessageType::MsgReadIndex, question.clone());
    assert!(replica.says(MessageType::MsgReadIndexResp));
    replica.hear(NodeId(3), MessageType::MsgReadIndex, question);
    assert!(!replica.says(MessageType::MsgReadIndexResp));
}

//! Reads at a replica that knows no leader, and whose state waits for entries that it does not get.

use cluster::entity::{Entity, Wire};
use cluster::ids::{EntityRef, Incarnation, NodeId, ShardId};
use cluster::placement::shard_map::ShardMap;
use cluster::replication::group::GroupState;
use cluster::shard::core::{Base, ShardConfig, ShardCore};
use cluster::shard::io::{Freshness, Input, Output, Query, Reply};
use cluster::shard::kind::Kinds;
use cluster::time::{Span, Timestamp};

use crate::tally::{Ask, Tally, key};

const TICK: Span = Span::from_millis(100);

/// One of three replicas; its state is of no single moment before an entry that it lacks.
fn replica_in_part() -> ShardCore {
    let config = ShardConfig {
        rests_after: None,
        id: ShardId(0),
        node: NodeId(1),
        incarnation: Incarnation(1),
        shards: ShardMap::even(1).expect("a shard"),
        kinds: Kinds::default().with::<Tally>(),
        resident_bytes_max: 1 << 20,
        entry_bytes_max: 1 << 20,
        log_cache_bytes_max: 1 << 20,
        seed: [7; 32],
    };
    let voters = [1, 2, 3].map(NodeId);
    let state = GroupState { whole_at: 5, ..GroupState::new(&voters) };
    ShardCore::restart(config, Base::default(), state).expect("a sound past")
}

/// What the replies were, each with the number of ticks before it.
fn replies(core: &mut ShardCore, query: Query, ticks: u64) -> Vec<(u64, Reply)> {
    let began = Timestamp::from_micros(1_000_000_000_000);
    let (mut out, mut found) = (Vec::new(), Vec::new());
    core.start(began, &mut out);
    core.step(began, Input::Query { token: 1, query }, &mut out);
    let mut now = began;
    for tick in 0..ticks {
        core.flush(now, &mut out);
        for output in out.drain(..) {
            if let Output::Reply { reply, .. } = output {
                found.push((tick, reply));
            }
        }
        now = now.plus(TICK);
        core.step(now, Input::Tick, &mut out);
    }
    found
}

#[test]
fn a_read_that_waits_for_a_whole_state_ends_at_its_deadline_without_a_leader() {
    let query = Query {
        entity: EntityRef { kind: Tally::KIND, key: key("tea") },
        at_least: 0,
        freshness: Freshness::Position,
        not_after: Timestamp::from_micros(1_000_000_000_000).plus(Span::from_secs(2)),
        body: Ask.to_bytes(),
    };
    let found = replies(&mut replica_in_part(), query, 40);
    assert!(
        matches!(found.as_slice(), [(20.., Reply::Expired { .. })]),
        "once, and not before its time: {found:?}"
    );
}

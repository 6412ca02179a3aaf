//! Entities that come into memory faster than the state index takes them out of it.

use cluster::shard::io::Reply;

use crate::lone_shard::{LoneShard, own_name};
use crate::tally::TallyCommand;

/// What is never too much for one shard, however small its budget.
const MEMORY_MIN: usize = 4 << 20;
const ZEROS: usize = 30_000;

/// Makes new entities until the shard refuses; gives how many there are.
fn fill(shard: &mut LoneShard) -> usize {
    for n in 0..100 {
        match shard.execute(&own_name(n), &TallyCommand::Grow(ZEROS)) {
            Reply::Accepted { .. } => {}
            Reply::Busy { .. } => return n,
            other => panic!("{other:?}"),
        }
    }
    panic!("memory has no bound");
}

#[test]
fn memory_that_the_index_does_not_relieve_refuses_commands_and_nothing_else() {
    let mut shard = LoneShard::new();
    shard.index_owes = Some(Vec::new());
    let n = fill(&mut shard);
    let hot_bytes = shard.status().hot_bytes;
    assert!((MEMORY_MIN..MEMORY_MIN * 3 / 2).contains(&hot_bytes), "{hot_bytes} bytes");
    assert_eq!(shard.status().entities, n, "the refused one left no trace");
    let newest = own_name(n - 1);
    assert_eq!(shard.view(&newest).added.len(), ZEROS);
    let refused = shard.execute(&newest, &TallyCommand::Add(1));
    assert!(matches!(refused, Reply::Busy { .. }), "{refused:?}");
    for _ in 0..20 {
        shard.tick();
    }
    let refused = shard.execute(&newest, &TallyCommand::Add(1));
    assert!(matches!(refused, Reply::Busy { .. }), "time alone frees nothing: {refused:?}");
}

#[test]
fn once_the_index_took_records_commands_pass_and_nothing_is_lost() {
    let mut shard = LoneShard::new();
    shard.index_owes = Some(Vec::new());
    let n = fill(&mut shard);
    for indexed in shard.index_owes.take().expect("it owed") {
        shard.input(indexed);
    }
    for _ in 0..20 {
        shard.tick();
    }
    assert!(shard.status().hot_bytes < MEMORY_MIN);
    for nth in 0..n {
        let name = own_name(nth);
        let reply = shard.execute(&name, &TallyCommand::Add(1));
        assert!(matches!(reply, Reply::Accepted { seq: 2, .. }), "{reply:?}");
        let added = shard.view(&name).added;
        assert_eq!((added.len(), added.last()), (ZEROS + 1, Some(&1)));
    }
    assert_eq!(shard.replayed().records(), shard.records());
}

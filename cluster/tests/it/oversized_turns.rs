//! What happens to decisions that are more than one log entry may hold.

use cluster::fabric::Precondition;
use cluster::shard::io::Reply;

use crate::lone_shard::{LoneShard, own_name};
use crate::tally::TallyCommand;

/// An outcome may take half of it, tells decided in the same entry three quarters together.
const ENTRY_BYTES_MAX: usize = 64 << 10;

fn grow_of_bytes(bytes: usize) -> TallyCommand {
    TallyCommand::Grow(bytes / size_of::<i64>())
}

/// Tells three entities of this shard something that makes each grow.
fn tell_three(bytes_each: usize) -> TallyCommand {
    let to = (1..=3).map(own_name).collect();
    TallyCommand::Relay { to, command: Box::new(grow_of_bytes(bytes_each)) }
}

fn seq_of(reply: &Reply) -> Option<u64> {
    match reply {
        Reply::Accepted { seq, .. } => Some(*seq),
        _ => None,
    }
}

#[test]
fn tells_that_fit_are_decided_in_the_entry_that_tells_them() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    shard.execute(&own_name(0), &tell_three(2 << 10));
    assert_eq!(shard.entry_sizes().len(), 1);
    assert_eq!(shard.view(&own_name(3)).added.len(), 256);
}

#[test]
fn tells_that_do_not_fit_are_undone_and_take_the_channel() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    let told = shard.submit(&own_name(0), &tell_three(24 << 10));
    // Of the same turn: decided on what is left when the tells are undone, which is nothing.
    let next = shard.submit_at(&own_name(1), Precondition::Seq(0), &TallyCommand::Add(5));
    shard.settle();
    assert_eq!(seq_of(&shard.reply(told)), Some(1));
    assert_eq!(seq_of(&shard.reply(next)), Some(1));
    let sizes = shard.entry_sizes();
    assert!(sizes.len() >= 3, "{sizes:?}");
    assert!(sizes.iter().all(|bytes| *bytes <= ENTRY_BYTES_MAX), "{sizes:?}");
    assert!(sizes[0] < 2 << 10, "nothing of the undone tells is in the first entry: {sizes:?}");
    assert_eq!(shard.view(&own_name(0)).added, [1]);
    let zeros = vec![0; 3 << 10];
    assert_eq!(shard.view(&own_name(1)).added, [vec![5], zeros.clone()].concat());
    assert_eq!(shard.view(&own_name(2)).added, zeros);
    assert_eq!(shard.view(&own_name(3)).added, zeros);
    assert_eq!(shard.status().waiting_tells, 0);
    assert_eq!(shard.replayed().records(), shard.records());
}

#[test]
fn after_an_undone_decision_tells_are_decided_directly_again() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    // More than are decided directly: the rest is on its way to the channel when all is undone.
    let to = (1..=40).map(own_name).collect();
    let many = TallyCommand::Relay { to, command: Box::new(grow_of_bytes(2 << 10)) };
    shard.execute(&own_name(0), &many);
    assert_eq!(shard.view(&own_name(40)).added.len(), 256);
    let n_entries = shard.entry_sizes().len();
    let to = (50..53).map(own_name).collect();
    let few = TallyCommand::Relay { to, command: Box::new(TallyCommand::Add(1)) };
    shard.execute(&own_name(50), &few);
    assert_eq!(shard.entry_sizes().len(), n_entries + 1);
    assert_eq!(shard.replayed().records(), shard.records());
}

#[test]
fn what_was_decided_before_the_undone_stays() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    let before = shard.submit(&own_name(1), &TallyCommand::Add(7));
    let told = shard.submit(&own_name(0), &tell_three(24 << 10));
    let after = shard.submit_at(&own_name(1), Precondition::Seq(1), &TallyCommand::Add(8));
    shard.settle();
    let seqs = [before, told, after].map(|token| seq_of(&shard.reply(token)));
    assert_eq!(seqs, [Some(1), Some(1), Some(2)]);
    assert_eq!(shard.view(&own_name(1)).added[..2], [7, 8]);
    assert_eq!(shard.replayed().records(), shard.records());
}

#[test]
fn an_outcome_too_large_for_any_entry_is_refused_and_nothing_of_it_stays() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    assert_eq!(shard.execute(&own_name(0), &grow_of_bytes(40 << 10)), Reply::RecordFull);
    assert_eq!(shard.status().entities, 0);
    assert_eq!(shard.entry_sizes(), Vec::<usize>::new());
    shard.execute(&own_name(0), &TallyCommand::Add(1));
    assert_eq!(shard.execute(&own_name(0), &grow_of_bytes(40 << 10)), Reply::RecordFull);
    let next = shard.submit_at(&own_name(0), Precondition::Seq(1), &TallyCommand::Add(2));
    shard.settle();
    assert_eq!(seq_of(&shard.reply(next)), Some(2));
    assert_eq!(shard.view(&own_name(0)).added, [1, 2]);
    assert_eq!(shard.replayed().records(), shard.records());
}

#[test]
fn a_tell_whose_outcome_is_too_large_is_set_aside_and_its_channel_goes_on() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    let reply = shard.execute(&own_name(0), &tell_three(40 << 10));
    assert_eq!(seq_of(&reply), Some(1));
    assert_eq!(shard.n_quarantined, 3);
    assert_eq!(shard.view(&own_name(1)).added, Vec::<i64>::new());
    assert_eq!(shard.status().waiting_tells, 0);
    let relay =
        TallyCommand::Relay { to: vec![own_name(1)], command: Box::new(TallyCommand::Add(1)) };
    shard.execute(&own_name(0), &relay);
    assert_eq!(shard.view(&own_name(1)).added, [1]);
}

#[test]
fn a_full_turn_ends_and_the_next_goes_on() {
    let mut shard = LoneShard::with_entries_up_to(ENTRY_BYTES_MAX);
    let name = |n: usize| own_name(n % 5);
    let tokens: Vec<_> =
        (0..40).map(|n| shard.submit(&name(n), &grow_of_bytes(20 << 10))).collect();
    shard.settle();
    for token in tokens {
        assert!(seq_of(&shard.reply(token)).is_some());
    }
    let sizes = shard.entry_sizes();
    assert!(sizes.iter().all(|bytes| *bytes <= ENTRY_BYTES_MAX), "{sizes:?}");
    assert_eq!(sizes.len(), 40, "{sizes:?}");
}

//! What was told for good at a fast clock's time still holds where a slower clock leads next.

use cluster::shard::io::Reply;
use cluster::time::Span;

use crate::lone_shard::{LoneShard, own_name};
use crate::tally::TallyCommand;

const AHEAD: Span = Span::from_secs(3);

/// A shard, and a time between its own clock and one that is ahead.
fn between_clocks() -> (LoneShard, u64) {
    let mut shard = LoneShard::new();
    shard.execute(&own_name(0), &TallyCommand::Add(1));
    let between = shard.now.plus(Span::from_secs(2)).as_micros();
    shard.now = shard.now.plus(AHEAD);
    (shard, between)
}

/// The shard as led by a node whose clock is not ahead.
fn led_by_a_slower_clock(mut shard: LoneShard) -> LoneShard {
    shard.now = shard.now.minus(AHEAD);
    shard.replayed()
}

fn is_refused(shard: &mut LoneShard, command: &TallyCommand) -> bool {
    matches!(shard.execute(&own_name(0), command), Reply::Rejected { .. })
}

#[test]
fn what_came_too_late_does_not_come_in_time_again() {
    let (mut shard, between) = between_clocks();
    let by = TallyCommand::AddBy(between);
    assert!(is_refused(&mut shard, &by));
    let mut next = led_by_a_slower_clock(shard);
    assert!(is_refused(&mut next, &by));
}

#[test]
fn what_was_accepted_without_an_event_stays_accepted() {
    let (mut shard, between) = between_clocks();
    let from = TallyCommand::NoteFrom(between);
    assert!(!is_refused(&mut shard, &from));
    let mut next = led_by_a_slower_clock(shard);
    assert!(!is_refused(&mut next, &from));
}

#[test]
fn time_is_written_once_and_only_where_it_decides() {
    let (mut shard, between) = between_clocks();
    let n_entries = shard.entry_sizes().len();
    assert!(is_refused(&mut shard, &TallyCommand::Add(-5)));
    assert_eq!(shard.entry_sizes().len(), n_entries, "no time makes this another answer");
    for _ in 0..3 {
        assert!(is_refused(&mut shard, &TallyCommand::AddBy(between)));
        assert_eq!(shard.entry_sizes().len(), n_entries + 1);
    }
}

#[test]
fn what_was_too_early_long_ago_and_is_too_late_now_is_refused_for_good() {
    let mut shard = LoneShard::new();
    shard.execute(&own_name(0), &TallyCommand::Add(1));
    shard.now = shard.now.plus(Span::from_secs(30));
    let during = shard.now.minus(Span::from_secs(20)).as_micros();
    let until = shard.now.minus(Span::from_secs(1)).as_micros();
    let between = TallyCommand::AddBetween(during, until);
    assert!(is_refused(&mut shard, &between));
    assert!(is_refused(&mut led_by_a_slower_clock(shard), &between));
}

//! A clock that jumps ahead is doubted: what waits for a time does not come due at once.

use cluster::time::Span;

use crate::lone_shard::{LoneShard, own_name};
use crate::tally::TallyCommand;

const HOUR: Span = Span::from_secs(3_600);
const TICKS_PER_MINUTE: u32 = 600;

fn plan(shard: &mut LoneShard, name: &str, after_secs: u64) {
    let later = TallyCommand::AddLater { amount: 1, after_ms: after_secs * 1_000 };
    shard.execute(name, &later);
}

fn minutes(shard: &mut LoneShard, n: u32) {
    for _ in 0..n * TICKS_PER_MINUTE {
        shard.tick();
    }
}

/// A shard with a timer each after half a minute, ten minutes and fifty.
fn with_timers() -> (LoneShard, [String; 3]) {
    let mut shard = LoneShard::new();
    let names = [0, 1, 2].map(own_name);
    for (name, after_secs) in names.iter().zip([30, 600, 3_000]) {
        plan(&mut shard, name, after_secs);
    }
    (shard, names)
}

fn fired(shard: &mut LoneShard, names: &[String; 3]) -> [bool; 3] {
    [0, 1, 2].map(|n: usize| shard.view(&names[n]).sum > 0)
}

#[test]
fn an_hour_ahead_fires_a_minute_of_timers_and_says_so() {
    let (mut shard, names) = with_timers();
    shard.now = shard.now.plus(HOUR);
    shard.tick();
    assert_eq!(fired(&mut shard, &names), [true, false, false]);
    assert_eq!(shard.clock_steps.len(), 1, "reported once");
    assert!(shard.clock_steps[0] >= HOUR);
}

#[test]
fn the_doubt_goes_at_the_pace_of_time_itself() {
    let (mut shard, names) = with_timers();
    shard.now = shard.now.plus(HOUR);
    shard.tick();
    // One minute is believed; the nine to the next timer pass twice as fast as they should.
    minutes(&mut shard, 4);
    assert_eq!(fired(&mut shard, &names), [true, false, false]);
    minutes(&mut shard, 1);
    assert_eq!(fired(&mut shard, &names), [true, true, false]);
    minutes(&mut shard, 19);
    assert_eq!(fired(&mut shard, &names), [true, true, false]);
    minutes(&mut shard, 1);
    assert_eq!(fired(&mut shard, &names), [true, true, true]);
    assert_eq!(shard.clock_steps.len(), 1);
}

#[test]
fn a_clock_set_back_after_its_jump_leaves_time_where_it_was() {
    let (mut shard, names) = with_timers();
    shard.now = shard.now.plus(HOUR);
    shard.tick();
    shard.now = shard.now.minus(HOUR);
    minutes(&mut shard, 9);
    assert_eq!(fired(&mut shard, &names), [true, false, false]);
    minutes(&mut shard, 2);
    assert_eq!(fired(&mut shard, &names), [true, true, false]);
}

#[test]
fn new_timers_count_from_the_believed_time() {
    let (mut shard, _) = with_timers();
    shard.now = shard.now.plus(HOUR);
    shard.tick();
    let fresh = own_name(3);
    plan(&mut shard, &fresh, 600);
    minutes(&mut shard, 4);
    assert_eq!(shard.view(&fresh).sum, 0);
    minutes(&mut shard, 2);
    assert_eq!(shard.view(&fresh).sum, 1_000);
}

//! What a shard does while others do not take its tells: it bounds what waits, and goes on with
//! everything that does not add to it.

use cluster::ids::{Incarnation, ShardId};
use cluster::shard::io::{Input, Reply};
use cluster::shard::outbox::Tell;

use crate::lone_shard::{LoneShard, entity, name_in, own_name};
use crate::tally::TallyCommand;
use cluster::entity::Wire;

const STUCK: ShardId = ShardId(1);
const OTHER: ShardId = ShardId(2);
/// What all channels together may hold, in bytes.
const WAITING_BYTES_MAX: usize = 512 << 10;
const TELL_BYTES: usize = 8 << 10;

/// A command that tells an entity of `target` something heavy.
fn heavy(target: ShardId) -> TallyCommand {
    let command = Box::new(TallyCommand::Weigh(vec![0; TELL_BYTES]));
    TallyCommand::Relay { to: vec![name_in(target, 0)], command }
}

fn is_busy(reply: &Reply) -> bool {
    matches!(reply, Reply::Busy { .. })
}

/// Tells `target` until it is too much; gives how many tells went.
fn fill(shard: &mut LoneShard, target: ShardId) -> usize {
    for n in 0..1_000 {
        if is_busy(&shard.execute(&own_name(0), &heavy(target))) {
            return n;
        }
    }
    panic!("there is no bound");
}

fn take_all(shard: &mut LoneShard, target: ShardId) {
    let to_it = shard.told.iter().filter(|(to, _)| *to == target);
    let up_to = to_it.map(|(_, tell)| tell.seq).max().expect("something was told");
    shard.input(Input::TellsAcked { target, up_to });
    shard.tick();
}

/// A tell of another shard, the `seq`th.
fn told(seq: u64, to: &str, command: &TallyCommand) -> Input {
    let (incarnation, to) = (Incarnation(1), entity(to));
    Input::Told(Tell { from: OTHER, incarnation, seq, to, command: command.to_bytes() })
}

#[test]
fn past_the_bound_a_command_that_tells_is_refused_without_a_trace() {
    let mut shard = LoneShard::new();
    let sent = fill(&mut shard, STUCK);
    let bytes = sent * TELL_BYTES;
    assert!((WAITING_BYTES_MAX / 4..WAITING_BYTES_MAX).contains(&bytes), "{bytes} bytes wait");
    assert_eq!(shard.status().waiting_tells, sent);

    let before = shard.records();
    let fresh = own_name(1);
    assert!(is_busy(&shard.execute(&fresh, &heavy(STUCK))));
    assert!(is_busy(&shard.execute(&own_name(0), &heavy(STUCK))));
    assert_eq!(shard.records(), before);
    assert_eq!(shard.view(&fresh).added, Vec::<i64>::new());
    let quiet = shard.execute(&fresh, &TallyCommand::Add(1));
    assert!(matches!(quiet, Reply::Accepted { .. }), "{quiet:?}");
}

#[test]
fn what_is_decided_and_not_yet_sent_counts() {
    let mut shard = LoneShard::new();
    let tokens: Vec<_> = (0..200).map(|_| shard.submit(&own_name(0), &heavy(STUCK))).collect();
    shard.settle();
    let refused = tokens.into_iter().filter(|token| is_busy(&shard.reply(*token))).count();
    let one_by_one = fill(&mut LoneShard::new(), STUCK);
    assert_eq!(200 - refused, one_by_one, "as many as if each had waited for the one before");
}

#[test]
fn a_stuck_shard_leaves_the_channels_of_others_theirs() {
    let mut shard = LoneShard::new();
    let stuck = fill(&mut shard, STUCK);
    let other = fill(&mut shard, OTHER);
    assert!(other * 4 >= stuck, "{other} tells after {stuck}");
    let own =
        TallyCommand::Relay { to: vec![own_name(1)], command: Box::new(TallyCommand::Add(1)) };
    let reply = shard.execute(&own_name(0), &own);
    assert!(matches!(reply, Reply::Accepted { .. }), "{reply:?}");
    assert_eq!(shard.view(&own_name(1)).sum, 1);
}

#[test]
fn what_answers_to_a_tell_passes_and_its_channel_goes_on() {
    let mut shard = LoneShard::new();
    let sent = fill(&mut shard, STUCK);
    for seq in 1..=20 {
        shard.input(told(seq, &own_name(2), &heavy(STUCK)));
    }
    shard.settle();
    assert_eq!(shard.acked.get(&OTHER), Some(&20));
    assert_eq!(shard.view(&own_name(2)).sum, 20);
    assert_eq!(shard.status().waiting_tells, sent + 20);
    assert_eq!(shard.n_quarantined, 0);
    assert_eq!(shard.replayed().records(), shard.records(), "the shard can be kept and read back");
}

#[test]
fn once_the_target_takes_them_commands_pass_again() {
    let mut shard = LoneShard::new();
    let sent = fill(&mut shard, STUCK);
    take_all(&mut shard, STUCK);
    assert_eq!(shard.status().waiting_tells, 0);
    assert_eq!(fill(&mut shard, STUCK), sent);
    assert_eq!(shard.replayed().records(), shard.records());
}

#[test]
fn a_header_too_large_to_be_kept_puts_snapshots_off_and_loses_nothing() {
    let mut shard = LoneShard::new();
    let sent = fill(&mut shard, STUCK);
    for seq in 1..=300 {
        shard.input(told(seq, &own_name(2), &heavy(STUCK)));
        shard.settle();
    }
    assert!(shard.records().is_none(), "more waits than a header may hold");
    assert_eq!(shard.status().waiting_tells, sent + 300);
    assert_eq!(shard.replayed().status().waiting_tells, sent + 300);
    take_all(&mut shard, STUCK);
    assert!(shard.records().is_some());
    assert_eq!(shard.replayed().records(), shard.records());
}

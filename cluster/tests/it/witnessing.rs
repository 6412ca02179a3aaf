//! Who keeps account of commands that somebody answers for.

use cluster::entity::{DecodeError, Wire};
use cluster::fabric::{Origin, OutcomeKey, Precondition};
use cluster::ids::{EntityRef, ShardId};
use cluster::shard::entry::CommandId;
use cluster::shard::io::{Command, Reply};
use cluster::shard::witness::Deed;
use cluster::time::{Span, Timestamp};

use crate::lone_shard::{LoneShard, entity, own_name};
use crate::tally::TallyCommand;

/// Counts accepted commands, each by the sequence of its entity.
fn account() -> String {
    own_name(900)
}

/// An origin of no bytes cannot be read.
pub(crate) fn tell_account(deed: &Deed<'_>) -> Result<(EntityRef, Vec<u8>), DecodeError> {
    if deed.origin.0.is_empty() {
        return Err(DecodeError { what: "an origin", why: "there is none".to_owned() });
    }
    assert_eq!((deed.group, deed.slot.bits()), (ShardId(0), 0));
    let seq = i64::try_from(deed.seq).unwrap_or(i64::MAX);
    Ok((entity(&account()), TallyCommand::Add(seq).to_bytes()))
}

struct Sent<'a> {
    nth: u64,
    origin: Option<&'a [u8]>,
    key: Option<u8>,
}

fn execute(shard: &mut LoneShard, sent: &Sent<'_>, command: &TallyCommand) -> Reply {
    let not_after = shard.now.plus(Span::from_secs(1_000));
    let key = |byte| OutcomeKey { scope: [byte; 16], request: [1; 16], not_after: Timestamp::MAX };
    let token = shard.submit_whole(Command {
        entity: entity(&own_name(0)),
        id: CommandId { router: 77, number: sent.nth },
        settled_below: 1,
        not_after,
        key: sent.key.map(key),
        precondition: Precondition::None,
        body: command.to_bytes(),
        origin: sent.origin.map(|bytes| Origin(bytes.to_vec())),
    });
    shard.settle();
    shard.reply(token)
}

fn by_somebody(nth: u64) -> Sent<'static> {
    Sent { nth, origin: Some(b"somebody"), key: None }
}

#[track_caller]
fn check(shard: &mut LoneShard, accounted: &[i64]) {
    assert_eq!(shard.view(&account()).added, accounted);
    assert_eq!(shard.replayed().view(&account()).added, accounted, "from the log alone");
}

#[test]
fn what_is_accepted_is_accounted_for_once() {
    let mut shard = LoneShard::new();
    execute(&mut shard, &by_somebody(1), &TallyCommand::Add(5));
    execute(&mut shard, &by_somebody(2), &TallyCommand::Add(5));
    check(&mut shard, &[1, 2]);
    let (cancel, nothing) = (TallyCommand::CancelLater, by_somebody(9));
    let reply = execute(&mut shard, &nothing, &cancel);
    assert!(matches!(reply, Reply::Accepted { seq: 2, .. }), "{reply:?}");
    check(&mut shard, &[1, 2, 2]);
    // The same attempt again, and a repeat under a key.
    execute(&mut shard, &by_somebody(2), &TallyCommand::Add(5));
    execute(&mut shard, &Sent { key: Some(7), ..by_somebody(3) }, &TallyCommand::Add(5));
    let again = Sent { key: Some(7), ..by_somebody(4) };
    let reply = execute(&mut shard, &again, &TallyCommand::Add(5));
    assert!(matches!(reply, Reply::Accepted { replayed: true, seq: 3, .. }), "{reply:?}");
    check(&mut shard, &[1, 2, 2, 3]);
}

#[test]
fn what_nobody_answers_for_and_what_is_refused_is_not() {
    let mut shard = LoneShard::new();
    execute(&mut shard, &Sent { origin: None, ..by_somebody(1) }, &TallyCommand::Add(5));
    execute(&mut shard, &by_somebody(2), &TallyCommand::Add(-9));
    execute(&mut shard, &Sent { key: Some(7), ..by_somebody(3) }, &TallyCommand::Add(-9));
    execute(&mut shard, &by_somebody(4), &TallyCommand::PanicInApply);
    check(&mut shard, &[]);
}

#[test]
fn an_origin_that_cannot_be_read_is_refused() {
    let mut shard = LoneShard::new();
    let unreadable = Sent { origin: Some(b""), ..by_somebody(1) };
    let reply = execute(&mut shard, &unreadable, &TallyCommand::Add(5));
    assert!(matches!(reply, Reply::Malformed { .. }), "{reply:?}");
    assert_eq!(shard.view(&own_name(0)).sum, 0);
    check(&mut shard, &[]);
}

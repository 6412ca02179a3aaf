//! Remembering what was done, so that nothing is done twice.
//!
//! Two memories, because two things repeat. A *router* repeats a command until it knows the answer:
//! per router a shard keeps the numbers done above the lowest one still unsettled, so the memory is
//! as large as what is in flight, not as what happened lately. A *client* repeats a request under
//! its own key for a day: the entity keeps the outcome itself.
//!
//! **Invariants:** a number below a session's `settled_below` or in `done` is never executed again;
//! a session is forgotten only when every command of it is past its `not_after`; a keyed outcome is
//! forgotten only after its own; a dropped reply still refuses a second execution.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::fabric::OutcomeKey;
use crate::mutants::Mutant;
use crate::shard::entry::{Bytes, CommandId, Routed};
use crate::time::{Span, Timestamp};

/// What every router that lately spoke to this shard has got done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sessions {
    by_router: BTreeMap<u64, Session>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    settled_below: u64,
    done: BTreeSet<u64>,
    /// The latest `not_after` seen: past it, nothing of this session can be accepted any more.
    not_after: Timestamp,
}

impl Sessions {
    pub(crate) fn is_done(&self, id: CommandId) -> bool {
        self.by_router.get(&id.router).is_some_and(|session| {
            id.number < session.settled_below || session.done.contains(&id.number)
        })
    }

    pub(crate) fn record(&mut self, routed: Routed) {
        let session = self.by_router.entry(routed.id.router).or_default();
        session.done.insert(routed.id.number);
        if routed.settled_below > session.settled_below {
            session.settled_below = routed.settled_below;
            session.done = session.done.split_off(&routed.settled_below);
        }
        session.not_after = session.not_after.max(routed.not_after);
    }

    pub(crate) fn forget_before(&mut self, now: Timestamp) {
        let now = match Mutant::SessionForgottenEarly.is_planted() {
            true => now.plus(Span::from_secs(6)),
            false => now,
        };
        self.by_router.retain(|_, session| session.not_after >= now);
    }
}

/// The outcomes of keyed commands on one entity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyedOutcomes {
    /// Oldest first.
    outcomes: Vec<KeyedOutcome>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeyedOutcome {
    pub(crate) key: OutcomeKey,
    /// Log index that holds the outcome, and the entity's sequence after it.
    pub(crate) index: u64,
    pub(crate) seq: u64,
    pub(crate) answer: KeyedAnswer,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum KeyedAnswer {
    Accepted(Bytes),
    Rejected(Bytes),
    /// Dropped to bound memory. The command took effect and is not executed again.
    Dropped,
    PreconditionFailed,
}

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recall<'a> {
    Unknown,
    Same(&'a KeyedOutcome),
    /// The key was used for another request.
    Conflict,
    /// Nothing is known of this key and nothing more may be remembered.
    Full,
}

impl KeyedOutcomes {
    pub(crate) const LIVE_MAX: usize = 256;
    pub(crate) const REPLY_BYTES_MAX: usize = 64 * 1024;

    pub(crate) fn recall(&self, key: &OutcomeKey, now: Timestamp) -> Recall<'_> {
        let live = |outcome: &&KeyedOutcome| outcome.is_live(now);
        let known = self.outcomes.iter().filter(live).find(|known| known.key.scope == key.scope);
        match known {
            Some(outcome) if outcome.key.request == key.request => Recall::Same(outcome),
            Some(_) => Recall::Conflict,
            None if self.outcomes.iter().filter(live).count() >= Self::LIVE_MAX => Recall::Full,
            None => Recall::Unknown,
        }
    }

    pub(crate) fn record(&mut self, outcome: KeyedOutcome, now: Timestamp) {
        self.outcomes.retain(|known| known.is_live(now));
        self.outcomes.push(outcome);
        let mut over = self.reply_bytes().saturating_sub(Self::REPLY_BYTES_MAX);
        for outcome in &mut self.outcomes {
            if over == 0 {
                break;
            }
            // A refusal stays: it is small, and a repeat must not be told that it took effect.
            if let KeyedAnswer::Accepted(reply) = &outcome.answer {
                over = over.saturating_sub(reply.0.len());
                outcome.answer = KeyedAnswer::Dropped;
            }
        }
    }

    pub(crate) fn footprint(&self) -> usize {
        self.outcomes.capacity() * size_of::<KeyedOutcome>() + self.reply_bytes()
    }

    fn reply_bytes(&self) -> usize {
        self.outcomes.iter().map(|outcome| outcome.answer.bytes()).sum()
    }
}

impl KeyedOutcome {
    fn is_live(&self, now: Timestamp) -> bool {
        let now = match Mutant::KeyForgottenEarly.is_planted() {
            true => now.plus(Span::from_secs(60)),
            false => now,
        };
        self.key.not_after >= now
    }
}

impl KeyedAnswer {
    fn bytes(&self) -> usize {
        match self {
            Self::Accepted(reply) | Self::Rejected(reply) => reply.0.len(),
            Self::Dropped | Self::PreconditionFailed => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_000_000);

    fn routed(number: u64, settled_below: u64) -> Routed {
        Routed { id: CommandId { router: 7, number }, settled_below, not_after: NOON }
    }

    fn key(scope: u8, request: u8) -> OutcomeKey {
        OutcomeKey { scope: [scope; 16], request: [request; 16], not_after: NOON }
    }

    fn outcome(scope: u8, bytes: usize) -> KeyedOutcome {
        let answer = KeyedAnswer::Accepted(Bytes(vec![scope; bytes]));
        KeyedOutcome { key: key(scope, 1), index: 1, seq: 1, answer }
    }

    #[test]
    fn a_number_is_done_once_recorded_and_once_settled() {
        let mut sessions = Sessions::default();
        sessions.record(routed(5, 2));
        let done = |sessions: &Sessions, number| sessions.is_done(CommandId { router: 7, number });
        assert_eq!([1, 2, 5, 6].map(|n| done(&sessions, n)), [true, false, true, false]);
        sessions.record(routed(6, 6));
        assert_eq!([2, 5, 6, 7].map(|n| done(&sessions, n)), [true, true, true, false]);
    }

    #[test]
    fn a_session_outlives_its_last_command() {
        let mut sessions = Sessions::default();
        sessions.record(routed(1, 1));
        sessions.forget_before(NOON);
        assert!(sessions.is_done(CommandId { router: 7, number: 1 }));
        sessions.forget_before(NOON.plus(Span::from_micros(1)));
        assert_eq!(sessions, Sessions::default());
    }

    #[test]
    fn a_key_recalls_its_request_and_refuses_another() {
        let mut outcomes = KeyedOutcomes::default();
        assert_eq!(outcomes.recall(&key(1, 1), NOON), Recall::Unknown);
        outcomes.record(outcome(1, 10), NOON);
        assert_eq!(outcomes.recall(&key(1, 1), NOON), Recall::Same(&outcome(1, 10)));
        assert_eq!(outcomes.recall(&key(1, 2), NOON), Recall::Conflict);
    }

    #[test]
    fn an_outcome_is_forgotten_only_after_its_time() {
        let mut outcomes = KeyedOutcomes::default();
        outcomes.record(outcome(1, 10), NOON);
        let later = NOON.plus(Span::from_micros(1));
        assert_eq!(outcomes.recall(&key(1, 1), later), Recall::Unknown);
    }

    #[test]
    fn old_replies_go_first_and_their_keys_stay() {
        let mut outcomes = KeyedOutcomes::default();
        outcomes.record(outcome(1, 40_000), NOON);
        outcomes.record(outcome(2, 40_000), NOON);
        let dropped = KeyedOutcome { answer: KeyedAnswer::Dropped, ..outcome(1, 0) };
        assert_eq!(outcomes.recall(&key(1, 1), NOON), Recall::Same(&dropped));
        assert_eq!(outcomes.recall(&key(2, 1), NOON), Recall::Same(&outcome(2, 40_000)));
    }

    #[test]
    fn a_new_key_past_the_bound_is_refused() {
        let mut outcomes = KeyedOutcomes::default();
        for scope in 0..=255 {
            outcomes.record(outcome(scope, 1), NOON);
        }
        let unknown = OutcomeKey { scope: [255; 16], request: [9; 16], not_after: NOON };
        assert_eq!(outcomes.recall(&unknown, NOON), Recall::Conflict);
        let fresh = OutcomeKey { scope: *b"another scope   ", ..unknown };
        assert_eq!(outcomes.recall(&fresh, NOON), Recall::Full);
    }
}

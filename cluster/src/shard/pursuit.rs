//! [`Pursuit`]: a request to a group, asked again under the same command id until its outcome is known.
//!
//! **Invariants:** a request that may have been started keeps its end: a later one could come when the
//! group has forgotten the first. One that was not is measured by the group's time, which may be ahead
//! of the asker's clock. A refusal that the group does not record is no outcome while an earlier attempt
//! may still be on its way: that one could be accepted.

use crate::shard::io::Reply;
use crate::time::{Span, Timestamp};

pub(crate) struct Pursuit {
    not_after: Timestamp,
    refusals: Refusals,
    may_have_started: bool,
    asked_once_more: bool,
}

/// Whether the group records refusals: those for good, of requests under a client's key. One that is
/// recorded is known again when it is asked for once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusals {
    Recorded,
    Forgotten,
}

/// What an answer means for whoever asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is the outcome.
    Outcome(Reply),
    Refused(Refusal),
    /// It is to be asked again, here or elsewhere.
    Again,
}

/// Why a request was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Its time is over.
    TooLate,
    /// Nobody can tell yet what becomes of it.
    Unsettled,
    UnknownPosition,
    Busy {
        retry_after: Span,
    },
    StorageFull,
    Fenced,
}

impl Pursuit {
    pub(crate) fn until(deadline: Timestamp, refusals: Refusals) -> Self {
        Self { not_after: deadline, refusals, may_have_started: false, asked_once_more: false }
    }

    /// By when the group must have started it.
    pub(crate) fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Whether only its outcome can tell what became of it.
    pub(crate) fn may_have_started(&self) -> bool {
        self.may_have_started
    }

    /// An attempt went unanswered.
    pub(crate) fn lost_sight(&mut self) {
        self.may_have_started = true;
    }

    /// Takes an answer; `left` is what is left of the asker's patience.
    pub(crate) fn take(&mut self, reply: Reply, left: Span) -> Taken {
        match reply {
            Reply::Unknown => {
                self.may_have_started = true;
                Taken::Again
            }
            Reply::NotLeader { .. } => Taken::Again,
            Reply::Expired { at } if !self.may_have_started => {
                self.not_after = at.plus(left);
                Taken::Again
            }
            // That this attempt was not taken says nothing of the one before.
            Reply::Busy { .. } | Reply::StorageFull | Reply::Fenced if self.may_have_started => {
                Taken::Again
            }
            Reply::Rejected { .. } | Reply::PreconditionFailed { .. }
                if self.may_have_started && self.refusals == Refusals::Forgotten =>
            {
                Taken::Refused(Refusal::Unsettled)
            }
            Reply::Rejected { replayed: false, .. }
            | Reply::PreconditionFailed { replayed: false, .. }
                if self.may_have_started =>
            {
                match std::mem::replace(&mut self.asked_once_more, true) {
                    false => Taken::Again,
                    true => Taken::Refused(Refusal::Unsettled),
                }
            }
            Reply::RecordFull | Reply::TooManyKeys if self.may_have_started => {
                Taken::Refused(Refusal::Unsettled)
            }
            Reply::Expired { .. } => Taken::Refused(Refusal::TooLate),
            Reply::UnknownPosition => Taken::Refused(Refusal::UnknownPosition),
            Reply::Busy { retry_after } => Taken::Refused(Refusal::Busy { retry_after }),
            Reply::StorageFull => Taken::Refused(Refusal::StorageFull),
            Reply::Fenced => Taken::Refused(Refusal::Fenced),
            Reply::Accepted { .. }
            | Reply::Rejected { .. }
            | Reply::Viewed { .. }
            | Reply::PreconditionFailed { .. }
            | Reply::KeyConflict
            | Reply::ReplyExpired
            | Reply::TooManyKeys
            | Reply::Panicked
            | Reply::Malformed { .. }
            | Reply::RecordFull
            | Reply::Changing { .. }
            | Reply::ChangeRefused { .. } => Taken::Outcome(reply),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_micros(9_000_000);
    const LEFT: Span = Span::from_secs(2);

    #[test]
    fn patience_counts_from_the_groups_time_unless_an_attempt_may_have_started() {
        let deadline = Timestamp::from_micros(1_000_000);
        let mut pursuit = Pursuit::until(deadline, Refusals::Recorded);
        assert_eq!(pursuit.take(Reply::NotLeader { hint: None }, LEFT), Taken::Again);
        assert_eq!(pursuit.take(Reply::Expired { at: AT }, LEFT), Taken::Again);
        assert_eq!(pursuit.not_after(), AT.plus(LEFT));
        let busy = || Reply::Busy { retry_after: LEFT };
        let refused = Taken::Refused(Refusal::Busy { retry_after: LEFT });
        assert_eq!(pursuit.take(busy(), LEFT), refused);
        assert_eq!(pursuit.take(Reply::Unknown, LEFT), Taken::Again);
        assert_eq!(pursuit.take(busy(), LEFT), Taken::Again);
        let expired = Reply::Expired { at: AT.plus(LEFT) };
        assert_eq!(pursuit.take(expired, LEFT), Taken::Refused(Refusal::TooLate));
        assert_eq!(pursuit.not_after(), AT.plus(LEFT));
        assert_eq!(pursuit.take(Reply::KeyConflict, LEFT), Taken::Outcome(Reply::KeyConflict));
    }

    #[test]
    fn a_refusal_that_is_not_recorded_settles_nothing_while_an_attempt_may_be_under_way() {
        let refused = || Reply::Rejected { rejection: vec![1], seq: 0, index: 7, replayed: false };
        let outcome = Taken::Outcome(refused());
        for refusals in [Refusals::Recorded, Refusals::Forgotten] {
            let mut pursuit = Pursuit::until(AT, refusals);
            assert_eq!(pursuit.take(refused(), LEFT), outcome);
            pursuit.lost_sight();
            let unsettled = Taken::Refused(Refusal::Unsettled);
            if refusals == Refusals::Recorded {
                assert_eq!(pursuit.take(refused(), LEFT), Taken::Again);
                let known =
                    Reply::Rejected { rejection: vec![1], seq: 0, index: 7, replayed: true };
                assert_eq!(pursuit.take(known.clone(), LEFT), Taken::Outcome(known));
            }
            assert_eq!(pursuit.take(refused(), LEFT), unsettled);
        }
    }
}

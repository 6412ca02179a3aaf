//! The catalogue as a node keeps it: read from the records of the `catalogue` group, and of use only
//! while it is known to be new enough.
//!
//! **Invariants:** what is read is the group's state at one index, so nodes that are at the same
//! index price alike; a copy is of use for [`AGE_MAX`] after the moment of which it was known to
//! hold everything the group had committed, and no longer.
//!
//! What the records mean, only the domain knows: see [`CatalogueReader`].

use std::any::Any;
use std::sync::Arc;

use crate::entity::{Catalogue, DecodeError};
use crate::ids::EntityRef;
use crate::time::{Span, Timestamp};

/// How old a copy may be that prices come from.
pub const AGE_MAX: Span = Span::from_secs(2);

/// Makes of the group's records what entities see as [`Catalogue::content`].
pub trait CatalogueReader: Send + Sync + 'static {
    /// The content after some records changed; `before` has what was made of the others. To be a
    /// function of the records alone, however they are dealt out over calls.
    fn read(
        &self,
        before: Option<&Catalogue>,
        changed: &[ChangedRecord],
    ) -> Result<Arc<dyn Any + Send + Sync>, DecodeError>;
}

/// An entity of the group whose state changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedRecord {
    pub entity: EntityRef,
    /// As [`crate::entity::Entity::to_record`] gave it.
    pub state: Vec<u8>,
}

/// Everything that changed in a stretch of the group's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Changes {
    pub(crate) records: Vec<ChangedRecord>,
    /// The last index at which something changed; the same on every replica.
    pub(crate) newest: u64,
    /// The stretch ends here.
    pub(crate) to: u64,
}

/// Of which moment a copy is known to hold everything.
///
/// Counted on a clock of the node's own that never runs backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Confirmed(Option<Timestamp>);

impl Confirmed {
    pub(crate) const fn at(asked: Timestamp) -> Self {
        Self(Some(asked))
    }

    /// Before the first confirmation a copy is as old as the node's run.
    pub(crate) fn age(self, now: Timestamp) -> Span {
        now.since(self.0.unwrap_or(Timestamp::ZERO))
    }

    pub(crate) fn is_of_use(self, now: Timestamp) -> bool {
        self.0.is_some() && self.age(now) <= AGE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Timestamp = Timestamp::from_micros(7_000_000);

    #[test]
    fn a_copy_is_of_use_for_two_seconds_after_it_was_asked_for() {
        let confirmed = Confirmed::at(ASKED);
        let last = ASKED.plus(AGE_MAX);
        assert!(confirmed.is_of_use(ASKED) && confirmed.is_of_use(last));
        assert!(!confirmed.is_of_use(last.plus(Span::from_micros(1))));
        assert_eq!(confirmed.age(last), AGE_MAX);
    }

    #[test]
    fn a_copy_that_was_never_confirmed_is_of_no_use_and_grows_old() {
        let never = Confirmed::default();
        assert!(!never.is_of_use(Timestamp::ZERO));
        assert_eq!(never.age(ASKED), Span::from_secs(7));
    }
}

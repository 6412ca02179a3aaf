//! Bugs planted on purpose in what is kept, to prove that the simulator finds such bugs. None of them
//! exists in a build without the feature `mutants`; with it, one is chosen at run time, per thread.
//!
//! **Invariants:** nothing planted, nothing changed.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A full segment's end is not synced before the next one is written.
    TailLostOnRoll,
    /// What went into a new segment counts as synced with the old one.
    RollCountsAsSync,
    /// A group's term and vote go with the segment that holds them.
    HardStateLostWithSegment,
    /// A group's members go with the segment that holds them.
    MembersLostWithSegment,
}

impl Mutant {
    pub const ALL: [Self; 4] = [
        Self::TailLostOnRoll,
        Self::RollCountsAsSync,
        Self::HardStateLostWithSegment,
        Self::MembersLostWithSegment,
    ];

    #[cfg(feature = "mutants")]
    pub(crate) fn is_planted(self) -> bool {
        PLANTED.with(|planted| planted.get() == Some(self))
    }

    #[cfg(not(feature = "mutants"))]
    #[inline]
    pub(crate) const fn is_planted(self) -> bool {
        false
    }
}

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug for whatever this thread runs from here on, or takes it away.
#[cfg(feature = "mutants")]
pub fn plant(mutant: Option<Mutant>) {
    PLANTED.with(|planted| planted.set(mutant));
}

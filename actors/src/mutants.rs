//! Bugs planted on purpose in carts and stocks, to prove that the simulator finds such bugs. None of
//! them exists in a build without the feature `mutants`; with it, one is chosen at run time, per thread.
//!
//! **Invariants:** nothing planted, nothing changed.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A reservation is granted whether or not there is stock for it.
    Oversold,
    /// What a reservation held is not available again when it has expired.
    ExpiryKeepsStock,
    /// A cart does not know whose lines it took.
    LinesTakenTwice,
}

impl Mutant {
    pub const ALL: [Self; 3] = [Self::Oversold, Self::ExpiryKeepsStock, Self::LinesTakenTwice];

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

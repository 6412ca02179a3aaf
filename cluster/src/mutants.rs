//! Bugs planted on purpose, to prove that the simulator finds such bugs. None of them exists in a
//! build without the feature `mutants`; with it, one is chosen at run time, per thread.
//!
//! **Invariants:** nothing planted, nothing changed.

/// What is done wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A vote leaves before it is synced.
    VoteBeforeSync,
    /// A follower acknowledges entries before they are synced.
    AckBeforeSync,
    /// A leader counts its own copy before it is synced.
    OwnCopyBeforeSync,
    /// Term and vote are not in the log.
    HardStateLost,
    /// A leader commits what it alone holds.
    WrongQuorum,
    /// A reply leaves when its entry is proposed.
    ReplyBeforeCommit,
    /// What was proposed and lost with the term is answered as done.
    DroppedProposalAnswered,
    /// An entry is applied to the record that was decided with it, too.
    AppliedTwice,
    /// A leader reads without asking whether it still is one.
    StaleRead,
    /// Questions of two replicas look the same.
    ReadContextsShared,
    /// A router's command id is not remembered.
    OutcomeSkipped,
    /// A client's key is not remembered.
    KeyedOutcomeSkipped,
    /// Only a leader notes timers.
    TimerLostOnFailover,
    /// A snapshot comes without the marks of its channels.
    ChannelMarksLost,
    /// A tell is taken although one before it is missing.
    TellGapAccepted,
    /// A tell is acknowledged when it arrives.
    TellAckedEarly,
    /// Changed members are not in the log.
    MembersNotLogged,
}

impl Mutant {
    pub const ALL: [Self; 17] = [
        Self::VoteBeforeSync,
        Self::AckBeforeSync,
        Self::OwnCopyBeforeSync,
        Self::HardStateLost,
        Self::WrongQuorum,
        Self::ReplyBeforeCommit,
        Self::DroppedProposalAnswered,
        Self::AppliedTwice,
        Self::StaleRead,
        Self::ReadContextsShared,
        Self::OutcomeSkipped,
        Self::KeyedOutcomeSkipped,
        Self::TimerLostOnFailover,
        Self::ChannelMarksLost,
        Self::TellGapAccepted,
        Self::TellAckedEarly,
        Self::MembersNotLogged,
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

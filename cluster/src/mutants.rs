//! Bugs planted on purpose, to prove that the simulator finds such bugs. None of them exists in a
//! build without the feature `mutants`; with it, one is chosen at run time, per thread.
//!
//! **Invariants:** nothing planted, nothing changed.

use std::fmt;

pub use storage::mutants::Mutant as StorageMutant;

macro_rules! mutants {
    ($($(#[doc = $what:literal])+ $name:ident),+ $(,)?) => {
        /// What is done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[doc = $what])+ $name,)+
        }

        impl Mutant {
            pub const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

mutants! {
    /// A vote leaves before it is synced.
    VoteBeforeSync,
    /// A follower acknowledges entries before they are synced.
    AckBeforeSync,
    /// A leader counts its own copy before it is synced.
    OwnCopyBeforeSync,
    /// Term and vote are not in the log.
    HardStateLost,
    /// A restarted replica does not know whom it voted for.
    VoteForgotten,
    /// A leader commits what it alone holds.
    WrongQuorum,
    /// A change of members takes effect at once, without both majorities.
    JointChangeShortcut,
    /// Changed members are not in the log.
    MembersNotLogged,
    /// Entries that were void are read back with those that replaced them.
    TruncationForgotten,
    /// Everything that a log holds at a start counts as committed.
    AllEntriesCommitted,
    /// Members are not taken from a snapshot.
    SnapshotWithoutMembers,
    /// A snapshot comes without the marks of its channels.
    ChannelMarksLost,
    /// A snapshot is taken while an outcome waits for its record.
    ParkedOutcomeMissed,
    /// The state index is believed beyond its floor.
    IndexUsedAboveFloor,
    /// A reply leaves when its entry is proposed.
    ReplyBeforeCommit,
    /// A refusal leaves before what it was decided on is committed.
    RefusalSentEarly,
    /// What was proposed and lost with the term is answered as done.
    DroppedProposalAnswered,
    /// A leader decides before it has applied what was there before it.
    LeadStartsEarly,
    /// What was decided and lost with the term still counts when leading again.
    SpeculationKept,
    /// An entity leaves memory although something undecided is on its way to it.
    LetGoUndecided,
    /// An entry is applied to the record that was decided with it, too.
    AppliedTwice,
    /// An entry that the shard's own record holds is applied to it again.
    HeaderAppliedTwice,
    /// A leader reads without asking whether it still is one.
    StaleRead,
    /// A follower reads without waiting for what its leader had committed.
    FollowerReadsBehind,
    /// Questions of two replicas look the same.
    ReadContextsShared,
    /// A replica reads while its records are of different moments.
    FuzzyRead,
    /// A router's command id is not remembered.
    OutcomeSkipped,
    /// What a router got done is forgotten before its commands are too late.
    SessionForgottenEarly,
    /// A client's key is not remembered.
    KeyedOutcomeSkipped,
    /// A client's key is forgotten before its time.
    KeyForgottenEarly,
    /// Only a leader notes timers.
    TimerLostOnFailover,
    /// A timer that has fired fires again.
    TimerNotUsedUp,
    /// An answered request to the outside world is answered again.
    AnswerTakenTwice,
    /// The outside world is asked for what is not committed yet.
    InvokedBeforeCommit,
    /// What the outside world may have forgotten is sent to it again.
    SentPastHorizon,
    /// Every replica carries effects out.
    EffectsByFollowers,
    /// A replica that leads no more goes on offering what is open.
    OffersByDeposedLeader,
    /// A tell is taken although one before it is missing.
    TellGapAccepted,
    /// A tell is acknowledged when it arrives.
    TellAckedEarly,
    /// A tell within the shard overtakes those that wait in the channel.
    TellOvertakes,
}

impl Mutant {
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

/// A bug of this crate, or of what it keeps its data with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    Cluster(Mutant),
    Storage(StorageMutant),
}

impl Planted {
    pub fn all() -> Vec<Self> {
        let cluster = Mutant::ALL.iter().copied().map(Self::Cluster);
        cluster.chain(StorageMutant::ALL.into_iter().map(Self::Storage)).collect()
    }
}

impl fmt::Display for Planted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(mutant) => write!(f, "{mutant:?}"),
            Self::Storage(mutant) => write!(f, "{mutant:?}"),
        }
    }
}

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// Plants a bug for whatever this thread runs from here on, or takes it away.
#[cfg(feature = "mutants")]
pub fn plant(planted: Option<Planted>) {
    let (mut own, mut kept) = (None, None);
    match planted {
        Some(Planted::Cluster(mutant)) => own = Some(mutant),
        Some(Planted::Storage(mutant)) => kept = Some(mutant),
        None => {}
    }
    PLANTED.with(|planted| planted.set(own));
    storage::mutants::plant(kept);
}

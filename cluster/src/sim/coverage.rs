//! What came about in simulated clusters: a run in which nothing happened proves nothing.
//!
//! **Invariants:** counts only grow, and those of several runs add up.

/// How often each thing happened that a simulation is made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub events: u64,
    /// Leaders of groups, each counted once a term.
    pub leaders: u64,
    pub transfers: u64,
    pub crashes: u64,
    /// Processes that ended because their log failed.
    pub deaths: u64,
    /// Machines reset while the answer to a question was on its way to them.
    pub resets: u64,
    pub pauses: u64,
    /// Cuts of one node from others.
    pub cuts: u64,
    pub packets_lost: u64,
    /// Clocks that were set wrong.
    pub clocks_set: u64,
    pub disks_full: u64,
    pub snapshots: u64,
    pub segments_dropped: u64,
    /// Snapshots of other nodes that a shard went on from.
    pub installs: u64,
    /// Entries read back for followers.
    pub log_reads: u64,
    /// Entities that left memory, and that came back into it.
    pub stores: u64,
    pub loads: u64,
    pub member_changes: u64,
    /// Machines that joined, and disks that were lost for good.
    pub joined: u64,
    pub wiped: u64,
    /// Times that a replica rested for want of anything to do.
    pub rests: u64,
    pub tells: u64,
    pub invocations: u64,
    /// Times in which the world outside did not answer.
    pub silences: u64,
    /// Floors of state indexes that were raised, shards that started from their index, and shards
    /// that had to do without.
    pub floors: u64,
    pub index_starts: u64,
    pub index_rebuilds: u64,
    /// Pairs of replicas at the same place that were compared.
    pub compared: u64,
}

macro_rules! counts {
    ($($count:ident),*) => {
        impl Coverage {
            /// Every count under its name.
            pub fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($count), self.$count)),*].into_iter()
            }

            pub fn add(&mut self, other: &Self) {
                $(self.$count += other.$count;)*
            }
        }
    };
}
counts!(
    events,
    leaders,
    transfers,
    crashes,
    deaths,
    resets,
    pauses,
    cuts,
    packets_lost,
    clocks_set,
    disks_full,
    snapshots,
    segments_dropped,
    installs,
    log_reads,
    stores,
    loads,
    member_changes,
    joined,
    wiped,
    rests,
    tells,
    invocations,
    silences,
    floors,
    index_starts,
    index_rebuilds,
    compared
);

impl Coverage {
    /// What never happened.
    pub fn missing(&self) -> Vec<&'static str> {
        self.counts().filter(|(_, count)| *count == 0).map(|(name, _)| name).collect()
    }
}

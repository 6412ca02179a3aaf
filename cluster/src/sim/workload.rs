//! What clients do to a simulated cluster, and what may be true of it afterwards.
//!
//! **Invariants:** a workload draws from the numbers it is given and nothing else; it believes what
//! clients were told and what the cluster shows them at rest, and knows nothing of its inside.

use storage::sim_disk::SplitMix64;

use crate::entity::Catalogue;
use crate::ids::{EntityRef, ShardId};
use crate::placement::shard_map::ShardMap;
use crate::shard::kind::Kinds;
use crate::sim::client::{Finished, Wish};
use crate::sim::port::Provider;
use crate::time::Timestamp;

/// What a client is to do.
#[derive(Clone, Debug)]
pub struct Operation {
    pub entity: EntityRef,
    pub wish: Wish,
}

/// Clients of one sort of entities. Operations are numbered by whoever runs them, in one sequence
/// for all workloads of a run.
pub trait Workload: Send {
    /// Adds the kinds of entities that it speaks to.
    fn kinds(&self, kinds: Kinds) -> Kinds;

    /// What its entities find in the catalogue of every node.
    fn catalogue(&self) -> Option<Catalogue> {
        None
    }

    /// Who answers what its entities ask of the world outside.
    fn providers(&self) -> Vec<Box<dyn Provider>> {
        Vec::new()
    }

    /// Whether a run ends before its entities' timers do, unless all machines sleep meanwhile.
    fn has_long_timers(&self) -> bool {
        false
    }

    /// The next operation.
    fn draw(&mut self, op: u64, now: Timestamp, random: &mut SplitMix64) -> Operation;

    /// An operation on a shard that succeeds once the shard serves; `None` if it has none.
    fn probe(&mut self, op: u64, shard: ShardId, map: ShardMap) -> Option<Operation>;

    /// Looks at everything there is, to be done at rest: numbered from `first` on.
    fn audits(&mut self, first: u64) -> Vec<Operation>;

    /// What became of an operation. An error says why that cannot be.
    fn finish(&mut self, finished: Finished) -> Result<(), String>;

    /// Holds everything that was said against everything that is.
    fn judge(&self) -> Result<(), String>;
}

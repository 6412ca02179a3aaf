//! Giving back what replicas take that have no part in their groups any more.
//!
//! **Invariants:** what the cluster's map says is a hint; another replica of the group must confirm it.
//! The files go after the log says durably that nothing needs them, and before the replica takes
//! anything new. History stays: it is an archive, and may be the only one that goes so far back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::clock;
use storage::snapshot;
use storage::state::IndexJob;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ids::{NodeId, ShardId};
use crate::placement::cluster::Place;
use crate::runtime::asking::{ask, callback, finished};
use crate::runtime::maintenance::Maintenance;
use crate::runtime::postponed::Postponed;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::runtime::snapshotting::SNAPSHOT_DIR;
use crate::shard::io::Input;
use crate::shard::question::{Answer, Question};

const ANSWER_MAX: Duration = Duration::from_millis(500);

impl Services {
    /// Asks others about the replicas here that the cluster's map does not want here, whether they
    /// have a part in their groups; `nth` chooses whom.
    pub(crate) async fn ask_about_parts(&self, nth: usize) {
        let cluster = Arc::clone(&self.cluster.borrow());
        for (group, place) in cluster.places() {
            let Some(progress) = self.progress_of(group) else { continue };
            // Every node has a part in these.
            let is_here = group.is_everywhere() || is_wanted(place, self.node);
            if is_here || !progress.has_past.load(Ordering::Relaxed) {
                continue;
            }
            let Some(voter) = place.voters.iter().nth(nth % place.voters.len().max(1)) else {
                continue;
            };
            let Some(network) = self.network.get() else { return };
            let deadline = Instant::from_std(clock::monotonic()) + ANSWER_MAX;
            match network.ask(*voter, &Question::Part { group }, deadline).await {
                Ok(Answer::Part { as_of, has_part: false }) => {
                    progress.removed_as_of.store(as_of, Ordering::Relaxed);
                }
                Ok(_) => {}
                // The rest can wait until whoever is asked next answers.
                Err(_) => return,
            }
        }
    }
}

fn is_wanted(place: &Place, node: NodeId) -> bool {
    place.is_moving() || place.wanted.contains(&node) || place.voters.contains(&node)
}

impl Maintenance {
    /// Lets go of the replicas that others know to have no part in their groups.
    pub(crate) async fn forget_removed(&mut self) -> Result<(), Postponed> {
        // It would wait for space that the rest of maintenance may make.
        if self.services.index.lacks_space() || self.services.log.is_full() {
            return Ok(());
        }
        for shard in self.shards.clone() {
            let Some(progress) = self.services.progress_of(shard) else { continue };
            let as_of = progress.removed_as_of.swap(0, Ordering::Relaxed);
            if as_of > 0 {
                self.forget(shard, as_of).await?;
            }
        }
        Ok(())
    }

    async fn forget(&mut self, shard: ShardId, as_of: u64) -> Result<(), Postponed> {
        let actor = self.actor(shard)?.clone();
        let (reply, forgotten) = oneshot::channel();
        ask(&actor, ShardMessage::Forget { as_of, reply })?;
        // It is on its way to being a member again, or has something of its own under way.
        let Ok(durable) = forgotten.await else { return Ok(()) };
        finished(durable).await?;
        if let Err(error) = self.remove_snapshots(shard) {
            // The next snapshot of this shard takes them with it.
            tracing::warn!(shard.id = %shard, %error, "snapshots of a removed replica are left");
        }
        self.current.remove(&shard);
        let (done, set) = callback();
        self.services.submit(IndexJob::SetFloor { shard: shard.0, position: 0, done });
        let (done, removed) = callback();
        self.services.submit(IndexJob::RemoveShard { shard: shard.0, done });
        let indexed = match finished(set).await? {
            Ok(()) => finished(removed).await?.map(drop),
            Err(fault) => Err(fault),
        };
        if let Err(fault) = indexed {
            self.services.index_fault(&fault);
            return Err(fault.into());
        }
        self.services.begin_anew(shard);
        tracing::info!(shard.id = %shard, "a replica that was moved away is gone from this node");
        ask(&actor, ShardMessage::Input(Input::Forgotten))
    }

    fn remove_snapshots(&self, shard: ShardId) -> Result<(), Postponed> {
        for name in snapshot::list(self.disk.as_ref(), SNAPSHOT_DIR)? {
            if name.shard == shard.0 {
                snapshot::remove(self.disk.as_ref(), SNAPSHOT_DIR, &name)?;
            }
        }
        Ok(())
    }
}

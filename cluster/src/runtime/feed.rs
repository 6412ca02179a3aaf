//! Telling consumers that there is something published to read.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::ids::ShardId;

/// How far each shard has published, for whoever follows it.
#[derive(Default)]
pub(crate) struct FeedSignals {
    shards: Mutex<BTreeMap<ShardId, watch::Sender<u64>>>,
}

impl FeedSignals {
    pub(crate) fn published(&self, shard: ShardId, index: u64) {
        let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        shards.entry(shard).or_default().send_replace(index);
    }
}

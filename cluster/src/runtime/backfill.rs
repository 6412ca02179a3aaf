//! Fetching the history of before a replica was filled by a snapshot, once the replica is of use.
//!
//! **Invariants:** entries come in order and without a hole, and count once they are on the device,
//! so it goes on after any crash; the newest part of history is written meanwhile, and the log
//! trimmed by it. One shard at a time, a piece at a time, resting as long as it worked, and after
//! snapshots that wait for their turn.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use storage::history::{HistoryError, HistoryWriter};

use crate::ids::ShardId;
use crate::runtime::archive::kept;
use crate::runtime::asking::blocking;
use crate::runtime::histories::History;
use crate::runtime::leaders::Known;
use crate::runtime::past::Past;
use crate::runtime::postponed::{Postponed, explained};
use crate::runtime::services::Services;

/// Between looks at whether something is missing.
const PAUSE: Duration = Duration::from_millis(500);
/// Between attempts of a shard whose history was nowhere to be had.
const ROUNDS_PER_ATTEMPT: u32 = 20;
const REST_MAX: Duration = Duration::from_secs(1);

pub(crate) struct Backfill {
    services: Arc<Services>,
    /// Shards that were tried in vain, and in how many rounds they are tried again.
    put_off: BTreeMap<ShardId, u32>,
}

impl Backfill {
    pub(crate) fn new(services: &Arc<Services>) -> Self {
        Self { services: Arc::clone(services), put_off: BTreeMap::new() }
    }

    pub(crate) async fn run(mut self) {
        self.services.count_missing_history();
        loop {
            tokio::time::sleep(PAUSE).await;
            if self.services.shards.is_stopping() {
                return;
            }
            self.put_off.retain(|_, rounds| {
                *rounds -= 1;
                *rounds > 0
            });
            for shard in self.services.map.groups() {
                match self.look(shard).await {
                    Ok(()) => {}
                    Err(Postponed::Stopping) => return,
                    Err(error) => {
                        let error = explained(&error);
                        tracing::warn!(shard.id = %shard, %error, "history is not fetched yet");
                        self.put_off.insert(shard, ROUNDS_PER_ATTEMPT);
                    }
                }
            }
        }
    }

    async fn look(&self, shard: ShardId) -> Result<(), Postponed> {
        let services = &self.services;
        let Some(history) = services.history_of(shard) else { return Ok(()) };
        if history.reached().is_joined() || self.put_off.contains_key(&shard) {
            return Ok(());
        }
        // Until it can vote and answer, a replica has more important things to do.
        let is_led = matches!(services.leaders.of(shard), Known::Here | Known::There(_));
        if !is_led || !services.status_of(shard).await?.whole {
            return Ok(());
        }
        let _filling = history.filling.lock().await;
        services.fill_history(shard, history, history.reached().since).await
    }
}

impl Services {
    async fn fill_history(
        &self,
        shard: ShardId,
        history: &History,
        since: u64,
    ) -> Result<(), Postponed> {
        let mut at = history.reached().before;
        let parts = self.history_parts(shard);
        let mut writer = blocking(move || parts.earlier(since)).await??;
        tracing::info!(shard.id = %shard, after = at, to = since, "fetching history");
        while at < since {
            let began = clock::monotonic();
            let next = async {
                let _turn = self.transfers.turn().await.ok_or(Postponed::Stopping)?;
                self.past_elsewhere(shard, at, since, None).await
            };
            let past = tokio::select! {
                past = next => past?,
                // What was missing then is part of what is missing now. Left only here, where no
                // thread writes.
                () = history.left(since) => return Ok(()),
            };
            at = past.to;
            writer = blocking(move || keep(writer, past)).await??;
            if at < since {
                history.filled(since, at);
                self.count_missing_history();
                tokio::time::sleep(began.elapsed().min(REST_MAX)).await;
            }
        }
        drop(writer);
        let parts = self.history_parts(shard);
        blocking(move || parts.join(since)).await??;
        history.filled(since, since);
        self.count_missing_history();
        tracing::info!(shard.id = %shard, to = since, "history is whole");
        Ok(())
    }

    pub(crate) fn count_missing_history(&self) {
        let missing = self.progress.iter().map(|p| p.history.reached().missing());
        let missing = i64::try_from(missing.sum::<u64>()).unwrap_or(i64::MAX);
        self.transfers.metrics.history_missing.set(missing);
    }
}

/// Makes what was fetched durable.
fn keep(mut writer: HistoryWriter, past: Past) -> Result<HistoryWriter, HistoryError> {
    let entries = past.entries.into_iter();
    let entries = entries.filter_map(|(index, payload, entry)| kept(index, &entry, payload));
    writer.append(&entries.collect::<Vec<_>>())?;
    writer.sync()?;
    Ok(writer)
}

//! Writing committed entries into history before the log lets go of them.
//!
//! **Invariants:** history takes entries in order and without a hole; writing what it has already
//! changes nothing.

use std::collections::BTreeSet;

use bytes::Bytes;
use storage::history::HistoryEntry;
use storage::log::{EntryKind, LogEntry};

use crate::entity::DecodeError;
use crate::ids::ShardId;
use crate::replication::group::group_of;
use crate::replication::recovery::SnapshotAt;
use crate::runtime::asking::{blocking, finished};
use crate::runtime::postponed::Postponed;
use crate::runtime::services::Services;
use crate::shard::entry::{Entry, Item};
use crate::shard::record::encode_ref;

/// What the log was last let go by.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Archived {
    /// The log goes on after this index.
    pub(crate) to: u64,
    /// The last index that history held then: history that ends before is damaged.
    pub(crate) reaches: Option<u64>,
    /// Where the replica's own part of history begins.
    pub(crate) since: u64,
}

impl Archived {
    pub(crate) fn of(at: &SnapshotAt) -> Self {
        Self { to: at.start, reaches: at.history_to, since: at.since }
    }
}

impl Services {
    /// Brings everything up to `to` into history, durably, and gives the last index it holds.
    pub(crate) async fn archive(
        &self,
        shard: ShardId,
        last: Archived,
        to: u64,
    ) -> Result<Option<u64>, Postponed> {
        let history = self.history_of(shard).ok_or(Postponed::Stopping)?;
        let _writing = history.writing.lock().await;
        let Archived { since, reaches, .. } = last;
        if history.reached().since != since {
            return Err(Postponed::Restarted);
        }
        let parts = self.history_parts(shard);
        let mut writer = blocking(move || parts.own(since, reaches)).await??;
        // Barriers have no history, so history may end before what the log was let go up to.
        let mut next = writer.last_index().unwrap_or(0).max(last.to) + 1;
        while next <= to {
            let entries = finished(self.log.read(group_of(shard), next, to)).await??;
            let Some(last) = entries.last() else { break };
            next = last.index + 1;
            let kept = entries.iter().filter_map(|e| history_entry(e).transpose());
            let kept = kept.collect::<Result<Vec<_>, _>>()?;
            writer = blocking(move || writer.append(&kept).map(|()| writer)).await??;
        }
        let synced = blocking(move || writer.sync().map(|()| writer.synced_index())).await??;
        history.wrote(since, next - 1);
        Ok(synced)
    }
}

/// What history keeps of a log entry: nothing of a barrier.
fn history_entry(entry: &LogEntry) -> Result<Option<HistoryEntry>, DecodeError> {
    if entry.kind != EntryKind::Normal || entry.payload.is_empty() {
        return Ok(None);
    }
    let decoded = Entry::decode(&entry.payload)?;
    if decoded.term != entry.term {
        // Void where it stands: it never happened.
        return Ok(None);
    }
    Ok(kept(entry.index, &decoded, entry.payload.clone()))
}

/// What history keeps of an entry at an index; nothing of a void one.
pub(crate) fn kept(index: u64, entry: &Entry, payload: Bytes) -> Option<HistoryEntry> {
    if !entry.follows(index) {
        return None;
    }
    let touched: BTreeSet<_> = entry
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Outcome(outcome) => Some(encode_ref(&outcome.entity)),
            Item::TellsAcked { .. } | Item::CursorMoved { .. } => None,
        })
        .collect();
    let time_micros = entry.time.as_micros();
    Some(HistoryEntry { index, time_micros, entities: touched.into_iter().collect(), payload })
}

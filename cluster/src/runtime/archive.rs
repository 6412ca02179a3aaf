//! Writing committed entries into history before the log lets go of them.
//!
//! **Invariants:** history takes entries in order and without a hole; writing what it has already
//! changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use storage::disk::Disk;
use storage::history::{HistoryEntry, HistoryOptions, HistoryWriter};
use storage::log::{EntryKind, LogEntry};
use storage::seal::Seal;

use crate::entity::DecodeError;
use crate::ids::ShardId;
use crate::replication::group::group_of;
use crate::runtime::asking::{blocking, finished};
use crate::runtime::log_writer::LogWriter;
use crate::runtime::postponed::Postponed;
use crate::shard::entry::{Entry, Item};
use crate::shard::record::encode_ref;

/// The folder of all shards' history, in the data folder.
pub(crate) const HISTORY_DIR: &str = "history";

pub(crate) struct Archive {
    pub(crate) log: LogWriter,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
}

impl Archive {
    /// Brings everything after `after` and up to `to` into history, durably, and gives the last index it holds.
    /// `reaches` is what it gave last time: history that ends before is damaged.
    pub(crate) async fn keep(
        &self,
        shard: ShardId,
        after: u64,
        to: u64,
        reaches: Option<u64>,
    ) -> Result<Option<u64>, Postponed> {
        let (disk, seal) = (Arc::clone(&self.disk), self.seal.clone());
        let mut writer = blocking(move || {
            let options = HistoryOptions { reaches, ..HistoryOptions::default() };
            HistoryWriter::open(disk, HISTORY_DIR, shard.0, seal, options)
        })
        .await??;
        // Barriers have no history, so history may end before what the log was let go up to.
        let mut next = writer.last_index().unwrap_or(0).max(after) + 1;
        while next <= to {
            let entries = finished(self.log.read(group_of(shard), next, to)).await??;
            let Some(last) = entries.last() else { break };
            next = last.index + 1;
            let kept = entries.iter().filter_map(|e| history_entry(e).transpose());
            let kept = kept.collect::<Result<Vec<_>, _>>()?;
            writer = blocking(move || writer.append(&kept).map(|()| writer)).await??;
        }
        blocking(move || writer.sync().map(|()| writer.synced_index())).await?.map_err(Into::into)
    }
}

/// What history keeps of a log entry: nothing of a barrier.
fn history_entry(entry: &LogEntry) -> Result<Option<HistoryEntry>, DecodeError> {
    if entry.kind != EntryKind::Normal || entry.payload.is_empty() {
        return Ok(None);
    }
    let decoded = Entry::decode(&entry.payload)?;
    if decoded.term != entry.term || decoded.after_index + 1 != entry.index {
        // Void where it stands: it never happened.
        return Ok(None);
    }
    let touched: BTreeSet<_> = decoded
        .items
        .iter()
        .filter_map(|item| match item {
            Item::Outcome(outcome) => Some(encode_ref(&outcome.entity)),
            Item::TellsAcked { .. } | Item::CursorMoved { .. } => None,
        })
        .collect();
    Ok(Some(HistoryEntry {
        index: entry.index,
        time_micros: decoded.time.as_micros(),
        entities: touched.into_iter().collect(),
        payload: entry.payload.clone(),
    }))
}

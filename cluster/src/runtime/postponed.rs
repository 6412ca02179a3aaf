//! Work of a node on itself that could not be done now, and why.

use storage::history::HistoryError;
use storage::log::LogError;
use storage::snapshot::SnapshotError;
use storage::state::IndexFault;

use crate::entity::DecodeError;
use crate::ids::ShardId;
use crate::runtime::feed::NotConsumed;

/// Why something was put off; it is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Postponed {
    #[error("cannot write a snapshot")]
    Snapshot(#[from] SnapshotError),
    #[error("cannot read or write history")]
    History(#[from] HistoryError),
    #[error("cannot read the log")]
    Log(#[from] LogError),
    #[error("the state index failed")]
    Index(#[from] IndexFault),
    #[error("the state index has no record of entity {entity}")]
    RecordLost { entity: String },
    #[error("an entry cannot be decoded")]
    Entry(#[from] DecodeError),
    #[error(transparent)]
    Consumer(#[from] NotConsumed),
    #[error("the replica went on from another one's snapshot meanwhile")]
    Restarted,
    #[error("shard {shard}: what happened after entry {after} is on no node that answers")]
    Elsewhere { shard: ShardId, after: u64 },
    #[error("the node is stopping")]
    Stopping,
}

/// An error with everything that caused it, on one line.
pub(crate) fn explained(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

//! What happened in a shard after some index, wherever it is kept: in the log, in history, or on
//! another node.
//!
//! **Invariants:** what is given begins right after the index that was asked for and has no hole;
//! where the next entry is not at hand, the answer is that, never a later one. Only committed entries
//! are given.

use std::time::Duration;

use bytes::Bytes;
use storage::clock;
use storage::history::{HistoryEntry, HistoryError, HistoryReader};
use storage::log::{EntryKind, LogError};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::ids::{EntityRef, NodeId, ShardId};
use crate::metrics::Bulk;
use crate::replication::group::group_of;
use crate::runtime::asking::{ask, blocking, finished};
use crate::runtime::leaders::Known;
use crate::runtime::postponed::Postponed;
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::core::ShardStatus;
use crate::shard::entry::Entry;
use crate::shard::question::{Answer, HistoryItem, HistoryPiece, Question};
use crate::shard::record::encode_ref;

/// What one piece of history holds, unless a single entry is larger.
const PIECE_BYTES_MAX: usize = 256 << 10;
/// More entries than this make a piece larger by what surrounds them.
const PIECE_ENTRIES_MAX: usize = 1_024;
const PIECE_PATIENCE: Duration = Duration::from_secs(5);
/// Blocks of history that are looked at for one entity at once.
const BLOCKS_MAX: u64 = 4_096;

/// Entries that happened, and up to where there are no others.
#[derive(Debug, Default)]
pub(crate) struct Past {
    pub(crate) entries: Vec<(u64, Bytes, Entry)>,
    pub(crate) to: u64,
}

impl Services {
    /// What happened after an index and up to another, from here or from another node; a bounded piece
    /// at a time.
    pub(crate) async fn past(
        &self,
        shard: ShardId,
        (after, to): (u64, u64),
        of: Option<&EntityRef>,
    ) -> Result<Past, Postponed> {
        match self.past_here(shard, after, to, of).await? {
            Some(past) => Ok(past),
            None => self.past_elsewhere(shard, after, to, of).await,
        }
    }

    /// What this node holds of what happened after an index and up to another, which its replica must
    /// have applied, of all entities or of one; a bounded piece at a time. `None` when the next entry
    /// is not here.
    async fn past_here(
        &self,
        shard: ShardId,
        after: u64,
        to: u64,
        of: Option<&EntityRef>,
    ) -> Result<Option<Past>, Postponed> {
        let since = self.history_of(shard).map_or(0, |history| history.reached().since);
        if after < since {
            // Whatever the log holds of before the snapshot need not be what was committed.
            return self.history_here(shard, after, to.min(since), of).await;
        }
        match finished(self.log.read(group_of(shard), after + 1, to)).await? {
            Ok(entries) => {
                let mut past = Past { entries: Vec::new(), to: after };
                for entry in entries {
                    past.to = entry.index;
                    if entry.kind != EntryKind::Normal || entry.payload.is_empty() {
                        continue;
                    }
                    let decoded = Entry::decode(&entry.payload)?;
                    // Void where it stands: it never happened.
                    let is_void = decoded.term != entry.term || !decoded.follows(entry.index);
                    if !is_void && of.is_none_or(|of| decoded.touches(of)) {
                        past.entries.push((entry.index, entry.payload, decoded));
                    }
                }
                Ok(Some(past).filter(|past| past.to > after))
            }
            Err(LogError::Compacted { first, .. }) => {
                self.history_here(shard, after, to.min(first.saturating_sub(1)), of).await
            }
            Err(LogError::OutOfRange { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn history_here(
        &self,
        shard: ShardId,
        after: u64,
        to: u64,
        of: Option<&EntityRef>,
    ) -> Result<Option<Past>, Postponed> {
        let history = self.history_of(shard).ok_or(Postponed::Stopping)?;
        let reached = history.reached();
        let Some(proven) = reached.proven_after(after) else { return Ok(None) };
        let to = to.min(proven);
        let reader = self.history_parts(shard).reader(reached, after);
        let of = of.map(encode_ref);
        let read = blocking(move || scan(&reader, after, to, of.as_deref())).await??;
        // Files that were told apart meanwhile may have been removed under the scan.
        if history.reached().since != reached.since {
            return Ok(None);
        }
        let (entries, to) = read;
        let mut past = Past { entries: Vec::with_capacity(entries.len()), to };
        for HistoryEntry { index, payload, .. } in entries {
            let decoded = Entry::decode(&payload)?;
            past.entries.push((index, payload, decoded));
        }
        Ok(Some(past))
    }

    pub(crate) async fn status_of(&self, shard: ShardId) -> Result<ShardStatus, Postponed> {
        let actor = self.shards.get(shard).ok_or(Postponed::Stopping)?;
        let (reply, status) = oneshot::channel();
        ask(actor, ShardMessage::Status(reply))?;
        finished(status).await
    }

    /// The same for another node, as it travels.
    pub(crate) async fn past_for_peer(
        &self,
        shard: ShardId,
        after: u64,
        to: u64,
        of: Option<&EntityRef>,
    ) -> Result<Option<HistoryPiece>, Postponed> {
        if self.shards.get(shard).is_none() {
            return Ok(None);
        }
        let status = self.status_of(shard).await?;
        // What is not applied may not be committed, and what is being filled knows nothing.
        let to = to.min(status.applied);
        if after >= to || !status.whole {
            return Ok(None);
        }
        let past = self.past_here(shard, after, to, of).await?;
        Ok(past.map(Past::into_piece))
    }

    /// What other nodes hold of it.
    pub(crate) async fn past_elsewhere(
        &self,
        shard: ShardId,
        after: u64,
        to: u64,
        of: Option<&EntityRef>,
    ) -> Result<Past, Postponed> {
        let nowhere = Postponed::Elsewhere { shard, after };
        let Some(network) = self.network.get() else { return Err(nowhere) };
        let question = match of {
            Some(entity) => Question::HistoryOf { group: shard, after, to, entity: entity.clone() },
            None => Question::History { group: shard, after, to },
        };
        for node in self.who_may_know(shard) {
            let deadline = Instant::from_std(clock::monotonic()) + PIECE_PATIENCE;
            let Ok(Answer::History(piece)) = network.ask(node, &question, deadline).await else {
                continue;
            };
            let bytes = piece.entries.iter().map(|entry| entry.payload.len()).sum();
            match Past::of_piece(piece, after, to) {
                Some(past) => {
                    self.transfers.metrics.fetched(Bulk::History, bytes);
                    return Ok(past);
                }
                None => {
                    let peer = node.0;
                    tracing::error!(shard.id = %shard, peer.id = peer, "a peer's history makes no sense");
                }
            }
        }
        Err(nowhere)
    }

    /// The other nodes, those that have a replica first and the leader before all.
    fn who_may_know(&self, shard: ShardId) -> Vec<NodeId> {
        let leader = match self.leaders.of(shard) {
            Known::There(node) | Known::NotHeld(Some(node)) => Some(node),
            Known::Here | Known::Nobody | Known::Fenced | Known::NotHeld(None) => None,
        };
        let cluster = self.cluster.borrow();
        let voters = cluster.place(shard).map(|place| &place.voters);
        let all = leader.into_iter().chain(voters.into_iter().flatten().copied());
        let mut nodes = Vec::new();
        for node in all.chain(cluster.members().map(|(node, _)| node)) {
            if node != self.node && !nodes.contains(&node) {
                nodes.push(node);
            }
        }
        nodes
    }
}

/// The entries after an index and up to another, or as many as make a piece, and how far they go.
fn scan(
    reader: &HistoryReader,
    after: u64,
    to: u64,
    of: Option<&[u8]>,
) -> Result<(Vec<HistoryEntry>, u64), HistoryError> {
    let mut entries = Vec::<HistoryEntry>::new();
    let mut bytes = 0;
    let from = after.saturating_add(1);
    let mut scan = match of {
        Some(entity) => reader.scan_entity(entity, from)?.at_most(BLOCKS_MAX),
        None => reader.scan(from)?,
    };
    for entry in scan.by_ref() {
        let entry = entry?;
        if entry.index > to {
            break;
        }
        bytes += entry.payload.len();
        if let Some(last) = entries.last()
            && (bytes > PIECE_BYTES_MAX || entries.len() == PIECE_ENTRIES_MAX)
        {
            let reaches = last.index;
            return Ok((entries, reaches));
        }
        entries.push(entry);
    }
    let to = scan.cut_at().map_or(to, |cut| cut.min(to));
    Ok((entries, to))
}

impl Past {
    /// As much of it as makes a piece.
    fn into_piece(self) -> HistoryPiece {
        let mut piece = HistoryPiece { to: self.to, entries: Vec::new() };
        let mut bytes = 0;
        for (index, payload, _) in self.entries {
            bytes += payload.len();
            if let Some(last) = piece.entries.last()
                && (bytes > PIECE_BYTES_MAX || piece.entries.len() == PIECE_ENTRIES_MAX)
            {
                piece.to = last.index;
                break;
            }
            piece.entries.push(HistoryItem { index, payload: payload.to_vec() });
        }
        piece
    }

    /// What a piece says; `None` when it is not what was asked for.
    fn of_piece(piece: HistoryPiece, after: u64, to: u64) -> Option<Self> {
        if piece.to <= after || piece.to > to {
            return None;
        }
        let mut past = Self { entries: Vec::with_capacity(piece.entries.len()), to: piece.to };
        let mut last = after;
        for HistoryItem { index, payload } in piece.entries {
            let entry = Entry::decode(&payload).ok()?;
            if index <= last || index > piece.to || !entry.follows(index) {
                return None;
            }
            last = index;
            past.entries.push((index, Bytes::from(payload), entry));
        }
        Some(past)
    }
}

//! Getting another replica's snapshot, and going on from it.
//!
//! **Invariants:** a fetch goes on where the last one of the same file stopped; the state index holds
//! nothing of the old state before the first record of the new one is written to it.

use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use storage::disk::Disk;
use storage::seal::Seal;
use storage::snapshot::{SnapshotError, SnapshotMeta};
use storage::state::{IndexFault, IndexJob, IndexWrite};
use tokio::time::Instant;

use crate::ids::NodeId;
use crate::replication::offer::SnapshotOffer;
use crate::replication::recovery::SnapshotAt;
use crate::replication::transfer::Transfer;
use crate::runtime::asking::{blocking, callback, finished};
use crate::runtime::maintenance::CurrentSnapshot;
use crate::runtime::network::Unanswered;
use crate::runtime::postponed::Postponed;
use crate::runtime::restore::{RestoreError, Restorer};
use crate::runtime::services::Services;
use crate::runtime::snapshotting::SNAPSHOT_DIR;
use crate::shard::core::Base;
use crate::shard::kind::Kinds;
use crate::shard::question::{Answer, Question};

const PIECE_PATIENCE: Duration = Duration::from_secs(5);
/// Pieces that may fail in a row.
const FAILURES_MAX: u32 = 5;
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// Why a snapshot was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("node {} does not have it any more", .0.0)]
    Gone(NodeId),
    #[error("node {} does not answer", .0.0)]
    Silent(NodeId),
    #[error("the file cannot be kept")]
    File(#[from] SnapshotError),
    #[error("the node is stopping")]
    Stopping,
}

/// What it takes to keep and read snapshot files.
#[derive(Clone)]
pub(crate) struct SnapshotFolder {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) seal: Option<Arc<dyn Seal>>,
    pub(crate) kinds: Kinds,
    /// Memory for the entities of one group.
    pub(crate) hot_bytes_max: usize,
}

impl Services {
    /// Fetches an offered snapshot when its turn comes; gives the path of the verified file.
    pub(crate) async fn fetch(
        &self,
        from: NodeId,
        offer: &SnapshotOffer,
    ) -> Result<String, FetchError> {
        let stopping = |_: Postponed| FetchError::Stopping;
        let _turn = self.transfers.turn().await.ok_or(FetchError::Stopping)?;
        let folder = self.snapshot_folder.clone();
        let (disk, wanted) = (Arc::clone(&folder.disk), offer.clone());
        let open = move || Transfer::open(disk, SNAPSHOT_DIR, wanted);
        let mut transfer = blocking(open).await.map_err(stopping)??;
        let begun_at = transfer.wanted().map_or(offer.bytes, |wanted| wanted.offset);
        let SnapshotMeta { shard, start, .. } = offer.meta;
        let bytes = offer.bytes;
        tracing::info!(
            shard.id = shard,
            peer.id = from.0,
            start,
            bytes,
            begun_at,
            "fetching a snapshot"
        );
        let mut remaining = self.transfers.snapshot(bytes.saturating_sub(begun_at));
        let mut failures = 0;
        while let Some(wanted) = transfer.wanted() {
            match self.piece(from, offer, wanted.offset).await {
                Ok(Answer::Piece(piece)) if !piece.is_empty() => {
                    failures = 0;
                    remaining.arrived(piece.len());
                    let take = move || {
                        let taken = transfer.take(wanted.offset, &piece);
                        taken.map(|()| transfer)
                    };
                    transfer = blocking(take).await.map_err(stopping)??;
                }
                Ok(_) => return Err(FetchError::Gone(from)),
                Err(_) if failures < FAILURES_MAX => {
                    failures += 1;
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(_) => return Err(FetchError::Silent(from)),
            }
        }
        let file = blocking(move || transfer.finish(folder.seal)).await.map_err(stopping)??;
        tracing::info!(shard.id = shard, peer.id = from.0, start, bytes, "snapshot fetched");
        Ok(file.path)
    }

    async fn piece(
        &self,
        from: NodeId,
        offer: &SnapshotOffer,
        offset: u64,
    ) -> Result<Answer, Unanswered> {
        let network = self.network.get().ok_or(Unanswered::NotAsked)?;
        let deadline = Instant::from_std(clock::monotonic()) + PIECE_PATIENCE;
        network.ask(from, &Question::piece(offer.meta, offset), deadline).await
    }

    /// Reads the base that a snapshot's file holds, and fills the state index anew.
    pub(crate) async fn install(
        self: &Arc<Self>,
        offer: SnapshotOffer,
        file: String,
    ) -> Result<Base, RestoreError> {
        let group = offer.shard();
        let failed = |source| RestoreError::Index { shard: group, source };
        let lost = || IndexFault::ThreadLost { doing: "a snapshot was installed" };
        // Files are told apart by what the log says, so it says it first; and before maintenance learns
        // of the snapshot and writes what comes after it.
        let pointed = self.log.append_durably(vec![offer.pointer(&file)]);
        finished(pointed).await.map_err(|_| failed(lost()))?;
        self.restart_history(group, offer.meta.start).await.map_err(|_| failed(lost()))?;
        if let Some(progress) = self.progress_of(group) {
            progress.restarted(CurrentSnapshot {
                at: SnapshotAt {
                    start: offer.meta.start,
                    start_term: offer.meta.start_term,
                    end: offer.end,
                    file: file.clone(),
                    members: offer.members,
                    history_to: None,
                    since: offer.meta.start,
                },
                bytes: offer.bytes,
            });
        }
        self.indexed(|done| IndexJob::SetFloor { shard: group.0, position: 0, done })
            .await
            .map_err(failed)?;
        self.indexed(|done| IndexJob::RemoveShard { shard: group.0, done })
            .await
            .map_err(failed)?;
        let services = Arc::clone(self);
        let read = blocking(move || {
            let SnapshotFolder { disk, seal, kinds, hot_bytes_max } = &services.snapshot_folder;
            let hot_bytes_max = *hot_bytes_max;
            let restorer = Restorer { disk, seal: seal.clone(), kinds, hot_bytes_max };
            let keep = &mut |writes: &[IndexWrite]| {
                let writes = writes.to_vec();
                let (done, written) = callback();
                services.submit(IndexJob::Write { writes, done });
                written
                    .blocking_recv()
                    .unwrap_or(Err(IndexFault::ThreadLost { doing: "a snapshot was installed" }))
            };
            restorer.read_snapshot(group, &file, keep)
        });
        read.await.unwrap_or_else(|_| {
            Err(failed(IndexFault::ThreadLost { doing: "a snapshot was installed" }))
        })
    }

    async fn indexed<T: Send + 'static>(
        &self,
        job: impl FnOnce(storage::state::Callback<T>) -> IndexJob,
    ) -> Result<T, IndexFault> {
        let (done, finished) = callback();
        self.submit(job(done));
        finished.await.unwrap_or(Err(IndexFault::ThreadLost { doing: "a snapshot was installed" }))
    }
}

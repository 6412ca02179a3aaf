//! [`IndexJob`]: one thing for the index to do, and whom to tell.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;

use crate::state::{IndexFault, IndexRecord, IndexWrite};

/// What a job costs in the queue besides the bytes it carries.
const JOB_BYTES: usize = 256;
/// Receives a job's result in the worker's thread; it must not block.
pub type Callback<T> = Box<dyn FnOnce(Result<T, IndexFault>) + Send>;
/// Receives the records of a scan, one by one, in the worker's thread.
pub type ScanSink = Box<dyn FnMut(Vec<u8>, IndexRecord) + Send>;

/// Something for the index to do.
pub enum IndexJob {
    /// [`StateIndex::write`](crate::state::StateIndex::write).
    Write { writes: Vec<IndexWrite>, done: Callback<()> },
    /// [`StateIndex::read`](crate::state::StateIndex::read).
    Read { shard: u32, key: Bytes, done: Callback<Option<IndexRecord>> },
    /// [`StateIndex::scan`](crate::state::StateIndex::scan): verified as a whole only when `done` gets the number of records.
    Scan { shard: u32, sink: ScanSink, done: Callback<u64> },
    /// [`StateIndex::remove_shard`](crate::state::StateIndex::remove_shard).
    RemoveShard { shard: u32, done: Callback<u64> },
    /// [`StateIndex::set_floor`](crate::state::StateIndex::set_floor).
    SetFloor { shard: u32, position: u64, done: Callback<()> },
    /// [`StateIndex::floor`](crate::state::StateIndex::floor).
    Floor { shard: u32, done: Callback<Option<u64>> },
    /// [`StateIndex::sync_files`](crate::state::StateIndex::sync_files).
    SyncFiles { done: Callback<()> },
    /// [`StateIndex::size_on_disk`](crate::state::StateIndex::size_on_disk).
    SizeOnDisk { done: Callback<u64> },
}

/// What a job leaves where a read looks.
pub(super) enum Left {
    Record(IndexRecord),
    Nothing,
}

impl IndexJob {
    pub(super) fn bytes(&self) -> usize {
        let carried = match self {
            Self::Write { writes, .. } => writes
                .iter()
                .map(|write| {
                    size_of::<IndexWrite>()
                        + write.key.len()
                        + write.body.as_ref().map_or(0, Bytes::len)
                })
                .sum(),
            Self::Read { key, .. } => key.len(),
            Self::Scan { .. }
            | Self::RemoveShard { .. }
            | Self::SetFloor { .. }
            | Self::Floor { .. }
            | Self::SyncFiles { .. }
            | Self::SizeOnDisk { .. } => 0,
        };
        JOB_BYTES + carried
    }

    /// What it leaves under a key, if it may change that.
    pub(super) fn leaves(&self, read_shard: u32, read_key: &[u8]) -> Option<Left> {
        match self {
            Self::Write { writes, .. } => {
                let of_key =
                    |write: &&IndexWrite| write.shard == read_shard && write.key == read_key;
                let write = writes.iter().rev().find(of_key)?;
                let (position, body) = (write.position, write.body.clone());
                Some(Left::Record(IndexRecord { position, body }))
            }
            Self::RemoveShard { shard, .. } => (*shard == read_shard).then_some(Left::Nothing),
            Self::Read { .. }
            | Self::Scan { .. }
            | Self::SetFloor { .. }
            | Self::Floor { .. }
            | Self::SyncFiles { .. }
            | Self::SizeOnDisk { .. } => None,
        }
    }

    /// Answers without having run.
    pub(super) fn refuse(self, fault: IndexFault) {
        match self {
            Self::Write { done, .. } | Self::SetFloor { done, .. } | Self::SyncFiles { done } => {
                answer(done, Err(fault));
            }
            Self::Read { done, .. } => answer(done, Err(fault)),
            Self::Floor { done, .. } => answer(done, Err(fault)),
            Self::Scan { done, .. }
            | Self::RemoveShard { done, .. }
            | Self::SizeOnDisk { done } => answer(done, Err(fault)),
        }
    }
}

/// A callback that panics must not end the thread that others wait for.
pub(super) fn answer<T>(done: Callback<T>, result: Result<T, IndexFault>) {
    if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
        tracing::error!("a callback of the state index panicked; its caller got no answer");
    }
}

//! One simulated file: what a reader sees, and what a power cut would leave.
//!
//! **Invariants:**
//! - `content` is what reads return; `unsynced` holds, for every sector that differs from the
//!   medium, the bytes the medium still has;
//! - a sector is lost or kept whole, never in part.

use super::random::SplitMix64;
use super::to_usize;
use std::collections::{BTreeMap, BTreeSet};

/// The unit that a medium writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

type Sector = [u8; SECTOR_BYTES];

/// A sector whose latest bytes have not reached the medium.
#[derive(Debug)]
struct Unsynced {
    /// What the medium still holds.
    durable: Sector,
    /// A failed sync marked the sector clean: no later sync will write it.
    dropped: bool,
}

/// One simulated file.
#[derive(Debug, Default)]
pub(super) struct Inode {
    content: Vec<u8>,
    durable_len: usize,
    unsynced: BTreeMap<usize, Unsynced>,
    unreadable: BTreeSet<usize>,
}

impl Inode {
    /// A file with the same contents, all durable.
    pub(super) fn fork(&self) -> Self {
        let (content, durable_len) = (self.content.clone(), self.content.len());
        Self { content, durable_len, ..Self::default() }
    }

    pub(super) fn len(&self) -> usize {
        self.content.len()
    }

    /// Copies bytes out; `None` when a sector in the range cannot be read.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> Option<usize> {
        let start = to_usize(offset).min(self.content.len());
        let end = start.saturating_add(buffer.len()).min(self.content.len());
        let sectors = start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES);
        if self.unreadable.range(sectors).next().is_some() {
            return None;
        }
        let bytes = self.content.get(start..end)?;
        buffer.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(bytes.len())
    }

    /// Changes what readers see; the medium keeps its bytes until a sync or [`Self::write_back`].
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let start = to_usize(offset);
        let end = start + bytes.len();
        if end > self.content.len() {
            self.resize(end);
        }
        self.touch(start, end);
        if let Some(target) = self.content.get_mut(start..end) {
            target.copy_from_slice(bytes);
        }
    }

    pub(super) fn resize(&mut self, bytes: usize) {
        let (low, high) = (bytes.min(self.content.len()), bytes.max(self.content.len()));
        self.touch(low, high);
        self.content.resize(bytes, 0);
    }

    /// Remembers what the medium holds in the sectors of a range about to change.
    fn touch(&mut self, start: usize, end: usize) {
        for sector in start / SECTOR_BYTES..end.div_ceil(SECTOR_BYTES) {
            let current = sector_of(&self.content, sector);
            self.unsynced
                .entry(sector)
                .and_modify(|unsynced| unsynced.dropped = false)
                .or_insert(Unsynced { durable: current, dropped: false });
            self.unreadable.remove(&sector);
        }
    }

    /// Some unsynced sectors reach the medium early, as a kernel is free to do.
    pub(super) fn write_back(&mut self, random: &mut SplitMix64) {
        self.unsynced.retain(|_, unsynced| unsynced.dropped || random.one_in(2));
    }

    /// Everything written reaches the medium, except what an earlier failed sync dropped.
    pub(super) fn sync(&mut self) {
        self.unsynced.retain(|_, unsynced| unsynced.dropped);
        self.durable_len = self.content.len();
    }

    /// A sync fails: the written sectors count as clean without having reached the medium.
    pub(super) fn drop_unsynced(&mut self) {
        for unsynced in self.unsynced.values_mut() {
            unsynced.dropped = true;
        }
    }

    /// The power fails: each unsynced sector is wholly new or wholly as the medium had it.
    pub(super) fn crash(&mut self, random: &mut SplitMix64) {
        let (len, durable_len) = (self.content.len(), self.durable_len);
        let survives = match random.below(3) {
            0 => len,
            1 => durable_len,
            _ => {
                let span = (len.abs_diff(durable_len) + 1) as u64;
                len.min(durable_len) + to_usize(random.below(span))
            }
        };
        self.content.resize(len.max(durable_len), 0);
        // A cut near all or nothing is as likely as a fair coin for each sector.
        let keep_of_8 = [0, 1, 4, 7, 8].get(to_usize(random.below(5))).copied().unwrap_or(4);
        for (sector, unsynced) in std::mem::take(&mut self.unsynced) {
            let beyond = sector * SECTOR_BYTES >= len;
            if unsynced.dropped || beyond || random.below(8) >= keep_of_8 {
                put_sector(&mut self.content, sector, &unsynced.durable);
            }
        }
        self.content.resize(survives, 0);
        self.durable_len = survives;
    }

    /// Changes the medium and what readers see alike, as bit rot does.
    pub(super) fn damage(&mut self, offset: u64, change: impl Fn(&mut [u8], usize)) {
        let at = to_usize(offset);
        let (sector, within) = (at / SECTOR_BYTES, at % SECTOR_BYTES);
        let mut bytes = sector_of(&self.content, sector);
        change(&mut bytes, within);
        put_sector(&mut self.content, sector, &bytes);
        if let Some(unsynced) = self.unsynced.get_mut(&sector) {
            change(&mut unsynced.durable, within);
        }
    }

    /// From here on reads of this sector fail, until it is written.
    pub(super) fn make_unreadable(&mut self, offset: u64) {
        self.unreadable.insert(to_usize(offset) / SECTOR_BYTES);
    }
}

/// A sector's bytes, zeros where the file ends.
fn sector_of(content: &[u8], sector: usize) -> Sector {
    let mut bytes = [0; SECTOR_BYTES];
    let start = (sector * SECTOR_BYTES).min(content.len());
    let end = (start + SECTOR_BYTES).min(content.len());
    if let (Some(source), Some(target)) = (content.get(start..end), bytes.get_mut(..end - start)) {
        target.copy_from_slice(source);
    }
    bytes
}

fn put_sector(content: &mut [u8], sector: usize, bytes: &Sector) {
    let start = (sector * SECTOR_BYTES).min(content.len());
    let end = (start + SECTOR_BYTES).min(content.len());
    if let (Some(target), Some(source)) = (content.get_mut(start..end), bytes.get(..end - start)) {
        target.copy_from_slice(source);
    }
}

//! What a heap allocation really costs.
//!
//! **Invariants:** never below the bytes asked for. It is the common allocators' cost (a header of
//! eight bytes, steps of sixteen, 32 at least), not a measurement.

pub(crate) fn allocation(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        asked => asked.saturating_add(8).next_multiple_of(16).max(32),
    }
}

/// A B-tree of so many entries, whose nodes of eleven are about half full when it grew in order.
pub(crate) fn tree(entries: usize, entry_bytes: usize) -> usize {
    let leaves = entries.div_ceil(6);
    let inner = leaves.saturating_sub(1).div_ceil(6);
    let node = 11 * entry_bytes + 16;
    leaves * allocation(node) + inner * allocation(node + 12 * size_of::<usize>())
}

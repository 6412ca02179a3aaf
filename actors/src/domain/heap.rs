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

/// How much more room a full list takes: a quarter, since doubling would leave half of it empty.
pub(crate) fn growth(len: usize, capacity: usize) -> usize {
    const STEP_MIN: usize = 4;
    if len < capacity { 0 } else { (len / 4).max(STEP_MIN) }
}

/// Whether a list has shrunk so far that its room should be given back.
pub(crate) fn is_roomy(len: usize, capacity: usize) -> bool {
    const SPARE_MIN: usize = 64;
    capacity / 4 > len && capacity - len > SPARE_MIN
}

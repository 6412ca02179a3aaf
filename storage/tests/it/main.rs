//! Everything of the crate that needs more than one module, or a disk.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests may fail loudly, and noise may be cut to bytes"
)]

mod codec;
mod history;
mod log;
mod snapshot;
mod state;

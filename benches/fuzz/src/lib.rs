//! Fuzz targets for what decodes bytes from a disk, the network or a person; entities other than carts,
//! stocks, orders and payments, and rows of imports, have none yet.
//!
//! ```sh
//! cargo install --locked cargo-fuzz
//! cargo fuzz run -s none --fuzz-dir benches/fuzz log_segment -- -max_total_time=60
//! ```
//! `cargo fuzz list --fuzz-dir benches/fuzz` names the targets; each is one module here, with `check`
//! for one input and `seeds` to begin with. `-s none` is for a stable compiler: there is no `unsafe`
//! in the project for a sanitizer to watch, and what is allocated is counted by [`allocation`].
//!
//! **Invariants**, for any input:
//! - no panic, no overflow, no failed debug assertion;
//! - no more memory than the input's length pays for, up to a constant;
//! - what decodes is encoded again to bytes that decode to the same.
//!
//! Checksums are worth nothing in these builds (`checksum/`), or nothing behind them would be seen;
//! encryption is real where it is the subject ([`vault`]) and absent elsewhere.

pub mod allocation;
pub mod cart;
pub mod codec;
pub mod corpus;
mod golden;
pub mod history;
pub mod identity;
pub mod index;
pub mod log;
pub mod mesh;
pub mod notices;
pub mod order;
pub mod payment;
pub mod rim;
pub mod settings;
pub mod shard;
pub mod sku;
pub mod snapshot;
pub mod vault;
mod wire;
mod world;

//! A shard: a replicated state machine that hosts entities. Pure; see `core` for the way in.

pub(crate) mod apply;
pub(crate) mod changes;
pub(crate) mod clock;
pub(crate) mod cold;
pub mod contents;
pub mod core;
pub(crate) mod decide;
#[cfg(test)]
mod decoding_tests;
pub(crate) mod dedupe;
pub mod entry;
pub(crate) mod forgetting;
pub(crate) mod header;
pub mod io;
pub(crate) mod joining;
pub mod kind;
pub(crate) mod lead;
pub mod lead_view;
pub(crate) mod loads;
pub(crate) mod offers;
pub mod outbox;
pub(crate) mod pursuit;
pub(crate) mod question;
pub(crate) mod reads;
pub(crate) mod record;
pub(crate) mod reluctance;
pub mod report;
pub(crate) mod residents;
pub(crate) mod rest;
pub mod retry;
pub(crate) mod speculate;
pub(crate) mod timers;
pub(crate) mod turn;
pub(crate) mod unanswered;
pub(crate) mod versioned;
pub mod walk;

//! Those outside who do for a shop what it cannot do itself.

mod breaker;
pub mod carrier;
mod chance;
mod client;
mod conditions;
mod door;
mod doors;
pub mod fraud;
mod inside;
mod journal;
mod notices;
pub mod payment;
mod remote;
mod service;
mod signature;

pub use chance::{InvalidPercent, Percent};
pub use client::{Caller, InvalidOrigin, NoRoots, Origin, Roots, RootsError};
pub use door::ProviderFuture;
pub use journal::JournalError;
pub use notices::NoticeTarget;
pub use signature::{InvalidNoticeSecret, NoticeRefused, NoticeSecret};

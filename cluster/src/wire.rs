//! What nodes say to each other: lanes, frames, greetings and calls, as bytes.
//!
//! **Invariants:**
//! - nothing here does I/O, and no byte sequence makes a decoder panic or reserve more memory than
//!   the bytes it was given;
//! - a length is checked before anything is reserved for it;
//! - a shipped layout is never edited: [`VERSION`] rises, and a greeting of another version is
//!   refused by name before any frame is read.
//!
//! All numbers are little-endian. There is no checksum: TLS authenticates every byte.

pub mod call;
mod fields;
pub mod frame;
pub mod greeting;
#[cfg(test)]
mod properties;
pub mod received;

use std::fmt;

/// The layout of everything in this module.
pub const VERSION: u8 = 1;

/// Traffic that must not wait for other traffic has a connection of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Presence and administration.
    Control,
    /// Raft messages. They may be lost; they must not be late.
    Raft,
    /// Requests routed to leaders, and their answers.
    Calls,
    /// Requests for pieces of snapshots and history, and those pieces.
    Bulk,
}

impl Lane {
    pub const ALL: [Self; 4] = [Self::Control, Self::Raft, Self::Calls, Self::Bulk];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Raft => "raft",
            Self::Calls => "calls",
            Self::Bulk => "bulk",
        }
    }

    /// Whether a sender waits for the receiver's credit; where not, frames may be dropped.
    pub const fn has_credit(self) -> bool {
        match self {
            Self::Control | Self::Calls | Self::Bulk => true,
            Self::Raft => false,
        }
    }

    /// Whether its frames are requests and their answers.
    pub const fn carries_calls(self) -> bool {
        match self {
            Self::Calls | Self::Bulk => true,
            Self::Control | Self::Raft => false,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Control => 0,
            Self::Raft => 1,
            Self::Calls => 2,
            Self::Bulk => 3,
        }
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|lane| lane.number() == number)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why bytes from a peer mean nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("{what} has {found} bytes where {wanted} are needed")]
    Short { what: &'static str, wanted: usize, found: usize },
    #[error("{what} has {extra} bytes too many")]
    Trailing { what: &'static str, extra: usize },
    #[error("{what} of {bytes} bytes: at most {max} are allowed")]
    TooLarge { what: &'static str, bytes: u64, max: usize },
    #[error("{what} has layout {found}; this program knows {VERSION}")]
    Version { what: &'static str, found: u8 },
    #[error("{what} begins with bytes of something else")]
    Foreign { what: &'static str },
    #[error("{what} says {found}, which means nothing")]
    Unknown { what: &'static str, found: u64 },
}

//! What is asked of whoever applies an import, one step at a time, and what comes back.
//!
//! **Invariants:** a step says where it begins, and its answer says it again: an answer to a step
//! that is not the one under way changes nothing; a [`Packed`] is never longer than it may be.

use std::fmt;

use cluster::entity::Port;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Cursor, End, Failure, Terms};
use crate::domain::ids::ImportId;
use crate::domain::names::Label;

/// The door to whoever applies imports.
pub const PORT: Port = Port(2);

/// The rows that begin at a place, as many as one step takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub import: ImportId,
    pub terms: Terms,
    pub from: Cursor,
    /// All parts there are.
    pub n_parts: u32,
}

impl Step {
    /// So that what one step writes fits into a log entry.
    pub const REPORTS_MAX: usize = 16;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepAnswer {
    /// Where the step began.
    pub from: Cursor,
    pub outcome: StepOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepOutcome {
    /// The rows up to a place are applied or refused, each for itself.
    Advanced {
        to: Cursor,
        counts: Counts,
        /// What was refused, one line each; at most [`Step::REPORTS_MAX`] pieces.
        reports: Vec<Packed>,
        reached: Reached,
    },
    /// What comes cannot be split into rows.
    Unreadable { why: Label },
}

impl StepOutcome {
    /// How an import on these terms ends with it, if it does.
    pub fn end(&self, terms: &Terms) -> Option<End> {
        let (rows, reached) = match self {
            Self::Unreadable { why } => {
                return Some(End::Failed(Failure::Unreadable { why: why.clone() }));
            }
            Self::Advanced { to, reached, .. } => (to.rows, reached),
        };
        match reached {
            Reached::End if rows > terms.rows_max => Some(End::Failed(Failure::TooManyRows)),
            Reached::End => Some(End::Done),
            Reached::More if rows >= terms.rows_max => Some(End::Failed(Failure::TooManyRows)),
            Reached::More => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reached {
    More,
    End,
}

/// What became of products.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub written: u64,
    /// They were in the catalogue as the import says.
    pub unchanged: u64,
    pub refused: u64,
}

impl Counts {
    #[must_use]
    pub const fn plus(self, more: Self) -> Self {
        Self {
            written: self.written.saturating_add(more.written),
            unchanged: self.unchanged.saturating_add(more.unchanged),
            refused: self.refused.saturating_add(more.refused),
        }
    }
}

/// A piece of data or of a report, compressed by whoever made it; not looked into here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPacked")]
pub struct Packed {
    raw_len: u32,
    block: Block,
}

#[derive(Deserialize)]
struct RawPacked {
    raw_len: u32,
    block: Block,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a piece is 1 to {} bytes, and compressed {} at most", Packed::RAW_MAX, Packed::BLOCK_MAX)]
pub struct InvalidPacked;

impl Packed {
    /// Uncompressed.
    pub const RAW_MAX: u32 = 256 * 1024;
    /// A record is to stay small, whatever compresses badly.
    pub const BLOCK_MAX: usize = 66 * 1024;

    pub fn new(raw_len: u32, block: Vec<u8>) -> Result<Self, InvalidPacked> {
        let fits = (1..=Self::RAW_MAX).contains(&raw_len) && block.len() <= Self::BLOCK_MAX;
        if fits { Ok(Self { raw_len, block: Block(block.into()) }) } else { Err(InvalidPacked) }
    }

    pub const fn raw_len(&self) -> u32 {
        self.raw_len
    }

    pub fn block(&self) -> &[u8] {
        &self.block.0
    }
}

impl TryFrom<RawPacked> for Packed {
    type Error = InvalidPacked;

    fn try_from(raw: RawPacked) -> Result<Self, InvalidPacked> {
        Self::new(raw.raw_len, raw.block.0.into_vec())
    }
}

/// Bytes that are encoded as one run instead of one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Block(Box<[u8]>);

impl Serialize for Block {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BlockVisitor)
    }
}

struct BlockVisitor;

impl Visitor<'_> for BlockVisitor {
    type Value = Block;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a byte string")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Block, E> {
        Ok(Block(bytes.into()))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Block, E> {
        Ok(Block(bytes.into()))
    }
}

//! The data of an import, read from its parts piece by piece.
//!
//! **Invariants:** the cursor is where the next byte of [`Source::rest`] lies; no more is held than
//! was asked for, and one part.

use std::collections::VecDeque;

use actors::domain::import::{Cursor, Packed, PartLookup, PartQuery, Series, Step};
use actors::{ImportId, ImportPart};
use cluster::fabric::Fabric;
use cluster::runtime::ports::InDoubt;
use cluster::time::Span;
use storage::codec;

use crate::http::app::now;

const READ_MAX: Span = Span::from_secs(10);

pub(super) struct Source {
    fabric: Fabric,
    import: ImportId,
    n_parts: u32,
    buffer: Vec<u8>,
    /// What lies before it in the buffer was consumed.
    start: usize,
    /// What is left of each part in the buffer.
    left: VecDeque<usize>,
    cursor: Cursor,
}

impl Source {
    pub(super) fn new(fabric: &Fabric, step: &Step, from: Cursor) -> Self {
        let (import, n_parts) = (step.import, step.n_parts);
        let (buffer, left) = (Vec::new(), VecDeque::new());
        Self { fabric: fabric.clone(), import, n_parts, buffer, start: 0, left, cursor: from }
    }

    /// What was read and not consumed.
    pub(super) fn rest(&self) -> &[u8] {
        self.buffer.get(self.start..).unwrap_or_default()
    }

    pub(super) fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Reads one more part; `false` after the last one.
    pub(super) async fn more(&mut self) -> Result<bool, InDoubt> {
        let n_read = u32::try_from(self.left.len()).unwrap_or(u32::MAX);
        let nth = self.cursor.part.saturating_add(n_read);
        if nth >= self.n_parts {
            return Ok(false);
        }
        let content = part(&self.fabric, self.import, Series::Data, nth).await?;
        // Of the part that the cursor is in, some is consumed already.
        let skipped = if n_read == 0 { self.cursor.offset } else { 0 };
        let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
        let content = content.get(skipped..).unwrap_or_default();
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(content);
        self.left.push_back(content.len());
        Ok(true)
    }

    pub(super) fn consume(&mut self, n_bytes: usize) {
        let n_bytes = n_bytes.min(self.rest().len());
        self.start += n_bytes;
        self.cursor.bytes = self.cursor.bytes.saturating_add(n_bytes as u64);
        let mut n_bytes = n_bytes;
        while let Some(left) = self.left.front_mut() {
            let taken = n_bytes.min(*left);
            *left -= taken;
            n_bytes -= taken;
            let taken = u32::try_from(taken).unwrap_or(u32::MAX);
            self.cursor.offset = self.cursor.offset.saturating_add(taken);
            if *left > 0 {
                return;
            }
            self.left.pop_front();
            self.cursor.part = self.cursor.part.saturating_add(1);
            self.cursor.offset = 0;
        }
    }

    /// A byte order mark, with which the first part may begin, is no data.
    pub(super) async fn skip_mark(&mut self) -> Result<(), InDoubt> {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if self.cursor.bytes > 0 {
            return Ok(());
        }
        while self.rest().len() < MARK.len() && self.more().await? {}
        if self.rest().starts_with(MARK) {
            self.consume(MARK.len());
        }
        Ok(())
    }

    pub(super) fn count_row(&mut self) {
        self.cursor.rows = self.cursor.rows.saturating_add(1);
    }
}

/// What a part says, uncompressed.
pub(in crate::http) async fn part(
    fabric: &Fabric,
    import: ImportId,
    series: Series,
    nth: u32,
) -> Result<Vec<u8>, InDoubt> {
    let key = ImportPart::key(import, series, nth);
    let query = fabric.query::<ImportPart>(key, &[], now().plus(READ_MAX), PartQuery::Content);
    let read = query.await.map_err(|error| InDoubt(format!("a part cannot be read: {error}")))?;
    let PartLookup(content) = read.view;
    // It was counted in the same entry that told it, and may still be on its way.
    let content = content.ok_or_else(|| InDoubt("a part is not there".to_owned()))?;
    unpacked(&content)
}

fn unpacked(content: &Packed) -> Result<Vec<u8>, InDoubt> {
    let raw_len = usize::try_from(content.raw_len()).unwrap_or(usize::MAX);
    codec::decompress(content.block(), raw_len)
        .map_err(|error| InDoubt(format!("a part is damaged: {error}")))
}

/// Compresses 1 to [`PIECE_MAX`] bytes.
pub(in crate::http) fn packed(raw: &[u8]) -> Option<Packed> {
    Packed::new(u32::try_from(raw.len()).ok()?, codec::compress(raw)).ok()
}

/// A piece of this size is small enough however badly it compresses.
pub(in crate::http) const PIECE_MAX: usize = 64 * 1024;

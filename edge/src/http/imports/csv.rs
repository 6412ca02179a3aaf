//! CSV as RFC 4180 has it: where a record ends, and its cells.
//!
//! **Invariants:** a quote opens a cell only at its beginning, so one inside of a plain cell is a
//! character; a record is looked at once, however many pieces it comes in; no text of a product is
//! written so that a spreadsheet would carry it out.

use std::borrow::Cow;

/// Finds the end of a record.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scan {
    looked_at: usize,
    place: Place,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    CellStart,
    Plain,
    Quoted,
    /// After a quote in a quoted cell: it ends the cell unless another follows.
    AfterQuote,
}

impl Scan {
    /// Where the record ends that `bytes` begin with, line break included; `None` if it goes on.
    /// Asked again with more, it goes on where it was.
    pub(super) fn end(&mut self, bytes: &[u8]) -> Option<usize> {
        for byte in bytes.get(self.looked_at..).unwrap_or_default() {
            self.looked_at += 1;
            self.place = match (self.place, byte) {
                (Place::CellStart, b'"') => Place::Quoted,
                (Place::Quoted, b'"') => Place::AfterQuote,
                (Place::Quoted, _) | (Place::AfterQuote, b'"') => Place::Quoted,
                (_, b'\n') => return Some(self.looked_at),
                (_, b',') => Place::CellStart,
                (_, _) => Place::Plain,
            };
        }
        None
    }

    /// Whether bytes that end here end within quotes.
    pub(super) fn is_quoted(&self) -> bool {
        self.place == Place::Quoted
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// The cells of one record.
pub(super) fn cells(record: &[u8]) -> Result<Vec<String>, NotUtf8> {
    let text = std::str::from_utf8(record).map_err(|_| NotUtf8)?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    let (mut cells, mut cell, mut place) = (Vec::new(), String::new(), Place::CellStart);
    for character in text.chars() {
        place = match (place, character) {
            (Place::CellStart, '"') => Place::Quoted,
            (Place::Quoted, '"') => Place::AfterQuote,
            (Place::Quoted, _) | (Place::AfterQuote, '"') => {
                cell.push(character);
                Place::Quoted
            }
            (_, ',') => {
                cells.push(std::mem::take(&mut cell));
                Place::CellStart
            }
            (_, _) => {
                cell.push(character);
                Place::Plain
            }
        };
    }
    cells.push(cell);
    Ok(cells)
}

/// Writes one record.
pub(in crate::http) fn write<'a>(into: &mut Vec<u8>, cells: impl IntoIterator<Item = &'a str>) {
    for (nth, cell) in cells.into_iter().enumerate() {
        if nth > 0 {
            into.push(b',');
        }
        let needs_quotes = cell.contains(['"', ',', '\n', '\r']) || cell != cell.trim();
        if needs_quotes {
            into.push(b'"');
            into.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
            into.push(b'"');
        } else {
            into.extend_from_slice(cell.as_bytes());
        }
    }
    into.extend_from_slice(b"\r\n");
}

/// A text as a cell of it is written: a quote goes before one that a spreadsheet would take for a
/// formula, or that is nothing but blanks.
pub(in crate::http) fn guarded(text: &str) -> Cow<'_, str> {
    if needs_guard(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text that a cell was written for.
pub(super) fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|text| needs_guard(text)).unwrap_or(cell)
}

/// Quotes before it count as nothing, or a text that has one of its own would lose it.
fn needs_guard(text: &str) -> bool {
    let text = text.trim_start_matches('\'');
    let is_blank = !text.is_empty() && text.trim().is_empty();
    is_blank || text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&[&str]]) {
        let (mut rest, mut records) = (text.as_bytes(), Vec::new());
        while !rest.is_empty() {
            let whole = Scan::default().end(rest).unwrap_or(rest.len());
            // However it is cut into pieces, the end is the same.
            for cut in 0..=whole {
                let mut scan = Scan::default();
                let early = scan.end(&rest[..cut]);
                assert_eq!(early.or_else(|| scan.end(rest)).unwrap_or(rest.len()), whole);
            }
            let (record, after) = rest.split_at(whole);
            records.push(cells(record).unwrap());
            rest = after;
        }
        assert_eq!(records, expected);
    }

    #[test]
    fn records_end_where_a_line_does_outside_of_quotes() {
        check("a,b\r\nc,d", &[&["a", "b"], &["c", "d"]]);
        check("a,\n,b\n", &[&["a", ""], &["", "b"]]);
        check("\"a\nb\",c\n\"\"\n", &[&["a\nb", "c"], &[""]]);
        check("\"say \"\"hi\"\", ok\",x", &[&["say \"hi\", ok", "x"]]);
        check("5\" pipe,7\nb,c", &[&["5\" pipe", "7"], &["b", "c"]]);
        check("\"a\"b,c\nd,e", &[&["ab", "c"], &["d", "e"]]);
        check("\n\n", &[&[""], &[""]]);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let record = ["plain", "", "a,b", "say \"hi\"", "two\nlines", " led", "caf\u{e9}"];
        let mut bytes = Vec::new();
        write(&mut bytes, record);
        assert_eq!(Scan::default().end(&bytes), Some(bytes.len()));
        assert_eq!(cells(&bytes).unwrap(), record);
    }

    #[test]
    fn a_formula_is_written_as_a_text_and_read_back() {
        for text in ["=1+1", "+1", "-1", "@a", "\t=1", "\r=1", "\n=1", "'=1", "''-", " ", "' "] {
            assert_eq!(guarded(text), format!("'{text}"), "{text:?}");
            assert_eq!(unguarded(&guarded(text)), text);
        }
        for text in ["", "a", "a=1", "'", "'tis", "''", " =1"] {
            assert_eq!((&*guarded(text), unguarded(text)), (text, text));
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_known() {
        assert_eq!(cells(b"a,\xff"), Err(NotUtf8));
        let mut scan = Scan::default();
        assert_eq!((scan.end(b"a,\"b"), scan.is_quoted()), (None, true));
    }
}

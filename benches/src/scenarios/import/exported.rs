//! What of an import is in an export, counted line by line.

use super::Rows;

/// What an export has of the rows that were sent.
pub(super) struct Exported {
    pub(super) lines: u64,
    pub(super) missing: u64,
    /// Lines that are of no row, or not as it was sent.
    pub(super) differing: u64,
    /// Lines of a row that had one before.
    pub(super) doubled: u64,
}

impl Exported {
    pub(super) fn is_whole(&self) -> bool {
        self.missing == 0 && self.differing == 0 && self.doubled == 0
    }
}

/// The rows that were met, a bit for each.
pub(super) struct Seen {
    bits: Vec<u64>,
    pub(super) exported: Exported,
}

impl Seen {
    pub(super) fn of(rows: &Rows) -> Self {
        let missing = u64::from(rows.count);
        let exported = Exported { lines: 0, missing, differing: 0, doubled: 0 };
        Self { bits: vec![0; usize::try_from(missing / 64 + 1).unwrap_or(0)], exported }
    }

    pub(super) fn line(&mut self, rows: &Rows, line: &[u8]) {
        self.exported.lines += 1;
        let nth = rows.as_sent(line);
        let at = nth.and_then(|nth| usize::try_from(nth / 64).ok());
        let bits = at.and_then(|at| self.bits.get_mut(at));
        let (Some(nth), Some(bits)) = (nth, bits) else {
            self.exported.differing += 1;
            return;
        };
        let bit = 1 << (nth % 64);
        if *bits & bit == 0 {
            *bits |= bit;
            self.exported.missing -= 1;
        } else {
            self.exported.doubled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Import;

    #[test]
    fn a_line_that_comes_twice_makes_up_for_none_that_is_missing() {
        let count = std::num::NonZero::new(70).unwrap();
        let rows = Rows::new(&Import { rows: count, kills: 0, titles: None }).unwrap();
        let mut seen = Seen::of(&rows);
        for nth in (0..69).chain([68]) {
            seen.line(&rows, rows.line(nth).trim_end().as_bytes());
        }
        let Exported { lines, missing, differing, doubled } = seen.exported;
        assert_eq!((lines, missing, differing, doubled), (70, 1, 0, 1));
        assert!(!seen.exported.is_whole());
        seen.line(&rows, rows.line(69).trim_end().as_bytes());
        assert_eq!(seen.exported.missing, 0);
    }
}

//! Where a list of orders goes on: how many orders are left in each book.

use std::fmt;
use std::str::FromStr;

use actors::domain::order_list::ListId;

/// One number a book, in base 36: short for books that are short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor(Vec<u32>);

pub(super) struct InvalidCursor;

const BASE: u32 = 36;
const PREFIX: &str = "ol_";

impl Cursor {
    pub(super) fn new(lengths: Vec<u32>) -> Self {
        Self(lengths)
    }

    /// One a list, if it is a cursor of so many.
    pub(super) fn lengths(&self, lists: &[ListId]) -> Option<Vec<u32>> {
        (self.0.len() == lists.len()).then(|| self.0.clone())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PREFIX)?;
        for (nth, length) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(".")?;
            }
            write_digits(*length, f)?;
        }
        Ok(())
    }
}

fn write_digits(number: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if number >= BASE {
        write_digits(number / BASE, f)?;
    }
    let digit = char::from_digit(number % BASE, BASE).unwrap_or('0');
    write!(f, "{digit}")
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        const DIGITS_MAX: usize = 7;
        let numbers = text.strip_prefix(PREFIX).ok_or(InvalidCursor)?.split('.');
        let number = |digits: &str| {
            let is_plain = digits.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_lowercase());
            let fits = (1..=DIGITS_MAX).contains(&digits.len());
            let number = u32::from_str_radix(digits, BASE).ok();
            number.filter(|_| is_plain && fits).ok_or(InvalidCursor)
        };
        let numbers = numbers.take(usize::from(ListId::BOOKS) + 1).map(number);
        Ok(Self(numbers.collect::<Result<_, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_a_text_form() {
        let cursor = Cursor::new(vec![0, 35, 36, u32::MAX]);
        let text = cursor.to_string();
        assert_eq!(text, "ol_0.z.10.1z141z3");
        assert_eq!(text.parse().ok(), Some(cursor));
        for bad in ["", "ol_", "ol_1..2", "ol_1.-2", "ol_A", "ol_zzzzzzz", "ol_00000001", "1.2"] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad}");
        }
    }
}

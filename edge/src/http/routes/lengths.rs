//! Where a list that is merged of many goes on: how many entries are left in each of them.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use crate::http::error::ApiError;
use crate::http::fields::{Faults, flaw};

pub(super) const AFTER: &str = "must be a next_cursor of this list";

/// One number for each, in base 36: short for lists that are short. The prefix tells what they are of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor<S>(Vec<u32>, PhantomData<S>);

/// What is merged.
pub(super) trait Sort {
    const PREFIX: &'static str;
    const LISTS_MAX: usize;
}

pub(super) struct InvalidCursor;

const BASE: u32 = 36;

impl<S> Cursor<S> {
    /// `None` at the end of all.
    pub(super) fn new(lengths: Vec<u32>) -> Option<Self> {
        lengths.iter().any(|n_left| *n_left > 0).then_some(Self(lengths, PhantomData))
    }

    /// One a list, if it is a cursor of so many.
    pub(super) fn lengths(&self, n_lists: usize) -> Option<&[u32]> {
        (self.0.len() == n_lists).then_some(&self.0)
    }
}

impl<S: Sort> fmt::Display for Cursor<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::PREFIX)?;
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

impl<S: Sort> FromStr for Cursor<S> {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        const DIGITS_MAX: usize = 7;
        let numbers = text.strip_prefix(S::PREFIX).ok_or(InvalidCursor)?.split('.');
        let number = |digits: &str| {
            let is_plain = digits.bytes().all(|it| it.is_ascii_digit() || it.is_ascii_lowercase());
            let fits = (1..=DIGITS_MAX).contains(&digits.len());
            let number = u32::from_str_radix(digits, BASE).ok();
            number.filter(|_| is_plain && fits).ok_or(InvalidCursor)
        };
        let numbers = numbers.take(S::LISTS_MAX + 1).map(number);
        Ok(Self(numbers.collect::<Result<_, _>>()?, PhantomData))
    }
}

/// A cursor of another list.
pub(super) fn foreign_cursor() -> ApiError {
    let mut faults = Faults::default();
    faults.add("after".to_owned(), flaw("invalid", AFTER));
    match faults.into_result::<()>(None) {
        Err(error) => error,
        Ok(()) => ApiError::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Orders;

    impl Sort for Orders {
        const PREFIX: &'static str = "ol_";
        const LISTS_MAX: usize = 64;
    }

    #[test]
    fn a_cursor_has_a_text_form() {
        let cursor = Cursor::<Orders>::new(vec![0, 35, 36, u32::MAX]).unwrap();
        let text = cursor.to_string();
        assert_eq!(text, "ol_0.z.10.1z141z3");
        assert_eq!(text.parse().ok(), Some(cursor));
        assert_eq!(Cursor::<Orders>::new(vec![0, 0]), None);
        for bad in ["", "ol_", "ol_1..2", "ol_1.-2", "ol_A", "ol_zzzzzzz", "ol_00000001", "1.2"] {
            assert!(bad.parse::<Cursor<Orders>>().is_err(), "{bad}");
        }
    }
}

//! Which bytes of an import a body is: `Content-Range` of RFC 9110.
//!
//! **Invariants:** a range is not empty and lies within the length that it names.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_RANGE;

use crate::http::code::Code;
use crate::http::error::ApiError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) first: u64,
    extent: Extent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// The body is everything.
    Whole,
    /// Up to and with `last`; how long the whole is may be said later.
    Piece { last: u64, whole: Option<u64> },
}

impl Range {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut values = headers.get_all(CONTENT_RANGE).iter();
        let Some(value) = values.next() else {
            return Ok(Self { first: 0, extent: Extent::Whole });
        };
        let sole = values.next().is_none().then_some(value);
        let range = sole.and_then(|value| value.to_str().ok()).and_then(Self::parse);
        range.ok_or_else(|| {
            let detail = "Content-Range must be `bytes <first>-<last>/<length or *>`";
            ApiError::new(Code::CONTENT_RANGE_INVALID, detail)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (range, whole) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let whole = if whole == "*" { None } else { Some(number(whole)?) };
        let fits = first <= last && last < u64::MAX && whole.is_none_or(|whole| last < whole);
        fits.then_some(Self { first, extent: Extent::Piece { last, whole } })
    }

    /// Where the body ends, if that is known beforehand.
    pub(super) fn end(self) -> Option<u64> {
        match self.extent {
            Extent::Whole => None,
            Extent::Piece { last, .. } => Some(last.saturating_add(1)),
        }
    }

    /// Whether a body that ends there was the last one.
    pub(super) fn is_complete_at(self, end: u64) -> bool {
        match self.extent {
            Extent::Whole => true,
            Extent::Piece { whole, .. } => whole == Some(end),
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_ends_and_whether_that_is_all() {
        let range = Range::parse("bytes 10-19/20").unwrap();
        assert_eq!((range.first, range.end(), range.is_complete_at(20)), (10, Some(20), true));
        let range = Range::parse("bytes 0-9/20").unwrap();
        assert!(!range.is_complete_at(10));
        assert!(!Range::parse("bytes 0-9/*").unwrap().is_complete_at(10));
        let none = Range::of(&HeaderMap::new()).unwrap();
        assert_eq!((none.first, none.end(), none.is_complete_at(7)), (0, None, true));
        for bad in [
            "",
            "bytes",
            "bytes 1-0/2",
            "bytes 0-2/2",
            "bytes +0-1/2",
            "bytes 0-1",
            "items 0-1/2",
            "bytes */2",
            "bytes 0-1/",
            "bytes 0-18446744073709551615/*",
        ] {
            assert_eq!(Range::parse(bad), None, "{bad}");
        }
    }
}

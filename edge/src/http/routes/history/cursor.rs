//! Where a page of changes ends.

use std::fmt;
use std::str::FromStr;

use cluster::runtime::lives::LifePosition;

use crate::http::schema::{Schema, words};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChangeCursor(pub(super) LifePosition);

impl fmt::Display for ChangeCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LifePosition { done, within, seq } = self.0;
        write!(f, "chg_{done}_{within}_{seq}")
    }
}

#[derive(Debug)]
pub(super) struct InvalidCursor;

impl FromStr for ChangeCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let rest = text.strip_prefix("chg_").ok_or(InvalidCursor)?;
        let mut numbers = rest.splitn(3, '_').map(|number| number.parse::<u64>().ok());
        let mut next = || numbers.next().flatten().ok_or(InvalidCursor);
        let (done, within, seq) = (next()?, next()?, next()?);
        let within = u32::try_from(within).map_err(|_| InvalidCursor)?;
        // A place that no log comes to is none, and what comes after it is not counted.
        let is_possible = done < u64::MAX / 2 && seq < u64::MAX / 2;
        let cursor = Self(LifePosition { done, within, seq });
        if is_possible { Ok(cursor) } else { Err(InvalidCursor) }
    }
}

pub(in crate::http) const fn cursor_schema() -> Schema {
    words::exact("^chg_[0-9]{1,19}_[0-9]{1,10}_[0-9]{1,19}$", "chg_345_0_3")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = ChangeCursor(LifePosition { done: 345, within: 2, seq: 17 });
        assert_eq!(cursor.to_string().parse::<ChangeCursor>().unwrap(), cursor);
        for bad in ["", "chg_", "chg_1_2", "chg_1_2_3_4", "chg_1_4294967296_3", "led_1_2_3"] {
            assert!(bad.parse::<ChangeCursor>().is_err(), "{bad}");
        }
    }
}

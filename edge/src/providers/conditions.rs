//! The conditions of rules that operators write.

use std::str::FromStr;

/// `DE,AT`
pub(super) fn words<T: FromStr>(text: &str) -> Option<Vec<T>> {
    text.split(',').map(|word| word.parse().ok()).collect()
}

/// `100..50000`, with either end or both.
pub(super) fn range(text: &str) -> Option<(i64, i64)> {
    let (least, most) = text.split_once("..")?;
    let end = |text: &str, open: i64| match text {
        "" => Some(open),
        text => text.parse().ok().filter(|minor| *minor >= 0),
    };
    let (least, most) = (end(least, 0)?, end(most, i64::MAX)?);
    (least <= most).then_some((least, most))
}

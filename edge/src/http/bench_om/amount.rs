//! Decimal numbers with two digits after the point, as minor units.
//!
//! **Invariants:** nothing is computed in floating point; a half is rounded away from zero.

/// The minor units of a number as JSON writes it; `None` where it is no price.
pub(super) fn minor(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) {
        return None;
    }
    let digit =
        |nth: usize| fraction.as_bytes().get(nth).map_or(0, |digit| i64::from(digit - b'0'));
    let rounded = i64::from(digit(2) >= 5);
    let cents = digit(0) * 10 + digit(1) + rounded;
    whole.parse::<i64>().ok()?.checked_mul(100)?.checked_add(cents)
}

/// The number that such minor units are written as.
pub(super) fn shown(minor: i64) -> f64 {
    let sign = if minor < 0 { "-" } else { "" };
    let (whole, cents) = (minor.unsigned_abs() / 100, minor.unsigned_abs() % 100);
    format!("{sign}{whole}.{cents:02}").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_become_minor_units() {
        for (text, expected) in [
            ("12", Some(1200)),
            ("12.3", Some(1230)),
            ("12.345", Some(1235)),
            ("12.300000190734863", Some(1230)),
            ("0.999", Some(100)),
            ("-1", None),
            ("1e3", None),
            ("", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(minor(text), expected, "{text}");
        }
    }

    #[test]
    fn minor_units_are_written_as_numbers() {
        for (minor, expected) in [(1235, "12.35"), (-5, "-0.05"), (0, "0")] {
            assert_eq!(shown(minor).to_string(), expected);
        }
    }
}

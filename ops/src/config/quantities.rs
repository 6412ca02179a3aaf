//! Sizes and times as people write them: `64MiB`, `10s`.
//!
//! **Invariants:** a number without a unit is bytes, but never a time: `10` could be anything.

use std::time::Duration;

const SIZES: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

const TIMES_MS: [(&str, u64); 3] = [("ms", 1), ("s", 1_000), ("m", 60_000)];

pub(super) fn bytes_between(text: &str, min: u64, max: u64) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text);
    let factor = match unit {
        "" => Some(1),
        _ => SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor),
    };
    let bytes = factor
        .and_then(|factor| number?.checked_mul(factor))
        .ok_or_else(|| "a size in bytes, such as 64MiB".to_owned())?;
    match bytes {
        _ if bytes < min => Err(format!("at least {min} bytes")),
        _ if bytes > max => Err(format!("at most {max} bytes")),
        _ => Ok(bytes),
    }
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = number_and_unit(text);
    TIMES_MS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, factor)| number?.checked_mul(*factor))
        .map(Duration::from_millis)
        .ok_or_else(|| "a time with its unit, such as 500ms, 10s or 2m".to_owned())
}

fn number_and_unit(text: &str) -> (Option<u64>, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    (digits.parse().ok(), unit.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit_or_is_bytes() {
        let size = |text| bytes_between(text, 0, u64::MAX).ok();
        let cases = [("64MiB", 64 << 20), ("1 GiB", 1 << 30), ("2kB", 2_000), ("512", 512)];
        for (text, bytes) in cases {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for bad in ["", "MiB", "1.5MiB", "-1", "64mib", "64 Mi B", "99999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
        assert!(bytes_between("3", 4, 8).is_err() && bytes_between("9", 4, 8).is_err());
    }

    #[test]
    fn a_time_always_has_a_unit() {
        let cases = [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("0s", 0)];
        for (text, ms) in cases {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "10", "s", "1h", "-1s", "1.5s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

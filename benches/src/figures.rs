//! Numbers for people: the only place that divides with a remainder.

#![expect(clippy::float_arithmetic, reason = "rates and ratios are reported, never decided on")]

use std::time::Duration;

pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    rounded(count as f64 / took.as_secs_f64())
}

/// Zero where there is nothing to compare with: JSON has no infinity.
pub(crate) fn ratio(ours: f64, theirs: f64) -> f64 {
    rounded(ours / theirs)
}

pub(crate) fn ratio_of(ours: u64, theirs: u64) -> f64 {
    ratio(ours as f64, theirs as f64)
}

/// The middle one, the lower of two, so that one disturbed turn does not decide.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len().saturating_sub(1) / 2).copied().unwrap_or(0.0)
}

pub(crate) fn seconds(took: Duration) -> f64 {
    rounded(took.as_secs_f64())
}

/// Three decimals for small numbers, none for large ones.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() {
        0.0
    } else if value.abs() >= 1_000.0 {
        value.round()
    } else {
        (value * 1_000.0).round() / 1_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_finite_and_short() {
        assert_eq!(per_second(10, Duration::from_secs(4)).to_string(), "2.5");
        assert_eq!(per_second(10, Duration::ZERO).to_string(), "0");
        assert_eq!(ratio(1.0, 3.0).to_string(), "0.333");
        assert_eq!(ratio_of(1_000_000, 3).to_string(), "333333");
    }

    #[test]
    fn one_disturbed_turn_does_not_decide() {
        assert_eq!(median(&[0.5, 9.0, 0.4]).to_string(), "0.5");
        assert_eq!(median(&[0.5, 0.4]).to_string(), "0.4");
        assert_eq!(median(&[]).to_string(), "0");
    }
}

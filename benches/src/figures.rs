//! Numbers for people: the only place that divides with a remainder.

#![expect(clippy::float_arithmetic, reason = "rates and ratios are reported, never decided on")]

use std::time::Duration;

pub(crate) fn per_second(count: u64, took: Duration) -> f64 {
    rounded(count as f64 / took.as_secs_f64())
}

/// So many percent of a rate, as a rate to ask for: at least one.
pub(crate) fn share(per_second: f64, percent: u64) -> u64 {
    let share = Duration::from_secs_f64((per_second * percent as f64 / 100.0).max(1.0));
    share.as_secs()
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

/// The smallest value that so many percent are not above.
pub(crate) fn percentile(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or(0)
}

pub(crate) fn millis(micros: u64) -> f64 {
    rounded(micros as f64 / 1_000.0)
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
        assert_eq!([share(1_000.0, 30), share(0.5, 30)], [300, 1]);
    }

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let values: Vec<_> = (1..=50).collect();
        assert_eq!([50, 99, 100].map(|nth| percentile(&values, nth)), [25, 50, 50]);
        assert_eq!((percentile(&[7], 1), percentile(&[], 99)), (7, 0));
        assert_eq!(millis(1_234).to_string(), "1.234");
    }

    #[test]
    fn one_disturbed_turn_does_not_decide() {
        assert_eq!(median(&[0.5, 9.0, 0.4]).to_string(), "0.5");
        assert_eq!(median(&[0.5, 0.4]).to_string(), "0.4");
        assert_eq!(median(&[]).to_string(), "0");
    }
}

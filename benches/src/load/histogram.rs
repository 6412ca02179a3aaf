//! Latencies in microseconds, to three significant digits.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Slower than this is recorded as this.
const MICROS_MAX: u64 = 600_000_000;
const SIGNIFICANT_DIGITS: u8 = 3;

#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

/// The shape of a distribution, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Percentiles {
    pub(crate) p50_us: u64,
    pub(crate) p90_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) p999_us: u64,
    pub(crate) max_us: u64,
}

impl Latencies {
    pub(crate) fn new() -> Self {
        match Histogram::new(SIGNIFICANT_DIGITS) {
            Ok(histogram) => Self(histogram),
            Err(error) => unreachable!("three significant digits are supported: {error}"),
        }
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(MICROS_MAX);
        if let Err(error) = self.0.record(micros.clamp(1, MICROS_MAX)) {
            unreachable!("the histogram grows on its own: {error}");
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        if let Err(error) = self.0.add(&other.0) {
            unreachable!("a histogram that grows takes any other: {error}");
        }
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn percentiles(&self) -> Percentiles {
        if self.0.is_empty() {
            return Percentiles::default();
        }
        Percentiles {
            p50_us: self.0.value_at_quantile(0.5),
            p90_us: self.0.value_at_quantile(0.9),
            p99_us: self.0.value_at_quantile(0.99),
            p999_us: self.0.value_at_quantile(0.999),
            max_us: self.0.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new();
        for micros in micros {
            latencies.record(Duration::from_micros(micros));
        }
        latencies
    }

    #[track_caller]
    fn near(found: u64, expected: u64) {
        assert!(found.abs_diff(expected) * 1_000 <= expected, "{found} is not near {expected}");
    }

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let found = of(1..=100_000).percentiles();
        near(found.p50_us, 50_000);
        near(found.p90_us, 90_000);
        near(found.p99_us, 99_000);
        near(found.p999_us, 99_900);
        near(found.max_us, 100_000);
    }

    #[test]
    fn merging_is_recording_in_one() {
        let mut left = of((1..=1_000).map(|n| n * 7));
        // Far beyond what `left` has room for so far.
        left.add(&of([9_000_000]));
        let one = of((1..=1_000).map(|n| n * 7).chain([9_000_000]));
        assert_eq!(left.percentiles(), one.percentiles());
        assert_eq!(left.count(), 1_001);
    }

    #[test]
    fn extremes_are_kept_within_bounds() {
        let latencies = of([0, u64::MAX]);
        assert_eq!(latencies.count(), 2);
        near(latencies.percentiles().max_us, MICROS_MAX);
        assert_eq!(Latencies::new().percentiles(), Percentiles::default());
    }
}

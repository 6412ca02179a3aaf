//! A sum taken from several parts, each in proportion.
//!
//! **Invariants:** the shares are exactly the sum; no part gives more than it has; each share is
//! within one unit of its exact proportion.

/// Shares of a sum by the method of the largest remainder: everybody gives the whole units of its
/// exact proportion, and the units that are left come from those with the largest fractions, of
/// equal ones from the first. `total` is between zero and the sum of the parts.
pub(super) fn largest_remainder(total: i64, parts: &[i64]) -> Vec<i64> {
    let whole: i128 = parts.iter().map(|part| i128::from(*part)).sum();
    if whole == 0 {
        return vec![0; parts.len()];
    }
    let exact = |part: i64| i128::from(total) * i128::from(part);
    let floors = parts.iter().map(|part| i64::try_from(exact(*part) / whole).unwrap_or(*part));
    let mut shares: Vec<_> = floors.collect();
    let mut by_fraction: Vec<_> = (0..parts.len()).zip(parts).collect();
    // Stable: of equal fractions the first is first.
    by_fraction.sort_by_key(|(_, part)| std::cmp::Reverse(exact(**part) % whole));
    let mut left = total - shares.iter().sum::<i64>();
    for (at, _) in by_fraction {
        if left == 0 {
            break;
        }
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
            left -= 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(total: i64, parts: &[i64], then: &[i64]) {
        assert_eq!(largest_remainder(total, parts), then);
    }

    #[test]
    fn units_that_are_left_come_from_the_largest_fractions() {
        check(10, &[100, 100, 100], &[4, 3, 3]);
        check(5, &[10, 30, 20], &[1, 2, 2]);
        check(1, &[1, 2], &[0, 1]);
        check(3, &[1, 2], &[1, 2]);
        check(0, &[7, 0], &[0, 0]);
        check(0, &[0, 0], &[0, 0]);
        check(0, &[], &[]);
    }

    proptest! {
        #[test]
        fn shares_are_the_sum_and_near_their_exact_proportions(
            parts in prop::collection::vec(0..=10_000_000_000_000_000_i64, 1..100),
            part in 0..=1_000_000_i128,
        ) {
            let whole: i128 = parts.iter().map(|part| i128::from(*part)).sum();
            let total = whole * part / 1_000_000;
            let shares = largest_remainder(i64::try_from(total).unwrap(), &parts);
            prop_assert_eq!(shares.iter().map(|share| i128::from(*share)).sum::<i128>(), total);
            for (share, part) in shares.iter().zip(&parts) {
                prop_assert!(*share >= 0 && share <= part);
                let off = i128::from(*share) * whole - total * i128::from(*part);
                prop_assert!(off.abs() < whole.max(1));
            }
        }
    }
}

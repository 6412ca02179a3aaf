//! When a certificate ends, read from its bytes.
//!
//! **Invariants:** a certificate that cannot be read has no end here, and is refused elsewhere.

/// A DER element: its tag, its contents and what follows it.
type Element<'a> = (u8, &'a [u8], &'a [u8]);

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The last second at which a certificate is valid, since the Unix epoch.
pub(super) fn end_of(certificate: &[u8]) -> Option<u64> {
    let (_, certificate, _) = element(certificate)?;
    let (_, mut rest, _) = element(certificate)?;
    if rest.first() == Some(&VERSION) {
        (_, _, rest) = element(rest)?;
    }
    // The serial number, the algorithm and the issuer.
    for _ in 0..3 {
        (_, _, rest) = element(rest)?;
    }
    let (SEQUENCE, validity, _) = element(rest)? else { return None };
    let (_, _, rest) = element(validity)?;
    let (tag, end, _) = element(rest)?;
    let text = std::str::from_utf8(end).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let year: u64 = text.get(..2)?.parse().ok()?;
            (if year < 50 { 2_000 + year } else { 1_900 + year }, text.get(2..)?)
        }
        GENERALIZED_TIME => (text.get(..4)?.parse().ok()?, text.get(4..)?),
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<u64>().ok();
    let days = days_before(year, two(0)?)?.checked_add(two(2)?.checked_sub(1)?)?;
    Some(days * 86_400 + two(4)? * 3_600 + two(6)? * 60 + two(8)?)
}

fn element(bytes: &[u8]) -> Option<Element<'_>> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match usize::from(*first) {
        short if short < 0x80 => (short, rest),
        long => {
            let (digits, rest) = rest.split_at_checked(long - 0x80)?;
            let len = digits.iter().try_fold(0_usize, |len, digit| {
                len.checked_mul(256)?.checked_add(usize::from(*digit))
            });
            (len?, rest)
        }
    };
    let (contents, rest) = rest.split_at_checked(len)?;
    Some((*tag, contents, rest))
}

/// Days from the Unix epoch to the first of a month.
fn days_before(year: u64, month: u64) -> Option<u64> {
    if !(1_970..=9_999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    // Years that begin in March have their odd day last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5;
    const EPOCH: u64 = 719_468;
    days.checked_sub(EPOCH)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    #[track_caller]
    fn check(year: i32, month: u8, day: u8, then: u64) {
        let mut params = CertificateParams::new(["node".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, month, day);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        assert_eq!(end_of(certificate.der()), Some(then), "{year}-{month}-{day}");
    }

    #[test]
    fn the_end_is_read_in_both_forms_and_on_leap_days() {
        check(1_999, 12, 31, 946_598_400);
        check(2_024, 2, 29, 1_709_164_800);
        check(2_026, 3, 1, 1_772_323_200);
        check(2_100, 3, 1, 4_107_542_400);
    }

    #[test]
    fn any_bytes_have_an_end_or_none() {
        for bytes in [&[][..], &[0x30], &[0x30, 0x84, 0xff], &[0x30, 2, 0x30, 0], &[0xff; 64]] {
            assert_eq!(end_of(bytes), None);
        }
    }
}

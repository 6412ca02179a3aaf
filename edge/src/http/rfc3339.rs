//! Instants as text: UTC, in microseconds.

use std::fmt;
use std::str::FromStr;

use cluster::time::Timestamp;

/// Shows a timestamp as RFC 3339.
pub(super) struct Rfc3339(pub(super) Timestamp);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (days, seconds) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Text that is no instant.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotRfc3339;

impl fmt::Display for NotRfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be an instant in UTC like 2026-01-31T23:59:59Z")
    }
}

/// In UTC alone, from 1970 on, with up to six decimals of a second.
impl FromStr for Rfc3339 {
    type Err = NotRfc3339;

    fn from_str(text: &str) -> Result<Self, NotRfc3339> {
        parse(text).map(Self).ok_or(NotRfc3339)
    }
}

fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, decimals) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_plain =
        (1..=6).contains(&decimals.len()) && decimals.bytes().all(|it| it.is_ascii_digit());
    let fits = year >= 1970 && hour < 24 && minute < 60 && second < 60;
    if !is_plain || !fits {
        return None;
    }
    // A guess that is never late, then forward: a year is at most 366 days long.
    let guess = (year - 1970) * 365 + month.saturating_sub(1) * 28 + day.saturating_sub(1);
    let days = (guess..guess + 3_000).find(|days| civil(*days) == (year, month, day))?;
    let micros = format!("{decimals:0<6}").parse::<u64>().ok()?;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

/// Three numbers of so many digits each.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(between);
    let mut read = |n_digits: usize| {
        let part = parts.next()?;
        let is_plain = part.len() == n_digits && part.bytes().all(|it| it.is_ascii_digit());
        if is_plain { part.parse().ok() } else { None }
    };
    let [first, second, third] = digits;
    let numbers = [read(first)?, read(second)?, read(third)?];
    parts.next().is_none().then_some(numbers)
}

/// Year, month and day of the nth day since 1970.
fn civil(days_since_1970: u64) -> (u64, u64, u64) {
    // Counted from 1 March of year 0, so that the leap day is the last day of its year.
    const DAYS_TO_1970: u64 = 719_468;
    const DAYS_OF_4_YEARS: u64 = 1_461;
    const DAYS_OF_100_YEARS: u64 = 36_524;
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let days = days_since_1970 + DAYS_TO_1970;
    let (cycles, days) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // The last day of the cycle would begin a fifth century, and likewise a fifth year below.
    let centuries = (days / DAYS_OF_100_YEARS).min(3);
    let days = days - centuries * DAYS_OF_100_YEARS;
    let (fours, days) = (days / DAYS_OF_4_YEARS, days % DAYS_OF_4_YEARS);
    let years = (days / 365).min(3);
    let day_of_year = days - years * 365;
    // From March on, months have 31, 30, 31, 30, 31 days, over and over: 153 in five months.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = 400 * cycles + 100 * centuries + 4 * fours + years;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, text: &str) {
        let at = Timestamp::from_micros(seconds * 1_000_000 + 42);
        assert_eq!(Rfc3339(at).to_string(), format!("{text}.000042Z"));
    }

    #[test]
    fn known_instants_have_their_text() {
        check(0, "1970-01-01T00:00:00");
        check(951_782_399, "2000-02-28T23:59:59");
        check(951_782_400, "2000-02-29T00:00:00");
        check(951_868_800, "2000-03-01T00:00:00");
        check(1_709_164_800, "2024-02-29T00:00:00");
        check(4_107_542_400, "2100-03-01T00:00:00");
        check(1_234_567_890, "2009-02-13T23:31:30");
    }

    #[test]
    fn a_text_is_read_back() {
        for micros in [0, 1, 951_782_399_000_000, 4_107_542_400_000_001, 32_503_680_000_000_000] {
            let at = Timestamp::from_micros(micros);
            let read: Rfc3339 = Rfc3339(at).to_string().parse().unwrap();
            assert_eq!(read.0, at);
        }
        let half: Rfc3339 = "1970-01-01T00:00:00.5Z".parse().unwrap();
        assert_eq!(half.0.as_micros(), 500_000);
        for bad in [
            "",
            "2026-01-31",
            "2026-01-31T00:00:00",
            "2026-01-31T00:00:00+01:00",
            "2026-02-30T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00.1234567Z",
            "1969-12-31T23:59:59Z",
            "+026-01-01T00:00:00Z",
        ] {
            assert_eq!(bad.parse::<Rfc3339>().err(), Some(NotRfc3339), "{bad}");
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let (year, month, day) = civil(days);
            let follows = (year, month, day - 1) == before
                || (day == 1 && (year, month) > (before.0, before.1) && before.2 >= 28);
            assert!(follows, "{before:?} then {:?}", (year, month, day));
            before = (year, month, day);
        }
    }

    #[test]
    fn the_end_of_time_has_a_text() {
        assert!(Rfc3339(Timestamp::MAX).to_string().ends_with('Z'));
    }
}

//! Signed notices: `t=<seconds>,v1=<hex of HMAC-SHA256 over "<seconds>.<body>">`.
//!
//! **Invariants:** a signature is compared in constant time; one that is old or from the future is
//! refused, so that a recorded notice is worth nothing later. Several `v1` may stand side by side
//! while a secret is being changed.

use std::fmt;

use cluster::time::{Span, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::NoticeRefused;

/// How far the time in a signature may be off.
const TOLERANCE: Span = Span::from_secs(5 * 60);
/// While a secret is changed there are two.
const SIGNATURES_MAX: usize = 8;

/// What a provider signs its notices with.
#[derive(Clone)]
pub struct NoticeSecret(Hmac<Sha256>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret of notices is 16 to 255 printable characters")]
pub struct InvalidNoticeSecret;

impl TryFrom<&str> for NoticeSecret {
    type Error = InvalidNoticeSecret;

    fn try_from(text: &str) -> Result<Self, InvalidNoticeSecret> {
        let fits = (16..=255).contains(&text.len());
        if !fits || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidNoticeSecret);
        }
        let keyed = Hmac::new_from_slice(text.as_bytes());
        Ok(Self(keyed.unwrap_or_else(|_| unreachable!("any length is a key"))))
    }
}

impl fmt::Debug for NoticeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoticeSecret(..)")
    }
}

impl NoticeSecret {
    fn mac(&self, seconds: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(seconds.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }

    /// The text of the header, as a provider writes it.
    pub fn sign(&self, now: Timestamp, body: &[u8]) -> String {
        let seconds = now.as_micros() / 1_000_000;
        let mac = self.mac(seconds, body).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={seconds},v1={hex}")
    }

    pub(super) fn check(
        &self,
        header: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<(), NoticeRefused> {
        let parts = || header.split(',').filter_map(|part| part.trim().split_once('='));
        let mut times = parts().filter(|(name, _)| *name == "t");
        let (Some((_, time)), None) = (times.next(), times.next()) else {
            return Err(NoticeRefused::BadSignature);
        };
        let seconds: u64 = time.parse().map_err(|_| NoticeRefused::BadSignature)?;
        let mac = self.mac(seconds, body);
        let signatures = parts().filter(|(name, _)| *name == "v1").take(SIGNATURES_MAX);
        let is_signed = signatures
            .filter_map(|(_, hex)| bytes_of(hex))
            .any(|signature| mac.clone().verify_slice(&signature).is_ok());
        if !is_signed {
            return Err(NoticeRefused::BadSignature);
        }
        let signed_at = Timestamp::from_micros(seconds.saturating_mul(1_000_000));
        let is_timely = now.since(signed_at) <= TOLERANCE && signed_at.since(now) <= TOLERANCE;
        if is_timely { Ok(()) } else { Err(NoticeRefused::OutOfTime) }
    }
}

fn bytes_of(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        // `from_str_radix` takes a sign.
        if pair.starts_with('+') {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn secret() -> NoticeSecret {
        NoticeSecret::try_from("whsec_0123456789abcdef").unwrap()
    }

    #[test]
    fn what_was_signed_is_believed_for_five_minutes() {
        let header = secret().sign(NOON, b"body");
        let check = |body: &[u8], now| secret().check(&header, body, now);
        assert_eq!(check(b"body", NOON), Ok(()));
        assert_eq!(check(b"body", NOON.plus(TOLERANCE)), Ok(()));
        assert_eq!(check(b"bodi", NOON), Err(NoticeRefused::BadSignature));
        let later = NOON.plus(TOLERANCE).plus(Span::from_secs(1));
        assert_eq!(check(b"body", later), Err(NoticeRefused::OutOfTime));
        let before = NOON.minus(TOLERANCE).minus(Span::from_secs(1));
        assert_eq!(check(b"body", before), Err(NoticeRefused::OutOfTime));
        let other = NoticeSecret::try_from("whsec_0123456789abcdeF").unwrap();
        assert_eq!(other.check(&header, b"body", NOON), Err(NoticeRefused::BadSignature));
    }

    #[test]
    fn a_changed_time_or_a_strange_header_is_refused() {
        let header = secret().sign(NOON, b"body");
        let two = format!("{header},v1={}", "0".repeat(64));
        assert_eq!(secret().check(&two, b"body", NOON), Ok(()));
        let moved = header.replacen("t=1", "t=2", 1);
        let hex = header.split_once("v1=").unwrap().1;
        for bad in ["", "t=1", &moved, &format!("v1={hex}"), &format!("{header},t=5")] {
            assert_eq!(
                secret().check(bad, b"body", NOON),
                Err(NoticeRefused::BadSignature),
                "{bad}"
            );
        }
    }
}

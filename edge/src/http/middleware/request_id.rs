//! `X-Request-Id`: the client's own if it is sane, else one of ours.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use storage::clock;

pub(in crate::http) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const BYTES_MAX: usize = 64;

/// Draws ids that no other start of any node draws: a random start and a counter.
pub(crate) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

impl RequestIds {
    pub(crate) fn new() -> Self {
        let mut bytes = [0; 8];
        // An id is for reading logs; without random bytes the time of the start does as well.
        let start = match getrandom::fill(&mut bytes) {
            Ok(()) => u64::from_be_bytes(bytes),
            Err(_) => clock::wall_micros(),
        };
        Self { start, next: AtomicU64::new(1) }
    }

    /// The id of a request with these headers.
    pub(in crate::http) fn of(&self, headers: &HeaderMap) -> HeaderValue {
        match headers.get(X_REQUEST_ID) {
            Some(id) if is_sane(id.as_bytes()) => id.clone(),
            Some(_) | None => self.draw(),
        }
    }

    fn draw(&self) -> HeaderValue {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        let mut text = *b"req_0000000000000000-000000000000";
        let (start, count) = text.split_at_mut(20);
        write_hex(start.get_mut(4..).unwrap_or_default(), self.start);
        write_hex(count.get_mut(1..).unwrap_or_default(), nth);
        HeaderValue::from_bytes(&text).unwrap_or(HeaderValue::from_static("req_"))
    }
}

fn write_hex(digits: &mut [u8], mut number: u64) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for digit in digits.iter_mut().rev() {
        *digit = HEX.get((number & 15) as usize).copied().unwrap_or(b'0');
        number >>= 4;
    }
}

fn is_sane(id: &[u8]) -> bool {
    (1..=BYTES_MAX).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_id_is_kept_and_another_is_replaced() {
        let ids = RequestIds { start: 0xABC, next: AtomicU64::new(1) };
        let of = |value: &[u8]| {
            let value = HeaderValue::from_bytes(value).unwrap();
            ids.of(&HeaderMap::from_iter([(X_REQUEST_ID, value)]))
        };
        assert_eq!(of(b"a.B-9_"), "a.B-9_");
        assert_eq!(of(b"no spaces"), "req_0000000000000abc-000000000001");
        assert_eq!(of(b""), "req_0000000000000abc-000000000002");
        assert_eq!(of(&[b'x'; 65]), "req_0000000000000abc-000000000003");
        assert_eq!(of(b"\xff"), "req_0000000000000abc-000000000004");
        assert_eq!(ids.of(&HeaderMap::new()), "req_0000000000000abc-000000000005");
    }
}

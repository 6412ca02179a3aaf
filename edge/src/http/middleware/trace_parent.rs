//! `traceparent`: the caller's place in a distributed trace, as W3C Trace Context defines it.

use axum::http::{HeaderMap, HeaderName};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header, if it is valid; an invalid one is as good as none.
pub(super) fn of(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(TRACEPARENT).iter();
    let text = values.next()?.to_str().ok()?;
    (values.next().is_none() && is_valid(text)).then_some(text)
}

fn is_valid(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut hex = |digits| {
        let part = parts.next().unwrap_or_default();
        let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (part.len() == digits && part.bytes().all(is_hex)).then_some(part)
    };
    let (version, trace, span, flags) = (hex(2), hex(32), hex(16), hex(2));
    let is_zero = |part: &str| part.bytes().all(|byte| byte == b'0');
    let known = matches!((version, flags), (Some(version), Some(_)) if version != "ff");
    // Only versions to come may have more parts.
    let ends = version != Some("00") || parts.next().is_none();
    known && ends && !trace.is_none_or(is_zero) && !span.is_none_or(is_zero)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_valid_parent_is_taken() {
        assert!(is_valid(GOOD));
        assert!(is_valid(&format!("cc{}-what-the-future-will-be-like", &GOOD[2..])));
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-x"),
            format!("ff{}", &GOOD[2..]),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned(),
        ] {
            assert!(!is_valid(&bad), "{bad}");
        }
    }
}

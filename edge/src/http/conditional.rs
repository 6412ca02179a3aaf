//! `ETag`, `If-Match` and `If-None-Match`: the entity's sequence number as HTTP sees it.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};

use super::code::Code;
use super::error::ApiError;

pub(super) fn etag(seq: u64) -> String {
    format!("\"{seq}\"")
}

/// The sequence that `If-Match` demands. `*` demands none: a change of what does not exist is
/// refused anyway.
pub(super) fn expected_seq(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed =
        || ApiError::new(Code::IF_MATCH_INVALID, "If-Match is `*` or one strong entity tag");
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?.trim_matches([' ', '\t']);
    if text == "*" {
        return Ok(None);
    }
    let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let tag = tag.filter(|tag| !tag.contains('"')).ok_or_else(malformed)?;
    // A well-formed tag that this service never gave matches nothing.
    let seq = tag.parse().ok().filter(|seq| etag(*seq) == text);
    seq.ok_or_else(ApiError::precondition_failed).map(Some)
}

/// Whether the client has the state at `seq` already.
pub(super) fn is_known(headers: &HeaderMap, seq: u64) -> bool {
    let own = etag(seq);
    headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',').map(|tag| tag.trim_matches([' ', '\t'])).any(|tag| {
            // A weak tag compares like a strong one here: RFC 9110, 13.1.2.
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == own
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(value: &str) -> Result<Option<u64>, Code> {
        let headers = HeaderMap::from_iter([(IF_MATCH, value.parse().unwrap())]);
        expected_seq(&headers).map_err(|error| error.code())
    }

    #[test]
    fn if_match_is_a_tag_of_ours_or_a_star() {
        assert_eq!(expected("\"7\""), Ok(Some(7)));
        assert_eq!(expected("*"), Ok(None));
        for foreign in ["\"\"", "\"07\"", "\"abc\"", "\"+7\"", "\"99999999999999999999\""] {
            assert_eq!(expected(foreign), Err(Code::PRECONDITION_FAILED), "{foreign}");
        }
        for bad in ["", "7", "W/\"7\"", "\"7", "\"7\", \"8\"", "\""] {
            assert_eq!(expected(bad), Err(Code::IF_MATCH_INVALID), "{bad}");
        }
    }

    #[test]
    fn if_none_match_is_a_list_compared_weakly() {
        let knows = |value: &str| {
            is_known(&HeaderMap::from_iter([(IF_NONE_MATCH, value.parse().unwrap())]), 7)
        };
        for known in ["\"7\"", "*", "W/\"7\"", "\"6\", \"7\""] {
            assert!(knows(known), "{known}");
        }
        for other in ["", "7", "\"8\"", "\"77\"", "garbage\"7\""] {
            assert!(!knows(other), "{other}");
        }
        assert!(!is_known(&HeaderMap::new(), 7));
    }
}

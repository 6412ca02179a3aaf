//! `ETag`, `If-Match` and `If-None-Match`: the entity's sequence number as HTTP sees it.
//!
//! **Invariants:** what a change is bound to is the entity whose `ETag` it answers with, of
//! `/carts/{id}/items/{sku}` the cart; a precondition that cannot be honoured is refused, never
//! ignored.

use axum::http::HeaderMap;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH};
use cluster::fabric::Precondition;

use super::code::Code;
use super::error::ApiError;

pub(super) fn etag(seq: u64) -> String {
    format!("\"{seq}\"")
}

/// What a change demands of the entity.
pub(super) fn precondition(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    match (matching(headers)?, none_matching(headers)?) {
        (Precondition::None, other) | (other, Precondition::None) => Ok(other),
        (_, _) => {
            let detail = "a change is bound by If-Match or by If-None-Match, not by both";
            Err(ApiError::new(Code::IF_NONE_MATCH_INVALID, detail))
        }
    }
}

/// `*` is whatever state, as long as there is one.
fn matching(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    let mut values = headers.get_all(IF_MATCH).iter();
    let Some(value) = values.next() else { return Ok(Precondition::None) };
    let malformed =
        || ApiError::new(Code::IF_MATCH_INVALID, "If-Match is `*` or one strong entity tag");
    if values.next().is_some() {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?.trim_matches([' ', '\t']);
    if text == "*" {
        return Ok(Precondition::Exists);
    }
    let tag = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let tag = tag.filter(|tag| !tag.contains('"')).ok_or_else(malformed)?;
    // A well-formed tag that this service never gave matches nothing.
    let seq = tag.parse().ok().filter(|seq| etag(*seq) == text);
    seq.ok_or_else(ApiError::precondition_failed).map(Precondition::Seq)
}

/// Of a change, `*` alone: that there is nothing yet. "Any state but this one" would be a change
/// made blindly.
fn none_matching(headers: &HeaderMap) -> Result<Precondition, ApiError> {
    let mut values = headers.get_all(IF_NONE_MATCH).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(Precondition::None),
        (Some(value), None) if value.as_bytes().trim_ascii() == b"*" => Ok(Precondition::Absent),
        (Some(_), _) => {
            let detail = "of a change, If-None-Match is `*`";
            Err(ApiError::new(Code::IF_NONE_MATCH_INVALID, detail))
        }
    }
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
    use axum::http::HeaderName;

    use super::*;

    fn demanded(headers: &[(HeaderName, &str)]) -> Result<Precondition, Code> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.append(name, value);
        }
        precondition(&all).map_err(|error| error.code())
    }

    fn expected(value: &str) -> Result<Precondition, Code> {
        demanded(&[(IF_MATCH, value)])
    }

    #[test]
    fn if_match_is_a_tag_of_ours_or_a_star() {
        assert_eq!(expected("\"7\""), Ok(Precondition::Seq(7)));
        assert_eq!(expected("*"), Ok(Precondition::Exists));
        for foreign in ["\"\"", "\"07\"", "\"abc\"", "\"+7\"", "\"99999999999999999999\""] {
            assert_eq!(expected(foreign), Err(Code::PRECONDITION_FAILED), "{foreign}");
        }
        for bad in ["", "7", "W/\"7\"", "\"7", "\"7\", \"8\"", "\""] {
            assert_eq!(expected(bad), Err(Code::IF_MATCH_INVALID), "{bad}");
        }
    }

    #[test]
    fn of_a_change_if_none_match_is_a_star_and_alone() {
        assert_eq!(demanded(&[]), Ok(Precondition::None));
        assert_eq!(demanded(&[(IF_NONE_MATCH, " *\t")]), Ok(Precondition::Absent));
        let star = (IF_NONE_MATCH, "*");
        for bad in [
            vec![(IF_NONE_MATCH, "\"7\"")],
            vec![(IF_NONE_MATCH, "")],
            vec![star.clone(), star.clone()],
            vec![star.clone(), (IF_MATCH, "*")],
            vec![star, (IF_MATCH, "\"7\"")],
        ] {
            assert_eq!(demanded(&bad), Err(Code::IF_NONE_MATCH_INVALID), "{bad:?}");
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

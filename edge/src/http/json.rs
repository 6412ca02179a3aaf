//! JSON as it was sent: nothing rounded, nothing dropped, text borrowed from the body.
//!
//! **Invariants:** a member that comes twice is refused, never silently replaced; a number is an
//! `i64` or is known not to be one; an object has at most [`MEMBERS_MAX`] members, so that finding
//! twins stays cheap. Nesting is bounded by the parser.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::code::Code;
use super::error::ApiError;

const MEMBERS_MAX: usize = 64;

#[derive(Debug, PartialEq)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    /// Whole, but outside of an `i64`.
    HugeInteger,
    Fraction,
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Vec<Member<'a>>),
}

pub(super) type Member<'a> = (Cow<'a, str>, Json<'a>);

impl<'a> Json<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, ApiError> {
        serde_json::from_slice(bytes)
            .map_err(|error| ApiError::new(Code::INVALID_JSON, error.to_string()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Json<'de>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json<'de>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json<'de>, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json<'de>, E> {
        Ok(i64::try_from(number).map_or(Json::HugeInteger, Json::Integer))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json<'de>, E> {
        // Past 2^63 every float is whole; the parser makes floats of integers that are too long.
        const I64_END: f64 = 9_223_372_036_854_775_808.0;
        Ok(if number.abs() >= I64_END { Json::HugeInteger } else { Json::Fraction })
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json<'de>, E> {
        Ok(Json::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Json<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json<'de>, A::Error> {
        let mut members: Vec<Member<'de>> = Vec::new();
        while let Some(Name(name)) = entries.next_key()? {
            if members.iter().any(|(known, _)| *known == name) {
                return Err(Error::custom("a member comes twice"));
            }
            if members.len() == MEMBERS_MAX {
                return Err(Error::custom("an object has too many members"));
            }
            members.push((name, entries.next_value()?));
        }
        Ok(Json::Object(members))
    }
}

struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl<'de> Visitor<'de> for NameVisitor {
    type Value = Name<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name<'de>, E> {
        Ok(Name(Cow::Owned(text.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(body: &[u8]) {
        let error = Json::parse(body).unwrap_err();
        assert_eq!(error.code(), Code::INVALID_JSON);
    }

    #[test]
    fn numbers_are_whole_and_small_or_known_not_to_be() {
        let parse = |text: &'static str| Json::parse(text.as_bytes()).unwrap();
        assert_eq!(parse("-3"), Json::Integer(-3));
        assert_eq!(parse("9223372036854775807"), Json::Integer(i64::MAX));
        assert_eq!(parse("9223372036854775808"), Json::HugeInteger);
        assert_eq!(parse("99999999999999999999999"), Json::HugeInteger);
        assert_eq!(parse("1.0"), Json::Fraction);
        assert_eq!(parse("1e2"), Json::Fraction);
    }

    #[test]
    fn what_is_not_one_plain_document_is_refused() {
        refused(br#"{"sku":"a","sku":"b"}"#);
        refused(br#"{"a":1} x"#);
        refused(b"{\"a\":\"\xff\"}");
        refused("[".repeat(10_000).as_bytes());
        refused(b"");
        let members: Vec<_> = (0..=MEMBERS_MAX).map(|n| format!("\"m{n}\":0")).collect();
        refused(format!("{{{}}}", members.join(",")).as_bytes());
    }
}

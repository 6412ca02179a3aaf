//! Bodies as drivers write them: any letter case, snake case or not, and members nobody asks for.
//!
//! **Invariants:** a member is named once, however it is spelled; what is not asked for is dropped
//! with the body.

use std::collections::BTreeMap;

use actors::domain::names::Label;
use axum::extract::{FromRequest, Request};
use serde_json::Value;

use super::amount;
use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::RawBody;
use crate::http::fields::{Faults, flaw};

/// The members of an object, by their names in lower case and without underscores.
pub(super) struct Row(BTreeMap<String, Value>);

impl FromRequest<App> for Row {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Self, ApiError> {
        let RawBody(bytes) = RawBody::from_request(request, app).await?;
        Self::parse(&bytes)
    }
}

impl Row {
    fn parse(bytes: &[u8]) -> Result<Self, ApiError> {
        // What the parser says of a text could show a part of it.
        let no_object = || ApiError::new(Code::INVALID_JSON, "the body must be a JSON object");
        let Ok(Value::Object(members)) = serde_json::from_slice(bytes) else {
            return Err(no_object());
        };
        let mut row = BTreeMap::new();
        for (name, value) in members {
            let plain = name.replace('_', "").to_lowercase();
            if row.insert(plain, value).is_some() {
                return Err(wrong("", "twice", "a member comes twice, in two spellings"));
            }
        }
        Ok(Self(row))
    }

    fn find(&self, name: &str) -> Option<&Value> {
        let found = self.0.get(&name.replace('_', "").to_lowercase());
        found.filter(|value| !value.is_null())
    }

    fn required(&self, name: &str) -> Result<&Value, ApiError> {
        self.find(name).ok_or_else(|| wrong(name, "missing", "is required"))
    }

    pub(super) fn number(&self, name: &str) -> Result<u32, ApiError> {
        let number = self.required(name)?.as_u64().and_then(|number| u32::try_from(number).ok());
        number
            .ok_or_else(|| wrong(name, "wrong_type", "must be a whole number from 0 to 4294967295"))
    }

    pub(super) fn minor(&self, name: &str) -> Result<i64, ApiError> {
        let Value::Number(number) = self.required(name)? else {
            return Err(wrong(name, "wrong_type", "must be a number"));
        };
        let minor = amount::minor(&number.to_string());
        minor.ok_or_else(|| wrong(name, "out_of_range", "must be a price, zero or more"))
    }

    pub(super) fn minor_if_any(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.find(name).map(|_| self.minor(name)).transpose()
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, ApiError> {
        self.required(name)?.as_str().ok_or_else(|| wrong(name, "wrong_type", "must be a string"))
    }

    /// A text, empty where there is none.
    pub(super) fn text_if_any(&self, name: &str) -> Result<&str, ApiError> {
        if self.find(name).is_some() { self.text(name) } else { Ok("") }
    }

    /// A name that is compared and never read: a tid, a version.
    pub(super) fn name(&self, name: &str) -> Result<String, ApiError> {
        let text = if let Value::Number(number) = self.required(name)? {
            number.to_string()
        } else {
            self.text(name)?.to_owned()
        };
        check_name(name, &text).map(|()| text)
    }
}

/// Names are short and visible, so that they fit wherever they are kept.
pub(super) fn check_name(param: &str, name: &str) -> Result<(), ApiError> {
    const BYTES_MAX: usize = 64;
    let fits = (1..=BYTES_MAX).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_graphic());
    if fits { Ok(()) } else { Err(wrong(param, "invalid", "is 1 to 64 visible ASCII characters")) }
}

pub(super) fn label(param: &str, text: &str) -> Result<Label, ApiError> {
    Label::try_from(text.to_owned()).map_err(|error| wrong(param, "invalid", error.to_string()))
}

pub(super) fn wrong(param: &str, code: &'static str, detail: impl Into<String>) -> ApiError {
    let mut faults = Faults::default();
    faults.add(param.to_owned(), flaw(code, detail.into()));
    match faults.into_result::<()>(None) {
        Ok(()) => ApiError::internal(),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_however_they_are_spelled() {
        for body in [r#"{"SellerId": 7}"#, r#"{"sellerId": 7, "x": []}"#, r#"{"SELLER_ID": 7}"#] {
            assert_eq!(Row::parse(body.as_bytes()).unwrap().number("seller_id").unwrap(), 7);
        }
        assert!(Row::parse(br#"{"seller_id": 1, "SellerId": 1}"#).is_err());
        assert!(Row::parse(b"[1]").is_err());
    }
}

//! The API's description: as OpenAPI 3.1 for programs, as a page for people.
//!
//! **Invariants:** both are made of the same operations, whose bodies are described
//! where they are read and rendered, whose codes are those of errors, and whose paths are the
//! router's; nothing of them comes from another host, and the page runs nothing.
//!
//! No derive macro makes the schemas: bodies are read by hand so that all their faults are told at
//! once, so there is no type with attributes that a macro could read them from. What keeps the two
//! together is tests, which hold every answer in them against this description.

mod document;
mod headers;
mod html;
mod operation;
mod operations;
mod page;

use std::sync::LazyLock;

use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, HeaderValue};
use axum::response::IntoResponse;
use bytes::Bytes;

use super::error::ApiError;
use super::{Asked, Endpoint, Verb};

const JSON: (HeaderName, HeaderValue) =
    (CONTENT_TYPE, HeaderValue::from_static("application/json"));
const HTML: (HeaderName, HeaderValue) =
    (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
const NO_REFERRER: (HeaderName, HeaderValue) =
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer"));

/// The document as it is served; `None` where it could not be rendered.
pub fn text() -> Option<Bytes> {
    static DOCUMENT: LazyLock<Option<Bytes>> = LazyLock::new(|| {
        let operations = operations::all();
        serde_json::to_vec(&document::Document::new(&operations)).ok().map(Bytes::from)
    });
    DOCUMENT.clone()
}

/// `GET /openapi.json`
pub(super) async fn document() -> Result<impl IntoResponse, ApiError> {
    Ok(([JSON], text().ok_or_else(ApiError::internal)?))
}

/// `GET /docs`
pub(super) async fn page() -> Result<impl IntoResponse, ApiError> {
    static PAGE: LazyLock<Option<(HeaderValue, Bytes)>> = LazyLock::new(|| {
        let text = page::render(&operations::all());
        let policy = HeaderValue::try_from(page::policy()).ok()?;
        Some((policy, Bytes::from(text)))
    });
    let (policy, page) = PAGE.as_ref().ok_or_else(ApiError::internal)?;
    Ok(([HTML, NO_REFERRER, (CONTENT_SECURITY_POLICY, policy.clone())], page.clone()))
}

/// What an operation is called; `unknown` where nobody described it.
pub(super) fn operation_id(asked: Asked) -> &'static str {
    static IDS: LazyLock<Vec<(Endpoint, Verb, &'static str)>> = LazyLock::new(|| {
        operations::all().iter().map(|it| (it.endpoint, it.verb, it.id)).collect()
    });
    let is_it = |(endpoint, verb, _): &&(Endpoint, Verb, _)| {
        (*endpoint, *verb) == (asked.endpoint, asked.verb)
    };
    IDS.iter().find(is_it).map_or("unknown", |(_, _, id)| id)
}

/// The methods and paths that are described.
#[cfg(test)]
pub(super) fn described() -> Vec<(Endpoint, Verb)> {
    operations::all().iter().map(|operation| (operation.endpoint, operation.verb)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn operations_are_named_once() {
        let all = operations::all();
        let names: BTreeSet<_> = all.iter().map(|operation| operation.id).collect();
        assert_eq!(names.len(), all.len());
    }

    #[test]
    fn the_parameters_of_a_path_are_those_of_its_operation() {
        for operation in operations::all() {
            let path = operation.endpoint.path();
            let named: Vec<_> = path.split('/').filter(|part| part.starts_with('{')).collect();
            let described: Vec<_> =
                operation.path.iter().map(|(name, _)| format!("{{{name}}}")).collect();
            assert_eq!(named, described, "{}", operation.id);
        }
    }
}

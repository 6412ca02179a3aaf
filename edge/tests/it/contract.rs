//! Holds an answer against the API's own description: its status, its headers, every member of it.
//!
//! The validator knows the part of JSON Schema that the description uses, but for `pattern`, and
//! refuses any other, so a schema that grows cannot go unchecked.

use std::sync::LazyLock;

use axum::http::{Method, Uri};
use serde_json::Value;

use crate::shop::Answer;

pub(crate) static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_slice(&edge::http::openapi::text().unwrap()).unwrap());

/// Of every answer, whatever it is about.
const COMMON: [&str; 6] = [
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "x-content-type-options",
    "x-request-id",
];

/// The described path that a request was for, and its methods.
fn path_of(uri: &str) -> Option<(&'static str, &'static Value)> {
    let uri: Uri = uri.parse().unwrap();
    let path = uri.path();
    let parts: Vec<_> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<_> = template.split('/').collect();
        let is_same = |(wanted, part): (&&str, &&str)| {
            wanted == part || (wanted.starts_with('{') && !part.is_empty())
        };
        wanted.len() == parts.len() && wanted.iter().zip(&parts).all(is_same)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let mut fitting: Vec<_> = paths.iter().filter(|(template, _)| fits(template)).collect();
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    fitting.first().map(|(template, methods)| (template.as_str(), *methods))
}

/// What is described of a request, unless its path or its method is not.
pub(crate) fn operation_of(method: &Method, uri: &str) -> Option<&'static Value> {
    let method = if *method == Method::HEAD { Method::GET } else { method.clone() };
    path_of(uri)?.1.get(method.as_str().to_ascii_lowercase())
}

#[track_caller]
pub(crate) fn check(method: &Method, uri: &str, answer: &Answer) {
    let Some(operation) = operation_of(method, uri) else {
        let expected = if path_of(uri).is_some() { 405 } else { 404 };
        assert!([expected, 503].contains(&answer.status), "{method} {uri} is not described");
        return;
    };
    let id = operation["operationId"].as_str().unwrap();
    let response = &operation["responses"][answer.status.to_string()];
    assert!(response.is_object(), "{id} answers {}: {answer:?}", answer.status);
    check_headers(id, response, answer);
    if *method == Method::HEAD {
        return;
    }
    let Some(content) = response.get("content").and_then(Value::as_object) else {
        assert!(answer.body.is_empty(), "{id} answers a body: {answer:?}");
        return;
    };
    let media = answer.header("content-type").unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default();
    let described = &content.get(media).unwrap_or_else(|| panic!("{id} answers {media}"))["schema"];
    // Of lines of JSON each is a value of its own.
    if media.ends_with("json") && !media.ends_with("ndjson") {
        let mut wrong = Vec::new();
        compare(described, &answer.json(), "", &mut wrong);
        assert!(wrong.is_empty(), "{id} answers {}: {wrong:#?}\n{}", answer.status, answer.json());
    }
}

#[track_caller]
fn check_headers(id: &str, response: &Value, answer: &Answer) {
    let described = response["headers"].as_object().unwrap();
    for name in answer.headers.keys().map(|name| name.as_str()) {
        let is_known = described.keys().any(|known| known.eq_ignore_ascii_case(name))
            || COMMON.contains(&name)
            || id == "showPage";
        assert!(is_known, "{id} answers {} with {name}", answer.status);
    }
    for (name, header) in described {
        let header = target(header);
        let value = answer.header(name);
        let is_missing = header["required"] == true && value.is_none();
        assert!(!is_missing, "{id} answers {} without {name}", answer.status);
        let Some(value) = value else { continue };
        let value = match header["schema"]["type"].as_str() {
            Some("integer") => Value::from(value.parse::<u64>().unwrap()),
            _ => Value::from(value),
        };
        let mut wrong = Vec::new();
        compare(&header["schema"], &value, name, &mut wrong);
        assert!(wrong.is_empty(), "{id} answers {}: {wrong:?}", answer.status);
    }
}

/// What a reference refers to; anything else is itself.
pub(crate) fn target(schema: &Value) -> &Value {
    match schema.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.strip_prefix('#').unwrap()).unwrap(),
        None => schema,
    }
}

/// Adds whatever in a value its schema does not allow.
pub(crate) fn compare(schema: &Value, value: &Value, at: &str, wrong: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let is_kept = match keyword.as_str() {
            "$ref" => {
                compare(target(schema), value, at, wrong);
                true
            }
            "allOf" => {
                rule.as_array().unwrap().iter().for_each(|one| compare(one, value, at, wrong));
                true
            }
            "anyOf" => rule.as_array().unwrap().iter().any(|one| {
                let mut of_one = Vec::new();
                compare(one, value, at, &mut of_one);
                of_one.is_empty()
            }),
            "type" => is_a(rule.as_str().unwrap(), value),
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => integer(value) >= integer(rule),
            "maximum" => integer(value) <= integer(rule),
            "minLength" => length(value) >= integer(rule),
            "maxLength" => length(value) <= integer(rule),
            "minItems" => n_items(value) >= integer(rule),
            "maxItems" => n_items(value) <= integer(rule),
            "items" => {
                for (nth, item) in value.as_array().into_iter().flatten().enumerate() {
                    compare(rule, item, &format!("{at}/{nth}"), wrong);
                }
                true
            }
            "properties" => {
                for (name, schema) in rule.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        compare(schema, member, &format!("{at}/{name}"), wrong);
                    }
                }
                true
            }
            "required" => {
                let mut names = rule.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                names.all(|name| value.get(name).is_some())
            }
            "additionalProperties" => {
                assert_eq!(*rule, Value::Bool(false));
                let known = schema["properties"].as_object().unwrap();
                let mut names = value.as_object().into_iter().flatten().map(|(name, _)| name);
                names.all(|name| known.contains_key(name))
            }
            "description" | "examples" | "pattern" => true,
            other => panic!("a schema says {other}, which nothing checks"),
        };
        if !is_kept {
            wrong.push(format!("{at}: {keyword} {rule} does not allow {value}"));
        }
    }
}

fn is_a(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("nothing is of type {other}"),
    }
}

/// What is no number is refused by its type, not by its size.
fn integer(value: &Value) -> i128 {
    let number = value.as_u64().map(i128::from).or_else(|| value.as_i64().map(i128::from));
    number.unwrap_or_default()
}

fn length(value: &Value) -> i128 {
    value.as_str().map_or(0, |text| i128::try_from(text.chars().count()).unwrap())
}

fn n_items(value: &Value) -> i128 {
    value.as_array().map_or(0, |all| i128::try_from(all.len()).unwrap())
}

#[test]
fn what_a_schema_does_not_allow_is_found() {
    let cart = &DOCUMENT["components"]["schemas"]["Reservation"];
    let good = serde_json::json!({"id": "res_1", "quantity": 2});
    let mut wrong = Vec::new();
    compare(cart, &good, "", &mut wrong);
    assert_eq!(wrong, [""; 0]);
    for bad in [
        serde_json::json!({"id": "res_1"}),
        serde_json::json!({"id": "res_1", "quantity": 0}),
        serde_json::json!({"id": "res_1", "quantity": "2"}),
        serde_json::json!({"id": 1, "quantity": 2}),
        serde_json::json!({"id": "res_1", "quantity": 2, "more": 1}),
        serde_json::json!([]),
    ] {
        let mut wrong = Vec::new();
        compare(cart, &bad, "", &mut wrong);
        assert!(!wrong.is_empty(), "{bad}");
    }
}

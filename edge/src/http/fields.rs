//! Reading the members of a body: everything that is wrong is found in one go.
//!
//! **Invariants:** a document is read only when nothing was wrong with it; a member nobody asked
//! for is a fault; at most [`FAULTS_MAX`] faults are reported.

use std::borrow::Cow;
use std::marker::PhantomData;

use super::code::Code;
use super::error::{ApiError, Fault};
use super::json::{Json, Member};
use super::schema::{Described, Schema};

const FAULTS_MAX: usize = 50;
/// How much of a client's own member name is repeated to it.
const NAME_CHARS_MAX: usize = 64;

/// A body, read member by member.
pub(super) trait Document: Described + Sized {
    /// Whether no body at all means `{}`.
    const MAY_BE_EMPTY: bool = false;

    /// `None` only with a fault reported.
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self>;
}

/// What is wrong with one value.
pub(super) struct Flaw {
    pub(super) code: &'static str,
    pub(super) detail: Cow<'static, str>,
}

pub(super) fn flaw(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Flaw {
    Flaw { code, detail: detail.into() }
}

#[derive(Default)]
pub(super) struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, param: String, Flaw { code, detail }: Flaw) {
        if self.0.len() < FAULTS_MAX {
            self.0.push(Fault::Field { param, code, detail });
        }
    }

    pub(super) fn into_result<T>(self, read: Option<T>) -> Result<T, ApiError> {
        if let (Some(read), true) = (read, self.0.is_empty()) {
            return Ok(read);
        }
        let card_number = Code::CARD_NUMBER_REFUSED.name;
        let has_card_number = self
            .0
            .iter()
            .any(|fault| matches!(fault, Fault::Field { code, .. } if *code == card_number));
        let code =
            if has_card_number { Code::CARD_NUMBER_REFUSED } else { Code::VALIDATION_FAILED };
        Err(ApiError::faults(code, "see errors for all that is wrong with the request", self.0))
    }
}

/// Reads a whole body.
pub(super) fn read<T: Document>(bytes: &[u8]) -> Result<T, ApiError> {
    let is_nothing = bytes.is_empty() && T::MAY_BE_EMPTY;
    read_json(if is_nothing { Json::Object(Vec::new()) } else { Json::parse(bytes)? })
}

/// Reads what was never a body.
pub(super) fn read_json<T: Document>(json: Json<'_>) -> Result<T, ApiError> {
    let mut faults = Faults::default();
    let read = object(json, None, &mut faults, T::read);
    faults.into_result(read)
}

/// Any object: what is in it is read later as a `T`, over what there is already.
pub(super) struct Changes<T>(PhantomData<fn() -> T>);

impl<T: Described> Document for Changes<T> {
    fn read(members: &mut Members<'_>, _: &mut Faults) -> Option<Self> {
        members.members.clear();
        Some(Self(PhantomData))
    }
}

impl<T: Described> Described for Changes<T> {
    fn name() -> String {
        format!("{}Changes", T::name())
    }

    fn schema() -> Schema {
        T::schema().into_changes()
    }
}

/// Reads a document with some of its members replaced; null takes one away.
pub(super) fn read_changed<T: Document>(current: &[u8], changes: &[u8]) -> Result<T, ApiError> {
    let (Json::Object(mut members), Json::Object(changes)) =
        (Json::parse(current)?, Json::parse(changes)?)
    else {
        return Err(ApiError::internal());
    };
    for (name, value) in changes {
        members.retain(|(known, _)| *known != name);
        members.push((name, value));
    }
    let mut faults = Faults::default();
    let read = object(Json::Object(members), None, &mut faults, T::read);
    faults.into_result(read)
}

/// The members of one object; where it lies in the body only matters for faults.
pub(super) struct Members<'a> {
    members: Vec<Member<'a>>,
    place: Option<(&'static str, usize)>,
}

fn object<'a, T>(
    json: Json<'a>,
    place: Option<(&'static str, usize)>,
    faults: &mut Faults,
    read: impl FnOnce(&mut Members<'a>, &mut Faults) -> Option<T>,
) -> Option<T> {
    let Json::Object(members) = json else {
        let param = place.map_or_else(String::new, |(list, nth)| format!("{list}[{nth}]"));
        faults.add(param, flaw("wrong_type", "must be an object"));
        return None;
    };
    let mut members = Members { members, place };
    let read = read(&mut members, faults);
    for (name, _) in &members.members {
        let name: String = name.chars().take(NAME_CHARS_MAX).collect();
        faults.add(members.param(&name), flaw("unknown", "there is no such member"));
    }
    read
}

impl<'a> Members<'a> {
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(known, _)| known == name)
    }

    pub(super) fn required<T>(
        &mut self,
        name: &str,
        faults: &mut Faults,
        parse: impl FnOnce(Json<'a>) -> Result<T, Flaw>,
    ) -> Option<T> {
        let parsed = match self.take(name) {
            Some(json) => parse(json),
            None => Err(flaw("required", "is required")),
        };
        self.report(name, faults, parsed)
    }

    /// `Some(None)` where the member is absent or null, `None` where it is faulty.
    pub(super) fn optional<T>(
        &mut self,
        name: &str,
        faults: &mut Faults,
        parse: impl FnOnce(Json<'a>) -> Result<T, Flaw>,
    ) -> Option<Option<T>> {
        match self.take(name) {
            None | Some(Json::Null) => Some(None),
            Some(json) => {
                let parsed = parse(json);
                self.report(name, faults, parsed).map(Some)
            }
        }
    }

    /// A list of up to `max` values; none where the member is absent or null.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        max: usize,
        faults: &mut Faults,
        parse: impl Fn(Json<'a>) -> Result<T, Flaw>,
    ) -> Option<Vec<T>> {
        let parsed = self.optional(name, faults, |json| list(json, max, parse))?;
        Some(parsed.unwrap_or_default())
    }

    /// A list of objects, of 1 to `max` of them.
    pub(super) fn objects<T>(
        &mut self,
        name: &'static str,
        max: usize,
        faults: &mut Faults,
        mut read: impl FnMut(&mut Members<'a>, &mut Faults) -> Option<T>,
    ) -> Option<Vec<T>> {
        let list = self.required(name, faults, |json| match elements(json)? {
            list if (1..=max).contains(&list.len()) => Ok(list),
            _ => Err(flaw("out_of_range", format!("must have 1 to {max} elements"))),
        })?;
        let n_elements = list.len();
        let elements = list.into_iter().enumerate();
        let read: Vec<_> = elements
            .filter_map(|(nth, json)| object(json, Some((name, nth)), faults, &mut read))
            .collect();
        (read.len() == n_elements).then_some(read)
    }

    /// A list of 1 to `max` objects, of which each is read or refused for itself.
    pub(super) fn each<T: Document>(
        &mut self,
        name: &str,
        max: usize,
        faults: &mut Faults,
    ) -> Option<Vec<Result<T, ApiError>>> {
        let elements = self.required(name, faults, |json| list(json, max, Ok))?;
        if elements.is_empty() {
            faults.add(name.to_owned(), flaw("out_of_range", "must have an element"));
            return None;
        }
        Some(elements.into_iter().map(read_json).collect())
    }

    /// Takes a list that is there and has nothing in it.
    pub(super) fn take_empty(&mut self, name: &str) -> bool {
        let is_empty = |json: &Json<'_>| matches!(json, Json::List(list) if list.is_empty());
        let is_it = self.members.iter().any(|(known, json)| known == name && is_empty(json));
        is_it && self.take(name).is_some()
    }

    fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let nth = self.members.iter().position(|(known, _)| known == name)?;
        Some(self.members.swap_remove(nth).1)
    }

    fn report<T>(&self, name: &str, faults: &mut Faults, parsed: Result<T, Flaw>) -> Option<T> {
        parsed.map_err(|flaw| faults.add(self.param(name), flaw)).ok()
    }

    fn param(&self, name: &str) -> String {
        match self.place {
            Some((list, nth)) => format!("{list}[{nth}].{name}"),
            None => name.to_owned(),
        }
    }
}

fn elements(json: Json<'_>) -> Result<Vec<Json<'_>>, Flaw> {
    match json {
        Json::List(elements) => Ok(elements),
        Json::Null
        | Json::Bool(_)
        | Json::Integer(_)
        | Json::HugeInteger
        | Json::Fraction
        | Json::Text(_)
        | Json::Object(_) => Err(flaw("wrong_type", "must be a list")),
    }
}

/// A list of up to `max` values. Of its elements the first fault is told.
pub(super) fn list<'a, T>(
    json: Json<'a>,
    max: usize,
    parse: impl Fn(Json<'a>) -> Result<T, Flaw>,
) -> Result<Vec<T>, Flaw> {
    let elements = elements(json)?;
    if elements.len() > max {
        return Err(flaw("out_of_range", format!("must have {max} elements at most")));
    }
    let parsed = elements.into_iter().enumerate().map(|(nth, json)| {
        parse(json).map_err(|Flaw { code, detail }| flaw(code, format!("element {nth}: {detail}")))
    });
    parsed.collect()
}

/// An object inside of a value. Of its members the first fault is told.
pub(super) fn inner<'a, T>(
    json: Json<'a>,
    read: impl FnOnce(&mut Members<'a>, &mut Faults) -> Option<T>,
) -> Result<T, Flaw> {
    let mut faults = Faults::default();
    let read = object(json, None, &mut faults, read);
    match (faults.0.into_iter().next(), read) {
        (None, Some(read)) => Ok(read),
        (Some(Fault::Field { param, code, detail }), _) => {
            Err(flaw(code, format!("{param} {detail}")))
        }
        (Some(Fault::Stock { .. }), _) | (None, None) => Err(flaw("invalid", "is invalid")),
    }
}

/// A text made a value whose error says what it takes.
pub(super) fn made<T: TryFrom<String, Error: std::fmt::Display>>(
    json: Json<'_>,
) -> Result<T, Flaw> {
    let text = text(json)?.into_owned();
    text.try_into().map_err(|error: T::Error| flaw("invalid", error.to_string()))
}

pub(super) fn text(json: Json<'_>) -> Result<Cow<'_, str>, Flaw> {
    match json {
        Json::Text(text) => Ok(text),
        Json::Null
        | Json::Bool(_)
        | Json::Integer(_)
        | Json::HugeInteger
        | Json::Fraction
        | Json::List(_)
        | Json::Object(_) => Err(flaw("wrong_type", "must be a string")),
    }
}

pub(super) fn boolean(json: Json<'_>) -> Result<bool, Flaw> {
    match json {
        Json::Bool(value) => Ok(value),
        Json::Null
        | Json::Integer(_)
        | Json::HugeInteger
        | Json::Fraction
        | Json::Text(_)
        | Json::List(_)
        | Json::Object(_) => Err(flaw("wrong_type", "must be true or false")),
    }
}

/// A text with a parser of its own, whose error says what it takes.
pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(
    json: Json<'_>,
) -> Result<T, Flaw> {
    text(json)?.parse().map_err(|error: T::Err| flaw("invalid", error.to_string()))
}

/// A whole number from `min` to `max`.
pub(super) fn integer(json: Json<'_>, min: i64, max: i64) -> Result<i64, Flaw> {
    match json {
        Json::Integer(number) if (min..=max).contains(&number) => Ok(number),
        Json::Integer(_) | Json::HugeInteger => {
            Err(flaw("out_of_range", format!("must be from {min} to {max}")))
        }
        Json::Fraction => {
            Err(flaw("wrong_type", "must be a whole number without point or exponent"))
        }
        Json::Null | Json::Bool(_) | Json::Text(_) | Json::List(_) | Json::Object(_) => {
            Err(flaw("wrong_type", "must be a number"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::schema;

    #[derive(Debug, PartialEq)]
    struct Pair(i64, Option<String>);

    impl Document for Pair {
        fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
            let number = members.required("number", faults, |json| integer(json, 1, 9));
            let note = members.optional("note", faults, text);
            Some(Self(number?, note?.map(Cow::into_owned)))
        }
    }

    impl Described for Pair {
        fn name() -> String {
            "Pair".to_owned()
        }

        fn schema() -> Schema {
            schema::object([
                schema::required("number", schema::integer(1, 9, 3)),
                schema::optional("note", schema::words::text("n")),
            ])
        }
    }

    #[track_caller]
    fn check(body: &str, faults: &[&str]) {
        let mut found = Faults::default();
        let read = object(Json::parse(body.as_bytes()).unwrap(), None, &mut found, Pair::read);
        let named: Vec<_> = found
            .0
            .iter()
            .map(|fault| match fault {
                Fault::Field { param, code, .. } => format!("{param}:{code}"),
                Fault::Stock { .. } => unreachable!(),
            })
            .collect();
        assert_eq!(named, faults);
        assert_eq!(found.into_result(read).is_ok(), faults.is_empty());
    }

    #[test]
    fn a_faultless_document_is_read() {
        let pair = |body: &[u8]| read::<Pair>(body).ok();
        assert_eq!(pair(br#"{"note":"n","number":3}"#), Some(Pair(3, Some("n".to_owned()))));
        assert_eq!(pair(b""), None);
    }

    #[test]
    fn changes_lie_over_what_there_is() {
        let changed =
            |changes: &[u8]| read_changed::<Pair>(br#"{"number":3,"note":"n"}"#, changes).ok();
        assert_eq!(changed(b"{}"), Some(Pair(3, Some("n".to_owned()))));
        assert_eq!(changed(br#"{"number":4}"#), Some(Pair(4, Some("n".to_owned()))));
        assert_eq!(changed(br#"{"note":null}"#), Some(Pair(3, None)));
        assert_eq!(changed(br#"{"number":null}"#), None);
        assert_eq!(changed(br#"{"x":1}"#), None);
    }

    #[test]
    fn every_fault_is_found_at_once() {
        check(r#"{"number":3}"#, &[]);
        check(r#"{"number":3,"note":null}"#, &[]);
        check(
            r#"{"number":10,"note":4,"x":1}"#,
            &["number:out_of_range", "note:wrong_type", "x:unknown"],
        );
        check(r#"{"note":"n"}"#, &["number:required"]);
        check(r#"{"number":1.5}"#, &["number:wrong_type"]);
        check("[]", &[":wrong_type"]);
    }
}

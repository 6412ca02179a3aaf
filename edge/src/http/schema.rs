//! What values look like in JSON, said once beside the code that reads or renders them.
//!
//! **Invariants:** every body that is read or answered is [`Described`], or it does not compile; an
//! object has the members that are named and no others; an example fits its schema, because it is
//! made of it.
//!
//! This is the part of JSON Schema that the API needs, and no more. Nothing here checks a value: that
//! is the readers' work, and tests hold the two together.

pub(super) mod words;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

/// A body, or a part of one.
pub(super) trait Described {
    /// Its name among the schemas of the document.
    fn name() -> String;
    fn schema() -> Schema;
}

#[derive(Clone, Debug)]
pub(super) enum Schema {
    Text(Text),
    /// One of these words.
    Word(&'static [&'static str]),
    Integer {
        /// `i64::MIN` is no bound.
        min: i64,
        max: Option<i64>,
        such_as: i64,
    },
    Boolean,
    List {
        of: Box<Schema>,
        min: usize,
        max: Option<usize>,
    },
    Object(Vec<Member>),
    Nullable(Box<Schema>),
    Either(Vec<Schema>),
    /// What has a name, wherever it is met.
    Named(String, fn() -> Schema),
    /// Whatever the other side sends.
    Anything,
}

#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) min: usize,
    pub(super) max: Option<usize>,
    pub(super) pattern: Option<&'static str>,
    pub(super) such_as: &'static str,
}

#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: &'static str,
    pub(super) schema: Schema,
    pub(super) need: Need,
    pub(super) about: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    Required,
    Optional,
}

impl Member {
    pub(super) fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }
}

pub(super) fn required(name: &'static str, schema: Schema) -> Member {
    Member { name, schema, need: Need::Required, about: "" }
}

/// Of an answer, a member that may be missing.
pub(super) fn maybe(name: &'static str, schema: Schema) -> Member {
    Member { name, schema, need: Need::Optional, about: "" }
}

/// Of a body that is read, a member that may be missing or null.
pub(super) fn optional(name: &'static str, schema: Schema) -> Member {
    maybe(name, nullable(schema))
}

pub(super) fn object<const N: usize>(members: [Member; N]) -> Schema {
    Schema::Object(members.into())
}

pub(super) fn nullable(schema: Schema) -> Schema {
    Schema::Nullable(Box::new(schema))
}

/// A list of any length.
pub(super) fn list(of: Schema) -> Schema {
    Schema::List { of: Box::new(of), min: 0, max: None }
}

pub(super) fn short_list(of: Schema, min: usize, max: usize) -> Schema {
    Schema::List { of: Box::new(of), min, max: Some(max) }
}

pub(super) fn word(words: &'static [&'static str]) -> Schema {
    Schema::Word(words)
}

pub(super) fn integer(min: i64, max: i64, such_as: i64) -> Schema {
    Schema::Integer { min, max: Some(max), such_as }
}

/// A whole number from zero on.
pub(super) fn count(such_as: i64) -> Schema {
    Schema::Integer { min: 0, max: None, such_as }
}

pub(super) fn of<T: Described>() -> Schema {
    Schema::Named(T::name(), T::schema)
}

impl Schema {
    /// What an object is changed with: any of its members; null takes away those that need not be.
    pub(super) fn into_changes(self) -> Self {
        let Self::Object(mut members) = self else { return self };
        for member in &mut members {
            member.need = Need::Optional;
        }
        Self::Object(members)
    }

    /// What is behind a name.
    pub(super) fn unnamed(&self) -> Self {
        if let Self::Named(_, schema) = self { schema() } else { self.clone() }
    }

    /// Another example of a text.
    pub(super) fn such_as(mut self, example: &'static str) -> Self {
        if let Self::Text(text) = &mut self {
            text.such_as = example;
        }
        self
    }

    /// Another example of a number.
    pub(super) fn so_many(mut self, example: i64) -> Self {
        if let Self::Integer { such_as, .. } = &mut self {
            *such_as = example;
        }
        self
    }

    /// Every named schema within, each once.
    pub(super) fn names(&self, known: &mut Vec<(String, Schema)>) {
        match self {
            Self::Text(_)
            | Self::Word(_)
            | Self::Integer { .. }
            | Self::Boolean
            | Self::Anything => {}
            Self::List { of: inner, .. } | Self::Nullable(inner) => inner.names(known),
            Self::Object(members) => members.iter().for_each(|member| member.schema.names(known)),
            Self::Either(all) => all.iter().for_each(|one| one.names(known)),
            Self::Named(name, schema) => {
                if !known.iter().any(|(other, _)| other == name) {
                    let schema = schema();
                    known.push((name.clone(), schema.clone()));
                    schema.names(known);
                }
            }
        }
    }

    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Text(_) | Self::Word(_) => Some("string"),
            Self::Integer { .. } => Some("integer"),
            Self::Boolean => Some("boolean"),
            Self::List { .. } => Some("array"),
            Self::Object(_) => Some("object"),
            Self::Nullable(_) | Self::Either(_) | Self::Named(..) | Self::Anything => None,
        }
    }
}

impl Serialize for Schema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        self.entries(&mut map)?;
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Null {
    r#type: &'static str,
}

const NULL: Null = Null { r#type: "null" };

impl Schema {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if let Some(kind) = self.kind() {
            map.serialize_entry("type", kind)?;
        }
        match self {
            Self::Text(text) => text.entries(map),
            Self::Word(words) => map.serialize_entry("enum", words),
            Self::Integer { min, max, .. } => {
                if *min > i64::MIN {
                    map.serialize_entry("minimum", min)?;
                }
                max.map_or(Ok(()), |max| map.serialize_entry("maximum", &max))
            }
            Self::Boolean | Self::Anything => Ok(()),
            Self::List { of: inner, min, max } => {
                map.serialize_entry("items", inner)?;
                if *min > 0 {
                    map.serialize_entry("minItems", min)?;
                }
                max.map_or(Ok(()), |max| map.serialize_entry("maxItems", &max))
            }
            Self::Object(members) => {
                map.serialize_entry("properties", &Properties(members))?;
                let needed = members.iter().filter(|member| member.need == Need::Required);
                let needed: Vec<_> = needed.map(|member| member.name).collect();
                if !needed.is_empty() {
                    map.serialize_entry("required", &needed)?;
                }
                map.serialize_entry("additionalProperties", &false)
            }
            Self::Nullable(inner) => map.serialize_entry("anyOf", &(inner, NULL)),
            Self::Either(all) => map.serialize_entry("anyOf", all),
            Self::Named(name, _) => {
                map.serialize_entry("$ref", &format!("#/components/schemas/{name}"))
            }
        }
    }
}

impl Text {
    fn entries<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        if self.min > 0 {
            map.serialize_entry("minLength", &self.min)?;
        }
        if let Some(max) = self.max {
            map.serialize_entry("maxLength", &max)?;
        }
        let Some(pattern) = self.pattern else { return Ok(()) };
        map.serialize_entry("pattern", pattern)?;
        // A form is easier to see than to read.
        if self.max.is_none() {
            map.serialize_entry("examples", &[self.such_as])?;
        }
        Ok(())
    }
}

struct Properties<'a>(&'a [Member]);

impl Serialize for Properties<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|member| (member.name, Property(member))))
    }
}

struct Property<'a>(&'a Member);

impl Serialize for Property<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Member { schema, about, .. }) = self;
        let mut map = serializer.serialize_map(None)?;
        schema.entries(&mut map)?;
        if !about.is_empty() {
            map.serialize_entry("description", about)?;
        }
        map.end()
    }
}

/// Shows a value that fits a schema.
pub(super) struct Example<'a>(pub(super) &'a Schema);

impl Serialize for Example<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Schema::Text(text) => serializer.serialize_str(text.such_as),
            Schema::Word(words) => serializer.serialize_str(words.first().unwrap_or(&"")),
            Schema::Integer { such_as, .. } => serializer.serialize_i64(*such_as),
            Schema::Boolean => serializer.serialize_bool(true),
            Schema::List { max: Some(0), .. } => serializer.collect_seq([(); 0]),
            Schema::List { of: inner, .. } => {
                let mut list = serializer.serialize_seq(Some(1))?;
                list.serialize_element(&Example(inner))?;
                list.end()
            }
            Schema::Object(members) => {
                let members = members.iter().map(|member| (member.name, Example(&member.schema)));
                serializer.collect_map(members)
            }
            Schema::Nullable(inner) => Example(inner).serialize(serializer),
            Schema::Either(all) => match all.first() {
                Some(first) => Example(first).serialize(serializer),
                None => serializer.serialize_unit(),
            },
            Schema::Named(_, schema) => Example(&schema()).serialize(serializer),
            Schema::Anything => serializer.collect_map(std::iter::empty::<(&str, &str)>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Thing;

    impl Described for Thing {
        fn name() -> String {
            "Thing".to_owned()
        }

        fn schema() -> Schema {
            object([
                required("kind", word(&["a", "b"])),
                optional("n", integer(1, 9, 3)).about("how many"),
                maybe("more", list(of::<Self>())),
            ])
        }
    }

    #[test]
    fn a_schema_is_json_schema() {
        let expected = json!({
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": ["a", "b"]},
                "n": {
                    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}],
                    "description": "how many",
                },
                "more": {"type": "array", "items": {"$ref": "#/components/schemas/Thing"}},
            },
            "required": ["kind"],
            "additionalProperties": false,
        });
        assert_eq!(serde_json::to_value(Thing::schema()).unwrap(), expected);
    }

    #[test]
    fn changes_need_no_member() {
        let changes = serde_json::to_value(Thing::schema().into_changes()).unwrap();
        assert_eq!(changes.get("required"), None);
    }

    #[test]
    fn names_are_found_once() {
        let mut known = Vec::new();
        list(of::<Thing>()).names(&mut known);
        assert_eq!(known.len(), 1);
    }
}

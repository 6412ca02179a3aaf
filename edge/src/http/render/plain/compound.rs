//! Lists, tuples and structs on their way to JSON.

use serde::Serialize;
use serde::ser::{
    Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
};
use serde_json::{Map, Value};

use super::{NotShown, Plain, Shown, within};

pub(in crate::http::render) struct Values {
    values: Vec<Value>,
    /// The type of the first one.
    first_of: &'static str,
    variant: Option<&'static str>,
}

impl Values {
    pub(super) fn new(variant: Option<&'static str>) -> Self {
        Self { values: Vec::new(), first_of: "", variant }
    }

    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotShown> {
        let Shown { value, of } = value.serialize(Plain)?;
        if self.values.is_empty() {
            self.first_of = of;
        }
        self.values.extend(value);
        Ok(())
    }

    fn shown(self) -> Shown {
        let values = Shown::plain(Value::Array(self.values));
        match self.variant {
            Some(variant) => within(variant, values),
            None => values,
        }
    }

    /// Pieces of a SKU say which is which.
    fn shown_as_pair(self) -> Shown {
        match (self.first_of, <[Value; 2]>::try_from(self.values)) {
            ("SkuCode", Ok([sku, quantity])) => {
                let members = [("sku", sku), ("quantity", quantity)];
                let members = members.map(|(name, value)| (name.to_owned(), value));
                Shown::plain(Value::Object(members.into_iter().collect()))
            }
            (_, Ok(pair)) => Shown::plain(Value::Array(pair.into())),
            (_, Err(values)) => Shown::plain(Value::Array(values)),
        }
    }
}

pub(in crate::http::render) struct Members {
    of: &'static str,
    members: Map<String, Value>,
    key: Option<String>,
    variant: Option<&'static str>,
}

impl Members {
    pub(super) fn new(of: &'static str, variant: Option<&'static str>) -> Self {
        Self { of, members: Map::new(), key: None, variant }
    }

    fn put<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<(), NotShown> {
        let name = match (self.of, name) {
            ("Money", "minor") => "amount",
            (_, name) => name,
        };
        if let Some(value) = value.serialize(Plain)?.value {
            self.members.insert(name.to_owned(), value);
        }
        Ok(())
    }

    fn shown(self) -> Shown {
        let members = Shown { of: self.of, ..Shown::plain(Value::Object(self.members)) };
        match self.variant {
            Some(variant) => within(variant, members),
            None => members,
        }
    }
}

macro_rules! one_by_one {
    ($($trait:ident: $put:ident, $shown:ident;)*) => {$(
        impl $trait for Values {
            type Ok = Shown;
            type Error = NotShown;

            fn $put<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotShown> {
                self.push(value)
            }

            fn end(self) -> Result<Shown, NotShown> {
                Ok(self.$shown())
            }
        }
    )*};
}

one_by_one! {
    SerializeSeq: serialize_element, shown;
    SerializeTuple: serialize_element, shown_as_pair;
    SerializeTupleStruct: serialize_field, shown;
    SerializeTupleVariant: serialize_field, shown;
}

macro_rules! by_name {
    ($($trait:ident),*) => {$(
        impl $trait for Members {
            type Ok = Shown;
            type Error = NotShown;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), NotShown> {
                self.put(name, value)
            }

            fn end(self) -> Result<Shown, NotShown> {
                Ok(self.shown())
            }
        }
    )*};
}

by_name!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Members {
    type Ok = Shown;
    type Error = NotShown;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), NotShown> {
        self.key = match key.serialize(Plain)?.value {
            Some(Value::String(text)) => Some(text),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), NotShown> {
        let key = self.key.take().ok_or_else(|| NotShown::custom("a value without its key"))?;
        if let Some(value) = value.serialize(Plain)?.value {
            self.members.insert(key, value);
        }
        Ok(())
    }

    fn end(self) -> Result<Shown, NotShown> {
        Ok(self.shown())
    }
}

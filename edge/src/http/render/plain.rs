//! Values of the domain in JSON as they are, for those who look at what happened: every member by its
//! own name.
//!
//! **Invariants:** what stands for something has its text form (ids, instants, currencies); what proves
//! who somebody is, or is paid with, is left out; a variant is a word, or an object with that one word.
//!
//! The names are those of the domain, so that a fact or an event that comes new is shown without more:
//! what programs may rely on are the names of facts, and that a member never changes its meaning.

mod compound;

use std::fmt::Display;

use actors::{
    CaptureId, CartId, GiftCardId, ImportId, OrderId, PaymentId, RefundId, ReservationId,
};
use cluster::time::Timestamp;
use serde::Serialize;
use serde::ser::{Error as _, Serializer};
use serde_json::Value;

use crate::http::rfc3339::Rfc3339;
use compound::{Members, Values};

/// A value, and the type that it is of where that has a name.
#[derive(Debug)]
pub(super) struct Shown {
    /// Nothing where it is not to be seen.
    value: Option<Value>,
    of: &'static str,
}

impl Shown {
    fn plain(value: impl Into<Value>) -> Self {
        Self { value: Some(value.into()), of: "" }
    }
}

/// Why a value is not shown: a fault of this program.
#[derive(Debug, thiserror::Error)]
#[error("a value cannot be shown: {0}")]
pub(in crate::http) struct NotShown(String);

impl serde::ser::Error for NotShown {
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

/// A value in JSON.
pub(in crate::http) fn shown(value: &impl Serialize) -> Result<Value, NotShown> {
    Ok(value.serialize(Plain)?.value.unwrap_or(Value::Null))
}

/// The word for a variant, and its members.
pub(in crate::http) fn variant(value: &impl Serialize) -> Result<(String, Value), NotShown> {
    let empty = || Value::Object(serde_json::Map::new());
    match shown(value)? {
        Value::String(word) => Ok((word, empty())),
        Value::Object(members) => match members.into_iter().next() {
            Some((word, members)) => Ok((word, members)),
            None => Err(NotShown::custom("an object without a member is no variant")),
        },
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) => {
            Err(NotShown::custom(format!("{other} is no variant")))
        }
    }
}

/// `QuantitySet` as `quantity_set`.
fn word(name: &str) -> String {
    let mut word = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

/// What a type of one value is shown as.
fn named(of: &'static str, shown: Shown) -> Shown {
    let Shown { value, .. } = shown;
    let value = value.and_then(|value| match of {
        // Who can show the token may change the cart; with the other one somebody pays.
        "CartAccess" | "ProviderToken" => None,
        "CartId" => id(&value, CartId::from_bytes),
        "OrderId" => id(&value, OrderId::from_bytes),
        "PaymentId" => id(&value, PaymentId::from_bytes),
        "GiftCardId" => id(&value, GiftCardId::from_bytes),
        "ImportId" => id(&value, ImportId::from_bytes),
        "ReservationId" => id(&value, ReservationId::from_bytes),
        "CaptureId" => id(&value, CaptureId::from_bytes),
        "RefundId" => id(&value, RefundId::from_bytes),
        "Timestamp" => value.as_u64().map(|at| text(Rfc3339(Timestamp::from_micros(at)))),
        "Currency" | "Country" => letters(&value).or(Some(value)),
        // Larger than what every reader of JSON keeps exactly.
        "OrderNumber" => Some(text(value)),
        _ => Some(value),
    });
    Shown { value, of }
}

fn text(value: impl Display) -> Value {
    Value::String(value.to_string())
}

fn id<T: Display>(value: &Value, from: impl Fn([u8; 16]) -> T) -> Option<Value> {
    let bytes: Option<Vec<u8>> = bytes(value);
    Some(text(from(bytes?.try_into().ok()?)))
}

fn letters(value: &Value) -> Option<Value> {
    String::from_utf8(bytes(value)?).ok().map(Value::String)
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
    value.as_array()?.iter().map(byte).collect()
}

/// An object whose one member is a variant.
fn within(variant: &'static str, shown: Shown) -> Shown {
    let value = shown.value.unwrap_or(Value::Null);
    Shown::plain(Value::Object([(word(variant), value)].into_iter().collect()))
}

struct Plain;

macro_rules! plain {
    ($($method:ident: $type:ty),* $(,)?) => {$(
        fn $method(self, value: $type) -> Result<Shown, NotShown> {
            Ok(Shown::plain(value))
        }
    )*};
}

impl Serializer for Plain {
    type Ok = Shown;
    type Error = NotShown;
    type SerializeSeq = Values;
    type SerializeTuple = Values;
    type SerializeTupleStruct = Values;
    type SerializeTupleVariant = Values;
    type SerializeMap = Members;
    type SerializeStruct = Members;
    type SerializeStructVariant = Members;

    plain! {
        serialize_bool: bool,
        serialize_i8: i8,
        serialize_i16: i16,
        serialize_i32: i32,
        serialize_i64: i64,
        serialize_u8: u8,
        serialize_u16: u16,
        serialize_u32: u32,
        serialize_u64: u64,
        serialize_str: &str,
    }

    fn serialize_f32(self, _: f32) -> Result<Shown, NotShown> {
        Err(NotShown::custom("the domain has no fractions"))
    }

    fn serialize_f64(self, _: f64) -> Result<Shown, NotShown> {
        Err(NotShown::custom("the domain has no fractions"))
    }

    fn serialize_char(self, letter: char) -> Result<Shown, NotShown> {
        Ok(Shown::plain(letter.to_string()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<Shown, NotShown> {
        Ok(Shown::plain(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
    }

    fn serialize_none(self) -> Result<Shown, NotShown> {
        Ok(Shown::plain(Value::Null))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Shown, NotShown> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<Shown, NotShown> {
        Ok(Shown::plain(Value::Null))
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<Shown, NotShown> {
        Ok(Shown::plain(Value::Null))
    }

    fn serialize_unit_variant(
        self,
        of: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Shown, NotShown> {
        Ok(Shown { of, ..Shown::plain(word(variant)) })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        of: &'static str,
        value: &T,
    ) -> Result<Shown, NotShown> {
        Ok(named(of, value.serialize(self)?))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Shown, NotShown> {
        Ok(within(variant, value.serialize(self)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Values, NotShown> {
        Ok(Values::new(None))
    }

    fn serialize_tuple(self, _: usize) -> Result<Values, NotShown> {
        Ok(Values::new(None))
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Values, NotShown> {
        Ok(Values::new(None))
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Values, NotShown> {
        Ok(Values::new(Some(variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members, NotShown> {
        Ok(Members::new("", None))
    }

    fn serialize_struct(self, of: &'static str, _: usize) -> Result<Members, NotShown> {
        Ok(Members::new(of, None))
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members, NotShown> {
        Ok(Members::new("", Some(variant)))
    }
}

#[cfg(test)]
mod tests {
    use actors::domain::cart;
    use actors::domain::order::{Event, Failure, ShipmentNumber};
    use actors::domain::payment::{PaymentMethod, Refusal};
    use actors::{CartAccess, Currency, Money};
    use serde_json::json;

    use super::*;

    const AT: Timestamp = Timestamp::from_micros(1_769_903_999_000_001);

    #[track_caller]
    fn check(event: &impl Serialize, name: &str, members: Value) {
        assert_eq!(variant(event).unwrap(), (name.to_owned(), members));
    }

    #[test]
    fn what_stands_for_something_has_its_text() {
        let event = cart::Event::QuantitySet {
            sku: "tea".parse().unwrap(),
            quantity: 2.try_into().unwrap(),
            unit_price: Money { minor: 450, currency: Currency::EURO },
            name: "Green tea".to_owned().try_into().unwrap(),
            catalogue_index: 7,
            at: AT,
        };
        let members = json!({
            "sku": "tea", "quantity": 2, "unit_price": {"amount": 450, "currency": "EUR"},
            "name": "Green tea", "catalogue_index": 7, "at": "2026-01-31T23:59:59.000001Z",
        });
        check(&event, "quantity_set", members);
        let order = OrderId::from_bytes([9; 16]);
        let begun = cart::Event::CheckoutBegun { order, at: AT };
        let members = json!({"order": order.to_string(), "at": "2026-01-31T23:59:59.000001Z"});
        check(&begun, "checkout_begun", members);
        let card = GiftCardId::from_bytes([9; 16]);
        let removed = cart::Event::GiftCardRemoved { card, at: AT };
        let members = json!({"card": card.to_string(), "at": "2026-01-31T23:59:59.000001Z"});
        check(&removed, "gift_card_removed", members);
    }

    #[test]
    fn words_stand_for_variants_and_pieces_have_their_sku() {
        let why = Failure::Declined { reason: Refusal::InsufficientFunds };
        let members = json!({
            "why": {"declined": {"reason": "insufficient_funds"}},
            "at": "2026-01-31T23:59:59.000001Z",
        });
        check(&Event::Failed { why, at: AT }, "failed", members);
        let text = |text: &str| text.to_owned().try_into().unwrap();
        let shipped = Event::Shipped {
            shipment: ShipmentNumber(1),
            items: vec![("tea".parse().unwrap(), 2.try_into().unwrap())],
            carrier: text("Post"),
            tracking: text("1Z"),
            at: AT,
        };
        let members = json!({
            "shipment": 1, "items": [{"sku": "tea", "quantity": 2}], "carrier": "Post",
            "tracking": "1Z", "at": "2026-01-31T23:59:59.000001Z",
        });
        check(&shipped, "shipped", members);
    }

    /// Whoever reads a history is not to become its shopper.
    #[test]
    fn credentials_are_left_out() {
        let created = cart::Event::Created {
            currency: Currency::EURO,
            access: CartAccess::from_hash([7; 32]),
            at: AT,
        };
        let members = json!({"currency": "EUR", "at": "2026-01-31T23:59:59.000001Z"});
        check(&created, "created", members);
        let method =
            PaymentMethod { provider: "sim".parse().unwrap(), token: "tok".parse().unwrap() };
        assert_eq!(shown(&method).unwrap(), json!({"provider": "sim"}));
    }
}

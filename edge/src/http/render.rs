//! What the domain's answers look like in JSON. The contract is `serde` attributes and names here.

pub(super) mod cart;
mod discount;
pub(super) mod gift_card;
pub(super) mod inventory;
pub(super) mod names;
pub(super) mod order;
pub(super) mod order_list;
pub(super) mod payment;
pub(super) mod plain;
pub(super) mod seller_board;

use std::fmt::Display;

use actors::Money;
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// A value shown as its text.
pub(super) struct Text<T>(pub(super) T);

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Money as the contract has it: whole minor units.
pub(super) struct MoneyJson(pub(super) Money);

impl Serialize for MoneyJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Money { minor, currency } = self.0;
        let mut json = serializer.serialize_struct("Money", 2)?;
        json.serialize_field("amount", &minor)?;
        json.serialize_field("currency", currency.as_str())?;
        json.end()
    }
}

//! What entities are called outside: a word for the kind, and the id as paths have it.

use actors::{
    Cart, CartId, Import, ImportId, Order, OrderId, Payment, PaymentId, ProductPage, Sku,
};
use cluster::entity::Entity;
use cluster::ids::{EntityKey, EntityRef};

use super::Text;
use crate::http::schema::{Described, Schema, object, required, words};

/// An entity by its kind and its id.
#[derive(serde::Serialize)]
pub(in crate::http) struct NameJson {
    kind: &'static str,
    id: Text<String>,
}

impl From<&EntityRef> for NameJson {
    fn from(entity: &EntityRef) -> Self {
        let EntityRef { kind, key } = entity;
        let (kind, id) = match *kind {
            Cart::KIND => ("cart", CartId::try_from(key).map(|id| id.to_string()).ok()),
            Order::KIND => ("order", OrderId::try_from(key).map(|id| id.to_string()).ok()),
            Payment::KIND => ("payment", PaymentId::try_from(key).map(|id| id.to_string()).ok()),
            Import::KIND => ("import", ImportId::try_from(key).map(|id| id.to_string()).ok()),
            Sku::KIND => ("sku", None),
            ProductPage::KIND => ("product", None),
            _ => ("other", None),
        };
        Self { kind, id: Text(id.unwrap_or_else(|| text(key))) }
    }
}

fn text(key: &EntityKey) -> String {
    match key {
        EntityKey::Name(name) => name.to_string(),
        EntityKey::Number(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

impl Described for NameJson {
    fn name() -> String {
        "EntityName".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("kind", words::text("order")),
            required("id", words::text("ord_01jzy5v3n8q2w4x6t7r9k0m1ab")),
        ])
    }
}

//! What entities are called outside: a word for the kind, and the id as paths have it.

use actors::{
    Cart, CartId, Category, DiscountCode, Entry, Import, ImportId, Order, OrderId, Payment,
    PaymentId, PriceList, ProductPage, Promotion, Seller, ShippingOption, Sku, TaxRate,
};
use cluster::entity::Entity;
use cluster::ids::{EntityKey, EntityRef};
use cluster::placement::cluster::Cluster;

use super::Text;
use crate::http::schema::{Described, Schema, object, required, words};

/// An entity by its kind and its id.
#[derive(serde::Serialize)]
pub(in crate::http) struct NameJson {
    kind: &'static str,
    id: Text<String>,
}

impl NameJson {
    /// Whether this is what somebody calls so: by the kind alone, or `kind/id`.
    pub(in crate::http) fn is_called(&self, name: &str) -> bool {
        let (kind, id) = name.split_once('/').map_or((name, None), |(kind, id)| (kind, Some(id)));
        self.kind == kind && id.is_none_or(|id| self.id.0 == id)
    }
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
            Entry::<Category>::KIND => ("category", None),
            Entry::<PriceList>::KIND => ("price_list", None),
            Entry::<TaxRate>::KIND => ("tax_rate", None),
            Entry::<Seller>::KIND => ("seller", None),
            Entry::<ShippingOption>::KIND => ("shipping_option", None),
            Entry::<Promotion>::KIND => ("promotion", None),
            Entry::<DiscountCode>::KIND => ("discount_code", None),
            Cluster::KIND => ("cluster", Some("cluster".to_owned())),
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

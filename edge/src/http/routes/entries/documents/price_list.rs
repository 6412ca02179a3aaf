//! A price list in JSON.

use actors::domain::names::PriceListId;
use actors::domain::price_list::{Audience, ListTerms, PriceList, Validity};
use actors::{Currency, Money, PriceBook, SkuCode};
use cluster::ids::EntityKey;
use cluster::time::Timestamp;

use super::{instant, money};
use crate::http::fields::{Faults, Flaw, Members, flaw, inner, made, parsed};
use crate::http::json::Json;
use crate::http::render::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;
use crate::http::routes::entries::Resource;
use crate::http::schema::{Schema, object, optional, required, short_list, words};

#[derive(serde::Serialize)]
pub(in crate::http) struct PriceListJson<'a> {
    id: &'a str,
    name: &'a str,
    currency: Text<Currency>,
    customer_group: Option<&'a str>,
    valid_from: Option<Text<Rfc3339>>,
    valid_until: Option<Text<Rfc3339>>,
    prices: Vec<SkuPriceJson<'a>>,
}

#[derive(serde::Serialize)]
struct SkuPriceJson<'a> {
    sku: &'a str,
    price: MoneyJson,
}

impl Resource for PriceList {
    type Id = PriceListId;
    type Json<'a> = PriceListJson<'a>;
    const PATH: &'static str = "/admin/v1/price_lists";

    fn id(&self) -> String {
        PriceList::id(self).to_string()
    }

    fn key_of(id: &PriceListId) -> EntityKey {
        id.key()
    }

    fn json(&self) -> PriceListJson<'_> {
        let instant = |at: Timestamp| Text(Rfc3339(at));
        PriceListJson {
            id: PriceList::id(self).as_str(),
            name: self.name().as_str(),
            currency: Text(self.currency()),
            customer_group: match self.audience() {
                Audience::Everyone => None,
                Audience::Group(group) => Some(group.as_str()),
            },
            valid_from: self.validity().from().map(instant),
            valid_until: self.validity().until().map(instant),
            prices: self
                .prices()
                .map(|(sku, price)| SkuPriceJson { sku: sku.as_str(), price: MoneyJson(price) })
                .collect(),
        }
    }

    fn body() -> Schema {
        let price = object([required("sku", words::sku()), required("price", words::price())]);
        object([
            required("id", words::handle("summer")),
            required("name", words::line("Summer")),
            required("currency", words::currency()),
            optional("customer_group", words::handle("staff")),
            optional("valid_from", words::instant().such_as("2026-01-01T00:00:00Z")),
            optional("valid_until", words::instant()),
            optional("prices", short_list(price, 0, Self::LEN_MAX)),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.required("id", faults, parsed);
        let name = members.required("name", faults, made);
        let currency = members.required("currency", faults, parsed::<Currency>);
        let group = members.optional("customer_group", faults, parsed);
        let from = members.optional("valid_from", faults, instant);
        let until = members.optional("valid_until", faults, instant);
        let prices = members.list("prices", Self::LEN_MAX, faults, sku_price);
        let (currency, prices) = (currency?, prices?);
        if prices.iter().any(|(_, price)| price.currency != currency) {
            faults.add("prices".into(), flaw("invalid", "must all be in the list's currency"));
            return None;
        }
        let validity = Validity::new(from?, until?)
            .map_err(|error| faults.add("valid_until".into(), flaw("invalid", error.to_string())));
        let audience = group?.map_or(Audience::Everyone, Audience::Group);
        let terms =
            ListTerms { id: id?, name: name?, currency, audience, validity: validity.ok()? };
        let prices = prices.into_iter().map(|(sku, price)| (sku, price.minor)).collect();
        Self::new(terms, prices)
            .map_err(|error| faults.add("prices".into(), flaw("invalid", error.to_string())))
            .ok()
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.price_lists().map(|list| (**list).clone())
    }
}

fn sku_price(json: Json<'_>) -> Result<(SkuCode, Money), Flaw> {
    inner(json, |members, faults| {
        let sku = members.required("sku", faults, parsed);
        let price = members.required("price", faults, money);
        sku.zip(price)
    })
}

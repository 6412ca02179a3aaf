//! What entries look like when they are shown.

use actors::Money;

use super::discount_code::{DiscountCodeJson, limit_schema};
use super::price_list::PriceListJson;
use super::promotion::{PromotionJson, benefit_schema, orders_schema, scope_schema};
use super::stock_location::StockLocationJson;
use super::{CategoryJson, SellerJson, ShippingOptionJson, TaxRateJson, TranslationJson};
use crate::http::schema::{
    Described, Member, Schema, count, list, maybe, nullable, object, of, required, word, words,
};

/// Which change it was shown after.
fn seq() -> Member {
    maybe("seq", count(2)).about("Not in lists.")
}

impl Described for TranslationJson<'_> {
    fn name() -> String {
        "Translation".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("language", words::language()),
            required("name", words::line("Oolong aus Taiwan")),
            maybe("description", words::prose("Halb oxidiert.")),
        ])
    }
}

impl Described for CategoryJson<'_> {
    fn name() -> String {
        "Category".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("oolong")),
            required("name", words::line("Oolong")),
            required("parent", nullable(words::handle("tea"))),
            required("position", count(3)),
            required("translations", list(of::<TranslationJson<'_>>())),
            seq(),
        ])
    }
}

impl Described for TaxRateJson<'_> {
    fn name() -> String {
        "TaxRate".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::tax_rate_id()),
            required("country", words::country()),
            required("region", nullable(words::region())),
            required("tax_class", words::handle("standard")),
            required("rate_millionths", words::rate_millionths())
                .about("Of the price: 190000 is 19 %."),
            required("included", Schema::Boolean),
            seq(),
        ])
    }
}

impl Described for ShippingOptionJson<'_> {
    fn name() -> String {
        "ShippingOption".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("parcel")),
            required("name", words::line("Parcel")),
            required("carrier", words::line("Post")),
            required("prices", list(of::<Money>())),
            required("free_from", list(of::<Money>())),
            required("countries", list(words::country())),
            required("tax_class", words::handle("standard")),
            seq(),
        ])
    }
}

impl Described for StockLocationJson<'_> {
    fn name() -> String {
        "StockLocation".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("berlin")),
            required("name", words::line("Berlin")),
            required("priority", count(10)),
            seq(),
        ])
    }
}

impl Described for SellerJson<'_> {
    fn name() -> String {
        "Seller".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("ann")),
            required("name", words::line("Ann's teas")),
            required("status", word(&["active", "suspended"])),
            seq(),
        ])
    }
}

impl Described for PriceListJson<'_> {
    fn name() -> String {
        "PriceList".to_owned()
    }

    fn schema() -> Schema {
        let price = object([required("sku", words::sku()), required("price", of::<Money>())]);
        object([
            required("id", words::handle("summer")),
            required("name", words::line("Summer")),
            required("currency", words::currency()),
            required("customer_group", nullable(words::handle("staff"))),
            required("valid_from", nullable(words::instant())),
            required("valid_until", nullable(words::instant())),
            required("prices", list(price)),
            seq(),
        ])
    }
}

impl Described for PromotionJson<'_> {
    fn name() -> String {
        "Promotion".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("spring")),
            required("name", words::line("Spring sale")),
            required("benefit", benefit_schema()),
            required("scope", nullable(scope_schema())),
            required("minimum", list(of::<Money>())),
            required("customer_group", nullable(words::handle("staff"))),
            required("orders", orders_schema()),
            required("valid_from", nullable(words::instant())),
            required("valid_until", nullable(words::instant())),
            required("requires_code", Schema::Boolean),
            required("priority", count(10)),
            required("exclusive", Schema::Boolean),
            seq(),
        ])
    }
}

impl Described for DiscountCodeJson<'_> {
    fn name() -> String {
        "DiscountCode".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("code", words::handle("SPRING-10")),
            required("promotion", words::handle("spring")),
            required("limit", nullable(limit_schema())),
            required("limit_per_customer", nullable(limit_schema())),
            seq(),
        ])
    }
}

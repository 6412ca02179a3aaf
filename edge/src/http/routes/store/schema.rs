//! What shoppers see, and what of it is made.

use actors::Money;

use super::{CategoryJson, StoreProductJson};
use crate::http::routes::entries::documents::TranslationJson;
use crate::http::routes::products::document::ChoiceJson;
use crate::http::routes::products::document::schema::{shown_members, translations_member};
use crate::http::schema::{Described, Schema, list, nullable, object, of, required, words};

impl Described for StoreProductJson<'_> {
    fn name() -> String {
        "StoreProduct".to_owned()
    }

    fn schema() -> Schema {
        let variant = object([
            required("sku", words::sku()),
            required("name", words::line("Oolong, 100 g")),
            required("price", nullable(of::<Money>()))
                .about("Without one it is not sold in the currency."),
            required("options", list(of::<ChoiceJson<'_>>())),
        ]);
        let mut members = Vec::from(shown_members());
        members.extend([
            translations_member(),
            required("price_from", nullable(of::<Money>()))
                .about("The lowest of the variants' prices."),
            required("variants", list(variant)),
        ]);
        Schema::Object(members)
    }
}

impl Described for CategoryJson<'_> {
    fn name() -> String {
        "StoreCategory".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::handle("oolong")),
            required("name", words::line("Oolong")),
            required("parent", nullable(words::handle("tea"))),
            required("translations", list(of::<TranslationJson<'_>>())),
        ])
    }
}

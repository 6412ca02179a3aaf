//! What a product in JSON is made of.

use actors::Money;
use actors::domain::catalogue::Listing;
use actors::domain::page::Page;

use super::{
    AttributeJson, Bulk, BulkJson, ChoiceJson, MediaJson, PRODUCTS_MAX, Product, ProductJson,
    VariantJson,
};
use crate::http::error::field_fault_schema;
use crate::http::routes::entries::documents::{
    TranslationJson, prices_schema, translations_schema,
};
use crate::http::schema::{
    Described, Member, Schema, count, list, maybe, nullable, object, of, optional, required,
    short_list, word, words,
};

const STATUS: &[&str] = &["active", "draft", "archived"];
const VISIBILITY: &[&str] = &["listed", "hidden"];

impl Described for Product {
    fn name() -> String {
        "ProductBody".to_owned()
    }

    fn schema() -> Schema {
        let attribute = object([
            required("name", words::line("Origin")),
            required("value", words::line("Taiwan")),
        ]);
        let medium = object([
            required("url", words::media_url()),
            optional("alt", words::line("A tin of tea")),
        ]);
        let categories = short_list(words::handle("oolong"), 0, Page::CATEGORIES_MAX);
        object([
            required("slug", words::handle("oolong")),
            required("title", words::line("Oolong")),
            optional("description", words::prose("Half oxidised.")),
            optional("attributes", short_list(attribute, 0, Page::ATTRIBUTES_MAX)),
            optional("media", short_list(medium, 0, Page::MEDIA_MAX)),
            optional("categories", categories),
            optional("seller", words::handle("ann")),
            optional("status", word(STATUS)),
            optional("visibility", word(VISIBILITY)),
            optional("translations", translations_schema()),
            maybe("variants", short_list(variant_body(), 1, Page::VARIANTS_MAX)),
        ])
    }
}

fn variant_body() -> Schema {
    let choice =
        object([required("option", words::line("Size")), required("value", words::line("100 g"))]);
    object([
        required("sku", words::sku()),
        required("name", words::line("Oolong, 100 g")),
        optional("prices", prices_schema()),
        optional("tax_class", words::handle("standard")),
        optional("weight_grams", words::grams()),
        optional("options", short_list(choice, 0, Listing::CHOICES_MAX)),
    ])
}

impl Described for Bulk {
    fn name() -> String {
        "Products".to_owned()
    }

    fn schema() -> Schema {
        // Whatever an element is, it is refused for itself.
        let product = Schema::Either(vec![of::<Product>(), Schema::Anything]);
        let products = required("products", short_list(product, 1, PRODUCTS_MAX));
        object([products.about("Each is read for itself, and refused for itself.")])
    }
}

impl Described for BulkJson {
    fn name() -> String {
        "Outcomes".to_owned()
    }

    fn schema() -> Schema {
        let outcome = object([
            required("slug", nullable(words::handle("oolong"))),
            required("status", word(&["written", "refused"])),
            maybe("code", words::text("validation_failed")),
            maybe("detail", words::text("see errors for all that is wrong with the request")),
            maybe("errors", list(field_fault_schema())),
        ]);
        object([required("results", list(outcome))])
    }
}

/// What shoppers see of a product too.
pub(in crate::http) fn shown_members() -> [Member; 7] {
    [
        required("slug", words::handle("oolong")),
        required("title", words::line("Oolong")),
        required("description", nullable(words::prose("Half oxidised."))),
        required("attributes", list(of::<AttributeJson<'_>>())),
        required("media", list(of::<MediaJson<'_>>())),
        required("categories", list(words::handle("oolong"))),
        required("seller", nullable(words::handle("ann"))),
    ]
}

pub(in crate::http) fn translations_member() -> Member {
    required("translations", list(of::<TranslationJson<'_>>()))
}

impl Described for ProductJson<'_> {
    fn name() -> String {
        "Product".to_owned()
    }

    fn schema() -> Schema {
        let mut members = Vec::from(shown_members());
        members.extend([
            required("status", word(STATUS)),
            required("visibility", word(VISIBILITY)),
            translations_member(),
            maybe("variants", list(of::<VariantJson<'_>>()))
                .about("In the answer to a change, those that it named."),
            maybe("seq", count(2)).about("Not in lists."),
        ]);
        Schema::Object(members)
    }
}

impl Described for AttributeJson<'_> {
    fn name() -> String {
        "Attribute".to_owned()
    }

    fn schema() -> Schema {
        object([required("name", words::line("Origin")), required("value", words::line("Taiwan"))])
    }
}

impl Described for MediaJson<'_> {
    fn name() -> String {
        "Media".to_owned()
    }

    fn schema() -> Schema {
        object([required("url", words::media_url()), maybe("alt", words::line("A tin of tea"))])
    }
}

impl Described for ChoiceJson<'_> {
    fn name() -> String {
        "Choice".to_owned()
    }

    fn schema() -> Schema {
        object([required("option", words::line("Size")), required("value", words::line("100 g"))])
    }
}

impl Described for VariantJson<'_> {
    fn name() -> String {
        "Variant".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("sku", words::sku()),
            required("name", words::line("Oolong, 100 g")),
            required("prices", list(of::<Money>())),
            required("tax_class", words::handle("standard")),
            required("options", list(of::<ChoiceJson<'_>>())),
            required("weight_grams", nullable(words::grams())),
        ])
    }
}

//! What merchants write.

use actors::domain::discount_code::CodeName;
use actors::domain::names::{SellerId, Slug};
use actors::{
    Category, DiscountCode, PageLimit, PriceList, Promotion, Seller, ShippingOption, StockLocation,
    TaxRate,
};
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::extract::InPath;
use crate::http::fields::Changes;
use crate::http::render::inventory::ListJson;
use crate::http::render::seller_board::DashboardJson;
use crate::http::routes::codes::UsesJson;
use crate::http::routes::entries::{Resource, Shown, Written};
use crate::http::routes::products::document::{Bulk, BulkJson, Product, ProductJson};
use crate::http::schema::{Schema, integer, words};
use crate::http::{Endpoint as E, Verb};

const CREATED: [Header; 4] =
    [Header::ETag, Header::OmniSeq, Header::Location, Header::IdempotentReplayed];
/// What becomes of a category depends on others.
const TREE: [Code; 3] =
    [Code::CATEGORY_BELOW_ITSELF, Code::CATEGORY_NOT_EMPTY, Code::PARENT_NOT_FOUND];

pub(super) fn all() -> Vec<Operation> {
    let categories = entries::<Category>(
        [E::AdminCategories, E::AdminCategory],
        ["listCategories", "createCategory", "showCategory"],
        ["replaceCategory", "changeCategory", "removeCategory"],
        ["categories", "a category"],
    );
    let categories = categories.map(|operation| operation.refuses(&TREE));
    let price_lists = entries::<PriceList>(
        [E::PriceLists, E::PriceList],
        ["listPriceLists", "createPriceList", "showPriceList"],
        ["replacePriceList", "changePriceList", "removePriceList"],
        ["price lists", "a price list"],
    );
    let tax_rates = entries::<TaxRate>(
        [E::TaxRates, E::TaxRate],
        ["listTaxRates", "createTaxRate", "showTaxRate"],
        ["replaceTaxRate", "changeTaxRate", "removeTaxRate"],
        ["tax rates", "a tax rate"],
    );
    let promotions = entries::<Promotion>(
        [E::Promotions, E::Promotion],
        ["listPromotions", "createPromotion", "showPromotion"],
        ["replacePromotion", "changePromotion", "removePromotion"],
        ["promotions", "a promotion"],
    );
    let promotions = promotions.map(|operation| operation.refuses(&[Code::TOO_MANY_AUTOMATIC]));
    let codes = entries::<DiscountCode>(
        [E::DiscountCodes, E::DiscountCode],
        ["listDiscountCodes", "createDiscountCode", "showDiscountCode"],
        ["replaceDiscountCode", "changeDiscountCode", "removeDiscountCode"],
        ["discount codes", "a discount code"],
    );
    let codes = codes.map(|operation| operation.refuses(&[Code::PROMOTION_WITHOUT_CODE]));
    let sellers = entries::<Seller>(
        [E::Sellers, E::Seller],
        ["listSellers", "createSeller", "showSeller"],
        ["replaceSeller", "changeSeller", "removeSeller"],
        ["sellers", "a seller"],
    );
    let shipping_options = entries::<ShippingOption>(
        [E::ShippingOptions, E::ShippingOption],
        ["listShippingOptions", "createShippingOption", "showShippingOption"],
        ["replaceShippingOption", "changeShippingOption", "removeShippingOption"],
        ["shipping options", "a shipping option"],
    );
    let stock_locations = entries::<StockLocation>(
        [E::StockLocations, E::StockLocation],
        ["listStockLocations", "createStockLocation", "showStockLocation"],
        ["replaceStockLocation", "changeStockLocation", "removeStockLocation"],
        ["stock locations", "a stock location"],
    );
    let entries = [
        categories,
        price_lists,
        tax_rates,
        promotions,
        codes,
        sellers,
        shipping_options,
        stock_locations,
    ];
    products()
        .into_iter()
        .chain(entries.into_iter().flatten())
        .chain([uses(), dashboard()])
        .collect()
}

fn uses() -> Operation {
    merchant(E::DiscountCodeUses, Verb::Get, "showUses", "Shows how often a code is used")
        .at::<CodeName>()
        .reads()
        .answers::<UsesJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn dashboard() -> Operation {
    let summary = "Shows what a seller has to do with orders";
    merchant(E::SellerDashboard, Verb::Get, "showDashboard", summary)
        .about(
            "Totals and open orders are of one position. An order counts from its confirmation on.",
        )
        .at::<SellerId>()
        .reads()
        .answers::<DashboardJson<'_>>(StatusCode::OK, &SHOWN)
        .cached()
}

fn merchant(endpoint: E, verb: Verb, id: &'static str, summary: impl Into<String>) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Catalogue, summary)
        .operator()
        .refuses(&[Code::CATALOGUE_UNAVAILABLE])
}

/// Parts of a list.
pub(super) fn paged(operation: Operation, cursor: Schema) -> Operation {
    let limit = integer(1, i64::from(PageLimit::MAX), 20);
    operation.query("limit", limit, "How many at most; 20 without it.").query(
        "after",
        cursor,
        "A `next_cursor`: what follows it.",
    )
}

fn products() -> [Operation; 7] {
    let one = |verb, id, summary: &str| merchant(E::AdminProduct, verb, id, summary).at::<Slug>();
    let list = merchant(E::AdminProducts, Verb::Get, "listProducts", "Lists all products").reads();
    let create = merchant(E::AdminProducts, Verb::Post, "createProduct", "Creates a product");
    let bulk_summary = "Writes many products, each for itself";
    let bulk = merchant(E::AdminProductsBulk, Verb::Post, "writeProducts", bulk_summary);
    [
        paged(list, words::handle("a")).answers::<ListJson<ProductJson<'_>>>(StatusCode::OK, &[]),
        create
            .changes(Key::Optional)
            .unbound()
            .body::<Product>()
            .answers::<ProductJson<'_>>(StatusCode::CREATED, &CREATED)
            .refuses(&[Code::ALREADY_EXISTS, Code::SKU_ON_ANOTHER_PAGE]),
        bulk.changes(Key::Optional)
            .unbound()
            .body::<Bulk>()
            .answers::<BulkJson>(StatusCode::OK, &[]),
        one(Verb::Get, "showProduct", "Shows a product")
            .reads()
            .answers::<ProductJson<'_>>(StatusCode::OK, &SHOWN),
        one(Verb::Put, "replaceProduct", "Replaces a product")
            .about("Variants that the body does not name are taken off the product.")
            .changes(Key::Optional)
            .bound()
            .body::<Product>()
            .answers::<ProductJson<'_>>(StatusCode::OK, &CHANGED)
            .refuses(&[Code::SKU_ON_ANOTHER_PAGE]),
        one(Verb::Patch, "changeProduct", "Changes members of a product")
            .about("Null takes a member away; without `variants` they stay as they are.")
            .changes(Key::Optional)
            .bound()
            .body::<Changes<Product>>()
            .answers::<ProductJson<'_>>(StatusCode::OK, &CHANGED)
            .refuses(&[Code::SKU_ON_ANOTHER_PAGE]),
        one(Verb::Delete, "removeProduct", "Removes a product")
            .changes(Key::Optional)
            .answers_nothing(
                StatusCode::NO_CONTENT,
                &[Header::OmniSeq, Header::IdempotentReplayed],
            ),
    ]
}

/// The operations of one kind of entry.
fn entries<R: Resource>(
    [all, one]: [E; 2],
    [list, create, show]: [&'static str; 3],
    [replace, change, remove]: [&'static str; 3],
    [many, single]: [&'static str; 2],
) -> [Operation; 6] {
    let of_one =
        |verb, id, does: &str| merchant(one, verb, id, format!("{does} {single}")).at::<R::Id>();
    let listed = merchant(all, Verb::Get, list, format!("Lists {many}")).reads();
    [
        paged(listed, R::Id::schema()).answers::<ListJson<R::Json<'_>>>(StatusCode::OK, &[]),
        merchant(all, Verb::Post, create, format!("Creates {single}"))
            .changes(Key::Optional)
            .unbound()
            .body::<Written<R>>()
            .answers::<Shown<R::Json<'_>>>(StatusCode::CREATED, &CREATED)
            .refuses(&[Code::ALREADY_EXISTS]),
        of_one(Verb::Get, show, "Shows")
            .reads()
            .answers::<Shown<R::Json<'_>>>(StatusCode::OK, &SHOWN)
            .cached(),
        of_one(Verb::Put, replace, "Replaces")
            .changes(Key::Optional)
            .bound()
            .body::<Written<R>>()
            .answers::<Shown<R::Json<'_>>>(StatusCode::OK, &CHANGED),
        of_one(Verb::Patch, change, "Changes members of")
            .changes(Key::Optional)
            .bound()
            .body::<Changes<Written<R>>>()
            .answers::<Shown<R::Json<'_>>>(StatusCode::OK, &CHANGED),
        of_one(Verb::Delete, remove, "Removes").changes(Key::Optional).answers_nothing(
            StatusCode::NO_CONTENT,
            &[Header::OmniSeq, Header::IdempotentReplayed],
        ),
    ]
}

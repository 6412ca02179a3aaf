//! What shoppers browse.

use actors::PageLimit;
use actors::domain::names::Slug;
use axum::http::StatusCode;

use super::super::operation::{Operation, Tag};
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::routes::store::{CategoryJson, StoreProductJson};
use crate::http::schema::{integer, word, words};
use crate::http::{Endpoint as E, Verb};

pub(super) fn all() -> [Operation; 3] {
    [list(), show(), categories()]
}

fn browse(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Get, id, Tag::Products, summary)
        .reads()
        .refuses(&[Code::CATALOGUE_UNAVAILABLE])
}

fn list() -> Operation {
    let price = || integer(0, i64::from(u32::MAX), 500);
    let least = integer(0, i64::from(u32::MAX), 0);
    let limit = integer(1, i64::from(PageLimit::MAX), 20);
    let after = words::exact("^[0-9]{1,12}_[A-Za-z0-9._-]{1,64}$", "0_a");
    // Of at most 200 bytes, in the longest characters that there are.
    let words_wanted = words::bounded(0, 50, "^[^\\u0000-\\u001f\\u007f-\\u009f]*$", "oolong");
    let sort = word(&["slug", "price", "-price"]);
    browse(E::StoreProducts, "listStoreProducts", "Lists products that are for sale")
        .query("q", words_wanted, "Words that a title has, all of them.")
        .query("category", words::handle("oolong"), "Where a product lies, or below.")
        .query("currency", words::currency(), "Of the prices.")
        .query("price_min", least, "In minor units.")
        .query("price_max", price().so_many(900_000), "In minor units.")
        .query("sort", sort, "In which order; `-price` is the dearest first.")
        .query("limit", limit, "How many at most; 20 without it.")
        .query("after", after, "A `next_cursor`: what follows it.")
        .answers::<ListJson<StoreProductJson<'_>>>(StatusCode::OK, &[])
}

fn show() -> Operation {
    browse(E::StoreProduct, "showStoreProduct", "Shows a product that is for sale")
        .at::<Slug>()
        .query("currency", words::currency(), "Of the prices.")
        .answers::<StoreProductJson<'_>>(StatusCode::OK, &[])
}

fn categories() -> Operation {
    browse(E::StoreCategories, "listStoreCategories", "Lists categories, each after its parent")
        .answers::<ListJson<CategoryJson<'_>>>(StatusCode::OK, &[])
}

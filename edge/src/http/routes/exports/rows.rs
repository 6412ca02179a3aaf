//! One product, as a line of JSON or as rows of a table.

use actors::PriceBook;
use actors::domain::page::Page;
use serde_json::{Map, Value};

use crate::http::imports::{csv, own_names};
use crate::http::routes::products::document::{ProductJson, VariantJson};

/// As an import of JSON Lines takes it.
pub(super) fn line(
    into: &mut Vec<u8>,
    book: &PriceBook,
    page: &Page,
) -> Result<(), serde_json::Error> {
    serde_json::to_writer(&mut *into, &product(book, page))?;
    into.push(b'\n');
    Ok(())
}

fn product<'a>(book: &'a PriceBook, page: &'a Page) -> ProductJson<'a> {
    let variants = book.variants(page).map(VariantJson::new).collect();
    ProductJson::new(page, Some(variants), None)
}

pub(super) fn header() -> Vec<u8> {
    let mut header = Vec::new();
    csv::write(&mut header, own_names());
    header
}

/// A row for each variant; what belongs to the product stands in the first.
pub(super) fn table_rows(
    into: &mut Vec<u8>,
    book: &PriceBook,
    page: &Page,
) -> Result<(), serde_json::Error> {
    let Value::Object(mut product) = serde_json::to_value(product(book, page))? else {
        return Ok(());
    };
    let variants = match product.remove("variants") {
        Some(Value::Array(variants)) if !variants.is_empty() => variants,
        Some(_) | None => vec![Value::Null],
    };
    for (nth, variant) in variants.into_iter().enumerate() {
        let variant = match variant {
            Value::Object(variant) => variant,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => Map::new(),
        };
        let cells: Vec<String> = own_names()
            .map(|name| match (variant.get(name), product.get(name)) {
                (Some(value), _) => cell(name, value),
                // Every row says whose it is.
                (None, Some(value)) if nth == 0 || name == "slug" => cell(name, value),
                (None, _) => String::new(),
            })
            .collect();
        csv::write(into, cells.iter().map(String::as_str));
    }
    Ok(())
}

/// Nothing, a text that no spreadsheet carries out, and anything else as JSON.
fn cell(name: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => csv::guarded(text).into_owned(),
        Value::Array(list) if list.is_empty() => String::new(),
        Value::Array(list) if name == "categories" => {
            let ids: Vec<_> = list.iter().filter_map(Value::as_str).collect();
            csv::guarded(&ids.join(",")).into_owned()
        }
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

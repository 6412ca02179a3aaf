//! From the columns of a table to the members of a product, as the admin API takes it.
//!
//! Our own columns are the members of a product and of its variants. Where a member is a list of
//! objects the cell holds it as JSON, but for `categories`, which are set apart by commas, and
//! `price`, which is one price in the import's currency. What belongs to the product stands in its
//! first row; in the others it is empty or the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use actors::Currency;

use super::csv::unguarded;
use super::row::head;
use super::shopify::Shopify;
use super::table::Record;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::json::{Json, Member};

pub(super) enum Columns {
    Own(Own),
    Shopify(Shopify),
}

impl Columns {
    /// Of the names in the first row.
    pub(super) fn of(names: &[String], currency: Currency) -> Result<Self, String> {
        let names: Vec<_> = names.iter().map(|name| name.trim().to_ascii_lowercase()).collect();
        let mut seen = BTreeSet::new();
        if let Some(name) = names.iter().find(|name| !name.is_empty() && !seen.insert(*name)) {
            return Err(format!("column {} is there twice", head(name, NAME_BYTES_SHOWN)));
        }
        if names.iter().any(|name| name == "slug") {
            return Own::of(&names, currency).map(Self::Own);
        }
        let shopify = Shopify::of(&names, currency).map(Self::Shopify);
        shopify.ok_or_else(|| "there is no column slug, nor Handle".to_owned())
    }

    /// What rows of one product have in common.
    pub(super) fn key<'a>(&self, record: &'a Record) -> &'a str {
        match self {
            Self::Own(own) => own.cell(record, "slug", Cell::Word),
            Self::Shopify(shopify) => shopify.key(record),
        }
    }

    /// Of all rows of one product.
    pub(super) fn product<'a>(&'a self, group: &'a [Record]) -> Result<Json<'a>, ApiError> {
        match self {
            Self::Own(own) => own.product(group),
            Self::Shopify(shopify) => Ok(shopify.product(group)),
        }
    }
}

/// How a cell becomes a member.
#[derive(Clone, Copy)]
enum Cell {
    /// As it is.
    Text,
    /// Without the blanks around it.
    Word,
    /// Set apart by commas.
    Names,
    Json,
    Integer,
}

const OF_PRODUCT: [(&str, Cell); 10] = [
    ("slug", Cell::Word),
    ("title", Cell::Text),
    ("description", Cell::Text),
    ("status", Cell::Word),
    ("visibility", Cell::Word),
    ("seller", Cell::Word),
    ("categories", Cell::Names),
    ("attributes", Cell::Json),
    ("media", Cell::Json),
    ("translations", Cell::Json),
];
const OF_VARIANT: [(&str, Cell); 6] = [
    ("sku", Cell::Word),
    ("name", Cell::Text),
    ("prices", Cell::Json),
    ("tax_class", Cell::Word),
    ("weight_grams", Cell::Integer),
    ("options", Cell::Json),
];
const PRICE: &str = "price";
/// Of a name that is no column's.
const NAME_BYTES_SHOWN: usize = 64;

/// The names of our own columns, in the order in which they are exported.
pub(in crate::http) fn own_names() -> impl Iterator<Item = &'static str> {
    OF_PRODUCT.iter().chain(&OF_VARIANT).map(|(name, _)| *name)
}

pub(super) struct Own {
    places: BTreeMap<&'static str, usize>,
    currency: Currency,
}

impl Own {
    fn of(names: &[String], currency: Currency) -> Result<Self, String> {
        let mut places = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            // A spreadsheet may leave some at the end.
            if name.is_empty() {
                continue;
            }
            let known = own_names().chain([PRICE]).find(|known| known == name);
            let known = known
                .ok_or_else(|| format!("there is no column {}", head(name, NAME_BYTES_SHOWN)))?;
            places.insert(known, place);
        }
        if places.contains_key(PRICE) && places.contains_key("prices") {
            return Err("there are both of the columns price and prices".to_owned());
        }
        Ok(Self { places, currency })
    }

    fn cell<'a>(&self, record: &'a Record, name: &str, kind: Cell) -> &'a str {
        let place = self.places.get(name);
        let cell = place.and_then(|place| record.cells.get(*place)).map_or("", |cell| &**cell);
        match (cell.trim(), kind) {
            ("", _) => "",
            (_, Cell::Text) => unguarded(cell),
            (trimmed, Cell::Word | Cell::Names) => unguarded(trimmed),
            (trimmed, Cell::Json | Cell::Integer) => trimmed,
        }
    }

    fn product<'a>(&'a self, group: &'a [Record]) -> Result<Json<'a>, ApiError> {
        let Some(first) = group.first() else { return Ok(Json::Null) };
        let mut product = Vec::new();
        for (name, kind) in OF_PRODUCT {
            let cell = self.cell(first, name, kind);
            for record in group {
                let other = self.cell(record, name, kind);
                if !other.is_empty() && other != cell {
                    let row = record.number;
                    let detail = format!("row {row} has another {name} than the product's first");
                    return Err(ApiError::new(Code::VALIDATION_FAILED, detail));
                }
            }
            product.extend(member(name, cell, kind));
        }
        let variants: Vec<_> = group.iter().filter_map(|record| self.variant(record)).collect();
        if !variants.is_empty() {
            product.push((Cow::Borrowed("variants"), Json::List(variants)));
        }
        Ok(Json::Object(product))
    }

    fn variant<'a>(&'a self, record: &'a Record) -> Option<Json<'a>> {
        let mut variant: Vec<Member<'a>> = OF_VARIANT
            .into_iter()
            .filter_map(|(name, kind)| member(name, self.cell(record, name, kind), kind))
            .collect();
        let price = self.cell(record, PRICE, Cell::Integer);
        if !price.is_empty() {
            variant.push((Cow::Borrowed("prices"), prices(price, &self.currency)));
        }
        (!variant.is_empty()).then_some(Json::Object(variant))
    }
}

/// An empty cell is none.
fn member<'a>(name: &'static str, cell: &'a str, kind: Cell) -> Option<Member<'a>> {
    let json = match kind {
        _ if cell.is_empty() => return None,
        Cell::Text | Cell::Word => text(cell),
        Cell::Names => {
            let names = cell.split(',').map(str::trim).filter(|name| !name.is_empty());
            Json::List(names.map(text).collect())
        }
        // What is no JSON is told to be no list.
        Cell::Json => Json::parse(cell.as_bytes()).unwrap_or_else(|_| text(cell)),
        Cell::Integer => integer(cell),
    };
    Some((Cow::Borrowed(name), json))
}

pub(super) fn text<'a>(cell: impl Into<Cow<'a, str>>) -> Json<'a> {
    Json::Text(cell.into())
}

/// What is no number is told to be none.
pub(super) fn integer(cell: &str) -> Json<'_> {
    cell.parse().map_or_else(|_| text(cell), Json::Integer)
}

/// A list of one price.
pub(super) fn prices<'a>(cell: &'a str, currency: &'a Currency) -> Json<'a> {
    let amount = minor(cell, *currency).map_or_else(|| text(cell), Json::Integer);
    let price = vec![
        (Cow::Borrowed("amount"), amount),
        (Cow::Borrowed("currency"), text(currency.as_str())),
    ];
    Json::List(vec![Json::Object(price)])
}

/// A decimal number of major units, without a digit that the currency does not have.
fn minor(cell: &str, currency: Currency) -> Option<i64> {
    let (whole, fraction) = cell.split_once('.').unwrap_or((cell, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let n_digits = usize::from(currency.minor_digits());
    let (kept, lost) = fraction.split_at_checked(n_digits).unwrap_or((fraction, ""));
    if lost.bytes().any(|digit| digit != b'0') {
        return None;
    }
    format!("{whole}{kept:0<n_digits$}").parse().ok()
}

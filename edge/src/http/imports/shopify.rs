//! The columns of Shopify's product tables, older and newer names of them.
//!
//! What there is no place for here is passed over: stock, compare-at prices, costs, search texts,
//! fields of other sales channels. Vendor, type, category and tags become attributes. A variant
//! without a SKU gets one of the handle, numbered in order. What is not taxable is of the class
//! `exempt`. Without a status a product is active.

use std::borrow::Cow;
use std::collections::BTreeMap;

use actors::Currency;

use super::columns::{integer, prices, text};
use super::table::Record;
use crate::http::json::{Json, Member};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Column {
    Handle,
    Title,
    Body,
    Vendor,
    Type,
    Category,
    Tags,
    Published,
    Status,
    OptionName(u8),
    OptionValue(u8),
    Sku,
    Grams,
    Price,
    Taxable,
    Image,
    ImagePosition,
    ImageText,
}

/// In small letters.
const NAMES: [(&str, Column); 38] = [
    ("handle", Column::Handle),
    ("url handle", Column::Handle),
    ("title", Column::Title),
    ("body (html)", Column::Body),
    ("description", Column::Body),
    ("vendor", Column::Vendor),
    ("type", Column::Type),
    ("product category", Column::Category),
    ("standard product type", Column::Category),
    ("tags", Column::Tags),
    ("published", Column::Published),
    ("published on online store", Column::Published),
    ("status", Column::Status),
    ("option1 name", Column::OptionName(1)),
    ("option2 name", Column::OptionName(2)),
    ("option3 name", Column::OptionName(3)),
    ("option1 value", Column::OptionValue(1)),
    ("option2 value", Column::OptionValue(2)),
    ("option3 value", Column::OptionValue(3)),
    ("variant sku", Column::Sku),
    ("sku", Column::Sku),
    ("variant grams", Column::Grams),
    ("weight value (grams)", Column::Grams),
    ("variant price", Column::Price),
    ("price", Column::Price),
    ("variant taxable", Column::Taxable),
    ("charge tax", Column::Taxable),
    ("image src", Column::Image),
    ("product image url", Column::Image),
    ("image position", Column::ImagePosition),
    ("image alt text", Column::ImageText),
    ("body", Column::Body),
    ("product type", Column::Type),
    ("custom product type", Column::Type),
    ("variant weight (grams)", Column::Grams),
    ("image url", Column::Image),
    ("image alt", Column::ImageText),
    ("product handle", Column::Handle),
];

pub(super) struct Shopify {
    places: BTreeMap<Column, usize>,
    currency: Currency,
}

impl Shopify {
    /// Names that are not known are passed over, as are later ones that mean the same.
    pub(super) fn of(names: &[String], currency: Currency) -> Option<Self> {
        let mut places = BTreeMap::new();
        for (place, name) in names.iter().enumerate() {
            if let Some((_, column)) = NAMES.iter().find(|(known, _)| known == name) {
                places.entry(*column).or_insert(place);
            }
        }
        places.contains_key(&Column::Handle).then_some(Self { places, currency })
    }

    pub(super) fn key<'a>(&self, record: &'a Record) -> &'a str {
        self.cell(record, Column::Handle)
    }

    fn cell<'a>(&self, record: &'a Record, column: Column) -> &'a str {
        let place = self.places.get(&column);
        place.and_then(|place| record.cells.get(*place)).map_or("", |cell| cell.trim())
    }

    pub(super) fn product<'a>(&'a self, group: &'a [Record]) -> Json<'a> {
        let Some(first) = group.first() else { return Json::Null };
        let of = |column| self.cell(first, column);
        let mut product: Vec<Member<'a>> = Vec::new();
        let mut put = |name: &'static str, json| product.push((Cow::Borrowed(name), json));
        put("slug", text(of(Column::Handle)));
        put("title", text(of(Column::Title)));
        if !of(Column::Body).is_empty() {
            put("description", text(of(Column::Body).replace("\r\n", "\n").replace('\r', "\n")));
        }
        let status = of(Column::Status).to_ascii_lowercase();
        put("status", text(if status.is_empty() { "active".to_owned() } else { status }));
        let is_hidden = of(Column::Published).eq_ignore_ascii_case("false");
        put("visibility", text(if is_hidden { "hidden" } else { "listed" }));
        put("attributes", self.attributes(first));
        put("media", self.media(group));
        let variants = self.variants(first, group);
        if !variants.is_empty() {
            put("variants", Json::List(variants));
        }
        Json::Object(product)
    }

    fn attributes<'a>(&self, first: &'a Record) -> Json<'a> {
        let all = [
            ("Vendor", Column::Vendor),
            ("Type", Column::Type),
            ("Category", Column::Category),
            ("Tags", Column::Tags),
        ];
        let filled = all.into_iter().map(|(name, column)| (name, self.cell(first, column)));
        let filled = filled.filter(|(_, value)| !value.is_empty());
        Json::List(filled.map(|(name, value)| pair("name", name, "value", value)).collect())
    }

    /// In order of position; those that name none come last, as they came.
    fn media<'a>(&self, group: &'a [Record]) -> Json<'a> {
        let mut images: Vec<(u32, &str, &str)> = Vec::new();
        for record in group {
            let url = self.cell(record, Column::Image);
            if url.is_empty() || images.iter().any(|(_, known, _)| *known == url) {
                continue;
            }
            let position = self.cell(record, Column::ImagePosition).parse().unwrap_or(u32::MAX);
            images.push((position, url, self.cell(record, Column::ImageText)));
        }
        images.sort_by_key(|(position, ..)| *position);
        let image = |(_, url, alt): (u32, &'a str, &'a str)| match alt {
            "" => Json::Object(vec![(Cow::Borrowed("url"), text(url))]),
            alt => pair("url", url, "alt", alt),
        };
        Json::List(images.into_iter().map(image).collect())
    }

    fn variants<'a>(&'a self, first: &'a Record, group: &'a [Record]) -> Vec<Json<'a>> {
        // Other rows only add pictures.
        let is_variant = |record: &&Record| {
            [Column::Sku, Column::Price, Column::OptionValue(1)]
                .into_iter()
                .any(|column| !self.cell(record, column).is_empty())
        };
        let rows: Vec<_> = group.iter().filter(is_variant).collect();
        let is_sole = rows.len() == 1;
        let numbered = rows.into_iter().zip(1..);
        numbered
            .map(|(record, nth)| self.variant(first, record, (!is_sole).then_some(nth)))
            .collect()
    }

    fn variant<'a>(&'a self, first: &'a Record, record: &'a Record, nth: Option<u32>) -> Json<'a> {
        let choices = self.choices(first, record);
        let title = self.cell(first, Column::Title);
        let name = if choices.is_empty() {
            Cow::Borrowed(title)
        } else {
            let values: Vec<_> = choices.iter().map(|(_, value)| *value).collect();
            Cow::Owned(format!("{title}, {}", values.join(" / ")))
        };
        let sku = match (self.cell(record, Column::Sku), nth) {
            ("", Some(nth)) => Cow::Owned(format!("{}-{nth}", self.key(record))),
            ("", None) => Cow::Borrowed(self.key(record)),
            (sku, _) => Cow::Borrowed(sku),
        };
        let mut variant: Vec<Member<'a>> = Vec::new();
        let mut put = |name: &'static str, json| variant.push((Cow::Borrowed(name), json));
        put("sku", text(sku));
        put("name", text(name));
        let price = self.cell(record, Column::Price);
        if !price.is_empty() {
            put("prices", prices(price, &self.currency));
        }
        if self.cell(record, Column::Taxable).eq_ignore_ascii_case("false") {
            put("tax_class", text("exempt"));
        }
        let grams = self.cell(record, Column::Grams);
        if !grams.is_empty() {
            put("weight_grams", integer(grams.strip_suffix(".0").unwrap_or(grams)));
        }
        let options = choices.into_iter().map(|(name, value)| pair("option", name, "value", value));
        put("options", Json::List(options.collect()));
        Json::Object(variant)
    }

    /// Names stand in the first row. A product that has no options has one called `Title`.
    fn choices<'a>(&self, first: &'a Record, record: &'a Record) -> Vec<(&'a str, &'a str)> {
        let all = (1..=3).map(|nth| {
            let name = self.cell(first, Column::OptionName(nth));
            (name, self.cell(record, Column::OptionValue(nth)))
        });
        let is_choice = |(name, value): &(&str, &str)| {
            !name.is_empty() && !value.is_empty() && (*name, *value) != ("Title", "Default Title")
        };
        all.filter(is_choice).collect()
    }
}

fn pair<'a>(
    name: &'static str,
    value: &'a str,
    other: &'static str,
    other_value: &'a str,
) -> Json<'a> {
    Json::Object(vec![
        (Cow::Borrowed(name), text(value)),
        (Cow::Borrowed(other), text(other_value)),
    ])
}

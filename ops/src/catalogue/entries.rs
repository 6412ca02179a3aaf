//! What may stand beside the products of a catalogue file, member by member as the API has it, but
//! for prices: those are `{"EUR": 490}`.
//!
//! **Invariants:** an id stands there once; a category's parent, a page's categories and its seller do
//! too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;

use actors::SkuCode;
use actors::domain::category::{self, Categories};
use actors::domain::names::{
    CategoryId, CustomerGroup, Label, PriceListId, SellerId, ShippingOptionId, Slug, TaxClass,
};
use actors::domain::page::{self, Status, Visibility};
use actors::domain::price_list::{self, Audience, ListTerms, Validity};
use actors::domain::seller::{self, Standing};
use actors::domain::shipping::{self, Countries};
use actors::domain::tax::{self, AppliedRate, Destination, Inclusion, Percent, Region, TaxRateId};
use actors::domain::translations::{Prose, Translations};
use anyhow::{Context, ensure};
use serde::Deserialize;

use super::{currency, prices};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    slug: Slug,
    title: Label,
    description: Option<Prose>,
    #[serde(default)]
    categories: Vec<CategoryId>,
    seller: Option<SellerId>,
    #[serde(default)]
    variants: Vec<SkuCode>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Category {
    id: CategoryId,
    name: Label,
    parent: Option<CategoryId>,
    #[serde(default)]
    position: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seller {
    id: SellerId,
    name: Label,
    #[serde(default)]
    status: SellerStatus,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum SellerStatus {
    #[default]
    Active,
    Suspended,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxRate {
    country: String,
    region: Option<Region>,
    tax_class: Option<TaxClass>,
    rate_millionths: Percent,
    included: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ShippingOption {
    id: ShippingOptionId,
    name: Label,
    carrier: Label,
    prices: BTreeMap<String, i64>,
    #[serde(default)]
    free_from: BTreeMap<String, i64>,
    #[serde(default)]
    countries: Vec<String>,
    tax_class: Option<TaxClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceList {
    id: PriceListId,
    name: Label,
    currency: String,
    customer_group: Option<CustomerGroup>,
    prices: BTreeMap<String, i64>,
}

pub(super) fn pages(
    pages: Vec<Page>,
    known: &[Category],
    sellers: &[Seller],
) -> anyhow::Result<Vec<page::Page>> {
    once("page", pages.iter().map(|page| &page.slug))?;
    let page = |Page { slug, title, description, categories, seller, variants }: Page| {
        for category in &categories {
            let is_known = known.iter().any(|known| known.id == *category);
            ensure!(is_known, "page {slug} is in the category {category}, which is not there");
        }
        if let Some(seller) = &seller {
            let is_known = sellers.iter().any(|known| known.id == *seller);
            ensure!(is_known, "page {slug} is of the seller {seller}, who is not there");
        }
        let name = slug.clone();
        let content = page::Content {
            slug,
            title,
            description,
            attributes: Vec::new(),
            media: Vec::new(),
            categories,
            seller,
            status: Status::Active,
            visibility: Visibility::Listed,
            translations: Translations::default(),
            variants,
        };
        page::Page::new(content).with_context(|| format!("page {name}"))
    };
    pages.into_iter().map(page).collect()
}

pub(super) fn categories(categories: Vec<Category>) -> anyhow::Result<Vec<category::Category>> {
    once("category", categories.iter().map(|category| &category.id))?;
    let category = |Category { id, name, parent, position }: Category| {
        let translations = Translations::default();
        category::Category { id, name, parent, position, translations }
    };
    let categories: Vec<_> = categories.into_iter().map(category).collect();
    let tree: Categories = categories.iter().cloned().map(Arc::new).collect();
    for category::Category { id, parent, .. } in &categories {
        let Some(parent) = parent else { continue };
        let is_below = tree.parent(id).is_some_and(|above| above.id == *parent);
        ensure!(is_below, "category {id} lies below {parent}, which is not there or below it");
    }
    Ok(categories)
}

pub(super) fn sellers(sellers: Vec<Seller>) -> anyhow::Result<Vec<seller::Seller>> {
    once("seller", sellers.iter().map(|seller| &seller.id))?;
    let seller = |Seller { id, name, status }: Seller| {
        let standing = match status {
            SellerStatus::Active => Standing::Active,
            SellerStatus::Suspended => Standing::Suspended,
        };
        seller::Seller { id, name, standing }
    };
    Ok(sellers.into_iter().map(seller).collect())
}

pub(super) fn tax_rates(rates: Vec<TaxRate>) -> anyhow::Result<Vec<tax::TaxRate>> {
    let rate = |rate: TaxRate| {
        let TaxRate { country, region, tax_class, rate_millionths: percent, included } = rate;
        let country = country.parse().with_context(|| format!("tax rate of {country:?}"))?;
        let class = tax_class.unwrap_or_else(TaxClass::standard);
        let id = TaxRateId { place: Destination { country, region }, class };
        let inclusion = if included { Inclusion::Inclusive } else { Inclusion::Exclusive };
        Ok(tax::TaxRate { id, applied: AppliedRate { percent, inclusion } })
    };
    let rates = rates.into_iter().map(rate).collect::<anyhow::Result<Vec<_>>>()?;
    once("tax rate", rates.iter().map(|rate| &rate.id))?;
    Ok(rates)
}

pub(super) fn shipping_options(
    options: Vec<ShippingOption>,
) -> anyhow::Result<Vec<shipping::ShippingOption>> {
    once("shipping option", options.iter().map(|option| &option.id))?;
    let option = |option: &ShippingOption| -> anyhow::Result<_> {
        let countries = option.countries.iter().map(|code| Ok(code.parse()?));
        let countries = countries.collect::<anyhow::Result<Vec<_>>>()?;
        Ok(shipping::ShippingOption {
            id: option.id.clone(),
            name: option.name.clone(),
            carrier: option.carrier.clone(),
            prices: prices(&option.prices)?,
            free_from: prices(&option.free_from)?,
            countries: Countries::of(countries),
            tax_class: option.tax_class.clone().unwrap_or_else(TaxClass::standard),
        })
    };
    let named =
        |it: &ShippingOption| option(it).with_context(|| format!("shipping option {}", it.id));
    options.iter().map(named).collect()
}

pub(super) fn price_lists(lists: Vec<PriceList>) -> anyhow::Result<Vec<price_list::PriceList>> {
    once("price list", lists.iter().map(|list| &list.id))?;
    let list = |list: &PriceList| -> anyhow::Result<_> {
        let terms = ListTerms {
            id: list.id.clone(),
            name: list.name.clone(),
            currency: currency(&list.currency)?,
            audience: list.customer_group.clone().map_or(Audience::Everyone, Audience::Group),
            validity: Validity::default(),
        };
        let prices = list.prices.iter().map(|(sku, minor)| Ok((sku.parse()?, *minor)));
        let prices = prices.collect::<anyhow::Result<_>>()?;
        Ok(price_list::PriceList::new(terms, prices)?)
    };
    let named = |it: &PriceList| list(it).with_context(|| format!("price list {}", it.id));
    lists.iter().map(named).collect()
}

fn once<T: Ord + Display>(what: &str, ids: impl Iterator<Item = T>) -> anyhow::Result<()> {
    let mut known = BTreeSet::new();
    for id in ids {
        ensure!(!known.contains(&id), "{what} {id} stands there twice");
        known.insert(id);
    }
    Ok(())
}

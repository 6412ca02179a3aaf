//! Products: a page with one variant. The version is an attribute of the page, so that it changes with
//! the product in one step.
//!
//! **Invariants:** an answer waits until this node's book has the change; a price or a product is
//! written over the state that was read, or not at all. The variant is called by the product's name
//! and, as its last word, the version: lines of carts and orders keep what the thing was called, and
//! so which version was bought.

use actors::domain::names::Slug;
use actors::domain::page::{Attribute, Command, Content, Lookup, Page, Query, Status, Visibility};
use actors::domain::translations::{Prose, Translations};
use actors::{Listing, Money, ProductName, ProductPage};
use axum::Json;
use axum::extract::{RawPathParams, State};
use axum::http::StatusCode;
use cluster::fabric::{Envelope, Precondition, Viewed};
use cluster::time::Timestamp;
use serde_json::{Value, json};

use super::amount;
use super::body::{Row, label, wrong};
use super::ids::{self, ProductKey, product_in};
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::refusals;
use crate::http::routes::products::{not_found, settle};

/// `POST /product`
pub(super) async fn ingest(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    write(&app, &row).await.map(|()| StatusCode::OK)
}

/// `PUT /product`
pub(super) async fn replace(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    write(&app, &row).await.map(|()| StatusCode::ACCEPTED)
}

/// `PATCH /product`
pub(super) async fn set_price(State(app): State<App>, row: Row) -> Result<StatusCode, ApiError> {
    let key = ProductKey::named_in(&row)?;
    let (version, price) = (row.name("version")?, row.minor("price")?);
    let deadline = now().plus(app.settings.request_timeout);
    let (page, seq) = find(&app, key, deadline).await?;
    if attribute(&page, "version") != Some(version.as_str()) {
        let detail = "the product has another version by now";
        return Err(ApiError::new(Code::PRICE_CHANGED, detail));
    }
    let listing = listing(&app, key, (page.title.as_str(), &version), price)?;
    put(&app, page, vec![listing], Precondition::Seq(seq), deadline).await?;
    Ok(StatusCode::ACCEPTED)
}

/// `GET /product/{seller}/{product}`
pub(super) async fn show(
    State(app): State<App>,
    params: RawPathParams,
) -> Result<Json<Value>, ApiError> {
    let key = product_in(&params)?;
    let deadline = now().plus(app.settings.request_timeout);
    let (page, _) = find(&app, key, deadline).await?;
    let (sku, currency) = (key.sku()?, app.default_currency());
    let catalogue = app.fabric.catalogue();
    let book: Option<&actors::PriceBook> =
        catalogue.as_ref().and_then(cluster::entity::Catalogue::content);
    let price = book.and_then(|book| book.any_listing(&sku)?.price_in(currency));
    let freight = attribute(&page, "freight_value").and_then(amount::minor);
    Ok(Json(json!({
        "seller_id": key.seller,
        "product_id": key.product,
        "name": page.title.as_str(),
        "sku": attribute(&page, "sku"),
        "category": attribute(&page, "category"),
        "description": page.description.as_ref().map_or("", Prose::as_str),
        "price": price.map(|price| amount::shown(price.minor)),
        "freight_value": freight.map(amount::shown),
        "version": attribute(&page, "version"),
        "status": "approved",
    })))
}

async fn write(app: &App, row: &Row) -> Result<(), ApiError> {
    let key = ProductKey::named_in(row)?;
    let page = page(row, key)?;
    let named = (row.text("name")?, &*row.name("version")?);
    let listing = listing(app, key, named, row.minor("price")?)?;
    let deadline = now().plus(app.settings.request_timeout);
    put(app, page, vec![listing], Precondition::None, deadline).await
}

fn page(row: &Row, key: ProductKey) -> Result<Page, ApiError> {
    let mut attributes = vec![kept("version", &row.name("version")?)?];
    let freight = amount::shown(row.minor("freight_value")?).to_string();
    attributes.push(kept("freight_value", &freight)?);
    for name in ["sku", "category"] {
        let value = row.text_if_any(name)?;
        if !value.is_empty() {
            attributes.push(kept(name, value)?);
        }
    }
    let description = match row.text_if_any("description")? {
        "" => None,
        text => Some(
            Prose::try_from(text.to_owned())
                .map_err(|error| wrong("description", "invalid", error.to_string()))?,
        ),
    };
    let content = Content {
        slug: key.slug()?,
        title: label("name", row.text("name")?)?,
        description,
        attributes,
        media: Vec::new(),
        categories: Vec::new(),
        seller: Some(ids::seller(key.seller)?),
        status: Status::Active,
        visibility: Visibility::Listed,
        translations: Translations::default(),
        variants: vec![key.sku()?],
    };
    Page::new(content).map_err(|error| wrong("", "invalid", error.to_string()))
}

pub(super) fn kept(name: &str, value: &str) -> Result<Attribute, ApiError> {
    Ok(Attribute { name: label(name, name)?, value: label(name, value)? })
}

pub(super) fn listing(
    app: &App,
    key: ProductKey,
    (name, version): (&str, &str),
    minor: i64,
) -> Result<Listing, ApiError> {
    let name = ProductName::try_from(format!("{name} {version}"));
    let name = name.map_err(|error| wrong("name", "invalid", error.to_string()))?;
    let price = Money { minor, currency: app.default_currency() };
    let listing = Listing::new(key.sku()?, name, vec![price]);
    let listing = listing.map_err(|error| wrong("price", "invalid", error.to_string()))?;
    Ok(listing.on_page(Some(key.slug()?)))
}

/// What a variant's product is called, and its version.
pub(super) fn in_parts(name: &ProductName) -> (&str, &str) {
    name.as_str().rsplit_once(' ').unwrap_or((name.as_str(), ""))
}

/// The same page in another version.
pub(super) fn versioned(page: Page, version: &str) -> Result<Page, ApiError> {
    let mut content = page.into_content();
    content.attributes.retain(|it| it.name.as_str() != "version");
    content.attributes.push(kept("version", version)?);
    Page::new(content).map_err(|_| ApiError::internal())
}

pub(super) async fn put(
    app: &App,
    page: Page,
    variants: Vec<Listing>,
    precondition: Precondition,
    deadline: Timestamp,
) -> Result<(), ApiError> {
    let envelope = Envelope { precondition, ..Envelope::until(deadline) };
    let (key, slug) = (page.slug.key(), page.slug.clone());
    let command = Command::Put { page: Box::new(page), variants: variants.clone() };
    let executed = app.fabric.execute::<ProductPage>(key, envelope, command).await;
    let executed = executed.map_err(|error| {
        let path = || path_of(&slug);
        ApiError::from_command::<ProductPage>(error, false, path, refusals::of_page)
    })?;
    settle(app, executed.provenance.position, deadline, &variants).await.map(|_| ())
}

fn path_of(slug: &Slug) -> String {
    format!("/admin/v1/products/{slug}")
}

async fn find(app: &App, key: ProductKey, deadline: Timestamp) -> Result<(Page, u64), ApiError> {
    let query = app.fabric.query::<ProductPage>(key.slug()?.key(), &[], deadline, Query::Page);
    let Viewed { view: Lookup(page), provenance } = query.await?;
    page.map(|page| (page, provenance.seq)).ok_or_else(not_found)
}

pub(super) fn attribute<'a>(page: &'a Page, name: &str) -> Option<&'a str> {
    let found = page.attributes.iter().find(|it| it.name.as_str() == name);
    found.map(|it| it.value.as_str())
}

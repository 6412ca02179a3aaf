//! Products, for merchants: pages and the variants that are listed on them.
//!
//! **Invariants:** a page and its variants are one change: the page's entity tells the SKUs' own, each
//! once, whatever becomes of this node meanwhile. An answer waits until this node's book has them.
//!
//! The answer to a change shows the variants that it named; those it left alone, `GET` shows.

pub(in crate::http) mod document;

use std::time::Duration;

use actors::domain::catalogue::Listing;
use actors::domain::names::Slug;
use actors::domain::page::{Command, Lookup, Page, Query, Rejection};
use actors::{ProductPage, SkuCode};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::{CommandError, Envelope, Executed, Precondition, Viewed};
use cluster::ids::{Position, ShardId};
use cluster::time::{Span, Timestamp};
use document::{Bulk, BulkJson, OutcomeJson, Product, ProductJson, VariantJson};

use super::books;
use super::entries::{bound, instead_of_stale, unbound};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::code::Code;
use crate::http::error::{ApiError, Kept};
use crate::http::extract::{JsonBody, Operator, PathId, ReadTerms, Terms, in_path};
use crate::http::fields::{self, Changes};
use crate::http::keys::Credential;
use crate::http::query;
use crate::http::refusals;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;
use crate::http::schema::words;

const PATH: &str = "/admin/v1/products";
/// How long an answer waits for its variants to be in the book.
const SETTLING_MAX: Span = Span::from_secs(2);
const SETTLING_PAUSE: Duration = Duration::from_millis(20);

in_path! {
    Slug: "id", PRODUCT_NOT_FOUND, "this cannot be a product", words::handle("oolong");
}

/// `GET /admin/v1/products`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let query::Page { limit, after } = query::Page::<Slug>::of(&uri)?;
    let book = books::at(&app, &terms).await?;
    let book = book.content()?;
    let mut rest = book.all_pages(after.as_ref());
    let pages: Vec<&Page> = rest.by_ref().take(limit.get()).collect();
    let next = rest.next().and_then(|_| pages.last()).map(|page| &page.slug);
    let json = |page| {
        let variants = book.variants(page).map(VariantJson::new).collect();
        ProductJson::new(page, Some(variants), None)
    };
    let data: Vec<_> = pages.iter().copied().map(json).collect();
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

/// `GET /admin/v1/products/{id}`
pub(in crate::http) async fn show(
    State(app): State<App>,
    _: Operator,
    PathId(slug): PathId<Slug>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let query =
        app.fabric.query::<ProductPage>(slug.key(), &terms.at_least, terms.deadline, Query::Page);
    let Viewed { view: Lookup(page), provenance } = query.await?;
    let page = page.ok_or_else(not_found)?;
    let book = books::at(&app, &terms).await?;
    let variants = book.content()?.variants(&page).map(VariantJson::new).collect();
    let json = ProductJson::new(&page, Some(variants), Some(provenance.seq));
    Reply::resource(StatusCode::OK, &json, provenance)
}

/// `POST /admin/v1/products`
pub(in crate::http) async fn create(
    State(app): State<App>,
    _: Operator,
    terms: Terms,
    body: JsonBody<Product>,
) -> Result<Reply, ApiError> {
    unbound(&terms)?;
    let (page, variants) = body.document.whole()?;
    let mut envelope = terms.envelope(Credential::Operator, &body.bytes);
    envelope.precondition = Precondition::Absent;
    let path = format!("{PATH}/{}", page.slug);
    let twin = ApiError::new(Code::ALREADY_EXISTS, "there is a product under this slug already");
    let executed = put(&app, envelope, &page, &variants).await.map_err(|error| {
        instead_of_stale(error, Some(twin), &terms, |it| refused(it, &terms, &page.slug))
    })?;
    let reply = answer(&app, &terms, StatusCode::CREATED, executed, (&page, Some(&variants)));
    Ok(reply.await?.at(path))
}

/// `PUT /admin/v1/products/{id}`
pub(in crate::http) async fn replace(
    State(app): State<App>,
    _: Operator,
    PathId(slug): PathId<Slug>,
    terms: Terms,
    body: JsonBody<Product>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let (page, variants) = body.document.whole()?;
    write(&app, &terms, &slug, &body.bytes, (page, Some(variants))).await
}

/// `PATCH /admin/v1/products/{id}`: its members, some of them replaced. Without `variants` those
/// stay as they are.
pub(in crate::http) async fn change(
    State(app): State<App>,
    _: Operator,
    PathId(slug): PathId<Slug>,
    terms: Terms,
    body: JsonBody<Changes<Product>>,
) -> Result<Reply, ApiError> {
    bound(&terms)?;
    let query = app.fabric.query::<ProductPage>(slug.key(), &[], terms.deadline, Query::Page);
    let Lookup(current) = query.await?.view;
    let current = current.ok_or_else(not_found)?;
    let json = serde_json::to_vec(&ProductJson::new(&current, None, None));
    let json = json.map_err(|_| ApiError::internal())?;
    let product = fields::read_changed::<Product>(&json, &body.bytes)?;
    let product = product.over(&current)?;
    write(&app, &terms, &slug, &body.bytes, product).await
}

/// `DELETE /admin/v1/products/{id}`
pub(in crate::http) async fn remove(
    State(app): State<App>,
    _: Operator,
    PathId(slug): PathId<Slug>,
    terms: Terms,
) -> Result<Reply, ApiError> {
    let mut envelope = terms.envelope(Credential::Operator, b"");
    let is_free = terms.precondition == Precondition::None;
    if is_free {
        envelope.precondition = Precondition::Exists;
    }
    let executed = app.fabric.execute::<ProductPage>(slug.key(), envelope, Command::Remove).await;
    let missing = is_free.then(not_found);
    let Executed { provenance, .. } = executed.map_err(|error| {
        instead_of_stale(error, missing, &terms, |it| refused(it, &terms, &slug))
    })?;
    let kept = Kept::under_key(terms.is_keyed(), provenance);
    Ok(Reply::empty(StatusCode::NO_CONTENT, provenance).kept(kept))
}

/// `POST /admin/v1/products/bulk`: writes each product for itself, there before or not. Sent again,
/// it writes the same again, so a key adds nothing.
pub(in crate::http) async fn bulk(
    State(app): State<App>,
    _: Operator,
    terms: Terms,
    body: JsonBody<Bulk>,
) -> Result<Reply, ApiError> {
    unbound(&terms)?;
    let origin = terms.origin(Credential::Operator);
    let envelope = Envelope { origin, ..Envelope::until(terms.deadline) };
    let write = |product| {
        let (app, envelope) = (app.clone(), envelope.clone());
        async move { bulk_one(&app, product, envelope).await }
    };
    let json = BulkJson { results: all_at_once(body.document.products, write).await? };
    Reply::unplaced(StatusCode::OK, &json)
}

async fn bulk_one(
    app: &App,
    product: Result<Product, ApiError>,
    envelope: Envelope,
) -> OutcomeJson {
    let (page, variants) = match product.and_then(Product::whole) {
        Ok(whole) => whole,
        Err(error) => return OutcomeJson::refused(None, &error),
    };
    let deadline = envelope.deadline;
    let written = match put(app, envelope, &page, &variants).await {
        Ok(executed) => {
            let position = executed.provenance.position;
            settle(app, position, deadline, &variants).await.map(|_| ())
        }
        Err(error) => Err(ApiError::from_command::<ProductPage>(
            error,
            false,
            || format!("{PATH}/{}", page.slug),
            refusals::of_page,
        )),
    };
    match written {
        Ok(()) => OutcomeJson::written(&page.slug),
        Err(error) => OutcomeJson::refused(Some(&page.slug), &error),
    }
}

async fn write(
    app: &App,
    terms: &Terms,
    slug: &Slug,
    body: &[u8],
    (page, variants): (Page, Option<Vec<Listing>>),
) -> Result<Reply, ApiError> {
    if page.slug != *slug {
        let mut faults = fields::Faults::default();
        let detail = "the body names another product than the path";
        faults.add("slug".to_owned(), fields::flaw("invalid", detail));
        return faults.into_result(None);
    }
    let envelope = terms.envelope(Credential::Operator, body);
    let executed = put(app, envelope, &page, variants.as_deref().unwrap_or_default()).await;
    let executed = executed.map_err(|error| refused(error, terms, slug))?;
    answer(app, terms, StatusCode::OK, executed, (&page, variants.as_deref())).await
}

async fn put(
    app: &App,
    envelope: Envelope,
    page: &Page,
    variants: &[Listing],
) -> Result<Executed<Lookup>, CommandError<Rejection>> {
    let command = Command::Put { page: Box::new(page.clone()), variants: variants.to_vec() };
    app.fabric.execute::<ProductPage>(page.slug.key(), envelope, command).await
}

/// Of the page as it was written and of the variants as they were sent, so that a repeat under a key
/// is answered alike.
async fn answer(
    app: &App,
    terms: &Terms,
    status: StatusCode,
    executed: Executed<Lookup>,
    (page, variants): (&Page, Option<&[Listing]>),
) -> Result<Reply, ApiError> {
    let Executed { reply, provenance } = executed;
    let seen = if provenance.replayed {
        provenance.position
    } else {
        let variants = variants.unwrap_or_default();
        settle(app, provenance.position, terms.deadline, variants).await?
    };
    let written = reply.and_then(|Lookup(page)| page);
    let variants = variants.map(|all| all.iter().map(VariantJson::new).collect());
    let json = ProductJson::new(written.as_ref().unwrap_or(page), variants, Some(provenance.seq));
    let kept = Kept::under_key(terms.is_keyed(), provenance);
    let reply = Reply::resource(status, &json, provenance)?.kept(kept);
    Ok(if seen == provenance.position { reply } else { reply.and_position(seen) })
}

/// Waits until this node's book has the variants as they were sent, or another change has overtaken
/// them; gives the position of that book.
pub(in crate::http) async fn settle(
    app: &App,
    written: Position,
    deadline: Timestamp,
    variants: &[Listing],
) -> Result<Position, ApiError> {
    let until = deadline.min(now().plus(SETTLING_MAX));
    let mut catalogue = app.fabric.catalogue_at(written, deadline).await?;
    loop {
        let Some(seen) = catalogue else { return Ok(written) };
        let book: &actors::PriceBook = seen.content().ok_or_else(books::unavailable)?;
        let differs = |listing: &&Listing| book.any_listing(listing.sku()) != Some(*listing);
        let index = seen.index.max(written.index);
        let Some(late) = variants.iter().find(differs) else {
            return Ok(Position { shard: ShardId::CATALOGUE, index, ..written });
        };
        if now() >= until {
            return match book.any_listing(late.sku()).and_then(Listing::page) {
                Some(other) if Some(other) != late.page() => Err(taken(late.sku(), other)),
                Some(_) | None => Ok(written),
            };
        }
        tokio::time::sleep(SETTLING_PAUSE).await;
        catalogue = app.fabric.catalogue();
    }
}

fn taken(sku: &SkuCode, by: &Slug) -> ApiError {
    refusals::of_page(Rejection::OnAnotherPage { sku: sku.clone(), page: by.clone() })
}

fn refused(error: CommandError<Rejection>, terms: &Terms, slug: &Slug) -> ApiError {
    let resource = || format!("{PATH}/{slug}");
    ApiError::from_command::<ProductPage>(error, terms.is_keyed(), resource, refusals::of_page)
}

pub(in crate::http) fn not_found() -> ApiError {
    ApiError::new(Code::PRODUCT_NOT_FOUND, "there is no product under this slug")
}

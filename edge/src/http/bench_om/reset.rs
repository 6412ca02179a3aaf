//! Beginning another run: stocks and versions are as they were at first, carts are empty, and orders
//! are at their end, so that boards are empty too. Prices stay.
//!
//! **Invariants:** the next run begins after all else was done: a reset that failed in the middle is
//! asked for again. What happened stays in the log: nothing here erases history.

use actors::domain::page::Page;
use actors::{Listing, PriceBook, Units};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::Precondition;

use super::ids::ProductKey;
use super::products::{attribute, listing, put, versioned};
use super::{runs, shipments, stocks};
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::routes::books;

const ON_HAND: u32 = 10_000;
const VERSION: &str = "0";
const AT_ONCE: usize = 64;

/// `PATCH /reset`
pub(super) async fn reset(State(app): State<App>) -> Result<StatusCode, ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    let book = books::of_all_before(&app, deadline).await?;
    let book = book.content()?;
    shipments::deliver_all(&app, book).await?;
    let products = products(book);
    for some in products.chunks(AT_ONCE) {
        let renew = |product| {
            let app = app.clone();
            async move { renew(&app, product).await }
        };
        for renewed in all_at_once(some.to_vec(), renew).await? {
            renewed?;
        }
    }
    runs::begin_next(&app, now().plus(app.settings.request_timeout)).await?;
    Ok(StatusCode::OK)
}

/// `PATCH /cleanup`: there is nothing beside the log, and that is kept.
pub(super) async fn clean_up() -> StatusCode {
    StatusCode::OK
}

fn products(book: &PriceBook) -> Vec<(Page, Listing)> {
    let pages = book.all_pages(None).filter(|page| ProductKey::of(page.slug.as_str()).is_some());
    let found = pages.filter_map(|page| Some((page.clone(), book.variants(page).next()?.clone())));
    found.collect()
}

async fn renew(app: &App, (page, current): (Page, Listing)) -> Result<(), ApiError> {
    // A reset may be longer than a request; each of its steps is not.
    let deadline = now().plus(app.settings.request_timeout);
    let on_hand = Units::try_from(ON_HAND).map_err(|_| ApiError::internal())?;
    stocks::set(app, current.sku().clone(), on_hand, deadline).await?;
    if attribute(&page, "version") == Some(VERSION) {
        return Ok(());
    }
    let key = ProductKey::of(page.slug.as_str()).ok_or_else(ApiError::internal)?;
    let price = current.price_in(app.default_currency()).ok_or_else(ApiError::internal)?;
    let listing = listing(app, key, (page.title.as_str(), VERSION), price.minor)?;
    put(app, versioned(page, VERSION)?, vec![listing], Precondition::None, deadline).await
}

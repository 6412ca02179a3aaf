//! Beginning another run: stocks, versions and open carts are as they were at first.
//!
//! What happened stays in the log, and orders stay: nothing here erases history.

use std::sync::Arc;

use actors::domain::page::Page;
use actors::{Listing, PriceBook, Units};
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::Precondition;

use super::carts;
use super::ids::ProductKey;
use super::products::{attribute, put, versioned};
use super::sessions::Sessions;
use super::stocks;
use crate::http::app::{App, now};
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::routes::books;

const ON_HAND: u32 = 10_000;
const VERSION: &str = "0";
const AT_ONCE: usize = 64;

/// `PATCH /reset`
pub(super) async fn reset(
    State(app): State<App>,
    Extension(sessions): Extension<Arc<Sessions>>,
) -> Result<StatusCode, ApiError> {
    let deadline = now().plus(app.settings.request_timeout);
    let products = products(books::at_least(&app, &[], deadline).await?.content()?);
    for some in products.chunks(AT_ONCE) {
        let renew = |product| {
            let app = app.clone();
            async move { renew(&app, product).await }
        };
        for renewed in all_at_once(some.to_vec(), renew).await? {
            renewed?;
        }
    }
    for customer in sessions.customers() {
        carts::empty(&app, &sessions, customer).await?;
    }
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

async fn renew(app: &App, (page, listing): (Page, Listing)) -> Result<(), ApiError> {
    // A reset may be longer than a request; each of its steps is not.
    let deadline = now().plus(app.settings.request_timeout);
    let on_hand = Units::try_from(ON_HAND).map_err(|_| ApiError::internal())?;
    stocks::set(app, listing.sku().clone(), on_hand, deadline).await?;
    if attribute(&page, "version") == Some(VERSION) {
        return Ok(());
    }
    put(app, versioned(page, VERSION)?, listing, Precondition::None, deadline).await
}

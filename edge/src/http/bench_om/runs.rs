//! Runs of the benchmark, one after the other: a reset begins the next.
//!
//! The number of the run is kept on a page that nobody is shown, so that every node has it at hand.
//!
//! **Invariants:** carts and orders are named with their run, so that a tid means another order in
//! another run, and what was in carts is not found there. A node that has not heard of a reset yet
//! fills carts of the run before; checkouts ask first.

use actors::domain::names::Slug;
use actors::domain::page::{Content, Lookup, Page, Query, Status, Visibility};
use actors::domain::translations::Translations;
use actors::{PriceBook, ProductPage};
use cluster::fabric::{Precondition, Viewed};
use cluster::time::Timestamp;

use super::body::label;
use super::products::{attribute, kept, put};
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::routes::books;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Run(u64);

/// A customer in one run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shopper {
    pub(super) customer: u32,
    pub(super) run: Run,
}

impl Run {
    pub(super) const FIRST: Self = Self(0);
    /// No product's: those have two numbers.
    const PAGE: &str = "om-run";
    const NUMBER: &str = "run";

    pub(super) fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    pub(super) fn of(book: &PriceBook) -> Result<Self, ApiError> {
        Ok(book.any_page(&Self::slug()?).map_or(Self::FIRST, Self::on))
    }

    fn on(page: &Page) -> Self {
        let number = attribute(page, Self::NUMBER).and_then(|number| number.parse().ok());
        number.map_or(Self::FIRST, Self)
    }

    fn slug() -> Result<Slug, ApiError> {
        Self::PAGE.parse().map_err(|_| ApiError::internal())
    }

    fn page(self) -> Result<Page, ApiError> {
        let content = Content {
            slug: Self::slug()?,
            title: label("run", Self::NUMBER)?,
            description: None,
            attributes: vec![kept(Self::NUMBER, &self.0.to_string())?],
            media: Vec::new(),
            categories: Vec::new(),
            seller: None,
            status: Status::Draft,
            visibility: Visibility::Hidden,
            translations: Translations::default(),
            variants: Vec::new(),
        };
        Page::new(content).map_err(|_| ApiError::internal())
    }
}

impl Shopper {
    /// In the run that this node knows of.
    pub(super) async fn now(
        app: &App,
        customer: u32,
        deadline: Timestamp,
    ) -> Result<Self, ApiError> {
        let book = books::at_least(app, &[], deadline).await?;
        Ok(Self { customer, run: Run::of(book.content()?)? })
    }
}

/// Of two at once, one is refused.
pub(super) async fn begin_next(app: &App, deadline: Timestamp) -> Result<(), ApiError> {
    let key = Run::slug()?.key();
    let query = app.fabric.query::<ProductPage>(key, &[], deadline, Query::Page);
    let Viewed { view: Lookup(page), provenance } = query.await?;
    let Run(last) = page.as_ref().map_or(Run::FIRST, Run::on);
    let next = Run(last.saturating_add(1)).page()?;
    put(app, next, Vec::new(), Precondition::Seq(provenance.seq), deadline).await
}

//! Making the shop's catalogue, which all nodes share, what a price book says.
//!
//! **Invariants:** only what differs is written, so publishing the same book again, from any node,
//! changes nothing; what was published is in this node's own catalogue when it is reported done.
//!
//! A large difference becomes visible piece by piece. Of two nodes that publish different books at
//! the same time, the shop has a mixture until one of them publishes again.

use std::sync::Arc;

use actors::domain::catalogue::publishing::{Step, rounds};
use actors::domain::entry::{self, Content};
use actors::domain::{page, product, shop};
use actors::{Entry, PriceBook, Product, ProductPage, Shop};
use cluster::entity::Catalogue;
use cluster::fabric::{CommandError, Envelope, Fabric, QueryError, Unavailable};
use cluster::ids::{EntityKey, Position};
use cluster::time::{Span, Timestamp};
use storage::clock;
use tokio::task::JoinSet;

/// What one step may take.
const STEP_MAX: Span = Span::from_secs(30);
const STEPS_AT_ONCE: usize = 64;
/// Steps between two words about how far it is.
const STEPS_PER_REPORT: usize = 5_000;

/// Why a book was not published, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("the catalogue cannot be read")]
    Read(#[source] QueryError),
    #[error("the catalogue does not come to this node")]
    Follow(#[source] Unavailable),
    #[error("this node follows no catalogue")]
    NotFollowed,
    #[error("{what} cannot be published: {why}")]
    Write { what: String, why: String },
    #[error("publishing was cut short")]
    CutShort,
}

/// Publishes a book; returns how many steps that took.
pub async fn publish(fabric: &Fabric, book: &PriceBook) -> Result<usize, PublishError> {
    let read = fabric.query::<Shop>(Shop::key(), &[], deadline(), shop::Query::Terms).await;
    let latest = read.map_err(PublishError::Read)?.provenance.position;
    let catalogue = at(fabric, latest).await?;
    let from: &PriceBook = catalogue.content().ok_or(PublishError::NotFollowed)?;
    let rounds = rounds(from, book);
    let n_steps = rounds.iter().map(Vec::len).sum();
    for round in rounds {
        // What the next round rests on is looked up in the catalogue.
        if let Some(last) = take(fabric, round).await? {
            at(fabric, last).await?;
        }
    }
    Ok(n_steps)
}

async fn at(fabric: &Fabric, position: Position) -> Result<Catalogue, PublishError> {
    let followed = fabric.catalogue_at(position, deadline()).await;
    followed.map_err(PublishError::Follow)?.ok_or(PublishError::NotFollowed)
}

/// Takes steps, many at once; returns the latest position.
async fn take(fabric: &Fabric, steps: Vec<Step>) -> Result<Option<Position>, PublishError> {
    let n_steps = steps.len();
    let mut under_way = JoinSet::new();
    let mut last: Option<Position> = None;
    let mut done = 0;
    let mut steps = steps.into_iter();
    loop {
        while under_way.len() < STEPS_AT_ONCE
            && let Some(step) = steps.next()
        {
            under_way.spawn(take_one(fabric.clone(), step));
        }
        let Some(taken) = under_way.join_next().await else { return Ok(last) };
        let position = taken.map_err(|_| PublishError::CutShort)??;
        if last.is_none_or(|last| last.index < position.index) {
            last = Some(position);
        }
        done += 1;
        if done % STEPS_PER_REPORT == 0 {
            tracing::info!(done, of = n_steps, "the catalogue is being published");
        }
    }
}

async fn take_one(fabric: Fabric, step: Step) -> Result<Position, PublishError> {
    let deadline = deadline();
    let envelope = Envelope::until(deadline);
    match step {
        Step::SetDefaultCurrency(currency) => {
            let set = shop::Command::SetDefaultCurrency { currency };
            let done = fabric.execute::<Shop>(Shop::key(), envelope, set).await;
            Ok(done.map_err(|error| failed("the default currency", &error))?.provenance.position)
        }
        Step::List(listing) => {
            let sku = listing.sku().clone();
            let listing = Arc::unwrap_or_clone(listing);
            let list = product::Command::List { listing };
            let done = fabric.execute::<Product>(sku.key(), envelope, list).await;
            Ok(done.map_err(|error| failed(&format!("sku {sku}"), &error))?.provenance.position)
        }
        Step::Withdraw(sku) => {
            let withdraw = product::Command::Withdraw;
            let done = fabric.execute::<Product>(sku.key(), envelope, withdraw).await;
            Ok(done.map_err(|error| failed(&format!("sku {sku}"), &error))?.provenance.position)
        }
        Step::PutCategory(category) => put(&fabric, envelope, category.as_ref()).await,
        Step::PutSeller(seller) => put(&fabric, envelope, seller.as_ref()).await,
        Step::PutTaxRate(rate) => put(&fabric, envelope, &rate).await,
        Step::PutPriceList(list) => put(&fabric, envelope, list.as_ref()).await,
        Step::PutShippingOption(option) => put(&fabric, envelope, option.as_ref()).await,
        Step::PutPage { page, variants } => {
            let slug = page.slug.clone();
            let put = page::Command::Put { page: Box::new(Arc::unwrap_or_clone(page)), variants };
            let done = fabric.execute::<ProductPage>(slug.key(), envelope, put).await;
            Ok(done.map_err(|error| failed(&format!("page {slug}"), &error))?.provenance.position)
        }
    }
}

async fn put<T: Content + Sync>(
    fabric: &Fabric,
    envelope: Envelope,
    content: &T,
) -> Result<Position, PublishError> {
    let (key, command) = (content.key(), entry::Command::Put { content: content.clone() });
    let what = match &key {
        EntityKey::Name(name) => format!("{} {name}", T::NAME),
        EntityKey::Number(_) => T::NAME.to_owned(),
    };
    let done = fabric.execute::<Entry<T>>(key, envelope, command).await;
    Ok(done.map_err(|error| failed(&what, &error))?.provenance.position)
}

fn failed<R: std::fmt::Display>(what: &str, error: &CommandError<R>) -> PublishError {
    let why = if let CommandError::Rejected { rejection, .. } = error {
        rejection.to_string()
    } else {
        error.to_string()
    };
    PublishError::Write { what: what.to_owned(), why }
}

fn deadline() -> Timestamp {
    Timestamp::from_micros(clock::wall_micros()).plus(STEP_MAX)
}

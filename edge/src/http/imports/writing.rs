//! Writing the products of a step.

use std::sync::Arc;
use std::time::Duration;

use actors::domain::import::Step;
use actors::domain::page::{Command, Page, Rejection};
use actors::domain::shop;
use actors::{Listing, PriceBook, ProductPage, Shop};
use cluster::entity::Catalogue;
use cluster::fabric::{CommandError, Envelope, Executed, Fabric, Precondition};
use cluster::ids::Position;
use cluster::runtime::ports::InDoubt;
use cluster::time::{Span, Timestamp};
use tokio::task::JoinSet;

use super::row::Row;
use super::step::is_under_way;
use crate::http::app::now;
use crate::http::error::ApiError;
use crate::http::refusals;

/// Commands under way at once.
const WAVE: usize = 256;
/// How long the shard may take to decide one.
pub(super) const ROW_MAX: Span = Span::from_secs(5);
/// Of a step, in all; its port gives it a little more.
const STEP_MAX: Span = Span::from_secs(40);
/// How long the copies of the catalogue on the nodes may differ.
const SETTLING_MAX: Span = Span::from_secs(3);
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_WHEN_BUSY: Duration = Duration::from_millis(200);
/// Of the node's queues; shoppers come first.
const PRESSURE_PERCENT_MAX: usize = 50;

/// What became of a row.
pub(super) enum Fate {
    Written,
    Unchanged,
    Refused(ApiError),
}

/// A catalogue of this node's that is new enough.
pub(super) struct Book(Catalogue);

impl Book {
    pub(super) fn content(&self) -> Option<&PriceBook> {
        self.0.content()
    }
}

/// This node's book, with all that the group had accepted by now.
pub(super) async fn book_of_all_before(fabric: &Fabric) -> Result<Book, InDoubt> {
    let deadline = now().plus(ROW_MAX);
    let read = fabric.query::<Shop>(Shop::key(), &[], deadline, shop::Query::Terms).await;
    let read = read.map_err(|error| InDoubt(format!("the catalogue cannot be read: {error}")))?;
    book_at(fabric, read.provenance.position).await
}

async fn book_at(fabric: &Fabric, position: Position) -> Result<Book, InDoubt> {
    let there = fabric.catalogue_at(position, now().plus(ROW_MAX)).await;
    let there = there.map_err(|error| InDoubt(format!("the catalogue does not come: {error}")))?;
    there.map(Book).ok_or_else(|| InDoubt("this node has no catalogue".to_owned()))
}

/// A product on its way.
struct Draft {
    page: Page,
    variants: Vec<Listing>,
    /// Whether the book has one of the variants on another product.
    collides: bool,
}

/// Writes what differs from the book; `None` if the step was overtaken.
pub(super) async fn write_all(
    fabric: &Fabric,
    step: &Step,
    book: Option<&PriceBook>,
    rows: Vec<Row>,
) -> Result<Option<Vec<(Row, Fate)>>, InDoubt> {
    let book = book.ok_or_else(|| InDoubt("the catalogue cannot be read".to_owned()))?;
    let until = now().plus(STEP_MAX);
    let (mut fates, mut drafts) = (Vec::with_capacity(rows.len()), Vec::new());
    for (nth, mut row) in rows.into_iter().enumerate() {
        let fate = match std::mem::replace(&mut row.product, Err(ApiError::internal())) {
            Err(error) => Fate::Refused(error),
            Ok((page, variants)) if is_so(book, &page, &variants) => Fate::Unchanged,
            Ok((page, variants)) => {
                let collides = page.variants.iter().any(|sku| {
                    let listing = book.any_listing(sku);
                    listing.and_then(Listing::page).is_some_and(|other| *other != page.slug)
                });
                drafts.push((nth, Arc::new(Draft { page, variants, collides })));
                Fate::Written
            }
        };
        fates.push((row, fate));
    }
    let mut newest: Option<Position> = None;
    for wave in drafts.chunks(WAVE) {
        wait_for_room(fabric, until).await?;
        if !is_under_way(fabric, step).await? {
            return Ok(None);
        }
        for (nth, outcome) in write_wave(fabric, wave, until).await? {
            match outcome {
                Ok(position) if newest.is_none_or(|it| it.index < position.index) => {
                    newest = Some(position);
                }
                Ok(_) => {}
                Err(error) => refuse(&mut fates, nth, error),
            }
        }
    }
    drafts.retain(|(nth, _)| matches!(fates.get(*nth), Some((_, Fate::Written))));
    if let Some(newest) = newest {
        for (nth, error) in taken_meanwhile(fabric, newest, &drafts).await? {
            refuse(&mut fates, nth, error);
        }
    }
    Ok(Some(fates))
}

fn refuse(fates: &mut [(Row, Fate)], nth: usize, error: ApiError) {
    if let Some((_, fate)) = fates.get_mut(nth) {
        *fate = Fate::Refused(error);
    }
}

/// Whether the book says what a product is to be.
fn is_so(book: &PriceBook, page: &Page, variants: &[Listing]) -> bool {
    book.any_page(&page.slug) == Some(page)
        && variants.iter().all(|listing| book.any_listing(listing.sku()) == Some(listing))
}

/// What shoppers and merchants want comes first.
async fn wait_for_room(fabric: &Fabric, until: Timestamp) -> Result<(), InDoubt> {
    while fabric.pressure_percent() > PRESSURE_PERCENT_MAX {
        give_up_after(until, "there is too much else to do")?;
        tokio::time::sleep(PAUSE_WHEN_BUSY).await;
    }
    Ok(())
}

fn give_up_after(until: Timestamp, why: &str) -> Result<(), InDoubt> {
    if now() >= until { Err(InDoubt(why.to_owned())) } else { Ok(()) }
}

type Outcome = Result<Position, ApiError>;

async fn write_wave(
    fabric: &Fabric,
    wave: &[(usize, Arc<Draft>)],
    until: Timestamp,
) -> Result<Vec<(usize, Outcome)>, InDoubt> {
    let mut under_way = JoinSet::new();
    for (nth, draft) in wave {
        let (fabric, nth, draft) = (fabric.clone(), *nth, Arc::clone(draft));
        under_way.spawn(async move { Ok((nth, write(&fabric, &draft, until).await?)) });
    }
    let mut outcomes = Vec::with_capacity(wave.len());
    while let Some(done) = under_way.join_next().await {
        outcomes.push(done.map_err(|_| InDoubt("a row was cut short".to_owned()))??);
    }
    Ok(outcomes)
}

/// Until it is written or refused by a rule.
async fn write(fabric: &Fabric, draft: &Draft, until: Timestamp) -> Result<Outcome, InDoubt> {
    let Draft { page, variants, collides } = draft;
    let settled = now().plus(SETTLING_MAX);
    loop {
        let deadline = now().plus(ROW_MAX);
        let envelope = Envelope { deadline, key: None, precondition: Precondition::None };
        let (key, page) = (page.slug.key(), Box::new(page.clone()));
        let command = Command::Put { page, variants: variants.clone() };
        let error = match fabric.execute::<ProductPage>(key, envelope, command).await {
            Ok(Executed { provenance, .. }) => return Ok(Ok(provenance.position)),
            Err(error) => error,
        };
        let pause = match &error {
            CommandError::Unavailable(_) => PAUSE_WHEN_BUSY,
            CommandError::Rejected { rejection: Rejection::CatalogueUnavailable, .. } => {
                PAUSE_WHEN_BUSY
            }
            // Whoever decides may not have seen yet that the other product let it go.
            CommandError::Rejected { rejection: Rejection::OnAnotherPage { .. }, .. }
                if !collides && now() < settled =>
            {
                PAUSE
            }
            CommandError::Rejected { .. }
            | CommandError::PreconditionFailed { .. }
            | CommandError::KeyConflict
            | CommandError::ReplyExpired
            | CommandError::TooManyKeys
            | CommandError::RecordFull
            | CommandError::Panicked => {
                let resource = String::new;
                let refused = refusals::of_page;
                let error = ApiError::from_command::<ProductPage>(error, false, resource, refused);
                return Ok(Err(error));
            }
        };
        give_up_after(until, "the catalogue takes no changes")?;
        tokio::time::sleep(pause).await;
    }
}

/// Waits until this node's book has what was written, and finds the products that lost a SKU to
/// another, which someone else wrote at the same time.
async fn taken_meanwhile(
    fabric: &Fabric,
    newest: Position,
    drafts: &[(usize, Arc<Draft>)],
) -> Result<Vec<(usize, ApiError)>, InDoubt> {
    let until = now().plus(SETTLING_MAX);
    let mut book = book_at(fabric, newest).await?;
    loop {
        let content = book.content().ok_or_else(|| InDoubt("no catalogue".to_owned()))?;
        let late: Vec<_> = drafts
            .iter()
            .filter(|(_, draft)| !is_so(content, &draft.page, &draft.variants))
            .collect();
        if late.is_empty() {
            return Ok(Vec::new());
        }
        if now() >= until {
            let lost =
                |(nth, draft): &(usize, Arc<Draft>)| lost(content, draft).map(|it| (*nth, it));
            return Ok(late.into_iter().filter_map(lost).collect());
        }
        tokio::time::sleep(PAUSE).await;
        book = fabric.catalogue().map(Book).ok_or_else(|| InDoubt("no catalogue".to_owned()))?;
    }
}

fn lost(book: &PriceBook, draft: &Draft) -> Option<ApiError> {
    draft.page.variants.iter().find_map(|sku| {
        let page = book.any_listing(sku)?.page().filter(|page| **page != draft.page.slug)?;
        let taken = Rejection::OnAnotherPage { sku: sku.clone(), page: page.clone() };
        Some(refusals::of_page(taken))
    })
}

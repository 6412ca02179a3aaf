//! Writing the products of a step.

use std::sync::Arc;

use actors::domain::import::Step;
use actors::domain::page::{Page, Rejection};
use actors::domain::shop;
use actors::{Listing, PriceBook, Shop};
use cluster::entity::Catalogue;
use cluster::fabric::Fabric;
use cluster::ids::Position;
use cluster::runtime::ports::InDoubt;
use cluster::time::{Span, Timestamp};

use super::row::Row;
use super::turn::{Draft, Outcome, PAUSE, PAUSE_WHEN_BUSY, ROW_MAX, Turn};
use crate::http::app::now;
use crate::http::error::ApiError;
use crate::http::refusals;

/// Commands under way at once.
const WAVE: usize = 256;
/// Of a step, in all; its port gives it a little more.
const STEP_MAX: Span = Span::from_secs(40);
/// How long the copies of the catalogue on the nodes may differ.
const SETTLING_MAX: Span = Span::from_secs(3);
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
        let Some(outcomes) = write_wave(fabric, step, wave, until).await? else { return Ok(None) };
        for (nth, outcome) in outcomes {
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

/// Until each is written or refused by a rule; `None` if the step was overtaken.
async fn write_wave(
    fabric: &Fabric,
    step: &Step,
    wave: &[(usize, Arc<Draft>)],
    until: Timestamp,
) -> Result<Option<Vec<(usize, Result<Position, ApiError>)>>, InDoubt> {
    let settled = now().plus(SETTLING_MAX);
    let (mut outcomes, mut left) = (Vec::with_capacity(wave.len()), wave.to_vec());
    while !left.is_empty() {
        wait_for_room(fabric, until).await?;
        let Some(turn) = Turn::begin(fabric, step, left).await? else { return Ok(None) };
        left = Vec::new();
        for (nth, draft, outcome) in turn.write(fabric, settled).await? {
            match outcome {
                Outcome::Written(position) => outcomes.push((nth, Ok(position))),
                Outcome::Refused(error) => outcomes.push((nth, Err(error))),
                Outcome::Again => left.push((nth, draft)),
            }
        }
        if !left.is_empty() {
            give_up_after(until, "the catalogue takes no changes")?;
        }
    }
    Ok(Some(outcomes))
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

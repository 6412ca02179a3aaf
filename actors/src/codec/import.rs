//! The bytes of imports, of their parts and books, and of what is asked of whoever applies them.

use std::collections::BTreeSet;

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_second, latest, latest_of_two};
use crate::domain::import::{
    BookCommand, BookEvent, BookPlace, BookQuery, BookRejection, BookView, Command, Counts, Cursor,
    Discarded, Event, Import, ImportBook, ImportPart, Lookup, Packed, PartCommand, PartEvent,
    PartLookup, PartQuery, PartRejection, Query, Rejection, State, Step, StepAnswer, Terms, Work,
};

const RECORD: &str = "an import's record";
const BOOK: &str = "a record of a book of imports";

wire! {
    Command: "an import's command",
    Event: "an import's event",
    Rejection: "an import's rejection",
    Query: "an import's query",
    Lookup: "an import's view",
    Step: "a step of an import",
    StepAnswer: "the answer to a step of an import",
    PartCommand: "an import part's command",
    PartEvent: "an import part's event",
    PartRejection: "an import part's rejection",
    PartQuery: "an import part's query",
    PartLookup: "an import part's view",
    BookCommand: "a command to a book of imports",
    BookEvent: "an event of a book of imports",
    BookRejection: "a rejection of a book of imports",
    BookQuery: "a query of a book of imports",
    BookView: "a view of a book of imports",
}

#[derive(Serialize, Deserialize)]
struct ImportRecordV2 {
    work: Option<WorkV2>,
}

#[derive(Serialize, Deserialize)]
struct WorkV2 {
    first: WorkV1,
    n_head: u32,
}

#[derive(Deserialize)]
struct ImportRecordV1 {
    work: Option<WorkV1>,
}

impl From<ImportRecordV1> for ImportRecordV2 {
    fn from(first: ImportRecordV1) -> Self {
        Self { work: first.work.map(WorkV2::from) }
    }
}

impl From<WorkV1> for WorkV2 {
    /// Which parts the head lies in was not counted: as long as any may be left, it may be all.
    fn from(first: WorkV1) -> Self {
        let is_gone =
            matches!(first.state, State::Ended { .. }) && first.n_parts_discarded == first.n_parts;
        let n_head = if is_gone { 0 } else { first.n_parts };
        Self { first, n_head }
    }
}

#[derive(Serialize, Deserialize)]
struct WorkV1 {
    terms: Terms,
    state: State,
    received: u64,
    n_parts: u32,
    done: Cursor,
    counts: Counts,
    n_reports: u32,
    n_parts_discarded: u32,
    n_reports_discarded: u32,
    opened_at: Timestamp,
    updated_at: Timestamp,
}

pub(crate) fn to_record(import: &Import) -> Vec<u8> {
    let first = |work: &Work| WorkV1 {
        terms: work.terms.clone(),
        state: work.state.clone(),
        received: work.received,
        n_parts: work.n_parts,
        done: work.done,
        counts: work.counts,
        n_reports: work.n_reports,
        n_parts_discarded: work.discarded.n_parts,
        n_reports_discarded: work.discarded.n_reports,
        opened_at: work.opened_at,
        updated_at: work.updated_at,
    };
    let work = import.work.as_ref();
    let work = work.map(|work| WorkV2 { first: first(work), n_head: work.n_head });
    encode_second(&ImportRecordV2 { work })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Import, DecodeError> {
    let ImportRecordV2 { work } = latest_of_two::<ImportRecordV1, _>(RECORD, bytes)?;
    let work = work.map(work_from);
    if let Some(work) = &work {
        work.check().map_err(|why| damaged(RECORD, why))?;
    }
    Ok(Import { work })
}

fn work_from(WorkV2 { first: record, n_head }: WorkV2) -> Work {
    let (n_parts, n_reports) = (record.n_parts_discarded, record.n_reports_discarded);
    Work {
        terms: record.terms,
        state: record.state,
        received: record.received,
        n_parts: record.n_parts,
        n_head,
        done: record.done,
        counts: record.counts,
        n_reports: record.n_reports,
        discarded: Discarded { n_parts, n_reports },
        opened_at: record.opened_at,
        updated_at: record.updated_at,
    }
}

pub(crate) fn part_to_record(part: &ImportPart) -> Vec<u8> {
    encode(&part.content)
}

pub(crate) fn part_from_record(bytes: &[u8]) -> Result<ImportPart, DecodeError> {
    latest::<Option<Packed>>("an import part's record", bytes).map(|content| ImportPart { content })
}

/// Oldest first.
#[derive(Serialize, Deserialize)]
struct BookRecordV1 {
    places: Vec<BookPlace>,
}

pub(crate) fn book_to_record(book: &ImportBook) -> Vec<u8> {
    encode(&BookRecordV1 { places: book.places.iter().copied().collect() })
}

pub(crate) fn book_from_record(bytes: &[u8]) -> Result<ImportBook, DecodeError> {
    let BookRecordV1 { places } = latest(BOOK, bytes)?;
    if places.len() > ImportBook::ENTRIES_MAX {
        return Err(damaged(BOOK, "a book has too many imports"));
    }
    if !places.is_sorted_by(|left, right| left < right) {
        return Err(damaged(BOOK, "its imports are not in order"));
    }
    Ok(ImportBook { places: BTreeSet::from_iter(places) })
}

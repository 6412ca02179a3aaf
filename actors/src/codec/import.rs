//! The bytes of imports, of their parts, and of what is asked of whoever applies them.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::import::{
    Command, Counts, Cursor, Discarded, Event, Import, ImportPart, Lookup, Packed, PartCommand,
    PartEvent, PartLookup, PartQuery, PartRejection, Query, Rejection, State, Step, StepAnswer,
    Terms, Work,
};

const RECORD: &str = "an import's record";

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
}

#[derive(Serialize, Deserialize)]
struct ImportRecordV1 {
    work: Option<WorkV1>,
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
    let work = import.work.as_ref().map(|work| WorkV1 {
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
    });
    encode(&ImportRecordV1 { work })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Import, DecodeError> {
    let ImportRecordV1 { work } = latest(RECORD, bytes)?;
    let work = work.map(work_from);
    if let Some(work) = &work {
        work.check().map_err(|why| damaged(RECORD, why))?;
    }
    Ok(Import { work })
}

fn work_from(record: WorkV1) -> Work {
    let (n_parts, n_reports) = (record.n_parts_discarded, record.n_reports_discarded);
    Work {
        terms: record.terms,
        state: record.state,
        received: record.received,
        n_parts: record.n_parts,
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

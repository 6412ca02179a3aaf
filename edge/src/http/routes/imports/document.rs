//! An import in JSON.

use actors::domain::import::{Counts, Cursor, End, Format, State, View};
use actors::{Currency, ImportId};

use crate::http::fields::{Document, Faults, Flaw, Members, flaw, parsed, text};
use crate::http::json::Json;
use crate::http::render::Text;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    Described, Schema, count, maybe, object, optional, required, word, words,
};

/// `{format, currency?}`
pub(in crate::http) struct CreateImport {
    pub(super) format: Format,
    pub(super) currency: Option<Currency>,
}

impl Document for CreateImport {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let format = members.required("format", faults, format);
        let currency = members.optional("currency", faults, parsed);
        Some(Self { format: format?, currency: currency? })
    }
}

impl Described for CreateImport {
    fn name() -> String {
        "NewImport".to_owned()
    }

    fn schema() -> Schema {
        object([required("format", format_schema()), optional("currency", words::currency())])
    }
}

pub(in crate::http) fn format_schema() -> Schema {
    word(&["csv", "jsonl"])
}

pub(in crate::http) fn format(json: Json<'_>) -> Result<Format, Flaw> {
    match &*text(json)? {
        "csv" => Ok(Format::Csv),
        "jsonl" => Ok(Format::JsonLines),
        _ => Err(flaw("invalid", "must be csv or jsonl")),
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct ImportJson {
    id: Text<ImportId>,
    status: &'static str,
    format: &'static str,
    currency: Text<Currency>,
    /// How many bytes are there, and how many of them are applied.
    received_bytes: u64,
    applied_bytes: u64,
    /// Rows that are applied, counting every line.
    rows: u64,
    /// What became of products.
    written: u64,
    unchanged: u64,
    refused: u64,
    /// Why the import failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    created_at: Text<Rfc3339>,
    updated_at: Text<Rfc3339>,
    seq: u64,
}

impl ImportJson {
    pub(super) fn new(id: ImportId, view: &View, seq: u64) -> Self {
        let Counts { written, unchanged, refused } = view.counts;
        let Cursor { bytes, rows, .. } = view.done;
        let (status, failure) = match &view.state {
            State::Receiving => ("receiving", None),
            State::Applying => ("applying", None),
            State::Ended { end: End::Done, .. } => ("done", None),
            State::Ended { end: End::Cancelled, .. } => ("cancelled", None),
            State::Ended { end: End::Abandoned, .. } => ("abandoned", None),
            State::Ended { end: End::Failed(failure), .. } => ("failed", Some(failure.to_string())),
        };
        Self {
            id: Text(id),
            status,
            format: match view.terms.format {
                Format::Csv => "csv",
                Format::JsonLines => "jsonl",
            },
            currency: Text(view.terms.currency),
            received_bytes: view.received,
            applied_bytes: bytes,
            rows,
            written,
            unchanged,
            refused,
            failure,
            created_at: Text(Rfc3339(view.opened_at)),
            updated_at: Text(Rfc3339(view.updated_at)),
            seq,
        }
    }
}

impl Described for ImportJson {
    fn name() -> String {
        "Import".to_owned()
    }

    fn schema() -> Schema {
        let states = &["receiving", "applying", "done", "cancelled", "abandoned", "failed"];
        object([
            required("id", words::import_id()),
            required("status", word(states)),
            required("format", format_schema()),
            required("currency", words::currency()),
            required("received_bytes", count(52_000)),
            required("applied_bytes", count(48_000)),
            required("rows", count(480)).about("Rows that are applied, counting every line."),
            required("written", count(120)),
            required("unchanged", count(30)),
            required("refused", count(2)),
            maybe("failure", words::text("the table has no column `slug`")),
            required("created_at", words::instant()),
            required("updated_at", words::instant()),
            required("seq", count(9)),
        ])
    }
}

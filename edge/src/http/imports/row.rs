//! One product of an import, and what is said of one that is refused.

use actors::Listing;
use actors::domain::page::Page;
use cluster::runtime::ports::InDoubt;
use serde::Serialize;

use crate::http::error::{ApiError, Fault};

/// What some rows say, together.
pub(super) struct Row {
    /// The first of them, counted from one as a spreadsheet does.
    pub(super) number: u64,
    pub(super) slug: Option<String>,
    pub(super) product: Result<(Page, Vec<Listing>), ApiError>,
}

/// What comes next in an import.
pub(super) enum Next {
    Row(Box<Row>),
    /// Some rows without anything in them.
    Blank,
    End,
}

/// Why there are no more rows.
pub(super) enum Stop {
    InDoubt(InDoubt),
    Unreadable(String),
}

impl From<InDoubt> for Stop {
    fn from(doubt: InDoubt) -> Self {
        Self::InDoubt(doubt)
    }
}

/// Where a line or a record ends.
pub(super) enum Skim {
    /// `len` counts its end too.
    Whole {
        content: usize,
        len: usize,
    },
    TooLong,
}

#[derive(Serialize)]
struct RefusedJson<'a> {
    row: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slug: Option<&'a str>,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [Fault],
}

/// A line of the report. What a row says may be long; what is said of it is not.
pub(super) fn report_line(number: u64, slug: Option<&str>, error: &ApiError) -> Vec<u8> {
    const ERRORS_MAX: usize = 10;
    const LINE_BYTES_MAX: usize = 4 * 1024;
    let slug = slug.map(|slug| head(slug, 64));
    let all = error.fields();
    let mut n_errors = all.len().min(ERRORS_MAX);
    loop {
        let json = RefusedJson {
            row: number,
            slug,
            code: error.code().name,
            detail: head(error.detail(), 512),
            errors: all.get(..n_errors).unwrap_or_default(),
        };
        // Serializing plain text and numbers cannot fail.
        let mut line = serde_json::to_vec(&json).unwrap_or_default();
        if line.len() < LINE_BYTES_MAX || n_errors == 0 {
            line.push(b'\n');
            return line;
        }
        n_errors /= 2;
    }
}

/// The first bytes of a text, whole characters of it.
pub(super) fn head(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max)).unwrap_or_default()
}

//! All imports, newest first: every book is asked which it has, and every import of a page how far it is.
//!
//! **Invariants:** from cursor to cursor each import that was there when the first page was asked for is
//! shown once, unless it went meanwhile: a cursor is a place among all imports, not a number of them.

use std::fmt;
use std::str::FromStr;

use actors::domain::import::{
    BookPlace, BookQuery, BookView, Lookup, Query as ImportQuery, View as ImportView,
};
use actors::{Import, ImportBook, ImportId};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::{QueryError, Viewed};
use cluster::time::Timestamp;

use super::document::ImportJson;
use crate::http::app::App;
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::query::Page;
use crate::http::render::inventory::ListJson;
use crate::http::reply::Reply;
use crate::http::schema::{Schema, words};

/// `GET /admin/v1/imports`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let Page { limit, after } = Page::<ImportCursor>::of(&uri)?;
    let before = after.map(|ImportCursor(place)| place);
    let mut places = newest(&app, &terms, before, limit.get().saturating_add(1)).await?;
    let has_more = places.len() > limit.get();
    places.truncate(limit.get());
    let next = places.last().filter(|_| has_more).map(|place| ImportCursor(*place));
    let data = shown(&app, &terms, places).await?;
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, next))
}

/// The newest of those that all books have.
async fn newest(
    app: &App,
    terms: &ReadTerms,
    before: Option<BookPlace>,
    n_max: usize,
) -> Result<Vec<BookPlace>, ApiError> {
    let query = BookQuery::Newest { before, n_max: u32::try_from(n_max).unwrap_or(u32::MAX) };
    let ask = |key| {
        let (fabric, query) = (app.fabric.clone(), query.clone());
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { fabric.query::<ImportBook>(key, &at_least, deadline, query).await }
    };
    let mut places = Vec::new();
    for viewed in all_at_once(ImportBook::keys(), ask).await? {
        let BookView(some) = viewed?.view;
        places.extend(some);
    }
    places.sort_unstable_by(|left, right| right.cmp(left));
    places.truncate(n_max);
    Ok(places)
}

/// As the imports are; without those that went since their books were asked.
async fn shown(
    app: &App,
    terms: &ReadTerms,
    places: Vec<BookPlace>,
) -> Result<Vec<ImportJson>, ApiError> {
    let ask = |BookPlace { import, .. }| {
        let (fabric, query) = (app.fabric.clone(), ImportQuery::Import);
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { fabric.query::<Import>(import.key(), &at_least, deadline, query).await }
    };
    let looked_up = all_at_once(places.iter().copied(), ask).await?;
    let json = |(place, viewed): (&BookPlace, Result<Viewed<Lookup>, QueryError>)| {
        let Viewed { view: Lookup(view), provenance } = viewed?;
        let json = |view: ImportView| ImportJson::new(place.import, &view, provenance.seq);
        Ok(view.map(json))
    };
    places.iter().zip(looked_up).filter_map(|one| json(one).transpose()).collect()
}

/// Where the list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ImportCursor(BookPlace);

#[derive(Debug)]
struct InvalidCursor;

const PREFIX: &str = "opened_";

pub(in crate::http) const fn cursor_schema() -> Schema {
    words::exact(
        "^opened_[0-9]{1,19}_imp_[0-7][0-9a-hjkmnp-tv-z]{25}$",
        "opened_1769903999000000_imp_01jzy5v3n8q2w4x6t7r9k0m1ab",
    )
}

impl fmt::Display for ImportCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BookPlace { opened_at, import } = self.0;
        write!(f, "{PREFIX}{}_{import}", opened_at.as_micros())
    }
}

impl FromStr for ImportCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (micros, import) = text
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .filter(|(micros, _)| micros.bytes().all(|digit| digit.is_ascii_digit()))
            .ok_or(InvalidCursor)?;
        let opened_at = micros.parse().map(Timestamp::from_micros).map_err(|_| InvalidCursor)?;
        let import: ImportId = import.parse().map_err(|_| InvalidCursor)?;
        Ok(Self(BookPlace { opened_at, import }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_has_a_text_form() {
        let import = ImportId::from_bytes([7; 16]);
        let cursor = ImportCursor(BookPlace { opened_at: Timestamp::from_micros(12), import });
        let text = cursor.to_string();
        assert_eq!(text, format!("opened_12_{import}"));
        assert_eq!(text.parse().ok(), Some(cursor));
        for bad in ["", "opened_", "opened_12", "opened_12_", "opened_+1_imp_0", "12_imp_0"] {
            assert!(bad.parse::<ImportCursor>().is_err(), "{bad}");
        }
        assert!(format!("opened_+12_{import}").parse::<ImportCursor>().is_err());
        assert!(format!("opened_{}_{import}", "9".repeat(21)).parse::<ImportCursor>().is_err());
    }
}

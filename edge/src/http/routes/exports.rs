//! Exports: every product of the shop, as an import takes it.
//!
//! **Invariants:** an export is of one book, so of one moment, however long it takes and whatever
//! changes meanwhile; it misses nothing that was accepted before it was asked for, on any node; it
//! is made while it is sent and never held whole. One that breaks off has no end: it is asked for
//! again.

mod rows;

use actors::PriceBook;
use actors::domain::import::Format;
use actors::domain::names::Slug;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;

use super::books::{self, Book};
use super::imports::{format, format_schema};
use crate::http::app::{App, now};
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator};
use crate::http::fields::{Document, Faults, Members};
use crate::http::positions;
use crate::http::schema::{Described, Schema, object, required};
use crate::http::streaming::{BrokenOff, Pieces, streamed};

/// What is sent in one piece, but for the last product of it.
const PIECE_BYTES: usize = 64 * 1024;

/// `{format}`
pub(in crate::http) struct Export {
    format: Format,
}

impl Document for Export {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let format = members.required("format", faults, format)?;
        Some(Self { format })
    }
}

impl Described for Export {
    fn name() -> String {
        "Export".to_owned()
    }

    fn schema() -> Schema {
        object([required("format", format_schema())])
    }
}

/// `POST /admin/v1/exports`
pub(in crate::http) async fn export(
    State(app): State<App>,
    _: Operator,
    headers: HeaderMap,
    body: JsonBody<Export>,
) -> Result<Response, ApiError> {
    // An export has all of them, if they are positions of this shop.
    positions::wanted(&headers, app.fabric.incarnation())?;
    let deadline = now().plus(app.settings.request_timeout);
    let book = books::of_all_before(&app, deadline).await?;
    book.content()?;
    let format = body.document.format;
    let (response, pieces) = streamed(match format {
        Format::Csv => "text/csv; charset=utf-8",
        Format::JsonLines => "application/x-ndjson",
    });
    tokio::spawn(async move { send_all(&book, format, &pieces).await });
    Ok(response)
}

/// A client that goes away ends it.
async fn send_all(book: &Book, format: Format, pieces: &Pieces) {
    if format == Format::Csv && pieces.send(Ok(rows::header().into())).await.is_err() {
        return;
    }
    let mut last = None;
    loop {
        // What borrows from the book does not outlive a piece.
        let made = match book.content() {
            Ok(content) => piece(content, format, last.as_ref()),
            Err(_) => Err(BrokenOff),
        };
        let sent = match made {
            Ok(Some((bytes, newest))) => {
                last = Some(newest);
                pieces.send(Ok(bytes)).await
            }
            Ok(None) => return,
            Err(broken_off) => {
                // Whether or not somebody still listens, this is the end.
                pieces.send(Err(broken_off)).await.ok();
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The products after one, as many as make a piece, and the last of them.
fn piece(
    book: &PriceBook,
    format: Format,
    after: Option<&Slug>,
) -> Result<Option<(Bytes, Slug)>, BrokenOff> {
    let mut bytes = Vec::with_capacity(PIECE_BYTES * 2);
    let mut newest = None;
    for page in book.all_pages(after) {
        let made = match format {
            Format::Csv => rows::table_rows(&mut bytes, book, page),
            Format::JsonLines => rows::line(&mut bytes, book, page),
        };
        made.map_err(|_| BrokenOff)?;
        newest = Some(&page.slug);
        if bytes.len() >= PIECE_BYTES {
            break;
        }
    }
    Ok(newest.map(|newest| (bytes.into(), newest.clone())))
}

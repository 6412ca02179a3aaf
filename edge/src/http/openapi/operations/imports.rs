//! Whole catalogues, in and out.

use actors::ImportId;
use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header, SHOWN};
use super::super::operation::{Key, Operation, Tag};
use super::catalogue::paged;
use crate::http::code::Code;
use crate::http::render::inventory::ListJson;
use crate::http::routes::documents::Nothing;
use crate::http::routes::exports::Export;
use crate::http::routes::imports::document::{CreateImport, ImportJson};
use crate::http::routes::imports::list::cursor_schema;
use crate::http::schema::words;
use crate::http::{Endpoint as E, Verb};

const LINES: &str = "application/x-ndjson";

pub(super) fn all() -> [Operation; 7] {
    [create(), list(), show(), upload(), errors(), cancel(), export()]
}

fn operation(endpoint: E, verb: Verb, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, verb, id, Tag::Imports, summary).operator()
}

fn create() -> Operation {
    let headers = [Header::ETag, Header::OmniSeq, Header::IdempotentReplayed, Header::Location];
    operation(E::Imports, Verb::Post, "createImport", "Opens an import of products")
        .changes(Key::Optional)
        .body::<CreateImport>()
        .answers::<ImportJson>(StatusCode::CREATED, &headers)
        .refuses(&[Code::IMPORT_EXISTS])
}

fn list() -> Operation {
    let list = operation(E::Imports, Verb::Get, "listImports", "Lists imports, newest first");
    let list = list.about(
        "Those that are under way, and those that ended within 30 days: 256 at least, and some thousands \
         where there are as many. None is listed that was opened before there was this list; such an \
         import is shown by its id.",
    );
    paged(list.reads(), cursor_schema()).answers::<ListJson<ImportJson>>(StatusCode::OK, &[])
}

fn show() -> Operation {
    operation(E::Import, Verb::Get, "showImport", "Tells how far an import came")
        .at::<ImportId>()
        .reads()
        .answers::<ImportJson>(StatusCode::OK, &SHOWN)
        .cached()
}

fn upload() -> Operation {
    let such_as = words::text("slug,title,sku,price\nmug,Mug,MUG-1,9.90\n");
    operation(E::ImportData, Verb::Put, "uploadImport", "Feeds an import, from any offset on")
        .about(
            "CSV or lines of JSON. Bytes that are there already are passed over, so it can be sent \
             again: Content-Range says where a piece belongs. It takes neither Idempotency-Key nor \
             If-Match.",
        )
        .at::<ImportId>()
        .header(Header::ContentRange)
        .streamed_body(&["application/octet-stream"], such_as)
        .answers::<ImportJson>(StatusCode::OK, &SHOWN)
        .over_shards()
        .refuses(&[
            Code::CONTENT_RANGE_INVALID,
            Code::IDEMPOTENCY_KEY_INVALID,
            Code::IF_MATCH_UNSUPPORTED,
            Code::IMPORT_EMPTY,
            Code::IMPORT_ENDED,
            Code::IMPORT_NOT_RECEIVING,
            Code::IMPORT_TOO_LARGE,
            Code::OFFSET_MISMATCH,
            Code::STORAGE_FULL,
        ])
}

fn errors() -> Operation {
    operation(E::ImportErrors, Verb::Get, "listImportErrors", "Tells what was refused, and why")
        .at::<ImportId>()
        .reads()
        .answers_with(StatusCode::OK, LINES, words::text(""), &[])
}

fn cancel() -> Operation {
    operation(E::ImportCancel, Verb::Post, "cancelImport", "Ends an import where it is")
        .about("Rows that are applied stay applied.")
        .at::<ImportId>()
        .changes(Key::Optional)
        .maybe_body::<Nothing>()
        .answers::<ImportJson>(StatusCode::OK, &CHANGED)
        .refuses(&[Code::IMPORT_ENDED])
}

fn export() -> Operation {
    let content = [LINES, "text/csv"].map(|media| (media, words::text("")));
    operation(E::Exports, Verb::Post, "exportProducts", "Sends every product, as of one moment")
        .header(Header::OmniMinSeq)
        .body::<Export>()
        .answers_either(StatusCode::OK, content.into())
        .over_shards()
        .refuses(&[
            Code::CATALOGUE_UNAVAILABLE,
            Code::CATALOGUE_STALE,
            Code::MIN_SEQ_INVALID,
            Code::SEQUENCE_UNKNOWN,
        ])
}

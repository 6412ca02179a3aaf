//! CSV: rows of one product follow one another, under columns of ours or of Shopify's.
//!
//! **Invariants:** the place between two products is known even when the first row of the second
//! was read to see that the first is over; a product is held whole, up to [`PRODUCT_BYTES_MAX`].

use actors::Import;
use actors::domain::import::{Cursor, Step};
use cluster::fabric::Fabric;

use super::columns::Columns;
use super::csv::{Scan, cells};
use super::lines::LINE_BYTES_MAX;
use super::row::{Next, Row, Stop};
use super::source::Source;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::fields;
use crate::http::routes::products::document::Product;

/// The names of the columns.
const HEADER_BYTES_MAX: usize = 128 * 1024;
const RECORD_BYTES_MAX: usize = PRODUCT_BYTES_MAX;
/// Spreadsheets leave rows without anything, some in the middle and very many at the end.
const BLANK_AT_ONCE: u32 = 1_000;
/// All rows of one product: what was a line of JSON has each quote twice, and its slug in each row.
const PRODUCT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX + 64 * 1024;
/// What is no table of products: rows without an end say that they are of one.
const GROUP_BYTES_MAX: usize = 16 << 20;
/// A mark and one byte more may be read with the names of the columns.
const _: () = assert!((HEADER_BYTES_MAX + 4) as u64 <= Import::HEAD_BYTES);

/// One row of a table.
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) cells: Vec<String>,
    fault: Option<&'static str>,
    n_bytes: usize,
}

impl Record {
    fn is_blank(&self) -> bool {
        self.fault.is_none() && self.cells.iter().all(|cell| cell.trim().is_empty())
    }
}

pub(super) struct Table {
    source: Source,
    columns: Columns,
    n_columns: usize,
    rows_max: u64,
    /// The first row of the next product, and the place before it.
    ahead: Option<(Cursor, Record)>,
}

impl Table {
    pub(super) async fn open(fabric: &Fabric, step: &Step) -> Result<Self, Stop> {
        let mut source = Source::new(fabric, step, Cursor::default());
        source.skip_mark().await?;
        let header = record(&mut source, usize::MAX, HEADER_BYTES_MAX).await?;
        let header = header.ok_or_else(|| Stop::Unreadable("there are no columns".to_owned()))?;
        let columns = Columns::of(&header.cells, step.terms.currency).map_err(Stop::Unreadable)?;
        if step.from.bytes > 0 {
            source = Source::new(fabric, step, step.from);
        }
        let (n_columns, rows_max) = (header.cells.len(), step.terms.rows_max);
        Ok(Self { source, columns, n_columns, rows_max, ahead: None })
    }

    /// The place before the next product.
    pub(super) fn cursor(&self) -> Cursor {
        self.ahead.as_ref().map_or(self.source.cursor(), |(place, _)| *place)
    }

    /// The next product.
    pub(super) async fn next(&mut self) -> Result<Next, Stop> {
        let first = match self.ahead.take() {
            Some((_, first)) => first,
            None => match self.record().await? {
                Some((_, first)) => first,
                None => return Ok(Next::End),
            },
        };
        if first.is_blank() {
            return Ok(Next::Blank);
        }
        let (number, mut n_bytes, mut group) = (first.number, first.n_bytes, vec![first]);
        while let Some((place, record)) = self.record().await? {
            let key = group.first().map_or("", |first| self.columns.key(first));
            if key.is_empty() || key != self.columns.key(&record) {
                self.ahead = Some((place, record));
                break;
            }
            n_bytes = n_bytes.saturating_add(record.n_bytes);
            if n_bytes > GROUP_BYTES_MAX {
                return Err(Stop::Unreadable(format!("the product of row {number} does not end")));
            }
            if n_bytes <= PRODUCT_BYTES_MAX {
                group.push(record);
            }
            // Whoever asked looks how far this came.
            if self.source.cursor().rows > self.rows_max {
                break;
            }
        }
        let slug = group.first().map(|first| self.columns.key(first).to_owned());
        let product = if n_bytes > PRODUCT_BYTES_MAX {
            let detail = format!("the rows of a product have at most {PRODUCT_BYTES_MAX} bytes");
            Err(ApiError::new(Code::BODY_TOO_LARGE, detail))
        } else if let Some(fault) = group.iter().find_map(|record| record.fault) {
            Err(ApiError::new(Code::VALIDATION_FAILED, fault))
        } else {
            let json = self.columns.product(&group);
            json.and_then(fields::read_json::<Product>).and_then(Product::whole)
        };
        Ok(Next::Row(Box::new(Row { number, slug, product })))
    }

    /// The next row with a cell filled, and the place before it; or the last of many without.
    async fn record(&mut self) -> Result<Option<(Cursor, Record)>, Stop> {
        let mut n_blank = 0;
        loop {
            let place = self.source.cursor();
            let Some(record) = record(&mut self.source, self.n_columns, RECORD_BYTES_MAX).await?
            else {
                return Ok(None);
            };
            if !record.is_blank() || n_blank >= BLANK_AT_ONCE {
                return Ok(Some((place, record)));
            }
            n_blank += 1;
        }
    }
}

async fn record(
    source: &mut Source,
    n_columns: usize,
    bytes_max: usize,
) -> Result<Option<Record>, Stop> {
    let mut scan = Scan::default();
    let len = loop {
        let rest = source.rest();
        if let Some(end) = scan.end(rest) {
            break end;
        }
        let n_read = rest.len();
        if n_read <= bytes_max && source.more().await? {
            continue;
        }
        let number = source.cursor().rows + 1;
        if n_read > bytes_max || scan.is_quoted() {
            let why = format!("row {number} does not end; a quote may be missing");
            return Err(Stop::Unreadable(why));
        }
        if n_read == 0 {
            return Ok(None);
        }
        break n_read;
    };
    let bytes = source.rest().get(..len).unwrap_or_default();
    let (cells, mut fault) = match cells(bytes) {
        Ok(cells) => (cells, None),
        // Enough of it can be read to know which product it is of.
        Err(_) => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            (cells(text.as_bytes()).unwrap_or_default(), Some("a row is not UTF-8"))
        }
    };
    let is_blank = cells.iter().all(|cell| cell.trim().is_empty());
    if n_columns != usize::MAX && cells.len() != n_columns && !is_blank {
        fault = fault.or(Some("a row has more cells than there are columns, or fewer"));
    }
    source.consume(len);
    source.count_row();
    Ok(Some(Record { number: source.cursor().rows, cells, fault, n_bytes: len }))
}

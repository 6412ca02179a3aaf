//! One step: which rows it takes, and what is said of them.

use std::collections::BTreeSet;

use actors::domain::import::{
    Counts, Cursor, Format, Packed, Reached, Step, StepAnswer, StepOutcome,
};
use actors::domain::names::Label;
use actors::{PriceBook, SkuCode};
use cluster::fabric::Fabric;
use cluster::runtime::ports::InDoubt;

use super::lines::Lines;
use super::row::{Next, Row, Stop, report_line};
use super::source::{PIECE_MAX, Source, packed};
use super::table::Table;
use super::turn::is_under_way;
use super::writing::{self, Fate};

/// Products of one step.
const PRODUCTS_MAX: usize = 1_000;
/// Rows of one step, with those that are blank or of one product.
const ROWS_MAX: u64 = 100_000;
/// What the rows of one step may take, but for the last of them.
const STEP_BYTES_MAX: u64 = 4 << 20;
/// A line is at most 4 KiB more than this, and the step then ends.
const REPORT_BYTES_MAX: usize = 128 << 10;

pub(super) async fn take(fabric: &Fabric, step: &Step) -> Result<StepAnswer, InDoubt> {
    let answer = |outcome| StepAnswer { from: step.from, outcome };
    if !is_under_way(fabric, step).await? {
        // Whoever overtook this step has counted its rows; the import does not look at this.
        return Ok(answer(overtaken(step.from)));
    }
    let book = writing::book_of_all_before(fabric).await?;
    let mut rows = match Rows::open(fabric, step).await {
        Ok(rows) => rows,
        Err(stop) => return stopped(stop).map(answer),
    };
    let gathered = gather(&mut rows, step, book.content()).await;
    drop(rows);
    let Gathered { taken, to, reached } = match gathered {
        Ok(gathered) => gathered,
        Err(stop) => return stopped(stop).map(answer),
    };
    let fates = writing::write_all(fabric, step, book.content(), taken).await?;
    let Some(fates) = fates else { return Ok(answer(overtaken(step.from))) };
    let (counts, reports) = told(fates);
    Ok(answer(StepOutcome::Advanced { to, counts, reports, reached }))
}

fn overtaken(from: Cursor) -> StepOutcome {
    let (counts, reports) = (Counts::default(), Vec::new());
    StepOutcome::Advanced { to: from, counts, reports, reached: Reached::More }
}

fn stopped(stop: Stop) -> Result<StepOutcome, InDoubt> {
    match stop {
        Stop::InDoubt(doubt) => Err(doubt),
        Stop::Unreadable(why) => {
            let why = Label::of_what_fits(&why);
            Ok(StepOutcome::Unreadable { why })
        }
    }
}

/// The rows of either format.
enum Rows {
    Table(Box<Table>),
    Lines(Lines),
}

impl Rows {
    async fn open(fabric: &Fabric, step: &Step) -> Result<Self, Stop> {
        match step.terms.format {
            Format::Csv => Ok(Self::Table(Box::new(Table::open(fabric, step).await?))),
            Format::JsonLines => {
                let mut source = Source::new(fabric, step, step.from);
                source.skip_mark().await?;
                Ok(Self::Lines(Lines { source }))
            }
        }
    }

    fn cursor(&self) -> Cursor {
        match self {
            Self::Table(table) => table.cursor(),
            Self::Lines(lines) => lines.source.cursor(),
        }
    }

    async fn next(&mut self) -> Result<Next, Stop> {
        match self {
            Self::Table(table) => table.next().await,
            Self::Lines(lines) => lines.next().await,
        }
    }
}

/// The rows of a step.
struct Gathered {
    taken: Vec<Row>,
    /// The place after them.
    to: Cursor,
    reached: Reached,
}

/// As many rows as one step takes. It ends before a row whose product or SKU is in it already: that
/// one is to see what the rows before it did.
async fn gather(rows: &mut Rows, step: &Step, book: Option<&PriceBook>) -> Result<Gathered, Stop> {
    let (mut taken, mut names, mut report_bytes) = (Vec::new(), Names::default(), 0);
    loop {
        let place = rows.cursor();
        let is_full = taken.len() >= PRODUCTS_MAX
            || place.bytes.saturating_sub(step.from.bytes) >= STEP_BYTES_MAX
            || report_bytes >= REPORT_BYTES_MAX
            || place.rows.saturating_sub(step.from.rows) >= ROWS_MAX
            || place.rows >= step.terms.rows_max;
        let row = match rows.next().await {
            Ok(Next::Row(row)) => row,
            Ok(Next::Blank) if is_full => {
                return Ok(Gathered { taken, to: place, reached: Reached::More });
            }
            Ok(Next::Blank) => continue,
            Ok(Next::End) => {
                return Ok(Gathered { taken, to: rows.cursor(), reached: Reached::End });
            }
            // The next step meets it before anything else.
            Err(Stop::Unreadable(_)) if !taken.is_empty() => {
                return Ok(Gathered { taken, to: place, reached: Reached::More });
            }
            Err(stop) => return Err(stop),
        };
        if is_full || !names.admit(&row, book) {
            return Ok(Gathered { taken, to: place, reached: Reached::More });
        }
        if rows.cursor().rows > step.terms.rows_max {
            // It is not held whole. Where this ends tells the import that there are too many.
            return Ok(Gathered { taken, to: rows.cursor(), reached: Reached::More });
        }
        if let Err(error) = &row.product {
            report_bytes += report_line(row.number, row.slug.as_deref(), error).len();
        }
        taken.push(*row);
    }
}

/// What the rows of a step are about.
#[derive(Default)]
struct Names {
    slugs: BTreeSet<String>,
    skus: BTreeSet<String>,
}

impl Names {
    /// Whether a row may go with those before it. The first always may.
    fn admit(&mut self, row: &Row, book: Option<&PriceBook>) -> bool {
        let Ok((page, _)) = &row.product else { return true };
        let is_taken = |sku: &SkuCode| self.skus.contains(sku.as_str());
        if self.slugs.contains(page.slug.as_str()) || page.variants.iter().any(is_taken) {
            return false;
        }
        // Those that this product may let go another may take up.
        let before = book.and_then(|book| book.any_page(&page.slug));
        let before = before.map_or(&[][..], |page| page.variants.as_slice());
        let skus = page.variants.iter().chain(before).map(|sku| sku.as_str().to_owned());
        self.skus.extend(skus);
        self.slugs.insert(page.slug.as_str().to_owned());
        true
    }
}

fn told(fates: Vec<(Row, Fate)>) -> (Counts, Vec<Packed>) {
    let (mut counts, mut reports, mut lines) = (Counts::default(), Vec::new(), Vec::new());
    for (row, fate) in fates {
        match fate {
            Fate::Written => counts.written += 1,
            Fate::Unchanged => counts.unchanged += 1,
            Fate::Refused(error) => {
                counts.refused += 1;
                let line = report_line(row.number, row.slug.as_deref(), &error);
                if lines.len() + line.len() > PIECE_MAX {
                    reports.extend(packed(&std::mem::take(&mut lines)));
                }
                lines.extend(line);
            }
        }
    }
    if !lines.is_empty() {
        reports.extend(packed(&lines));
    }
    (counts, reports)
}

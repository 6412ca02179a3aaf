//! JSON Lines: one product a line, as the admin API takes it.

use super::row::{Next, Row, Skim, Stop};
use super::source::Source;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::fields;
use crate::http::json::Json;
use crate::http::routes::products::document::Product;

/// More than a body may be: a product grows change by change, and all of it is exported.
pub(super) const LINE_BYTES_MAX: usize = 1 << 20;

/// What is no line of any product: the data is something else.
const SKIPPED_BYTES_MAX: u64 = 16 << 20;
const BLANK_AT_ONCE: u32 = 1_000;

pub(super) struct Lines {
    pub(super) source: Source,
}

impl Lines {
    /// The next product.
    pub(super) async fn next(&mut self) -> Result<Next, Stop> {
        for _ in 0..BLANK_AT_ONCE {
            let Some(skim) = self.skim().await? else { return Ok(Next::End) };
            self.source.count_row();
            let number = self.source.cursor().rows;
            let (line, len) = match skim {
                Skim::Whole { content, len } => (self.source.rest().get(..content), len),
                Skim::TooLong => {
                    self.skip_line(number).await?;
                    let detail = format!("a line has at most {LINE_BYTES_MAX} bytes");
                    let error = ApiError::new(Code::BODY_TOO_LARGE, detail);
                    return Ok(Next::Row(Box::new(Row {
                        number,
                        slug: None,
                        product: Err(error),
                    })));
                }
            };
            let line = line.unwrap_or_default().trim_ascii();
            let row = (!line.is_empty()).then(|| {
                let product = fields::read::<Product>(line).and_then(Product::whole);
                let slug = match &product {
                    Ok((page, _)) => Some(page.slug.to_string()),
                    Err(_) => slug_of(line),
                };
                Row { number, slug, product }
            });
            self.source.consume(len);
            if let Some(row) = row {
                return Ok(Next::Row(Box::new(row)));
            }
        }
        Ok(Next::Blank)
    }

    /// Where the line at hand ends.
    async fn skim(&mut self) -> Result<Option<Skim>, Stop> {
        let mut looked_at = 0;
        loop {
            let rest = self.source.rest();
            let news = rest.get(looked_at..).unwrap_or_default();
            if let Some(at) = news.iter().position(|byte| *byte == b'\n') {
                let content = looked_at + at;
                let fits = content <= LINE_BYTES_MAX;
                return Ok(Some(if fits {
                    Skim::Whole { content, len: content + 1 }
                } else {
                    Skim::TooLong
                }));
            }
            looked_at = rest.len();
            if looked_at > LINE_BYTES_MAX {
                return Ok(Some(Skim::TooLong));
            }
            if !self.source.more().await? {
                let is_over = looked_at == 0;
                let last = Skim::Whole { content: looked_at, len: looked_at };
                return Ok((!is_over).then_some(last));
            }
        }
    }

    /// Without holding it.
    async fn skip_line(&mut self, number: u64) -> Result<(), Stop> {
        let begin = self.source.cursor().bytes;
        loop {
            if self.source.cursor().bytes.saturating_sub(begin) > SKIPPED_BYTES_MAX {
                return Err(Stop::Unreadable(format!("row {number} does not end")));
            }
            let rest = self.source.rest();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                self.source.consume(at + 1);
                return Ok(());
            }
            let len = rest.len();
            self.source.consume(len);
            if !self.source.more().await? {
                return Ok(());
            }
        }
    }
}

/// Which product a line is of that is none.
fn slug_of(line: &[u8]) -> Option<String> {
    let Ok(Json::Object(members)) = Json::parse(line) else { return None };
    members.into_iter().find_map(|(name, value)| match (&*name, value) {
        ("slug", Json::Text(slug)) => Some(slug.into_owned()),
        (_, _) => None,
    })
}

//! The query strings of lists: `limit`, `after`, and whatever else a list takes.

use std::str::FromStr;

use actors::PageLimit;
use axum::http::Uri;

use super::error::ApiError;
use super::fields::{Faults, flaw};

const LIMIT_DEFAULT: u32 = 20;

/// Which part of a list is wanted.
#[derive(Debug)]
pub(super) struct Page<C> {
    pub(super) limit: PageLimit,
    pub(super) after: Option<C>,
}

impl<C: FromStr> Page<C> {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        Self::read(uri, None)
    }

    /// Of a list that has to be asked for by the only status it can be asked for by.
    pub(super) fn of_status(uri: &Uri, status: &'static str) -> Result<Self, ApiError> {
        Self::read(uri, Some(status))
    }

    fn read(uri: &Uri, status: Option<&'static str>) -> Result<Self, ApiError> {
        let mut n_statuses = 0;
        let mut faults = Faults::default();
        let (mut limit, mut after) = (None, None);
        let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let wrong = match name {
                "limit" if limit.is_some() => Some(flaw("repeated", "comes more than once")),
                "limit" => {
                    let detail = "must be from 1 to 100";
                    limit = value.parse().ok().and_then(|limit: u32| limit.try_into().ok());
                    limit.is_none().then(|| flaw("out_of_range", detail))
                }
                "after" if after.is_some() => Some(flaw("repeated", "comes more than once")),
                "after" => {
                    after = value.parse().ok();
                    after.is_none().then(|| flaw("invalid", "must be a next_cursor of this list"))
                }
                "status" if status.is_some() => {
                    n_statuses += 1;
                    let is_known = status == Some(value) && n_statuses == 1;
                    (!is_known).then(|| flaw("invalid", "must be the one status that is listed"))
                }
                _ => Some(flaw("unknown", "there is no such parameter")),
            };
            if let Some(flaw) = wrong {
                const NAME_CHARS_MAX: usize = 64;
                faults.add(name.chars().take(NAME_CHARS_MAX).collect(), flaw);
            }
        }
        if status.is_some() && n_statuses == 0 {
            faults.add("status".to_owned(), flaw("required", "is required"));
        }
        let limit = limit.or_else(|| PageLimit::try_from(LIMIT_DEFAULT).ok());
        faults.into_result(limit.map(|limit| Self { limit, after }))
    }
}

/// The values as they were sent, each name once.
pub(super) struct Values<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Values<'a> {
    pub(super) fn of(uri: &'a Uri, known: &[&str], faults: &mut Faults) -> Self {
        const NAME_CHARS_MAX: usize = 64;
        let mut values: Vec<(&str, &str)> = Vec::new();
        let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let param = || name.chars().take(NAME_CHARS_MAX).collect();
            if !known.contains(&name) {
                faults.add(param(), flaw("unknown", "there is no such parameter"));
            } else if values.iter().any(|(before, _)| *before == name) {
                faults.add(param(), flaw("repeated", "comes more than once"));
            } else {
                values.push((name, value));
            }
        }
        Self(values)
    }

    pub(super) fn value(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    pub(super) fn parsed<T: FromStr>(
        &self,
        name: &str,
        takes: &'static str,
        faults: &mut Faults,
    ) -> Option<T> {
        let value = self.value(name)?;
        let parsed = value.parse().ok();
        if parsed.is_none() {
            faults.add(name.to_owned(), flaw("invalid", takes));
        }
        parsed
    }

    /// How many are wanted at most.
    pub(super) fn limit(&self, faults: &mut Faults) -> Option<PageLimit> {
        let Some(value) = self.value("limit") else {
            return PageLimit::try_from(LIMIT_DEFAULT).ok();
        };
        let limit = value.parse().ok().and_then(|limit: u32| limit.try_into().ok());
        if limit.is_none() {
            faults.add("limit".to_owned(), flaw("invalid", "must be from 1 to 100"));
        }
        limit
    }

    /// As [`Self::parsed`], of what a browser may have escaped.
    pub(super) fn read<T>(
        &self,
        name: &str,
        takes: &'static str,
        read: impl Fn(&str) -> Option<T>,
        faults: &mut Faults,
    ) -> Option<T> {
        let value = self.value(name)?;
        let read = unescaped(value).and_then(|text| read(&text));
        if read.is_none() {
            faults.add(name.to_owned(), flaw("invalid", takes));
        }
        read
    }
}

/// Without the escapes of a query string; `None` where they give no text.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                u8::try_from(high * 16 + low).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use actors::ReservationId;

    use super::*;

    fn page(query: &str) -> Result<Page<ReservationId>, ApiError> {
        Page::of(&format!("/list{query}").parse().unwrap())
    }

    #[test]
    fn a_page_has_a_limit_and_a_start() {
        assert_eq!(page("").unwrap().limit.get(), 20);
        assert_eq!(page("?").unwrap().limit.get(), 20);
        let id = ReservationId::from_bytes([7; 16]);
        let asked = page(&format!("?limit=100&after={id}")).unwrap();
        assert_eq!((asked.limit.get(), asked.after), (100, Some(id)));
    }

    #[test]
    fn some_lists_are_of_one_status() {
        let page = |query: &str| {
            Page::<ReservationId>::of_status(&format!("/list{query}").parse().unwrap(), "open")
        };
        assert_eq!(page("?status=open&limit=3").unwrap().limit.get(), 3);
        for bad in ["", "?status=", "?status=shut", "?status=open&status=open", "?stat=open"] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "?limit=0",
            "?limit=101",
            "?limit=x",
            "?limit",
            "?after=x",
            "?limits=3",
            "?limit=1&limit=1",
            "?limit=%31",
            "?before=res_1",
            "?status=open",
        ] {
            assert!(page(bad).is_err(), "{bad}");
        }
    }
}

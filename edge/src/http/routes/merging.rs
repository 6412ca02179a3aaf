//! Many lists as one, the newest first.
//!
//! **Invariants:** from cursor to cursor each entry that was there when the first page was asked for is
//! shown once, whatever is added meanwhile; what one request reads is bounded, so that a page may hold
//! fewer entries than were asked for, though there are more.
//!
//! Every list is in its own order, and lies on pages: the newest of what is left in each are merged.

use std::future::Future;

use cluster::fabric::{Fabric, QueryError};
use cluster::ids::Position;
use cluster::time::Timestamp;

use super::lengths::{Cursor, Sort, foreign_cursor};
use crate::http::app::App;
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::extract::ReadTerms;

/// Pages that one request reads.
const PAGES_READ_MAX: usize = 256;

/// What is merged.
pub(super) trait Merged: Sort {
    type Id: Copy + Send + 'static;
    type Entry: Clone + Send + 'static;
    type Age: Ord;
    /// How many entries a page has.
    const PAGE: u64;

    fn age(id: Self::Id, entry: &Self::Entry) -> Self::Age;

    fn page(
        fabric: Fabric,
        id: Self::Id,
        page: u32,
        at_least: Vec<Position>,
        deadline: Timestamp,
    ) -> impl Future<Output = Result<Vec<Self::Entry>, QueryError>> + Send + 'static;

    /// Fewer entries are there than the list says.
    fn missing(page: u32) -> ApiError;
}

/// One of the lists.
pub(super) struct List<M: Merged> {
    pub(super) id: M::Id,
    /// So many entries are not shown yet: the oldest ones.
    pub(super) n_left: u64,
    /// What was read of them last, and the place of the first.
    pub(super) first: u64,
    pub(super) entries: Vec<M::Entry>,
}

impl<M: Merged> List<M> {
    /// The newest that is not shown yet, if it was read.
    fn newest(&self) -> Option<(u64, &M::Entry)> {
        let place = self.n_left.checked_sub(1)?;
        let line = usize::try_from(place.checked_sub(self.first)?).ok()?;
        self.entries.get(line).map(|entry| (place, entry))
    }

    fn wanted_page(&self) -> Option<u32> {
        let place = self.n_left.checked_sub(1).filter(|_| self.newest().is_none())?;
        u32::try_from(place / M::PAGE).ok()
    }
}

/// Lists, each read from its newest entry on.
pub(super) struct Reading<'a, M: Merged> {
    app: &'a App,
    terms: &'a ReadTerms,
    lists: Vec<List<M>>,
    n_pages_read: usize,
}

impl<'a, M: Merged> Reading<'a, M> {
    pub(super) fn begin(
        app: &'a App,
        terms: &'a ReadTerms,
        mut lists: Vec<List<M>>,
        after: Option<&Cursor<M>>,
    ) -> Result<Self, ApiError> {
        if let Some(cursor) = after {
            let left = cursor.lengths(lists.len()).ok_or_else(foreign_cursor)?;
            for (list, left) in lists.iter_mut().zip(left) {
                list.n_left = list.n_left.min((*left).into());
            }
        }
        Ok(Self { app, terms, lists, n_pages_read: 0 })
    }

    /// The newest that is left, whose it is and its place there, unless as much was read as may be.
    pub(super) async fn next(&mut self) -> Result<Option<(M::Id, u64, M::Entry)>, ApiError> {
        let wanted = self.lists.iter().filter_map(List::wanted_page).count();
        if self.n_pages_read + wanted > PAGES_READ_MAX.max(self.lists.len()) {
            return Ok(None);
        }
        if wanted > 0 {
            self.n_pages_read += wanted;
            self.read_pages().await?;
        }
        let age = |list: &&mut List<M>| list.newest().map(|(_, entry)| M::age(list.id, entry));
        let Some(list) = self.lists.iter_mut().max_by_key(age) else { return Ok(None) };
        let newest = list.newest().map(|(place, entry)| (list.id, place, entry.clone()));
        list.n_left -= u64::from(newest.is_some());
        Ok(newest)
    }

    async fn read_pages(&mut self) -> Result<(), ApiError> {
        let wanted = self.lists.iter_mut().filter_map(|list| Some((list.wanted_page()?, list)));
        let wanted: Vec<_> = wanted.collect();
        let read = |(page, id)| {
            let (at_least, deadline) = (self.terms.at_least.clone(), self.terms.deadline);
            M::page(self.app.fabric.clone(), id, page, at_least, deadline)
        };
        let asked = wanted.iter().map(|(page, list)| (*page, list.id));
        let pages = all_at_once(asked, read).await?;
        for ((page, list), entries) in wanted.into_iter().zip(pages) {
            list.first = u64::from(page) * M::PAGE;
            list.entries = entries?;
            if list.newest().is_none() {
                return Err(M::missing(page));
            }
        }
        Ok(())
    }

    /// Where to go on, if there is anything left.
    pub(super) fn rest(&self) -> Option<Cursor<M>> {
        let left = |list: &List<M>| u32::try_from(list.n_left).unwrap_or(u32::MAX);
        Cursor::new(self.lists.iter().map(left).collect())
    }
}

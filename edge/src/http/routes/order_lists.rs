//! The orders of one customer or of all, newest first.
//!
//! **Invariants:** from cursor to cursor each order that was listed when the first page was asked for is
//! shown once, whatever is placed meanwhile; what one request reads is bounded, so that a page may hold
//! fewer orders than were asked for, though there are more.
//!
//! All orders are in so many books, each in its own order: the newest of what is left in each are merged
//! by the time at which they were placed.

mod cursor;
mod query;

use actors::domain::order_list::{
    ListId, Listed, OrderList, OrderPage, PageQuery, PageView, Place, Query, View,
};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use tokio::task::JoinSet;

use self::cursor::Cursor;
use self::query::Wanted;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::render::inventory::ListJson;
use crate::http::render::order_list::ListedOrderJson;
use crate::http::reply::Reply;

/// Pages of lists that one request reads.
const PAGES_READ_MAX: usize = 4 * ListId::BOOKS as usize;

/// `GET /admin/v1/orders`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let wanted = Wanted::of(&uri)?;
    let mut reading = Reading::begin(&app, &terms, &wanted).await?;
    let mut data = Vec::new();
    while data.len() < wanted.limit.get()
        && let Some(listed) = reading.next().await?
    {
        if wanted.includes(&listed) {
            data.push(ListedOrderJson::new(&listed));
        }
    }
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, reading.rest()))
}

/// Lists, each read from its newest order on.
struct Reading<'a> {
    app: &'a App,
    terms: &'a ReadTerms,
    books: Vec<Book>,
    n_pages_read: usize,
}

struct Book {
    list: ListId,
    /// So many orders are not shown yet: the oldest ones.
    n_left: u32,
    /// What was read of them last, and which page it is.
    page: Option<(u32, Vec<Listed>)>,
}

impl Book {
    /// The newest that is not shown yet.
    fn newest(&self) -> Option<&Listed> {
        let place = Place(self.n_left.checked_sub(1)?);
        let (page, entries) = self.page.as_ref()?;
        let line = usize::try_from(place.line()).ok()?;
        entries.get(line).filter(|_| *page == place.page())
    }

    fn wanted_page(&self) -> Option<u32> {
        let place = Place(self.n_left.checked_sub(1)?);
        let is_there = self.page.as_ref().is_some_and(|(page, _)| *page == place.page());
        (!is_there).then(|| place.page())
    }
}

impl<'a> Reading<'a> {
    async fn begin(app: &'a App, terms: &'a ReadTerms, wanted: &Wanted) -> Result<Self, ApiError> {
        let lists = wanted.lists();
        let mut lengths = lengths(app, terms, &lists).await?;
        if let Some(cursor) = &wanted.after {
            let left = cursor.lengths(&lists).ok_or_else(query::foreign_cursor)?;
            for (length, left) in lengths.iter_mut().zip(left) {
                *length = left.min(*length);
            }
        }
        let books = lists.into_iter().zip(lengths);
        let books = books.map(|(list, n_left)| Book { list, n_left, page: None }).collect();
        Ok(Self { app, terms, books, n_pages_read: 0 })
    }

    /// The newest that is left, unless as much was read as may be.
    async fn next(&mut self) -> Result<Option<Listed>, ApiError> {
        let wanted = self.books.iter().filter_map(Book::wanted_page).count();
        if self.n_pages_read + wanted > PAGES_READ_MAX {
            return Ok(None);
        }
        if wanted > 0 {
            self.n_pages_read += wanted;
            self.read_pages().await?;
        }
        let key = |listed: &Listed| (listed.placed_at, listed.order);
        let newest = self.books.iter_mut().max_by_key(|book| book.newest().map(key));
        let Some(book) = newest else { return Ok(None) };
        let listed = book.newest().cloned();
        book.n_left -= u32::from(listed.is_some());
        Ok(listed)
    }

    async fn read_pages(&mut self) -> Result<(), ApiError> {
        let mut under_way = JoinSet::new();
        for (nth, book) in self.books.iter().enumerate() {
            let Some(page) = book.wanted_page() else { continue };
            let (fabric, key) = (self.app.fabric.clone(), OrderPage::key(book.list, page));
            let (at_least, deadline) = (self.terms.at_least.clone(), self.terms.deadline);
            under_way.spawn(async move {
                let query = PageQuery::Entries;
                let viewed = fabric.query::<OrderPage>(key, &at_least, deadline, query).await;
                (nth, page, viewed)
            });
        }
        while let Some(done) = under_way.join_next().await {
            let (nth, page, viewed) = done.map_err(|_| ApiError::internal())?;
            let PageView(entries) = viewed?.view;
            let Some(book) = self.books.get_mut(nth) else { continue };
            book.page = Some((page, entries));
            if book.newest().is_none() {
                tracing::error!(page, "a list of orders has fewer lines than orders");
                return Err(ApiError::internal());
            }
        }
        Ok(())
    }

    /// Where to go on, if there is anything left.
    fn rest(&self) -> Option<Cursor> {
        let lengths: Vec<_> = self.books.iter().map(|book| book.n_left).collect();
        lengths.iter().any(|n_left| *n_left > 0).then(|| Cursor::new(lengths))
    }
}

/// How many orders each list has.
async fn lengths(app: &App, terms: &ReadTerms, lists: &[ListId]) -> Result<Vec<u32>, ApiError> {
    let mut under_way = JoinSet::new();
    for (nth, list) in lists.iter().enumerate() {
        let (fabric, key) = (app.fabric.clone(), OrderList::key(*list));
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        under_way.spawn(async move {
            (nth, fabric.query::<OrderList>(key, &at_least, deadline, Query::Length).await)
        });
    }
    let mut lengths = vec![0; lists.len()];
    while let Some(done) = under_way.join_next().await {
        let (nth, viewed) = done.map_err(|_| ApiError::internal())?;
        let View { n_orders } = viewed?.view;
        if let Some(length) = lengths.get_mut(nth) {
            *length = n_orders;
        }
    }
    Ok(lengths)
}

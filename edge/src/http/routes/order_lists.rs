//! The orders of one customer or of all, newest first, as they were placed. All orders are in so many
//! books.

mod query;

use actors::OrderId;
use actors::domain::contact::Email;
use actors::domain::order::Status;
use actors::domain::order_list::{
    ListId, Listed, OrderList, OrderPage, PageQuery, PageView, Query, View,
};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use cluster::fabric::{Fabric, QueryError, Viewed};
use cluster::ids::Position;
use cluster::time::Timestamp;

pub(super) use self::query::Wanted;
use super::lengths::Sort;
use super::merging::{List, Merged, Reading};
use crate::http::app::App;
use crate::http::at_once::all_at_once;
use crate::http::error::ApiError;
use crate::http::extract::{Operator, ReadTerms};
use crate::http::render::inventory::ListJson;
use crate::http::render::order_list::ListedOrderJson;
use crate::http::reply::Reply;

/// What is merged here.
struct Orders;

impl Sort for Orders {
    const PREFIX: &'static str = "ol_";
    const LISTS_MAX: usize = ListId::BOOKS as usize;
}

impl Merged for Orders {
    type Id = ListId;
    type Entry = Listed;
    type Age = (Timestamp, OrderId);
    const PAGE: u64 = OrderPage::ENTRIES_MAX as u64;

    fn age(_: ListId, listed: &Listed) -> (Timestamp, OrderId) {
        (listed.placed_at, listed.order)
    }

    async fn page(
        fabric: Fabric,
        list: ListId,
        page: u32,
        at_least: Vec<Position>,
        deadline: Timestamp,
    ) -> Result<Vec<Listed>, QueryError> {
        let (key, query) = (OrderPage::key(list, page), PageQuery::Entries);
        let viewed = fabric.query::<OrderPage>(key, &at_least, deadline, query).await?;
        let PageView(entries) = viewed.view;
        Ok(entries)
    }

    fn missing(page: u32) -> ApiError {
        tracing::error!(page, "a list of orders has fewer lines than orders");
        ApiError::internal()
    }
}

/// `GET /admin/v1/orders`
pub(in crate::http) async fn list(
    State(app): State<App>,
    _: Operator,
    uri: Uri,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    listed(&app, &terms, &Wanted::of(&uri)?).await
}

pub(super) async fn listed(
    app: &App,
    terms: &ReadTerms,
    wanted: &Wanted,
) -> Result<Reply, ApiError> {
    let lists = lists(app, terms, wanted.lists()).await?;
    let mut reading = Reading::<Orders>::begin(app, terms, lists, wanted.after.as_ref())?;
    let mut data = Vec::new();
    while data.len() < wanted.limit.get()
        && let Some((_, _, listed)) = reading.next().await?
    {
        if wanted.includes(&listed) {
            data.push(ListedOrderJson::new(&listed));
        }
    }
    Reply::unplaced(StatusCode::OK, &ListJson::new(data, reading.rest()))
}

/// Whether a customer's list has an order that did not fail and was not cancelled. One with more orders
/// than are read at once is taken to have one.
pub(super) async fn one_stands(
    app: &App,
    terms: &ReadTerms,
    customer: &Email,
) -> Result<bool, ApiError> {
    let lists = lists(app, terms, vec![ListId::of_customer(customer)]).await?;
    let mut reading = Reading::<Orders>::begin(app, terms, lists, None)?;
    while let Some((_, _, listed)) = reading.next().await? {
        if stands(listed.status) {
            return Ok(true);
        }
    }
    Ok(reading.rest().is_some())
}

fn stands(status: Status) -> bool {
    match status {
        Status::Failed | Status::Cancelling | Status::Cancelled => false,
        Status::Pending
        | Status::Confirmed
        | Status::Processing
        | Status::Shipped
        | Status::Delivered
        | Status::Returned
        | Status::OnHold => true,
    }
}

/// The lists, each with as many orders as it has, and none of them read.
async fn lists(
    app: &App,
    terms: &ReadTerms,
    wanted: Vec<ListId>,
) -> Result<Vec<List<Orders>>, ApiError> {
    let length = |list| {
        let (fabric, key) = (app.fabric.clone(), OrderList::key(list));
        let (at_least, deadline) = (terms.at_least.clone(), terms.deadline);
        async move { fabric.query::<OrderList>(key, &at_least, deadline, Query::Length).await }
    };
    let lengths = all_at_once(wanted.iter().copied(), length).await?;
    let list = |(id, viewed): (_, Result<Viewed<View>, QueryError>)| {
        let n_left = viewed?.view.n_orders.into();
        Ok(List { id, n_left, first: 0, entries: Vec::new() })
    };
    wanted.into_iter().zip(lengths).map(list).collect()
}

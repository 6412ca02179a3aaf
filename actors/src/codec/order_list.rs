//! The bytes of lists of orders and of their pages.

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::order_list::{
    self, Listed, OrderList, OrderPage, PageCommand, PageEvent, PageQuery, PageRejection, PageView,
};

const PAGE: &str = "a record of a page of orders";

wire! {
    order_list::Command: "a command to a list of orders",
    order_list::Event: "an event of a list of orders",
    order_list::Rejection: "a rejection of a list of orders",
    order_list::Query: "a query of a list of orders",
    order_list::View: "a view of a list of orders",
    PageCommand: "a command to a page of orders",
    PageEvent: "an event of a page of orders",
    PageRejection: "a rejection of a page of orders",
    PageQuery: "a query of a page of orders",
    PageView: "a view of a page of orders",
}

#[derive(Serialize, Deserialize)]
struct ListRecordV1 {
    n_orders: u32,
}

#[derive(Serialize, Deserialize)]
struct PageRecordV1 {
    entries: Vec<Listed>,
}

pub(crate) fn to_record(list: &OrderList) -> Vec<u8> {
    encode(&ListRecordV1 { n_orders: list.n_orders })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<OrderList, DecodeError> {
    let ListRecordV1 { n_orders } = latest("a record of a list of orders", bytes)?;
    Ok(OrderList { n_orders })
}

pub(crate) fn page_to_record(page: &OrderPage) -> Vec<u8> {
    encode(&PageRecordV1 { entries: page.entries.clone() })
}

pub(crate) fn page_from_record(bytes: &[u8]) -> Result<OrderPage, DecodeError> {
    let PageRecordV1 { entries } = latest(PAGE, bytes)?;
    if entries.len() > usize::try_from(OrderPage::ENTRIES_MAX).unwrap_or(usize::MAX) {
        return Err(damaged(PAGE, "a page has too many orders"));
    }
    Ok(OrderPage { entries })
}

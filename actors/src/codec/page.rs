//! The bytes of product pages.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::page::{Command, Event, Lookup, ProductPage, Query, Rejection};

wire! {
    Command: "a page's command",
    Event: "a page's event",
    Rejection: "a page's rejection",
    Query: "a page's query",
    Lookup: "a page's view",
}

pub(crate) fn to_record(entity: &ProductPage) -> Vec<u8> {
    encode(&entity.page)
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<ProductPage, DecodeError> {
    latest("a page's record", bytes).map(|page| ProductPage { page })
}

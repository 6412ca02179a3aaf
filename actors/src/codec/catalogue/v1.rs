//! Listings as they were in version 1: without a tax class, a page, choices and a weight.
//!
//! **Invariants:** a listing of that time is one of the standard tax class that is on no page.

use cluster::time::Timestamp;
use serde::Deserialize;

use crate::domain::catalogue::{Listing, ProductName};
use crate::domain::ids::SkuCode;
use crate::domain::prices::Prices;
use crate::domain::product;

#[derive(Deserialize)]
pub(super) struct ListingV1 {
    sku: SkuCode,
    name: ProductName,
    prices: Prices,
}

#[derive(Deserialize)]
pub(super) enum CommandV1 {
    List { listing: ListingV1 },
    Withdraw,
}

#[derive(Deserialize)]
pub(super) enum EventV1 {
    Listed { listing: ListingV1, at: Timestamp },
    Withdrawn { at: Timestamp },
}

#[derive(Deserialize)]
pub(super) struct LookupV1(Option<ListingV1>);

#[derive(Deserialize)]
pub(super) struct ProductRecordV1 {
    listing: Option<ListingV1>,
}

impl From<ListingV1> for Listing {
    fn from(ListingV1 { sku, name, prices }: ListingV1) -> Self {
        Self::priced(sku, name, prices)
    }
}

impl From<CommandV1> for product::Command {
    fn from(command: CommandV1) -> Self {
        match command {
            CommandV1::List { listing } => Self::List { listing: listing.into() },
            CommandV1::Withdraw => Self::Withdraw,
        }
    }
}

impl From<EventV1> for product::Event {
    fn from(event: EventV1) -> Self {
        match event {
            EventV1::Listed { listing, at } => Self::Listed { listing: listing.into(), at },
            EventV1::Withdrawn { at } => Self::Withdrawn { at },
        }
    }
}

impl From<LookupV1> for product::Lookup {
    fn from(LookupV1(listing): LookupV1) -> Self {
        Self(listing.map(Listing::from))
    }
}

impl ProductRecordV1 {
    pub(super) fn listing(self) -> Option<Listing> {
        self.listing.map(Listing::from)
    }
}

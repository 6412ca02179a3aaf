//! The bytes of lists of gift cards and of their pages.

use cluster::entity::{DecodeError, Wire};
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::gift_card_list::{
    self, GiftCardList, GiftCardPage, Listed, PageCommand, PageEvent, PageQuery, PageRejection,
    PageView,
};

const PAGE: &str = "a record of a page of gift cards";

wire! {
    gift_card_list::Command: "a command to a list of gift cards",
    gift_card_list::Event: "an event of a list of gift cards",
    gift_card_list::Rejection: "a rejection of a list of gift cards",
    gift_card_list::Query: "a query of a list of gift cards",
    gift_card_list::View: "a view of a list of gift cards",
    PageCommand: "a command to a page of gift cards",
    PageEvent: "an event of a page of gift cards",
    PageRejection: "a rejection of a page of gift cards",
    PageQuery: "a query of a page of gift cards",
    PageView: "a view of a page of gift cards",
}

#[derive(Serialize, Deserialize)]
struct ListRecordV1 {
    n_cards: u32,
}

#[derive(Serialize, Deserialize)]
struct PageRecordV1 {
    entries: Vec<Listed>,
}

pub(crate) fn to_record(list: &GiftCardList) -> Vec<u8> {
    encode(&ListRecordV1 { n_cards: list.n_cards })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<GiftCardList, DecodeError> {
    let ListRecordV1 { n_cards } = latest("a record of a list of gift cards", bytes)?;
    Ok(GiftCardList { n_cards })
}

pub(crate) fn page_to_record(page: &GiftCardPage) -> Vec<u8> {
    encode(&PageRecordV1 { entries: page.entries.clone() })
}

pub(crate) fn page_from_record(bytes: &[u8]) -> Result<GiftCardPage, DecodeError> {
    let PageRecordV1 { entries } = latest(PAGE, bytes)?;
    if entries.len() > usize::try_from(GiftCardPage::ENTRIES_MAX).unwrap_or(usize::MAX) {
        return Err(damaged(PAGE, "a page has too many gift cards"));
    }
    Ok(GiftCardPage { entries })
}

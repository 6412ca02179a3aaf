//! The bytes of gift cards.

use std::collections::{BTreeMap, BTreeSet};

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_with_parts, latest, latest_with_parts};
use crate::domain::endings::Endings;
use crate::domain::gift_card::{
    Book, CardTerms, Command, Entry, Event, GiftCard, Issued, Lookup, Query, Rejection,
};
use crate::domain::ids::OrderId;
use crate::domain::money::Currency;
use crate::domain::names::Label;

const RECORD: &str = "a gift card's record";

wire! {
    Command: "a gift card's command",
    Event: "a gift card's event",
    Rejection: "a gift card's rejection",
    Query: "a gift card's query",
    Lookup: "a gift card's view",
}

#[derive(Serialize, Deserialize)]
struct CardRecordV1 {
    issued: Option<IssuedV1>,
}

#[derive(Serialize, Deserialize)]
struct IssuedV1 {
    currency: Currency,
    ending: Label,
    note: Option<Label>,
    terms: CardTerms,
    book: Vec<Entry>,
    held: Vec<(OrderId, i64)>,
    ended: Vec<(OrderId, Timestamp)>,
    at: Timestamp,
}

/// What a card has besides, since there are lists.
#[derive(Serialize, Deserialize)]
enum Part {
    Listed,
}

pub(crate) fn to_record(card: &GiftCard) -> Vec<u8> {
    let issued = card.issued.as_deref().map(|card| IssuedV1 {
        currency: card.currency,
        ending: card.ending.clone(),
        note: card.note.clone(),
        terms: card.terms,
        book: card.book.entries().cloned().collect(),
        held: card.held.iter().map(|(order, minor)| (*order, *minor)).collect(),
        ended: card.ended.iter().collect(),
        at: card.at,
    });
    let is_listed = card.issued.as_deref().is_some_and(|card| card.is_listed);
    let parts = is_listed.then_some(Part::Listed);
    encode_with_parts(&CardRecordV1 { issued }, parts.as_slice())
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<GiftCard, DecodeError> {
    let (CardRecordV1 { issued }, parts) = latest_with_parts(RECORD, bytes)?;
    let mut issued = issued.map(issued_from).transpose()?;
    match (&mut issued, parts.as_slice()) {
        (_, []) => {}
        (Some(card), [Part::Listed]) => card.is_listed = true,
        (_, [..]) => return Err(damaged(RECORD, "it is not said which card is listed")),
    }
    Ok(GiftCard { issued: issued.map(Box::new) })
}

fn issued_from(record: IssuedV1) -> Result<Issued, DecodeError> {
    let IssuedV1 { currency, ending, note, terms, book, held, ended, at } = record;
    let book = Book::of(book).ok_or_else(|| damaged(RECORD, "its book does not add up"))?;
    if held.len() > GiftCard::HELD_MAX || ended.len() > Endings::MAX {
        return Err(damaged(RECORD, "it is held by too many"));
    }
    let is_in_order = held.is_sorted_by(|left, right| left.0 < right.0);
    if !is_in_order || !ended.is_sorted_by_key(|(_, at)| *at) {
        return Err(damaged(RECORD, "its holders are not in order"));
    }
    let held = BTreeMap::from_iter(held);
    let names: BTreeSet<_> = ended.iter().map(|(order, _)| order).collect();
    if names.len() < ended.len() || names.iter().any(|order| held.contains_key(order)) {
        return Err(damaged(RECORD, "an order has some of it twice"));
    }
    let ended = Endings(ended.into());
    let is_listed = false;
    let card = Issued { currency, ending, note, terms, book, held, ended, at, is_listed };
    let sum = card.held.values().try_fold(0_i64, |sum, minor| sum.checked_add(*minor));
    let is_covered = sum.is_some_and(|sum| sum <= card.book.balance());
    if !is_covered || card.held.values().any(|minor| *minor <= 0) {
        return Err(damaged(RECORD, "more of it is held than there is"));
    }
    Ok(card)
}

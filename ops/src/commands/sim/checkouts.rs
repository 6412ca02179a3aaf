//! The workload of whole checkouts: carts are filled and become orders, which take their pieces
//! from stocks and their money from a provider, are cancelled, shipped, sent back and refunded.
//!
//! **Invariants:** what is judged is what clients were told, what they are shown at rest, and what
//! the provider has in its books.

mod after_sale;
mod boards;
mod cards;
mod carts;
mod codes;
mod counts;
mod judge;
mod lists;
mod money;
mod names;
mod orders;
mod outside;
mod payments;
mod provider;
mod shoppers;
mod stocks;
#[cfg(test)]
mod tests;
mod vouchers;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use actors::{
    Cart, CodeUses, GiftCard, GiftCardList, GiftCardPage, Order, OrderList, OrderNumbers,
    OrderPage, Payment, SellerBoard, Sku,
};
use cluster::entity::Catalogue;
use cluster::fabric::OutcomeKey;
use cluster::ids::ShardId;
use cluster::placement::shard_map::ShardMap;
use cluster::shard::kind::Kinds;
use cluster::sim::client::Finished;
use cluster::sim::port::Provider;
use cluster::sim::workload::{Operation, Workload};
use cluster::time::{Span, Timestamp};
use storage::sim_disk::SplitMix64;

use self::boards::Boards;
use self::cards::Cards;
use self::carts::Carts;
use self::codes::Codes;
pub(super) use self::counts::Counts;
use self::lists::Lists;
use self::orders::{Deed as OrderDeed, Orders};
use self::outside::{SharedParcels, Verdicts};
use self::payments::Payments;
use self::provider::SharedBooks;
use self::shoppers::{Next, Shoppers};
use self::stocks::{Deed as StockDeed, Stocks};
use super::range;

/// How long an outcome is remembered under its key, at least and at most.
const KEY_SECS: (u64, u64) = (30, 150);
/// One request in so many is a repeat, is the provider's, or is about a stock or a gift card.
const REPEAT_ONE_IN: u64 = 10;
const NOTICE_ONE_IN: u64 = 8;
const STOCK_ONE_IN: u64 = 10;
const CARD_ONE_IN: u64 = 25;

/// What came about in all checkouts that were judged so far.
pub(super) type SharedCounts = Arc<Mutex<Counts>>;

#[derive(Default)]
pub(super) struct Checkouts {
    shoppers: Shoppers,
    carts: Carts,
    codes: Codes,
    cards: Cards,
    orders: Orders,
    stocks: Stocks,
    payments: Payments,
    lists: Lists,
    boards: Boards,
    books: SharedBooks,
    parcels: SharedParcels,
    counts: SharedCounts,
}

impl Checkouts {
    pub(super) fn new(counts: SharedCounts) -> Self {
        Self { counts, ..Self::default() }
    }

    fn draw_repeat(
        &mut self,
        op: u64,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Option<Operation> {
        if random.one_in(2) {
            self.carts.repeat(op, now, random)
        } else {
            self.orders.repeat(op, now, random)
        }
    }
}

impl Workload for Checkouts {
    fn kinds(&self, kinds: Kinds) -> Kinds {
        let kinds = kinds.with::<Cart>().with::<Sku>().with::<Order>();
        let kinds = kinds.with::<OrderList>().with::<OrderPage>().with::<SellerBoard>();
        let kinds = kinds.with::<OrderNumbers>().with::<Payment>().with::<CodeUses>();
        kinds.with::<GiftCard>().with::<GiftCardList>().with::<GiftCardPage>()
    }

    fn catalogue(&self) -> Option<Catalogue> {
        range::catalogue()
    }

    fn providers(&self) -> Vec<Box<dyn Provider>> {
        let (books, parcels) = (self.books.clone(), self.parcels.clone());
        vec![Box::new(books), Box::new(parcels), Box::new(Verdicts::default())]
    }

    /// Orders wait for their payment for a quarter of an hour.
    fn has_long_timers(&self) -> bool {
        true
    }

    fn draw(&mut self, op: u64, now: Timestamp, random: &mut SplitMix64) -> Operation {
        let (shortest, longest) = KEY_SECS;
        let secs = shortest + random.below(longest - shortest);
        let not_after = now.plus(Span::from_secs(secs));
        let scope = u128::from(op).to_be_bytes();
        let key = OutcomeKey { scope, request: scope, not_after };
        let key = (!random.one_in(3)).then_some(key);
        if random.one_in(NOTICE_ONE_IN)
            && let Some(notice) = self.books.open().draw_notice(now, random)
        {
            return self.payments.notify(op, &notice);
        }
        if random.one_in(NOTICE_ONE_IN)
            && let Some((parcel, to)) = self.parcels.draw_notice(random)
            && let Some(order) = self.orders.named(parcel.order)
        {
            let deed = OrderDeed::Track { number: parcel.shipment.0, to };
            return self.orders.ask(op, order, deed, None, random);
        }
        if random.one_in(REPEAT_ONE_IN)
            && let Some(repeat) = self.draw_repeat(op, now, random)
        {
            return repeat;
        }
        if random.one_in(STOCK_ONE_IN) {
            return self.stocks.draw(op, key, random);
        }
        if random.one_in(CARD_ONE_IN) {
            return self.cards.draw(op, key, random);
        }
        match self.shoppers.draw(&mut self.carts, &mut self.orders, random) {
            Next::Cart { cart, deed } => self.carts.write(op, cart, deed, key),
            Next::Again { cart, deed } => self.carts.write(op, cart, deed, None),
            Next::Order { order, deed } => self.orders.ask(op, order, deed, key, random),
        }
    }

    /// Other workloads have one.
    fn probe(&mut self, _: u64, _: ShardId, _: ShardMap) -> Option<Operation> {
        None
    }

    fn audits(&mut self, first: u64) -> Vec<Operation> {
        let mut ops = first..;
        let mut audits = Vec::new();
        for (cart, op) in self.shoppers.carts().zip(&mut ops) {
            audits.push(self.carts.audit(op, cart));
        }
        let orders: Vec<_> = self.orders.all().collect();
        for (order, cart) in orders.iter().copied() {
            let (Some(one), Some(other)) = (ops.next(), ops.next()) else { break };
            audits.push(self.orders.audit(one, order));
            audits.push(self.payments.audit(other, order, cart));
        }
        for (number, op) in Codes::all().zip(&mut ops) {
            audits.push(self.codes.audit(op, number));
        }
        let cards = cards::by_hand().chain(self.orders.vouchers_wanted());
        for (card, op) in cards.collect::<BTreeSet<_>>().into_iter().zip(&mut ops) {
            audits.push(self.cards.audit(op, card));
        }
        for (list, op) in Lists::of(&orders).into_iter().zip(&mut ops) {
            audits.push(self.lists.audit(op, list));
        }
        for (seller, op) in range::sellers().into_iter().zip(&mut ops) {
            audits.push(self.boards.audit(op, seller));
        }
        for product in range::ORDERED {
            let (Some(one), Some(other)) = (ops.next(), ops.next()) else { break };
            audits.push(self.stocks.audits(one, product, StockDeed::Look));
            audits.push(self.stocks.audits(other, product, StockDeed::LookAtReservations));
        }
        audits
    }

    fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        if self.payments.has(op) {
            self.payments.finish(&finished)
        } else if self.codes.journal.has(op) {
            self.codes.finish(finished)
        } else if self.cards.journal.has(op) {
            self.cards.finish(finished)
        } else if self.lists.has(op) {
            self.lists.finish(&finished)
        } else if self.boards.has(op) {
            self.boards.finish(&finished)
        } else if self.carts.journal.has(op) {
            self.carts.finish(finished)
        } else if self.orders.journal.has(op) {
            self.orders.finish(finished)
        } else {
            self.stocks.finish(finished)
        }
    }

    fn judge(&self) -> Result<(), String> {
        let found = self.found()?;
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts = counts.plus(found);
        Ok(())
    }
}

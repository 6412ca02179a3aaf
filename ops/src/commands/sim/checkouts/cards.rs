//! The gift cards that some orders are paid with, and what is left on them.
//!
//! Some are issued by hand, and some are what orders became that were refunded.
//!
//! **Invariants:** which orders bring which cards follows from their numbers, but for those that their carts
//! were given; cards are only added to, so that what is left is a sum.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use actors::domain::gift_card::{Command, Lookup, Query, Rejection, View as CardView};
use actors::domain::names::Label;
use actors::domain::order::{Tender, TenderState, View};
use actors::{Currency, GiftCard, GiftCardId, Money};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::ids::Slot;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Fate, Journal, Read, adds_up};
use super::judge::is_still_bought;
use super::vouchers;

const CARDS: u64 = 3;
/// Of what most orders come to, some times.
const WORTH: i64 = 5_000;
/// One addition in so many is less than most orders come to.
const LITTLE_ONE_IN: u64 = 3;
const LITTLE: u64 = 400;
const MUCH: i64 = 6_000;

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Issue,
    Add { minor: i64 },
    Look,
}

#[derive(Default)]
pub(super) struct Cards {
    pub(super) journal: Journal<Deed>,
    audits: BTreeSet<u64>,
}

/// What an order is paid with besides the cards of its cart.
pub(super) fn of_order(order: u64) -> Vec<GiftCardId> {
    let n_cards = match order % 8 {
        1 => 1,
        5 => 2,
        _ => 0,
    };
    (0..n_cards).map(|nth| id((order / 8 + nth) % CARDS)).collect()
}

/// Those that are issued by hand.
pub(super) fn by_hand() -> Range<u64> {
    0..CARDS
}

pub(super) fn id(number: u64) -> GiftCardId {
    let mut unique = [0xCA; 14];
    for (to, from) in unique.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    let bits = u16::try_from(number.wrapping_mul(21_001) % (1 << 16)).unwrap_or(0);
    GiftCardId::in_slot(Slot::from_bits(bits), unique)
}

pub(super) fn ending() -> Label {
    label("7XYZ")
}

fn label(text: &str) -> Label {
    let label = Label::try_from(text.to_owned());
    label.unwrap_or_else(|_| unreachable!("a plain word"))
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

impl Cards {
    pub(super) fn draw(
        &mut self,
        op: u64,
        key: Option<OutcomeKey>,
        random: &mut SplitMix64,
    ) -> Operation {
        let card = random.below(CARDS);
        let deed = if random.one_in(3) {
            Deed::Issue
        } else if random.one_in(LITTLE_ONE_IN) {
            Deed::Add { minor: 1 + random.below(LITTLE).cast_signed() }
        } else {
            Deed::Add { minor: MUCH }
        };
        operation(self.journal.write(op, card, deed, key))
    }

    pub(super) fn audit(&mut self, op: u64, card: u64) -> Operation {
        self.audits.insert(op);
        operation(self.journal.read(op, card, Deed::Look, Freshness::Latest))
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?;
        if let Some((rejection, _)) = asked.rejected() {
            let why = Rejection::read(rejection)?;
            let may = match asked.deed {
                Deed::Issue => why == Rejection::AlreadyIssued,
                Deed::Add { .. } => why == Rejection::NotFound,
                Deed::Look => false,
            };
            return if may { Ok(()) } else { Err(format!("operation {op} {asked:?} got {why:?}")) };
        }
        let Some((reply, _)) = asked.accepted().or_else(|| asked.viewed()) else { return Ok(()) };
        let Lookup(view) = Lookup::read(reply)?;
        let is_possible = |it: &CardView| 0 <= it.held.minor && it.held.minor <= it.balance.minor;
        if view.as_ref().is_none_or(is_possible) {
            return Ok(());
        }
        Err(format!("card {} is {view:?}", asked.entity))
    }

    /// A card is issued once, by hand or by an order; it has what it was issued for and what was put on
    /// it but for what orders that are bought were paid with, and holds nothing for anybody.
    pub(super) fn check<'a>(
        &self,
        orders: impl Iterator<Item = &'a View> + Clone,
    ) -> Result<(), String> {
        let mut issued: BTreeMap<GiftCardId, Vec<i64>> = BTreeMap::new();
        for (card, minor) in orders.clone().flat_map(vouchers::issued) {
            issued.entry(card).or_default().push(minor);
        }
        // What vouchers have of a card was paid with it all the same.
        let kept = orders.clone().flat_map(|view| &view.tenders).map(|it| (it.card, it.left()));
        let mut paid: BTreeMap<GiftCardId, i64> = BTreeMap::new();
        for (card, minor) in kept.chain(orders.flat_map(vouchers::parts)) {
            *paid.entry(card).or_insert(0) += minor;
        }
        let fates = self.journal.fates();
        for audit in self.journal.audited(&self.audits) {
            let (card, view) = audit?;
            let Lookup(view) = Lookup::read(view)?;
            let issued = issued.remove(&id(card)).unwrap_or_default();
            let paid = paid.remove(&id(card)).unwrap_or(0);
            self.check_card(card, view.as_ref(), &issued, paid, &fates)?;
        }
        paid.retain(|_, minor| *minor != 0);
        if issued.is_empty() && paid.is_empty() {
            return Ok(());
        }
        Err(format!("nobody asked for cards of which orders issued {issued:?}, took {paid:?}"))
    }

    fn check_card(
        &self,
        card: u64,
        view: Option<&CardView>,
        issued: &[i64],
        paid: i64,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let (sure, maybe) = self.journal.added(card, fates, |deed| match deed {
            Deed::Add { minor } => Some(*minor),
            Deed::Issue | Deed::Look => None,
        });
        let by_hand = self.journal.iter().filter(|(_, asked)| asked.entity == card);
        let by_hand = by_hand.filter(|(_, asked)| matches!(asked.deed, Deed::Issue));
        let by_hand = by_hand.filter_map(|(op, _)| fates.get(&op)).max().copied();
        let worth = match issued {
            [] if by_hand > Some(Fate::Refused) => Some(WORTH),
            [minor] if by_hand != Some(Fate::Done) => Some(*minor),
            [..] => None,
        };
        let is_right = match (view, worth) {
            (Some(view), Some(worth)) => {
                let added = view.balance.minor + paid - worth - sure;
                view.held.minor == 0 && adds_up(added, &maybe)
            }
            (Some(_), None) => false,
            (None, _) => by_hand != Some(Fate::Done) && issued.is_empty() && (sure, paid) == (0, 0),
        };
        if is_right {
            return Ok(());
        }
        let told = format!("{sure} and some of {maybe:?} was put on card {card}");
        let told = format!("{told}, by hand it was {by_hand:?}, orders issued {issued:?}");
        Err(format!("{told} and took {paid}: {view:?}"))
    }
}

/// Whether nothing is under way with what cards pay of an order at its end.
pub(super) fn are_settled(view: &View) -> bool {
    let is_settled = |tender: &Tender| match tender.state {
        TenderState::Spent { .. } => is_still_bought(view),
        TenderState::Returned { .. } => !is_still_bought(view),
        TenderState::Released | TenderState::Refused(_) => true,
        TenderState::Asked
        | TenderState::Held { .. }
        | TenderState::Spending { .. }
        | TenderState::Releasing
        | TenderState::Returning { .. } => false,
    };
    view.tenders.iter().all(is_settled)
}

/// What cards ever paid of an order.
pub(super) fn paid(view: &View) -> i64 {
    view.tenders.iter().map(Tender::ever_paid).sum()
}

/// What cards pay that the cart of an order was given, and not the order.
pub(super) fn paid_by_cart(order: u64, view: &View) -> i64 {
    let brought = of_order(order);
    let own = view.tenders.iter().filter(|tender| !brought.contains(&tender.card));
    own.map(Tender::ever_paid).sum()
}

/// What cards pay that some order became.
pub(super) fn paid_by_vouchers(view: &View) -> i64 {
    let by_hand: Vec<_> = by_hand().map(id).collect();
    let others = view.tenders.iter().filter(|tender| !by_hand.contains(&tender.card));
    others.map(Tender::ever_paid).sum()
}

/// Whether no more came back to cards than they paid, and as much as was refunded to them or became
/// other cards.
pub(super) fn add_up(view: &View) -> bool {
    let refunded = view.refunds.iter().filter(|refund| view.to_cards.contains(&refund.id));
    let refunded: i64 = refunded.map(|refund| refund.amount.minor).sum();
    let given_back: i64 = view.tenders.iter().map(|tender| tender.given_back).sum();
    refunded + vouchers::of_cards(view) == given_back
        && view.tenders.iter().all(|tender| tender.given_back <= tender.ever_paid())
        && paid(view) <= view.totals.grand.minor
}

fn operation(asked: &Asked<Deed>) -> Operation {
    let entity = GiftCard::address(id(asked.entity));
    let command = match asked.deed {
        Deed::Issue => {
            let (ending, expires_at, note) = (ending(), None, None);
            Command::Issue { amount: euro(WORTH), ending, expires_at, note }
        }
        Deed::Add { minor } => Command::Adjust { by: euro(minor), reason: label("goodwill") },
        Deed::Look => return Operation { entity, wish: asked.wish(Query::Card.to_bytes()) },
    };
    Operation { entity, wish: asked.wish(command.to_bytes()) }
}

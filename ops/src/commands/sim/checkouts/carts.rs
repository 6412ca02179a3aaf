//! The carts that are checked out.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::cart::{Command, Lookup, Means, Query, Rejection, Status, View};
use actors::domain::contact::{Address, Contact};
use actors::domain::names::Label;
use actors::domain::order::{CaptureTime, Shortfall, Terms};
use actors::domain::payment::PaymentMethod;
use actors::{Cart, CartAccess, Currency, GiftCardId};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use cluster::time::Span;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Fate, Journal, Read, adds_up, count};
use super::super::range;
use super::orders::Orders;
use super::{cards, codes, names};

const PIECES_MAX: u64 = 3;

/// One order in so many is looked at before it is paid, and held for so long.
const SCREENED_ONE_IN: u64 = 3;
const HELD_FOR: Span = Span::from_secs(10 * 60);
/// One cart in so many may have a gift card of its own, and one order in so many of those that bring
/// cards has nobody to pay the rest.
const WITH_CARD_ONE_IN: u64 = 3;
const WITHOUT_PAYMENT_ONE_IN: u64 = 2;

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Create,
    /// So many of each product, in the order of the range.
    Fill {
        pieces: [u32; 4],
    },
    GiveCode,
    GiveCard {
        card: u64,
    },
    /// It paid nothing.
    TakeCardAway {
        card: u64,
    },
    CheckOut {
        order: u64,
    },
    Look,
}

#[derive(Default)]
pub(super) struct Carts {
    pub(super) journal: Journal<Deed>,
    created: BTreeSet<u64>,
    filled: BTreeSet<u64>,
    with_code: BTreeSet<u64>,
    /// Which gift card each is to be given, those that were, and those that have none any more.
    to_be_given: BTreeMap<u64, Option<u64>>,
    with_card: BTreeSet<u64>,
    without_card: BTreeSet<u64>,
    audits: BTreeSet<u64>,
}

impl Carts {
    /// What a shopper does next with a cart that is not yet ready to be checked out.
    pub(super) fn next_step(
        &mut self,
        cart: u64,
        orders: &Orders,
        random: &mut SplitMix64,
    ) -> Option<Deed> {
        if !self.created.contains(&cart) {
            return Some(Deed::Create);
        }
        if self.filled.contains(&cart) {
            if codes::has_code(cart) && !self.with_code.contains(&cart) {
                return Some(Deed::GiveCode);
            }
            return self.give_card(cart, orders, random);
        }
        let mut pieces = [0; 4];
        for _ in 0..=random.below(2) {
            let nth = usize::try_from(random.below(4)).unwrap_or(0);
            if let Some(pieces) = pieces.get_mut(nth) {
                *pieces = u32::try_from(1 + random.below(PIECES_MAX)).unwrap_or(1);
            }
        }
        Some(Deed::Fill { pieces })
    }

    /// The newest that an order became and no other cart was given; where there is none, one that was
    /// issued by hand, or none. It stays the same.
    fn give_card(&mut self, cart: u64, orders: &Orders, random: &mut SplitMix64) -> Option<Deed> {
        if cart % WITH_CARD_ONE_IN != 1 || self.with_card.contains(&cart) {
            return None;
        }
        let is_new = |card: &u64| !self.to_be_given.values().any(|given| *given == Some(*card));
        let voucher = orders.vouchers_seen().into_iter().rev().find(is_new);
        let other = random.below(cards::by_hand().end);
        let card = voucher.or(cart.is_multiple_of(2).then_some(other));
        let card = *self.to_be_given.entry(cart).or_insert(card);
        card.map(|card| Deed::GiveCard { card })
    }

    /// What is done about a card that pays nothing, if the cart has it.
    pub(super) fn take_away(&self, cart: u64, refused: GiftCardId) -> Option<Deed> {
        let card = self.to_be_given.get(&cart).copied().flatten()?;
        let has = cards::id(card) == refused && !self.without_card.contains(&cart);
        has.then_some(Deed::TakeCardAway { card })
    }

    pub(super) fn write(
        &mut self,
        op: u64,
        cart: u64,
        deed: Deed,
        key: Option<OutcomeKey>,
    ) -> Operation {
        operation(self.journal.write(op, cart, deed, key))
    }

    pub(super) fn repeat(
        &mut self,
        op: u64,
        now: cluster::time::Timestamp,
        random: &mut SplitMix64,
    ) -> Option<Operation> {
        self.journal.draw_repeat(op, now, random).map(|(_, asked)| operation(asked))
    }

    pub(super) fn audit(&mut self, op: u64, cart: u64) -> Operation {
        self.audits.insert(op);
        operation(self.journal.read(op, cart, Deed::Look, Freshness::Latest))
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?;
        let (cart, deed) = (asked.entity, asked.deed);
        if let Some((rejection, _)) = asked.rejected() {
            let why = Rejection::read(rejection)?;
            let may = may_be_refused(deed, &why);
            return if may { Ok(()) } else { Err(format!("operation {op} {asked:?} got {why:?}")) };
        }
        let Some((reply, _)) = asked.accepted() else { return Ok(()) };
        let Lookup(view) = Lookup::read(reply)?;
        let is_as_asked = match (deed, view.as_ref().map(|view| view.status)) {
            (
                Deed::CheckOut { order },
                Some(Status::CheckingOut { order: begun } | Status::Ordered { order: begun }),
            ) => begun == names::order(order, cart),
            (Deed::CheckOut { .. }, _) | (_, None) => false,
            (Deed::GiveCard { card }, Some(_)) => {
                let mut given = view.iter().flat_map(|view| &view.gift_cards);
                given.any(|given| given.card == cards::id(card))
            }
            (Deed::TakeCardAway { .. }, Some(_)) => {
                view.iter().all(|view| view.gift_cards.is_empty())
            }
            (Deed::Create | Deed::Fill { .. } | Deed::GiveCode | Deed::Look, Some(_)) => true,
        };
        if !is_as_asked {
            return Err(format!("operation {op} {asked:?} was not done"));
        }
        match deed {
            Deed::Create => drop(self.created.insert(cart)),
            Deed::Fill { .. } => drop(self.filled.insert(cart)),
            Deed::GiveCode => drop(self.with_code.insert(cart)),
            Deed::GiveCard { .. } => drop(self.with_card.insert(cart)),
            Deed::TakeCardAway { .. } => drop(self.without_card.insert(cart)),
            Deed::CheckOut { .. } | Deed::Look => {}
        }
        Ok(())
    }

    /// Every cart there is, at rest.
    pub(super) fn finals(&self) -> Result<BTreeMap<u64, View>, String> {
        let mut finals = BTreeMap::new();
        for audit in self.journal.audited(&self.audits) {
            let (entity, view) = audit?;
            if let Lookup(Some(view)) = Lookup::read(view)? {
                finals.insert(entity, view);
            }
        }
        Ok(finals)
    }

    /// What was acknowledged is there: every cart, every piece that was put into it, and the gift card
    /// that it was given.
    pub(super) fn check_lines(&self, finals: &BTreeMap<u64, View>) -> Result<(), String> {
        if let Some(lost) = self.created.iter().find(|cart| !finals.contains_key(*cart)) {
            return Err(format!("cart {lost} was created and is not there"));
        }
        let fates = self.journal.fates();
        for (cart, view) in finals {
            for (nth, product) in range::ORDERED.enumerate() {
                let (sure, maybe) = self.journal.added(*cart, &fates, |deed| match deed {
                    Deed::Fill { pieces } => pieces.get(nth).copied().map(i64::from),
                    Deed::Create
                    | Deed::GiveCode
                    | Deed::GiveCard { .. }
                    | Deed::TakeCardAway { .. }
                    | Deed::CheckOut { .. }
                    | Deed::Look => None,
                });
                let sku = range::code(product);
                let line = view.lines.iter().find(|line| line.sku == sku);
                let held = line.map_or(0, |line| i64::from(line.quantity.get()));
                if !adds_up(held - sure, &maybe) {
                    let asked = format!("{sure} and some of {maybe:?}");
                    return Err(format!("cart {cart} was given {asked} of {sku} and is {view:?}"));
                }
            }
            self.check_card(*cart, view, &fates)?;
        }
        Ok(())
    }

    fn check_card(
        &self,
        cart: u64,
        view: &View,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let best = |of: fn(Deed) -> bool| {
            let asked = self.journal.iter().filter(|(_, it)| it.entity == cart && of(it.deed));
            asked.filter_map(|(op, _)| fates.get(&op)).max().copied()
        };
        let taken_away = best(|deed| matches!(deed, Deed::TakeCardAway { .. }));
        let given = self.to_be_given.get(&cart).copied().flatten().map(cards::id);
        let held: Vec<_> = view.gift_cards.iter().map(|given| given.card).collect();
        let is_right = match held.as_slice() {
            [] => !self.with_card.contains(&cart) || taken_away > Some(Fate::Refused),
            // Whoever asked twice may have given it again after that.
            [card] => {
                let is_given = |it: &Asked<Deed>| matches!(it.deed, Deed::GiveCard { .. });
                let asked = self.journal.iter().filter(|(op, _)| fates.contains_key(op));
                let asked = asked.filter(|(_, it)| it.entity == cart && is_given(it));
                Some(*card) == given && (taken_away != Some(Fate::Done) || asked.count() > 1)
            }
            [..] => false,
        };
        if is_right {
            return Ok(());
        }
        Err(format!("cart {cart} was given {given:?}, taken away {taken_away:?}: {view:?}"))
    }

    /// Gift cards that paid nothing and were taken away.
    pub(super) fn cards_taken_away(&self) -> u64 {
        count(self.without_card.iter())
    }

    /// The best that is known of the checkouts that were to be each order.
    pub(super) fn fates_of_orders(&self) -> BTreeMap<u64, Fate> {
        let mut orders = BTreeMap::new();
        let fates = self.journal.fates();
        for (op, asked) in self.journal.iter() {
            let (Deed::CheckOut { order }, Some(fate)) = (asked.deed, fates.get(&op)) else {
                continue;
            };
            let known = orders.entry(order).or_insert(*fate);
            *known = (*known).max(*fate);
        }
        orders
    }
}

/// The terms follow from the number of the order, so that a repeat is one.
pub(super) fn shortfall_of(order: u64) -> Shortfall {
    if order.is_multiple_of(3) { Shortfall::DropLines } else { Shortfall::FailAll }
}

pub(super) fn capture_of(order: u64) -> CaptureTime {
    if order.is_multiple_of(2) { CaptureTime::AtOnce } else { CaptureTime::OnFulfilment }
}

/// Whether nobody is to pay what gift cards leave.
pub(super) fn is_without_payment(order: u64) -> bool {
    !cards::of_order(order).is_empty() && (order / 8).is_multiple_of(WITHOUT_PAYMENT_ONE_IN)
}

fn terms(order: u64, cart: u64) -> Option<Terms> {
    let label = |text: &str| Label::try_from(text.to_owned()).ok();
    let shipping = Address {
        name: label("A Shopper")?,
        line1: label("Street 1")?,
        line2: None,
        city: label("Town")?,
        region: None,
        postal_code: None,
        country: "DE".parse().ok()?,
    };
    let method = if is_without_payment(order) {
        PaymentMethod::none()
    } else {
        PaymentMethod { provider: "simulator".parse().ok()?, token: "tok_visa".parse().ok()? }
    };
    let contact = Contact { email: Some(names::email(cart)), shipping, billing: None };
    let (shortfall, capture) = (shortfall_of(order), capture_of(order));
    Some(Terms { contact, method, shortfall, capture })
}

fn operation(asked: &Asked<Deed>) -> Operation {
    let cart = asked.entity;
    let entity = Cart::address(names::cart(cart));
    let command = match asked.deed {
        Deed::Create => {
            let access = CartAccess::from_hash([7; 32]);
            Command::Create { currency: Currency::EURO, access }
        }
        Deed::Fill { pieces } => {
            let items = range::ORDERED.zip(pieces).filter_map(|(product, pieces)| {
                Some((range::code(product), pieces.try_into().ok()?))
            });
            Command::AddItems { items: items.collect() }
        }
        Deed::GiveCode => Command::AddCode { code: range::discount_code() },
        Deed::GiveCard { card } => {
            let (card, ending) = (cards::id(card), cards::ending());
            Command::AddGiftCard { card, ending }
        }
        Deed::TakeCardAway { card } => Command::RemoveGiftCard { card: cards::id(card) },
        Deed::CheckOut { order } => {
            let terms = terms(order, cart);
            let terms = terms.unwrap_or_else(|| unreachable!("every word is a short one"));
            let (number, payment) = (order, names::payment(order, cart));
            let order = names::order(order, cart);
            let mut means = vec![Means::Customer(codes::customer(cart))];
            if number.is_multiple_of(SCREENED_ONE_IN) {
                means.push(Means::Screening { held_for: HELD_FOR });
            }
            means.extend(cards::of_order(number).into_iter().map(Means::GiftCard));
            let terms = Box::new(terms);
            Command::CheckOutWith { order, payment, terms, shipping: None, means }
        }
        Deed::Look => return Operation { entity, wish: asked.wish(Query::Cart.to_bytes()) },
    };
    Operation { entity, wish: asked.wish(command.to_bytes()) }
}

/// Whether there is a reason for which a cart refuses such a deed.
fn may_be_refused(deed: Deed, why: &Rejection) -> bool {
    match deed {
        Deed::Create
        | Deed::Fill { .. }
        | Deed::GiveCode
        | Deed::GiveCard { .. }
        | Deed::CheckOut { .. } => {
            matches!(why, Rejection::CheckingOut { .. } | Rejection::Ordered { .. })
        }
        // Somebody else took it away.
        Deed::TakeCardAway { .. } => matches!(
            why,
            Rejection::CheckingOut { .. }
                | Rejection::Ordered { .. }
                | Rejection::GiftCardNotFound { .. }
        ),
        Deed::Look => false,
    }
}

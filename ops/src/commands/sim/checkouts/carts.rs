//! The carts that are checked out.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::cart::{Command, Lookup, Means, Query, Rejection, Status, View};
use actors::domain::contact::{Address, Contact};
use actors::domain::names::Label;
use actors::domain::order::{CaptureTime, Shortfall, Terms};
use actors::domain::payment::PaymentMethod;
use actors::{Cart, CartAccess, Currency};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use cluster::time::Span;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Fate, Journal, Read, adds_up};
use super::super::range;
use super::{cards, codes, names};

const PIECES_MAX: u64 = 3;

/// One order in so many is looked at before it is paid, and held for so long.
const SCREENED_ONE_IN: u64 = 3;
const HELD_FOR: Span = Span::from_secs(10 * 60);

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Create,
    /// So many of each product, in the order of the range.
    Fill {
        pieces: [u32; 4],
    },
    GiveCode,
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
    audits: BTreeSet<u64>,
}

impl Carts {
    /// What a shopper does next with a cart that is not yet ready to be checked out.
    pub(super) fn next_step(&self, cart: u64, random: &mut SplitMix64) -> Option<Deed> {
        if !self.created.contains(&cart) {
            return Some(Deed::Create);
        }
        if self.filled.contains(&cart) {
            let lacks_code = codes::has_code(cart) && !self.with_code.contains(&cart);
            return lacks_code.then_some(Deed::GiveCode);
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
        let is_as_asked = match (deed, view.map(|view| view.status)) {
            (
                Deed::CheckOut { order },
                Some(Status::CheckingOut { order: begun } | Status::Ordered { order: begun }),
            ) => begun == names::order(order, cart),
            (Deed::CheckOut { .. }, _) | (_, None) => false,
            (Deed::Create | Deed::Fill { .. } | Deed::GiveCode | Deed::Look, Some(_)) => true,
        };
        if !is_as_asked {
            return Err(format!("operation {op} {asked:?} was not done"));
        }
        match deed {
            Deed::Create => drop(self.created.insert(cart)),
            Deed::Fill { .. } => drop(self.filled.insert(cart)),
            Deed::GiveCode => drop(self.with_code.insert(cart)),
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

    /// What was acknowledged is there: every cart, and every piece that was put into it.
    pub(super) fn check_lines(&self, finals: &BTreeMap<u64, View>) -> Result<(), String> {
        if let Some(lost) = self.created.iter().find(|cart| !finals.contains_key(*cart)) {
            return Err(format!("cart {lost} was created and is not there"));
        }
        let fates = self.journal.fates();
        for (cart, view) in finals {
            for (nth, product) in range::ORDERED.enumerate() {
                let (sure, maybe) = self.journal.added(*cart, &fates, |deed| match deed {
                    Deed::Fill { pieces } => pieces.get(nth).copied().map(i64::from),
                    Deed::Create | Deed::GiveCode | Deed::CheckOut { .. } | Deed::Look => None,
                });
                let sku = range::code(product);
                let line = view.lines.iter().find(|line| line.sku == sku);
                let held = line.map_or(0, |line| i64::from(line.quantity.get()));
                if !adds_up(held - sure, &maybe) {
                    let asked = format!("{sure} and some of {maybe:?}");
                    return Err(format!("cart {cart} was given {asked} of {sku} and is {view:?}"));
                }
            }
        }
        Ok(())
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
    let method =
        PaymentMethod { provider: "simulator".parse().ok()?, token: "tok_visa".parse().ok()? };
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
        Deed::Create | Deed::Fill { .. } | Deed::GiveCode | Deed::CheckOut { .. } => {
            matches!(why, Rejection::CheckingOut { .. } | Rejection::Ordered { .. })
        }
        Deed::Look => false,
    }
}

//! Carts and their shoppers.
//!
//! Some carts are *counted*: their lines are only added to and merged away, so that what they hold
//! in the end is a sum. The others are edited in every way; of them each step is checked.

mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeFrom;

use actors::domain::cart::{
    Command, Lookup, MergeStrategy, OfferOutcome, Query, Rejection, Status, View,
};
use actors::{Cart, CartAccess, CartId, Currency, Money, Quantity};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::ids::Slot;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use cluster::time::Timestamp;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Fate, Journal, Read, adds_up, count};
use super::super::range;
use super::counts::Counts;

/// Carts in use at a time.
const COUNTED: u64 = 8;
const EDITED: u64 = 4;
const PIECES_MAX: u64 = 12;

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Create,
    Add { product: u64, pieces: u32 },
    Set { product: u64, pieces: u32 },
    Remove { product: u64 },
    Clear,
    Merge { into: u64 },
    Look,
}

pub(super) struct Carts {
    pub(super) journal: Journal<Deed>,
    /// In use: a cart is its number, and the counted ones come first.
    in_use: Vec<u64>,
    next: u64,
    created: BTreeSet<u64>,
    /// Every state that anybody was shown, by cart and sequence.
    seen: BTreeMap<(u64, u64), Option<View>>,
    audits: BTreeSet<u64>,
}

impl Default for Carts {
    fn default() -> Self {
        let next = COUNTED + EDITED;
        Self {
            journal: Journal::default(),
            in_use: (0..next).collect(),
            next,
            created: BTreeSet::new(),
            seen: BTreeMap::new(),
            audits: BTreeSet::new(),
        }
    }
}

fn id(cart: u64) -> CartId {
    let mut unique = [0; 14];
    for (to, from) in unique.iter_mut().zip(cart.to_be_bytes()) {
        *to = from;
    }
    let [high, low, ..] = cart.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    CartId::in_slot(Slot::from_bits(u16::from_be_bytes([high, low])), unique)
}

fn access(cart: u64) -> CartAccess {
    CartAccess::from_hash([u8::try_from(cart % 251).unwrap_or(0); 32])
}

/// What a cart holds, by product.
type Contents = BTreeMap<u64, u32>;

fn contents(view: &View) -> Contents {
    let lines = view.lines.iter();
    lines.filter_map(|line| Some((range::number(&line.sku)?, line.quantity.get()))).collect()
}

impl Carts {
    pub(super) fn draw(
        &mut self,
        op: u64,
        now: Timestamp,
        key: Option<OutcomeKey>,
        random: &mut SplitMix64,
    ) -> Operation {
        if random.one_in(12)
            && let Some((_, asked)) = self.journal.draw_repeat(op, now, random)
        {
            return operation(asked);
        }
        let nth = random.below(COUNTED + EDITED);
        let cart = self.in_use(nth);
        if random.one_in(6) {
            let freshness = match random.below(2) {
                0 => Freshness::Latest,
                _ => Freshness::Position,
            };
            return operation(self.journal.read(op, cart, Deed::Look, freshness));
        }
        let deed = match nth {
            _ if !self.created.contains(&cart) && !random.one_in(8) => Deed::Create,
            0..COUNTED => self.draw_counted(nth, random),
            _ => draw_edit(random),
        };
        operation(self.journal.write(op, cart, deed, key))
    }

    fn in_use(&self, nth: u64) -> u64 {
        usize::try_from(nth).ok().and_then(|nth| self.in_use.get(nth)).copied().unwrap_or(nth)
    }

    /// An addition, or a merge into another counted cart; often another cart takes its place then.
    fn draw_counted(&mut self, nth: u64, random: &mut SplitMix64) -> Deed {
        if !random.one_in(8) {
            return draw_addition(random);
        }
        let into = self.in_use((nth + 1 + random.below(COUNTED - 1)) % COUNTED);
        let place = usize::try_from(nth).ok().and_then(|nth| self.in_use.get_mut(nth));
        if let (Some(place), false) = (place, random.one_in(3)) {
            *place = self.next;
            self.next += 1;
        }
        Deed::Merge { into }
    }

    pub(super) fn audits(&mut self, ops: &mut RangeFrom<u64>) -> Vec<Operation> {
        let mut audits = Vec::new();
        for cart in 0..self.next {
            let Some(op) = ops.next() else { break };
            self.audits.insert(op);
            let asked = self.journal.read(op, cart, Deed::Look, Freshness::Latest);
            audits.push(operation(asked));
        }
        audits
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?;
        let cart = asked.entity;
        let shown = match (asked.accepted(), asked.viewed()) {
            (Some((reply, seq)), _) | (None, Some((reply, seq))) => (Lookup::read(reply)?, seq),
            (None, None) => return Ok(()),
        };
        let is_made = asked.accepted().is_some() && matches!(asked.deed, Deed::Create);
        let (Lookup(view), seq) = shown;
        if let Some(view) = &view {
            check_view(cart, view).map_err(|why| format!("operation {op} saw {why}"))?;
        }
        if is_made {
            self.created.insert(cart);
        }
        match self.seen.get(&(cart, seq)) {
            Some(before) if *before != view => Err(format!(
                "operation {op} saw another cart {cart} at {seq}: {view:?} instead of {before:?}"
            )),
            Some(_) => Ok(()),
            None => {
                self.seen.insert((cart, seq), view);
                Ok(())
            }
        }
    }

    pub(super) fn judge(&self) -> Result<Counts, String> {
        let repeats = self.journal.check_repeats::<Cart>()?;
        self.check_steps()?;
        let fates = self.journal.fates();
        let finals = self.finals()?;
        let mut counts = Counts { repeats, ..Counts::default() };
        counts.unknown = count(fates.values().filter(|fate| **fate == Fate::Unknown));
        for (cart, view) in &finals {
            self.check_ending(*cart, view, &fates)?;
            counts.merged += u64::from(matches!(view.status, Status::MergedAway { .. }));
            let refused = view.offer.as_ref().map(|offer| &offer.outcome);
            counts.merges_refused += u64::from(matches!(refused, Some(OfferOutcome::Refused(_))));
        }
        self.check_sums(&finals, &fates)?;
        Ok(counts)
    }

    /// Every cart there is, at rest.
    fn finals(&self) -> Result<BTreeMap<u64, View>, String> {
        let mut finals = BTreeMap::new();
        for audit in self.journal.audited(&self.audits) {
            let (entity, view) = audit?;
            if let Lookup(Some(view)) = Lookup::read(view)? {
                finals.insert(entity, view);
            }
        }
        Ok(finals)
    }

    /// A cart is merged away where somebody wanted it to be, or open.
    fn check_ending(
        &self,
        cart: u64,
        view: &View,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let wanted = |target: CartId| {
            self.journal.iter().any(|(op, asked)| {
                let Deed::Merge { into } = asked.deed else { return false };
                let may_be = fates.get(&op).is_some_and(|fate| *fate > Fate::Refused);
                asked.entity == cart && id(into) == target && may_be
            })
        };
        let done = self.journal.iter().any(|(op, asked)| {
            let is_merge = asked.entity == cart && matches!(asked.deed, Deed::Merge { .. });
            is_merge && fates.get(&op) == Some(&Fate::Done)
        });
        let right = match (view.status, &view.offer) {
            (Status::MergedAway { into }, Some(offer)) => {
                wanted(into) && offer.into == into && offer.outcome == OfferOutcome::Taken
            }
            (Status::Open, None) => !done,
            (Status::Open, Some(offer)) => match &offer.outcome {
                OfferOutcome::Refused(why) => wanted(offer.into) && may_refuse_lines(why),
                OfferOutcome::Open | OfferOutcome::Taken => false,
            },
            (Status::MergedAway { .. }, None)
            | (
                Status::Merging { .. }
                | Status::Deleted
                | Status::CheckingOut { .. }
                | Status::Ordered { .. },
                _,
            ) => false,
        };
        if right { Ok(()) } else { Err(format!("cart {cart} ended as {view:?}")) }
    }

    /// What was added to a counted cart is in it, or where it was merged to, once.
    fn check_sums(
        &self,
        finals: &BTreeMap<u64, View>,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let numbers: BTreeMap<_, _> = (0..self.next).map(|cart| (id(cart), cart)).collect();
        let mut sums: BTreeMap<(u64, u64), (i64, Vec<i64>)> = BTreeMap::new();
        for cart in finals.keys() {
            for product in 0..range::N_PRODUCTS {
                sums.insert((*cart, product), (0, vec![]));
            }
        }
        for (op, asked) in self.journal.iter() {
            let Deed::Add { product, pieces } = asked.deed else { continue };
            let Some(fate) = fates.get(&op).filter(|fate| **fate > Fate::Refused) else { continue };
            let root = root_of(asked.entity, finals, &numbers);
            let Some((sure, maybe)) = sums.get_mut(&(root, product)) else {
                match fate {
                    Fate::Done => {
                        return Err(format!("operation {op} added to no cart: {asked:?}"));
                    }
                    Fate::Unknown | Fate::Refused => continue,
                }
            };
            match fate {
                Fate::Done => *sure += i64::from(pieces),
                Fate::Unknown | Fate::Refused => maybe.push(i64::from(pieces)),
            }
        }
        for ((cart, product), (sure, maybe)) in sums {
            if self.is_edited(cart) {
                continue;
            }
            let Some(view) = finals.get(&cart) else { continue };
            let held = i64::from(contents(view).get(&product).copied().unwrap_or(0));
            if !adds_up(held - sure, &maybe) {
                return Err(format!(
                    "cart {cart} holds {held} of product {product}, {sure} were added for sure, \
                     each of {maybe:?} perhaps"
                ));
            }
        }
        Ok(())
    }

    /// Whether lines of a cart are set or removed.
    fn is_edited(&self, cart: u64) -> bool {
        (COUNTED..COUNTED + EDITED).contains(&cart)
    }
}

/// Where the lines of a cart are in the end.
fn root_of(cart: u64, finals: &BTreeMap<u64, View>, numbers: &BTreeMap<CartId, u64>) -> u64 {
    let mut root = cart;
    // A cart is merged away once, so a chain is no longer than there are carts.
    for _ in 0..finals.len() {
        let Some(Status::MergedAway { into }) = finals.get(&root).map(|view| view.status) else {
            break;
        };
        root = numbers.get(&into).copied().unwrap_or(root);
    }
    root
}

fn draw_addition(random: &mut SplitMix64) -> Deed {
    Deed::Add { product: random.below(range::N_PRODUCTS), pieces: draw_pieces(random) }
}

fn draw_edit(random: &mut SplitMix64) -> Deed {
    let product = random.below(range::N_PRODUCTS);
    match random.below(10) {
        0..4 => draw_addition(random),
        4..7 => Deed::Set { product, pieces: draw_pieces(random) },
        7..9 => Deed::Remove { product },
        _ => Deed::Clear,
    }
}

fn draw_pieces(random: &mut SplitMix64) -> u32 {
    u32::try_from(1 + random.below(PIECES_MAX)).unwrap_or(1)
}

fn operation(asked: &Asked<Deed>) -> Operation {
    let quantity = |pieces: u32| {
        Quantity::try_from(pieces).unwrap_or_else(|_| unreachable!("at least one, and few"))
    };
    let cart = asked.entity;
    let command = match asked.deed {
        Deed::Create => Command::Create { currency: Currency::EURO, access: access(cart) },
        Deed::Add { product, pieces } => {
            Command::AddItems { items: vec![(range::code(product), quantity(pieces))] }
        }
        Deed::Set { product, pieces } => {
            Command::SetQuantity { sku: range::code(product), quantity: quantity(pieces) }
        }
        Deed::Remove { product } => Command::RemoveLine { sku: range::code(product) },
        Deed::Clear => Command::Clear,
        Deed::Merge { into } => Command::GiveUpLines { to: id(into), strategy: MergeStrategy::Sum },
        Deed::Look => {
            let wish = asked.wish(Query::Cart.to_bytes());
            return Operation { entity: Cart::address(id(cart)), wish };
        }
    };
    Operation { entity: Cart::address(id(cart)), wish: asked.wish(command.to_bytes()) }
}

/// Prices are those of the range, and totals the sums of lines.
fn check_view(cart: u64, view: &View) -> Result<(), String> {
    let is_itself = (view.id, view.access) == (id(cart), access(cart));
    let mut sum = 0;
    let mut right = is_itself;
    for line in &view.lines {
        let price = range::number(&line.sku).map(range::price);
        sum += line.line_total.minor;
        right &= price == Some(line.unit_price.minor)
            && line.unit_price.times(line.quantity) == Ok(line.line_total);
    }
    let total = Money { minor: sum, currency: Currency::EURO };
    right &= view.totals.items == total && view.totals.grand == total;
    right &= view.lines.is_sorted_by(|left, right| left.sku < right.sku);
    if right { Ok(()) } else { Err(format!("cart {cart} as {view:?}")) }
}

fn may_refuse_lines(why: &Rejection) -> bool {
    matches!(
        why,
        Rejection::NotFound
            | Rejection::Merging { .. }
            | Rejection::MergedAway { .. }
            | Rejection::QuantityTooLarge { .. }
    )
}

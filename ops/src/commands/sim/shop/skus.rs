//! Stocks and those who want them: more than there is.
//!
//! Some stocks are *counted*: they are only adjusted and sold from, so that what is left in the end
//! is a sum. The others are restated now and then; of all of them the ledgers are checked.

mod ledgers;
mod reservations;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeFrom;

use actors::domain::sku::{
    Command, IfUnknown, Level, Query, Rejection, Reply, ReservationPage, View,
};
use actors::{Delta, PageLimit, Quantity, Reason, ReservationId, Sku, Units};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use cluster::time::{Span, Timestamp};
use storage::sim_disk::SplitMix64;

use self::ledgers::Ledgers;
use super::super::journal::{Asked, Fate, Journal, Read, adds_up, count};
use super::super::range;
use super::counts::Counts;

/// Products whose stock is never restated.
const COUNTED: u64 = 3;
const LIFE_MS_MAX: u64 = 6_000;
/// Reservations back from the newest one of a stock that are confirmed or released.
const CLAIMS_WITHIN: u64 = 6;

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Adjust {
        delta: i64,
    },
    State {
        on_hand: u32,
    },
    Reserve {
        pieces: u32,
        expires_at: Option<Timestamp>,
    },
    /// Confirms the reservation that another operation asked for.
    Confirm {
        claim: u64,
    },
    Release {
        claim: u64,
        if_unknown: IfUnknown,
    },
    Look {
        at: What,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Level,
    Reservations,
    Ledger,
}

#[derive(Default)]
pub(super) struct Skus {
    pub(super) journal: Journal<Deed>,
    /// The operations that asked for reservations, by product.
    claims: BTreeMap<u64, Vec<u64>>,
    /// Every stock on hand that anybody was shown, by product and sequence.
    seen: BTreeMap<(u64, u64), Units>,
    ledgers: Ledgers,
    audits: BTreeSet<u64>,
    sold_out: u64,
}

/// A stock at rest.
struct Final {
    level: Level,
    open: ReservationPage,
}

fn id(claim: u64) -> ReservationId {
    ReservationId::from_bytes(u128::from(claim).to_be_bytes())
}

/// The operation that asked for a reservation.
fn claim_of(id: ReservationId) -> Option<u64> {
    u64::try_from(u128::from_be_bytes(*id.as_bytes())).ok()
}

impl Skus {
    pub(super) fn draw(
        &mut self,
        op: u64,
        now: Timestamp,
        key: Option<OutcomeKey>,
        random: &mut SplitMix64,
    ) -> Operation {
        if random.one_in(12)
            && let Some((first, asked)) = self.journal.draw_repeat(op, now, random)
        {
            return operation(first, asked);
        }
        let product = random.below(range::N_PRODUCTS);
        let is_counted = product < COUNTED;
        let deed = match random.below(20) {
            0..4 => draw_adjustment(random),
            4 if is_counted => draw_adjustment(random),
            4 => Deed::State { on_hand: u32::try_from(random.below(9)).unwrap_or(0) },
            5..11 => draw_reserve(now, random),
            11..15 => match self.draw_claim(product, random) {
                Some(claim) => Deed::Confirm { claim },
                None => draw_reserve(now, random),
            },
            15..17 => match self.draw_claim(product, random) {
                Some(claim) => {
                    let early = random.one_in(4);
                    let if_unknown =
                        if early { IfUnknown::RefuseItsReserve } else { IfUnknown::Reject };
                    Deed::Release { claim, if_unknown }
                }
                None => draw_reserve(now, random),
            },
            _ => {
                let what = [What::Level, What::Ledger, What::Reservations, What::Level];
                let nth = usize::try_from(random.below(4)).unwrap_or(0);
                let at = what.get(nth).copied().unwrap_or(What::Level);
                let latest = random.one_in(2);
                let freshness = if latest { Freshness::Latest } else { Freshness::Position };
                return operation(op, self.journal.read(op, product, Deed::Look { at }, freshness));
            }
        };
        if let Deed::Reserve { .. } = deed {
            self.claims.entry(product).or_default().push(op);
        }
        operation(op, self.journal.write(op, product, deed, key))
    }

    fn draw_claim(&self, product: u64, random: &mut SplitMix64) -> Option<u64> {
        let back = usize::try_from(random.below(CLAIMS_WITHIN)).unwrap_or(0);
        self.claims.get(&product)?.iter().rev().nth(back).copied()
    }

    pub(super) fn audits(&mut self, ops: &mut RangeFrom<u64>) -> Vec<Operation> {
        let mut audits = Vec::new();
        for product in 0..range::N_PRODUCTS {
            for (at, op) in
                [What::Level, What::Reservations, What::Ledger].into_iter().zip(&mut *ops)
            {
                self.audits.insert(op);
                let deed = Deed::Look { at };
                let asked = self.journal.read(op, product, deed, Freshness::Latest);
                audits.push(operation(op, asked));
            }
        }
        audits
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?.clone();
        let wrong = |what: String| format!("operation {op} {asked:?}: {what}");
        if let Some((reply, seq)) = asked.accepted() {
            let Reply { level, reservation } = Reply::read(reply)?;
            if let Deed::Reserve { pieces, expires_at } = asked.deed {
                let held = reservation.map(|held| (held.quantity.get(), held.expires_at));
                if held != Some((pieces, expires_at)) {
                    return Err(wrong(format!("holds {reservation:?}")));
                }
            }
            return self.show(asked.entity, seq, level).map_err(wrong);
        }
        if let Some((rejection, _)) = asked.rejected() {
            let rejection = Rejection::read(rejection)?;
            self.sold_out += u64::from(matches!(rejection, Rejection::OutOfStock { .. }));
            let may = may_be_refused(asked.deed, &rejection);
            return if may { Ok(()) } else { Err(wrong(format!("got {rejection:?}"))) };
        }
        let Some((view, seq)) = asked.viewed() else { return Ok(()) };
        match View::read(view)? {
            View::Level(level) => self.show(asked.entity, seq, level).map_err(wrong),
            View::Ledger(entries) => self.ledgers.take(asked.entity, entries).map_err(wrong),
            View::Reservations(_) | View::Places(_) => Ok(()),
            View::Reservation(reply) => Err(wrong(format!("saw {reply:?}"))),
        }
    }

    /// No more is reserved than there is, and what is on hand changes with the sequence alone.
    fn show(&mut self, product: u64, seq: u64, level: Level) -> Result<(), String> {
        let Level { exists, on_hand, reserved, available, .. } = level;
        let is_oversold = reserved > on_hand || on_hand.minus(reserved) != Some(available);
        if is_oversold || (!exists && on_hand > Units::ZERO) {
            return Err(format!("the stock of product {product} is {level:?}"));
        }
        let before = *self.seen.entry((product, seq)).or_insert(on_hand);
        if before != on_hand {
            return Err(format!("at {seq} product {product} has {on_hand}, and had {before}"));
        }
        Ok(())
    }

    pub(super) fn judge(&self) -> Result<Counts, String> {
        let repeats = self.journal.check_repeats::<Sku>()?;
        let fates = self.journal.fates();
        self.check_steps()?;
        self.ledgers.check(&self.journal, &fates)?;
        let finals = self.finals()?;
        let mut counts = Counts { repeats, sold_out: self.sold_out, ..Counts::default() };
        counts.unknown = count(fates.values().filter(|fate| **fate == Fate::Unknown));
        let ends = self.check_reservations(&finals, &fates)?;
        self.check_sums(&finals, &fates)?;
        Ok(counts.plus(ends))
    }

    /// What is known to have changed a stock changed it from what it was before.
    fn check_steps(&self) -> Result<(), String> {
        for (op, asked) in self.journal.iter() {
            let Some((reply, seq)) = asked.accepted() else { continue };
            let after = Reply::read(reply)?.level.on_hand;
            let before = self.seen.get(&(asked.entity, seq.saturating_sub(1)));
            let right = match (asked.deed, before) {
                (Deed::State { on_hand }, _) => after.get() == on_hand,
                (Deed::Adjust { delta }, Some(before)) => {
                    Delta::between(*before, after).get() == delta
                }
                (_, _) => true,
            };
            if !right {
                return Err(format!("operation {op} {asked:?} made {after} of {before:?}"));
            }
        }
        Ok(())
    }

    fn finals(&self) -> Result<BTreeMap<u64, Final>, String> {
        let (mut levels, mut pages) = (BTreeMap::new(), BTreeMap::new());
        for audit in self.journal.audited(&self.audits) {
            let (entity, view) = audit?;
            match View::read(view)? {
                View::Level(level) => {
                    levels.insert(entity, level);
                }
                View::Reservations(page) => {
                    pages.insert(entity, page);
                }
                View::Ledger(_) | View::Reservation(_) | View::Places(_) => {}
            }
        }
        let both = levels.into_iter().filter_map(|(product, level)| {
            Some((product, Final { level, open: pages.remove(&product)? }))
        });
        Ok(both.collect())
    }

    /// What is on hand of a counted stock is what was put there without what was sold.
    fn check_sums(
        &self,
        finals: &BTreeMap<u64, Final>,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        for (product, stock) in finals.range(..COUNTED) {
            let (mut sure, mut maybe) = (0, Vec::new());
            let mut sales = BTreeMap::new();
            for (op, asked) in self.journal.iter().filter(|(_, asked)| asked.entity == *product) {
                let Some(fate) = fates.get(&op).copied() else { continue };
                match (asked.deed, fate) {
                    (Deed::Adjust { delta }, Fate::Done) => sure += delta,
                    (Deed::Adjust { delta }, Fate::Unknown) => maybe.push(delta),
                    (Deed::Confirm { claim }, Fate::Done | Fate::Unknown) => {
                        let sale = sales.entry(claim).or_insert(fate);
                        *sale = fate.max(*sale);
                    }
                    (_, _) => {}
                }
            }
            for (claim, fate) in sales {
                let sold = -i64::from(self.pieces_of(claim));
                if fate == Fate::Done { sure += sold } else { maybe.push(sold) }
            }
            let held = i64::from(stock.level.on_hand.get());
            if !adds_up(held - sure, &maybe) {
                return Err(format!(
                    "{held} of product {product} are on hand, {sure} must be, each of {maybe:?} may"
                ));
            }
        }
        Ok(())
    }

    fn pieces_of(&self, claim: u64) -> u32 {
        match self.journal.get(claim).map(|asked| asked.deed) {
            Some(Deed::Reserve { pieces, .. }) => pieces,
            Some(_) | None => 0,
        }
    }
}

fn draw_adjustment(random: &mut SplitMix64) -> Deed {
    let more = 1 + random.below(7).cast_signed();
    Deed::Adjust { delta: if random.one_in(5) { -more } else { more } }
}

fn draw_reserve(now: Timestamp, random: &mut SplitMix64) -> Deed {
    let pieces = u32::try_from(1 + random.below(4)).unwrap_or(1);
    let life = Span::from_millis(200 + random.below(LIFE_MS_MAX));
    let expires_at = (!random.one_in(8)).then_some(now.plus(life));
    Deed::Reserve { pieces, expires_at }
}

/// `first` is the operation that the request is known by.
fn operation(first: u64, asked: &Asked<Deed>) -> Operation {
    let entity = Sku::address(&range::code(asked.entity));
    let reason = || {
        let reason = Reason::try_from(first.to_string());
        reason.unwrap_or_else(|_| unreachable!("a number is a short text"))
    };
    let command = match asked.deed {
        Deed::Adjust { delta } => Command::Adjust { delta: small(delta), reason: reason() },
        Deed::State { on_hand } => Command::SetOnHand { on_hand: small(on_hand), reason: reason() },
        Deed::Reserve { pieces, expires_at } => {
            let quantity: Quantity = small(pieces);
            Command::Reserve { id: id(first), quantity, holder: None, expires_at }
        }
        Deed::Confirm { claim } => Command::Confirm { id: id(claim), holder: None },
        Deed::Release { claim, if_unknown } => {
            Command::Release { id: id(claim), holder: None, if_unknown }
        }
        Deed::Look { at } => {
            let limit: PageLimit = small(PageLimit::MAX);
            let query = match at {
                What::Level => Query::Level,
                What::Reservations => Query::Reservations { after: None, limit },
                What::Ledger => Query::Ledger { limit },
            };
            return Operation { entity, wish: asked.wish(query.to_bytes()) };
        }
    };
    Operation { entity, wish: asked.wish(command.to_bytes()) }
}

fn small<N, T: TryFrom<N>>(number: N) -> T {
    T::try_from(number).unwrap_or_else(|_| unreachable!("what is drawn is within bounds"))
}

/// Whether there is a reason for which a stock refuses such a deed.
fn may_be_refused(deed: Deed, rejection: &Rejection) -> bool {
    match (deed, rejection) {
        (Deed::Adjust { delta }, Rejection::BelowReserved { .. }) => delta < 0,
        (Deed::State { on_hand }, Rejection::BelowReserved { reserved }) => {
            on_hand < reserved.get()
        }
        (Deed::Reserve { pieces, .. }, Rejection::OutOfStock { requested, available }) => {
            requested.get() == pieces && available.get() < pieces
        }
        (Deed::Reserve { expires_at, .. }, Rejection::Expired) => expires_at.is_some(),
        (Deed::Reserve { .. }, Rejection::ReleasedBefore)
        | (
            Deed::Confirm { .. },
            Rejection::NotReserved | Rejection::Expired | Rejection::ReleasedBefore,
        )
        | (Deed::Release { .. }, Rejection::NotReserved | Rejection::AlreadyConfirmed) => true,
        (_, _) => false,
    }
}

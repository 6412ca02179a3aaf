//! The stocks that orders are served from. They are only added to, so that what is left is a sum; of
//! one of them orders are promised more than there is.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::sku::{Command, Level, Policy, Query, Rejection, Reply, View};
use actors::{Delta, PageLimit, Reason, Sku, Units};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Fate, Journal, Read, adds_up};
use super::super::range;

/// Pieces that are added at once, at most; where orders wait for them, fewer.
const MANY: u64 = 9;
const FEW: u64 = 3;
/// One draw in so many, of those that write.
const BACKORDERS_ONE_IN: u64 = 5;

#[derive(Clone, Copy, Debug)]
pub(super) enum Deed {
    Add {
        pieces: i64,
    },
    /// Orders may have more of it than there is.
    AllowBackorders,
    Look,
    LookAtReservations,
}

#[derive(Default)]
pub(super) struct Stocks {
    pub(super) journal: Journal<Deed>,
    audits: BTreeSet<u64>,
}

impl Stocks {
    /// Seldom enough that orders find too little now and then.
    pub(super) fn draw(
        &mut self,
        op: u64,
        key: Option<OutcomeKey>,
        random: &mut SplitMix64,
    ) -> Operation {
        let products = range::ORDERED.end - range::ORDERED.start;
        let product = range::ORDERED.start + random.below(products);
        if random.one_in(4) {
            return operation(self.journal.read(op, product, Deed::Look, Freshness::Latest));
        }
        if random.one_in(BACKORDERS_ONE_IN) {
            let allow = self.journal.write(op, range::BACKORDERED, Deed::AllowBackorders, key);
            return operation(allow);
        }
        let most = if product == range::BACKORDERED { FEW } else { MANY };
        let pieces = 1 + random.below(most).cast_signed();
        operation(self.journal.write(op, product, Deed::Add { pieces }, key))
    }

    pub(super) fn audits(&mut self, op: u64, product: u64, deed: Deed) -> Operation {
        self.audits.insert(op);
        operation(self.journal.read(op, product, deed, Freshness::Latest))
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?;
        if let Some((rejection, _)) = asked.rejected() {
            return Err(format!("operation {op} {asked:?} got {:?}", Rejection::read(rejection)?));
        }
        let level = match (asked.accepted(), asked.viewed()) {
            (Some((reply, _)), _) => Reply::read(reply)?.level,
            (None, Some((view, _))) => match View::read(view)? {
                View::Level(level) => level,
                View::Reservations(_)
                | View::Reservation(_)
                | View::Ledger(_)
                | View::Places(_) => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        if is_possible(asked.entity, &level) {
            return Ok(());
        }
        Err(format!("the stock of product {} is {level:?}", asked.entity))
    }

    /// Nothing is held any more, what is on hand is what was added without what orders took, and what
    /// is promised is what orders wait for.
    pub(super) fn check(
        &self,
        taken: &BTreeMap<u64, i64>,
        awaited: &BTreeMap<u64, i64>,
    ) -> Result<(), String> {
        let fates = self.journal.fates();
        for audit in self.journal.audited(&self.audits) {
            let (product, view) = audit?;
            match View::read(view)? {
                View::Level(level) => {
                    let taken = taken.get(&product).copied().unwrap_or(0);
                    self.check_sum(product, &level, taken, &fates)?;
                    let awaited = awaited.get(&product).copied().unwrap_or(0);
                    if i64::from(level.backordered.get()) != awaited {
                        return Err(format!("orders wait for {awaited} of {product}: {level:?}"));
                    }
                }
                View::Reservations(page) if !page.reservations.is_empty() => {
                    return Err(format!("product {product} is held by {page:?}"));
                }
                View::Reservations(_)
                | View::Reservation(_)
                | View::Ledger(_)
                | View::Places(_) => {}
            }
        }
        Ok(())
    }

    fn check_sum(
        &self,
        product: u64,
        level: &Level,
        taken: i64,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let (sure, maybe) = self.journal.added(product, fates, |deed| match deed {
            Deed::Add { pieces } => Some(*pieces),
            Deed::AllowBackorders | Deed::Look | Deed::LookAtReservations => None,
        });
        let (held, reserved) = (i64::from(level.on_hand.get()), level.reserved.get());
        if reserved == 0 && adds_up(held + taken - sure, &maybe) {
            return Ok(());
        }
        Err(format!(
            "{held} of product {product} are on hand, {reserved} of them reserved for nobody; \
             orders took {taken}, {sure} were added for sure and each of {maybe:?} perhaps"
        ))
    }
}

/// Whether a stock may ever look so.
fn is_possible(product: u64, level: &Level) -> bool {
    let Level { on_hand, reserved, available, backordered, .. } = *level;
    let promised_max = if product == range::BACKORDERED { range::PROMISED_MAX } else { 0 };
    let is_kept_back = backordered > Units::ZERO && available > Units::ZERO;
    on_hand.minus(reserved) == Some(available) && backordered.get() <= promised_max && !is_kept_back
}

fn operation(asked: &Asked<Deed>) -> Operation {
    let entity = Sku::address(&range::code(asked.entity));
    let body = match asked.deed {
        Deed::Add { pieces } => {
            let (delta, reason) = (Delta::try_from(pieces), Reason::try_from("came".to_owned()));
            match (delta, reason) {
                (Ok(delta), Ok(reason)) => Command::Adjust { delta, reason }.to_bytes(),
                (_, _) => unreachable!("a few pieces, and a short word"),
            }
        }
        Deed::AllowBackorders => {
            let limit = Units::try_from(range::PROMISED_MAX).ok();
            Command::SetPolicy { policy: Policy::Backorder { limit } }.to_bytes()
        }
        Deed::Look => Query::Level.to_bytes(),
        Deed::LookAtReservations => match PageLimit::try_from(PageLimit::MAX) {
            Ok(limit) => Query::Reservations { after: None, limit }.to_bytes(),
            Err(_) => unreachable!("the most that is listed"),
        },
    };
    Operation { entity, wish: asked.wish(body) }
}

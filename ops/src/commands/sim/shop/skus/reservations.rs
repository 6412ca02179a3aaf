//! How each reservation ended: confirmed, released or expired, and never in two ways.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::sku::Rejection;
use cluster::time::Timestamp;

use super::super::super::journal::{Fate, How, Read};
use super::super::counts::Counts;
use super::{Deed, Final, Skus, claim_of};

/// What became of one reservation, as far as anybody was told.
#[derive(Debug, Default)]
struct Claim {
    product: u64,
    pieces: u32,
    expires: bool,
    reserved: Option<Fate>,
    /// The first time that somebody was told that it is held.
    held_at: Option<Timestamp>,
    confirmed: Option<Fate>,
    released: Option<Fate>,
    /// Somebody was told that it can be confirmed no more.
    is_lost: bool,
    /// When somebody asked who was told that there is no such reservation.
    missed_at: Option<Timestamp>,
    is_open: bool,
    is_sold: bool,
}

impl Skus {
    pub(super) fn check_reservations(
        &self,
        finals: &BTreeMap<u64, Final>,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<Counts, String> {
        let open = self.check_open(finals)?;
        let mut claims = self.claims(fates)?;
        let mut counts = Counts::default();
        for (op, claim) in &mut claims {
            claim.is_open = open.contains(op);
            claim.is_sold =
                self.ledgers.has_sale(claim.product, *op) || claim.confirmed == Some(Fate::Done);
            claim.check().map_err(|why| format!("reservation {op} {why}: {claim:?}"))?;
            let (done, gone) = (Some(Fate::Done), !claim.is_open && !claim.is_sold);
            counts.sold += u64::from(claim.is_sold);
            counts.released += u64::from(claim.released == done);
            let untouched = claim.released.is_none_or(|fate| fate == Fate::Refused);
            counts.expired += u64::from(claim.reserved == done && gone && untouched);
        }
        match open.iter().find(|op| !claims.contains_key(op)) {
            Some(op) => Err(format!("nobody asked for reservation {op}")),
            None => Ok(counts),
        }
    }

    /// What is reserved at rest is what open reservations hold. Gives those.
    fn check_open(&self, finals: &BTreeMap<u64, Final>) -> Result<BTreeSet<u64>, String> {
        let mut all = BTreeSet::new();
        for (product, Final { level, open }) in finals {
            let held: u64 = open.reservations.iter().map(|it| u64::from(it.quantity.get())).sum();
            let is_page = open.next.is_some();
            if !is_page && held != u64::from(level.reserved.get()) {
                return Err(format!(
                    "product {product} is {level:?}, and {held} are held: {open:?}"
                ));
            }
            all.extend(open.reservations.iter().filter_map(|held| claim_of(held.id)));
        }
        Ok(all)
    }

    fn claims(&self, fates: &BTreeMap<u64, Fate>) -> Result<BTreeMap<u64, Claim>, String> {
        let mut claims: BTreeMap<u64, Claim> = BTreeMap::new();
        for (op, asked) in self.journal.iter() {
            let How::Write { first, .. } = asked.how else { continue };
            let fate = fates.get(&first).copied();
            let rejection =
                asked.rejected().map(|(bytes, _)| Rejection::read(bytes)).transpose()?;
            match asked.deed {
                Deed::Reserve { pieces, expires_at } => {
                    let claim = claims.entry(first).or_default();
                    (claim.product, claim.pieces) = (asked.entity, pieces);
                    claim.expires = expires_at.is_some();
                    claim.reserved = fate;
                    let done_at = asked.end.as_ref().map(|end| end.done_at);
                    let held_at = asked.accepted().and(done_at);
                    claim.held_at = claim.held_at.into_iter().chain(held_at).min();
                }
                Deed::Confirm { claim } => {
                    let claim = claims.entry(claim).or_default();
                    claim.confirmed = claim.confirmed.max(fate);
                    let lost = [Some(Rejection::Expired), Some(Rejection::ReleasedBefore)];
                    claim.is_lost |= lost.contains(&rejection);
                    claim.miss(op == first, rejection, asked.end.as_ref().map(|it| it.invoked_at));
                }
                Deed::Release { claim, .. } => {
                    let claim = claims.entry(claim).or_default();
                    claim.released = claim.released.max(fate);
                    claim.miss(op == first, rejection, asked.end.as_ref().map(|it| it.invoked_at));
                }
                Deed::Adjust { .. } | Deed::State { .. } | Deed::Look { .. } => {}
            }
        }
        Ok(claims)
    }
}

impl Claim {
    /// A repeat under a key says what was so when the first request came.
    fn miss(&mut self, is_first: bool, why: Option<Rejection>, invoked_at: Option<Timestamp>) {
        if is_first && why == Some(Rejection::NotReserved) {
            self.missed_at = self.missed_at.max(invoked_at);
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let is_done = |fate| fate == Some(Fate::Done);
        let may_be = |fate: Option<Fate>| fate.is_some_and(|fate| fate > Fate::Refused);
        if self.is_sold && self.is_open {
            return Err("is sold and open");
        }
        if self.is_sold && (self.is_lost || is_done(self.released)) {
            return Err("is sold and was released or has expired");
        }
        if self.is_open && (self.is_lost || is_done(self.released)) {
            return Err("is open and was released or has expired");
        }
        if self.is_open && self.expires {
            return Err("is past its expiry and open");
        }
        if !may_be(self.reserved) && (self.is_sold || self.is_open) {
            return Err("was refused and holds stock");
        }
        if self.held_at.is_some_and(|held_at| self.missed_at.is_some_and(|at| held_at < at)) {
            return Err("was forgotten");
        }
        let may_have_ended = self.expires || may_be(self.released);
        let may_be_sold = self.is_sold || may_be(self.confirmed);
        if is_done(self.reserved) && !self.is_open && !may_have_ended && !may_be_sold {
            return Err("has ended for no reason");
        }
        Ok(())
    }
}

//! Where the pieces of a stock lie.
//!
//! **Invariants:** in order of location, each once and with a piece at least; at most
//! [`Places::LEN_MAX`]; together no more than is on hand. What lies at none of them lies at the
//! default location, so a stock that knows no locations has all of its pieces there.
//!
//! Reservations are of the whole stock. A piece leaves its location when it is sold: those at the
//! default location first, then those at locations of the lowest priority number, then by id.

use cluster::entity::Context;
use serde::{Deserialize, Serialize};

use super::standing::{Standing, less};
use super::{Command, Event, Reason, Rejection, Sku};
use crate::domain::catalogue::PriceBook;
use crate::domain::heap;
use crate::domain::names::LocationId;
use crate::domain::quantity::{Delta, Units};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Places(Vec<(LocationId, Units)>);

/// What is said of the pieces at a location.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    By(Delta),
    To(Units),
}

/// Pieces of a sale that left one location; none is the default one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    pub location: Option<LocationId>,
    pub pieces: Units,
    /// What is left there.
    pub left: Units,
    /// What is left of the stock.
    pub on_hand: Units,
}

impl Places {
    pub(crate) const LEN_MAX: usize = 32;

    /// The error says why no stock could lie so.
    pub(crate) fn restore(
        places: Vec<(LocationId, Units)>,
        on_hand: Units,
    ) -> Result<Self, &'static str> {
        if places.len() > Self::LEN_MAX {
            return Err("a sku lies at too many locations");
        }
        if !places.is_sorted_by(|left, right| left.0 < right.0) {
            return Err("the locations of a sku are not in strict order");
        }
        if places.iter().any(|(_, there)| *there == Units::ZERO) {
            return Err("nothing of a sku lies at a location that it names");
        }
        let places = Self(places);
        match places.pieces() {
            Some(pieces) if pieces <= on_hand => Ok(places),
            Some(_) | None => Err("more of a sku lies at its locations than is on hand"),
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &(LocationId, Units)> {
        self.0.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn at(&self, location: &LocationId) -> Units {
        let found = self.0.binary_search_by(|(known, _)| known.cmp(location)).ok();
        found.and_then(|nth| self.0.get(nth)).map_or(Units::ZERO, |(_, there)| *there)
    }

    fn pieces(&self) -> Option<Units> {
        self.0.iter().try_fold(Units::ZERO, |sum, (_, there)| sum.plus(*there))
    }

    /// What lies at no location of its own.
    pub(super) fn elsewhere(&self, on_hand: Units) -> Units {
        less(on_hand, self.pieces().unwrap_or_default())
    }

    pub(super) fn set(&mut self, location: &LocationId, there: Units) {
        match self.0.binary_search_by(|(known, _)| known.cmp(location)) {
            Ok(nth) if there == Units::ZERO => drop(self.0.remove(nth)),
            Ok(nth) => {
                if let Some((_, known)) = self.0.get_mut(nth) {
                    *known = there;
                }
            }
            Err(_) if there == Units::ZERO => {}
            Err(gap) => self.0.insert(gap, (location.clone(), there)),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let names: usize = self.0.iter().map(|(location, _)| location.as_str().len()).sum();
        heap::allocation(self.0.capacity() * size_of::<(LocationId, Units)>()) + names
    }
}

/// Pieces are stated to lie at a location that there is; they may leave one that is no more.
pub(super) fn check_location(command: &Command, ctx: &Context<'_>) -> Result<(), Rejection> {
    let Some(location) = command.stocks_at() else { return Ok(()) };
    let book = ctx.catalogue.ok().and_then(|catalogue| catalogue.content::<PriceBook>());
    let book = book.ok_or(Rejection::CatalogueUnavailable)?;
    let unknown = || Rejection::UnknownLocation { location: location.clone() };
    book.stock_location(location).map(drop).ok_or_else(unknown)
}

impl Sku {
    /// What lies at the default location.
    pub(super) fn elsewhere(&self) -> Units {
        self.places.elsewhere(self.on_hand.unwrap_or_default())
    }

    /// What lies where; the default location first.
    pub(super) fn whereabouts(&self) -> Vec<(Option<LocationId>, Units)> {
        let places = self.places.iter().map(|(location, there)| (Some(location.clone()), *there));
        std::iter::once((None, self.elsewhere())).chain(places).collect()
    }

    /// A statement about the pieces at one location.
    pub(super) fn stock_at(
        &self,
        standing: &Standing,
        location: LocationId,
        change: Change,
        reason: Reason,
    ) -> Result<Option<Event>, Rejection> {
        let before = self.places.at(&location);
        let there = match change {
            Change::To(there) => there,
            Change::By(delta) => {
                let sum = i64::from(before.get()) + delta.get();
                let few = Rejection::TooFewThere { there: before };
                let Ok(sum) = u32::try_from(sum) else { return Err(few) };
                Units::try_from(sum).map_err(|_| Rejection::OnHandTooLarge)?
            }
        };
        let others = less(standing.on_hand, before);
        let on_hand = others.plus(there).ok_or(Rejection::OnHandTooLarge)?;
        if on_hand < standing.reserved {
            return Err(Rejection::BelowReserved { reserved: standing.reserved });
        }
        if there == before && standing.exists {
            return Ok(None);
        }
        self.check_room(&location, there)?;
        let delta = Delta::between(standing.on_hand, on_hand);
        let at = standing.now;
        Ok(Some(Event::StockedAt { location, there, on_hand, delta, reason, at }))
    }

    pub(super) fn transfer(
        &self,
        standing: &Standing,
        from: Option<LocationId>,
        to: Option<LocationId>,
        pieces: Units,
        reason: Reason,
    ) -> Result<Option<Event>, Rejection> {
        if from == to || pieces == Units::ZERO {
            return Ok(None);
        }
        let there = |location: &Option<LocationId>| match location {
            Some(location) => self.places.at(location),
            None => self.places.elsewhere(standing.on_hand),
        };
        let before = there(&from);
        let left = before.minus(pieces).ok_or(Rejection::TooFewThere { there: before })?;
        let come = there(&to).plus(pieces).ok_or(Rejection::OnHandTooLarge)?;
        if let Some(to) = &to {
            self.check_room(to, come)?;
        }
        let at = standing.now;
        Ok(Some(Event::Transferred { from, left, to, come, pieces, reason, at }))
    }

    fn check_room(&self, location: &LocationId, there: Units) -> Result<(), Rejection> {
        let is_new = self.places.at(location) == Units::ZERO && there > Units::ZERO;
        let is_full = is_new && self.places.iter().len() >= Places::LEN_MAX;
        if is_full { Err(Rejection::TooManyLocations) } else { Ok(()) }
    }

    /// A sale says which locations its pieces leave, where there are any.
    pub(super) fn sold_from(&self, event: Event, ctx: &Context<'_>) -> Event {
        let Event::Confirmed { id, on_hand, delta, reserved, at } = event else { return event };
        if self.places.is_empty() {
            return event;
        }
        let before = self.on_hand.unwrap_or_default();
        let taken = self.taken(before, less(before, on_hand), ctx);
        Event::SoldFrom { id, taken, on_hand, delta, reserved, at }
    }

    fn taken(&self, on_hand: Units, pieces: Units, ctx: &Context<'_>) -> Vec<Taken> {
        let book = ctx.catalogue.ok().and_then(|catalogue| catalogue.content::<PriceBook>());
        let priority = |location: &LocationId| {
            let known = book.and_then(|book| book.stock_location(location));
            known.map_or(u32::MAX, |known| known.priority)
        };
        let mut places: Vec<_> =
            self.places.iter().map(|(it, there)| (Some(it.clone()), *there)).collect();
        // Stable, and they are in order of id.
        places.sort_by_cached_key(|(location, _)| location.as_ref().map(priority));
        places.insert(0, (None, self.places.elsewhere(on_hand)));
        let (mut missing, mut on_hand) = (pieces, on_hand);
        let mut taken = Vec::new();
        for (location, there) in places {
            let pieces = there.min(missing);
            if pieces > Units::ZERO {
                (missing, on_hand) = (less(missing, pieces), less(on_hand, pieces));
                taken.push(Taken { location, pieces, left: less(there, pieces), on_hand });
            }
        }
        taken
    }
}

//! What became of the offers that a cart made to be merged away.
//!
//! **Invariants:** at most [`Offers::MAX`], in strict order of number; only the last may be open,
//! and it is open exactly while the cart is merging.

use std::fmt;

use cluster::time::Span;
use serde::{Deserialize, Serialize};

use super::{MergeStrategy, Rejection, Status};
use crate::domain::heap;
use crate::domain::ids::CartId;

/// Counts the offers of one cart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OfferNumber(u64);

impl OfferNumber {
    pub const FIRST: Self = Self(1);

    pub(crate) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for OfferNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Counts how often one offer was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attempt(u32);

impl Attempt {
    pub const FIRST: Self = Self(1);

    pub(super) fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// How long an answer is waited for: ever longer, since what has not helped is unlikely to help
    /// soon, but never so long that a repair goes unnoticed for hours.
    pub(super) fn pause(self) -> Span {
        const FIRST_SECS: u64 = 10;
        const SECS_MAX: u64 = 60 * 60;
        let doubled = 1_u64.checked_shl(self.0.saturating_sub(1)).unwrap_or(u64::MAX);
        Span::from_secs(FIRST_SECS.saturating_mul(doubled).min(SECS_MAX))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) number: OfferNumber,
    pub(crate) into: CartId,
    pub(crate) state: OfferState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum OfferState {
    Open { strategy: MergeStrategy, attempt: Attempt },
    Taken,
    Refused(Rejection),
}

/// An offer as its readers see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferView {
    pub number: OfferNumber,
    pub into: CartId,
    pub outcome: OfferOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OfferOutcome {
    /// The other cart has not answered yet.
    Open,
    Taken,
    Refused(Rejection),
}

impl Offer {
    pub(super) fn view(&self) -> OfferView {
        let outcome = match &self.state {
            OfferState::Open { .. } => OfferOutcome::Open,
            OfferState::Taken => OfferOutcome::Taken,
            OfferState::Refused(why) => OfferOutcome::Refused(why.clone()),
        };
        OfferView { number: self.number, into: self.into, outcome }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offers(Vec<Offer>);

impl Offers {
    /// Part of `apply`, so a change needs a new event.
    pub(crate) const MAX: usize = 16;

    /// Offers that a cart of this status could have made; the error says why it could not.
    pub(crate) fn restore(offers: Vec<Offer>, status: Status) -> Result<Self, &'static str> {
        if offers.len() > Self::MAX {
            return Err("a cart remembers too many offers");
        }
        if !offers.is_sorted_by(|left, right| left.number < right.number) {
            return Err("the offers of a cart are not in strict order of number");
        }
        if offers.last().is_some_and(|last| last.number == last.number.next()) {
            return Err("the offers of a cart have used up every number");
        }
        let is_open = |offer: &Offer| matches!(offer.state, OfferState::Open { .. });
        let open: Vec<_> = offers.iter().filter(|offer| is_open(offer)).collect();
        let is_right = match status {
            Status::Merging { into } => {
                let last = offers.last().filter(|last| is_open(last) && last.into == into);
                last.is_some() && open.len() == 1
            }
            Status::Open
            | Status::MergedAway { .. }
            | Status::Deleted
            | Status::CheckingOut { .. }
            | Status::Ordered { .. } => open.is_empty(),
        };
        if is_right { Ok(Self(offers)) } else { Err("a cart is merging without an open offer") }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.0.iter()
    }

    pub(super) fn last(&self) -> Option<&Offer> {
        self.0.last()
    }

    pub(super) fn find(&self, number: OfferNumber) -> Option<&Offer> {
        self.0.iter().find(|offer| offer.number == number)
    }

    pub(super) fn next_number(&self) -> OfferNumber {
        self.last().map_or(OfferNumber::FIRST, |last| last.number.next())
    }

    pub(super) fn push(&mut self, offer: Offer) {
        if self.0.len() >= Self::MAX {
            self.0.remove(0);
        }
        self.0.reserve_exact(1);
        self.0.push(offer);
    }

    pub(super) fn set_last(&mut self, state: OfferState) {
        if let Some(last) = self.0.last_mut() {
            last.state = state;
        }
    }

    pub(super) fn repeat_last(&mut self, again: Attempt) {
        if let Some(Offer { state: OfferState::Open { attempt, .. }, .. }) = self.0.last_mut() {
            *attempt = again;
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let text = |offer: &Offer| match &offer.state {
            OfferState::Refused(why) => heap::allocation(text_bytes(why)),
            OfferState::Open { .. } | OfferState::Taken => 0,
        };
        heap::allocation(self.0.capacity() * size_of::<Offer>())
            + self.0.iter().map(text).sum::<usize>()
    }
}

fn text_bytes(why: &Rejection) -> usize {
    match why {
        Rejection::LineNotFound { sku }
        | Rejection::QuantityTooLarge { sku }
        | Rejection::UnknownSku { sku }
        | Rejection::NotPriced { sku, .. } => sku.as_str().len(),
        Rejection::UnknownCode { code }
        | Rejection::CodeNotInForce { code }
        | Rejection::CodeNotFound { code }
        | Rejection::CustomerRequired { code } => code.as_str().len(),
        Rejection::FirstOrderOfNobody { promotion } | Rejection::NotFirstOrder { promotion } => {
            promotion.as_str().len()
        }
        Rejection::NotFound
        | Rejection::AlreadyExists
        | Rejection::Deleted
        | Rejection::Merging { .. }
        | Rejection::MergedAway { .. }
        | Rejection::MergeIntoItself
        | Rejection::CurrencyMismatch { .. }
        | Rejection::TooManyLines
        | Rejection::TotalTooLarge
        | Rejection::CatalogueUnavailable
        | Rejection::CatalogueStale
        | Rejection::CheckingOut { .. }
        | Rejection::Ordered { .. }
        | Rejection::Empty
        // Of checkouts alone: none is ever an offer's answer.
        | Rejection::NotPricedForOrder(_)
        | Rejection::ShippingOptionRequired
        | Rejection::TooManyCodes
        | Rejection::TooManyGiftCards
        | Rejection::GiftCardNotFound { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use cluster::ids::Slot;

    use super::*;

    #[test]
    fn a_cart_that_could_not_make_another_offer_is_refused() {
        let offer = |number| Offer {
            number: OfferNumber(number),
            into: CartId::in_slot(Slot::from_bits(1), [7; 14]),
            state: OfferState::Taken,
        };
        assert!(Offers::restore(vec![offer(u64::MAX - 1)], Status::Open).is_ok());
        let refused = Offers::restore(vec![offer(u64::MAX)], Status::Open).unwrap_err();
        assert!(refused.contains("every number"), "{refused}");
    }

    #[test]
    fn pauses_grow_to_an_hour() {
        let pauses = [1, 2, 3, 9, 10, 64, 65, u32::MAX].map(|nth| Attempt(nth).pause());
        let expected = [10, 20, 40, 2_560, 3_600, 3_600, 3_600, 3_600].map(Span::from_secs);
        assert_eq!(pauses, expected);
        assert_eq!(Attempt(u32::MAX).next(), Attempt(u32::MAX));
    }
}

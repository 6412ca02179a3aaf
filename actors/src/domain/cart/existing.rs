//! A cart that was created, and what events make of it.

use cluster::time::Timestamp;

use super::offers::{Attempt, Offer, OfferState, Offers};
use super::{Event, GivenCard, Line, Lines, Status};
use crate::domain::discount_code::CodeName;
use crate::domain::heap;
use crate::domain::ids::{CartAccess, CartId};
use crate::domain::money::Currency;
use crate::domain::pricing::{Discount, GivenCode};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    pub(crate) access: CartAccess,
    pub(crate) currency: Currency,
    pub(crate) status: Status,
    pub(crate) lines: Lines,
    /// The last carts whose lines were taken, so that an offer that comes twice is taken once.
    pub(crate) merged_from: Vec<CartId>,
    pub(crate) offers: Offers,
    /// What promotions take off, in the order in which they were granted.
    pub(crate) discounts: Box<[Discount]>,
    /// In the order in which they were given.
    pub(crate) codes: Box<[GivenCode]>,
    /// In the order in which they were given, which is that in which they pay.
    pub(crate) gift_cards: Box<[GivenCard]>,
    pub(crate) updated_at: Timestamp,
}

impl Existing {
    pub(super) fn new(currency: Currency, access: CartAccess, at: Timestamp) -> Self {
        Self {
            access,
            currency,
            status: Status::Open,
            lines: Lines::default(),
            merged_from: vec![],
            offers: Offers::default(),
            discounts: Box::default(),
            codes: Box::default(),
            gift_cards: Box::default(),
            updated_at: at,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Created { at, .. } => self.updated_at = *at,
            Event::QuantitySet { sku, quantity, unit_price, name, at, catalogue_index: _ } => {
                let (sku, name) = (sku.clone(), name.clone());
                let (unit_price, quantity) = (*unit_price, *quantity);
                self.lines.set(Line { sku, name, unit_price, quantity });
                self.updated_at = *at;
            }
            Event::LineRemoved { sku, at } => {
                self.lines.remove(sku);
                self.updated_at = *at;
            }
            Event::Cleared { at } => {
                self.lines = Lines::default();
                self.updated_at = *at;
            }
            Event::Deleted { at } => self.end(Status::Deleted, *at),
            Event::LinesOffered { offer, into, strategy, at } => {
                let (number, into, strategy) = (*offer, *into, *strategy);
                let state = OfferState::Open { strategy, attempt: Attempt::FIRST };
                self.offers.push(Offer { number, into, state });
                self.status = Status::Merging { into };
                self.updated_at = *at;
            }
            Event::MergedAway { into, at } => {
                self.offers.set_last(OfferState::Taken);
                self.end(Status::MergedAway { into: *into }, *at);
            }
            Event::LinesReturned { refused, at } => {
                self.offers.set_last(OfferState::Refused(refused.why.clone()));
                self.status = Status::Open;
                self.updated_at = *at;
            }
            Event::LinesTaken { from, at } => {
                self.remember_merged(*from);
                self.updated_at = *at;
            }
            Event::OfferRepeated { attempt, at: _ } => self.offers.repeat_last(*attempt),
            Event::CheckoutBegun { order, at } => {
                self.status = Status::CheckingOut { order: *order };
                self.updated_at = *at;
            }
            Event::Ordered { order, at } => {
                self.status = Status::Ordered { order: *order };
                self.updated_at = *at;
            }
            Event::Reopened { order: _, at } => {
                self.status = Status::Open;
                self.updated_at = *at;
            }
            Event::DiscountsSet { discounts, at, catalogue_index: _ } => {
                self.discounts = discounts.clone().into_boxed_slice();
                self.updated_at = *at;
            }
            Event::CodeAdded { given, at } => {
                self.remove_code(&given.code);
                self.codes = self.codes.iter().chain([given]).cloned().collect();
                self.updated_at = *at;
            }
            Event::CodeRemoved { code, at } => {
                self.remove_code(code);
                self.updated_at = *at;
            }
            Event::GiftCardAdded { given, at } => self.gift_card_given(given, *at),
            Event::GiftCardRemoved { card, at } => self.gift_card_taken_away(*card, *at),
        }
    }

    fn remove_code(&mut self, code: &CodeName) {
        self.codes = self.codes.iter().filter(|given| given.code != *code).cloned().collect();
    }

    /// The carts merged into this one stay known: one of them may still ask whether it was.
    fn end(&mut self, status: Status, at: Timestamp) {
        self.status = status;
        self.lines = Lines::default();
        self.discounts = Box::default();
        self.codes = Box::default();
        self.gift_cards = Box::default();
        self.updated_at = at;
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.lines.heap_bytes()
            + heap::allocation(self.merged_from.capacity() * size_of::<CartId>())
            + self.offers.heap_bytes()
            + heap::allocation(size_of_val(&*self.discounts))
            + self.discounts.iter().map(Discount::heap_bytes).sum::<usize>()
            + heap::allocation(size_of_val(&*self.codes))
            + self.codes.iter().map(GivenCode::heap_bytes).sum::<usize>()
            + self.gift_cards_heap_bytes()
    }
}

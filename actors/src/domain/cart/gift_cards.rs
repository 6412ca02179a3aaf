//! The gift cards of a cart.
//!
//! **Invariants:** a cart has a card once, in the order in which they were given; what is on a card only
//! its checkout asks, and holds. Whoever merges a cart away takes lines alone: its cards, like its codes,
//! end with it, and whoever has the code of one gives it to the other cart.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cart, Event, Existing, Means, Rejection};
use crate::domain::heap;
use crate::domain::ids::GiftCardId;
use crate::domain::names::Label;
use crate::mutants::Mutant;

/// A gift card, and what its owner knows it by: the last characters of its code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenCard {
    pub card: GiftCardId,
    pub ending: Label,
}

impl Cart {
    pub(super) fn add_gift_card(
        &self,
        given: GivenCard,
        at: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let cart = self.open()?;
        if cart.has_gift_card(given.card) {
            return Ok(vec![]);
        }
        if cart.gift_cards.len() >= Self::GIFT_CARDS_MAX {
            return Err(Rejection::TooManyGiftCards);
        }
        Ok(vec![Event::GiftCardAdded { given, at }])
    }

    pub(super) fn remove_gift_card(
        &self,
        card: GiftCardId,
        at: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        if self.open()?.has_gift_card(card) {
            Ok(vec![Event::GiftCardRemoved { card, at }])
        } else {
            Err(Rejection::GiftCardNotFound { card })
        }
    }
}

impl Existing {
    fn has_gift_card(&self, card: GiftCardId) -> bool {
        self.gift_cards.iter().any(|given| given.card == card)
    }

    pub(super) fn gift_card_given(&mut self, given: &GivenCard, at: Timestamp) {
        self.gift_cards = self.gift_cards.iter().chain([given]).cloned().collect();
        self.updated_at = at;
    }

    pub(super) fn gift_card_taken_away(&mut self, card: GiftCardId, at: Timestamp) {
        self.gift_cards = self.gift_cards.iter().filter(|it| it.card != card).cloned().collect();
        self.updated_at = at;
    }

    /// What an order is paid with: the cart's own cards, then those that are brought, each once.
    pub(super) fn gift_cards_with(&self, means: &[Means]) -> Result<Vec<GiftCardId>, Rejection> {
        let brought = means.iter().filter_map(|means| match means {
            Means::GiftCard(card) => Some(*card),
            Means::Customer(_) | Means::Earlier(_) | Means::Screening { .. } => None,
        });
        let own = self.gift_cards.iter().filter(|_| !Mutant::CartCardForgotten.is_planted());
        let mut cards = Vec::new();
        for card in own.map(|given| given.card).chain(brought) {
            if !cards.contains(&card) {
                cards.push(card);
            }
        }
        if cards.len() > Cart::GIFT_CARDS_MAX {
            return Err(Rejection::TooManyGiftCards);
        }
        Ok(cards)
    }

    pub(super) fn gift_cards_heap_bytes(&self) -> usize {
        let endings = self.gift_cards.iter().map(|it| heap::allocation(it.ending.as_str().len()));
        heap::allocation(size_of_val(&*self.gift_cards)) + endings.sum::<usize>()
    }
}

//! The gift cards of these checkouts: one of them worth less than an order, one more, one that nobody issued.

use super::*;
use crate::domain::gift_card;
use crate::domain::ids::GiftCardId;

/// What each is worth.
pub(super) const CARDS: [i64; 3] = [PRICE, 20 * PRICE, 0];

pub(super) fn id(nth: usize) -> GiftCardId {
    GiftCardId::in_slot(Slot::from_bits(9), [u8::try_from(nth).unwrap(); 14])
}

pub(super) fn number(address: &EntityRef) -> usize {
    (0..CARDS.len()).find(|nth| GiftCard::address(id(*nth)) == *address).unwrap()
}

/// None mostly, or the first, or others besides.
pub(super) fn brought() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        4 => Just(vec![]),
        2 => Just(vec![0]),
        2 => Just(vec![0, 1]),
        1 => Just(vec![1, 0]),
        1 => Just(vec![0, 2]),
    ]
}

impl World {
    pub(super) fn issue_cards(&mut self) {
        for (nth, minor) in CARDS.into_iter().enumerate().filter(|(_, minor)| *minor > 0) {
            let issue = gift_card::Command::Issue {
                amount: euro(minor),
                ending: label("CARD"),
                expires_at: None,
                note: None,
            };
            self.send(&GiftCard::address(id(nth)), issue.to_bytes());
        }
    }

    /// Cards lack what orders that were bought were paid with, and hold nothing for anybody.
    pub(super) fn check_cards(&self) {
        let mut paid = [0; CARDS.len()];
        for actor in self.orders.values() {
            let order = actor.live.existing.as_ref().unwrap();
            assert!(order.check().is_ok());
            for tender in &order.tenders {
                let is_done = match tender.state {
                    TenderState::Spent { .. } => order.stage == Stage::Confirmed,
                    TenderState::Released | TenderState::Refused(_) => true,
                    TenderState::Returned { .. } => order.stage != Stage::Confirmed,
                    TenderState::Asked
                    | TenderState::Held { .. }
                    | TenderState::Spending { .. }
                    | TenderState::Releasing
                    | TenderState::Returning { .. } => false,
                };
                assert!(is_done, "{tender:?} of an order that is {:?}", order.stage);
                paid[number(&GiftCard::address(tender.card))] += tender.left();
            }
        }
        for ((card, worth), paid) in self.cards.iter().zip(CARDS).zip(paid) {
            let Some(issued) = &card.live.issued else { continue };
            assert_eq!(issued.book.balance(), worth - paid);
            assert_eq!(issued.all_held(), 0, "a card is held for nobody");
        }
    }
}

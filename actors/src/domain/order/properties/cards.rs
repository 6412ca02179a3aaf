//! The gift cards of these checkouts: one of them worth less than an order, one more, one that nobody
//! issued, and two each that orders and credits of exchanges may become.

use std::collections::BTreeSet;

use super::*;
use crate::domain::gift_card;
use crate::domain::ids::GiftCardId;

/// What each is worth.
pub(super) const CARDS: [i64; 7] = [PRICE, 20 * PRICE, 0, 0, 0, 0, 0];
/// The first that an order may become.
pub(super) const VOUCHERS: usize = 3;
/// The first that is a credit.
pub(super) const CREDITS: usize = 5;

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
        1 => Just(vec![VOUCHERS]),
    ]
}

/// The one list that has all of these cards, and its one page.
#[derive(Default)]
pub(super) struct Lists {
    list: Actor<GiftCardList>,
    page: Actor<GiftCardPage>,
}

impl Lists {
    pub(super) fn run(
        &mut self,
        to: &EntityRef,
        command: &[u8],
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Vec<Effect> {
        match to.kind {
            GiftCardList::KIND => self.list.run(to, command, catalogue, now),
            _ => self.page.run(to, command, catalogue, now),
        }
    }
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
        let (mut paid, mut worth) = ([0; CARDS.len()], CARDS);
        for actor in self.orders.values() {
            let order = actor.live.existing.as_ref().unwrap();
            assert!(order.check().is_ok());
            for voucher in &order.vouchers {
                let refund = order.refunds.iter().find(|it| it.id == voucher.refund).unwrap();
                assert!(refund.state != RefundState::Asked, "{voucher:?} stays asked for");
                let card = &mut worth[number(&GiftCard::address(voucher.card))];
                *card += if refund.state == RefundState::Done { refund.amount.minor } else { 0 };
            }
            if order.placed.terms.method.is_none() {
                let is_paid = order.due().minor == 0;
                assert!(is_paid || order.stage != Stage::Confirmed, "nobody paid the rest");
                assert!(!order.timeline.has(Moment::Authorised), "nobody was to be asked");
            }
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
                let on_vouchers = order.good_vouchers().flat_map(|it| &it.from_cards);
                let on_vouchers =
                    on_vouchers.filter(|(nth, _)| order.tenders[usize::from(*nth)] == *tender);
                let on_vouchers: i64 = on_vouchers.map(|(_, minor)| minor).sum();
                paid[number(&GiftCard::address(tender.card))] += tender.left() + on_vouchers;
            }
        }
        let there = (0..).zip(&self.cards).filter(|(_, card)| card.live.exists());
        let there = there.map(|(nth, _)| id(nth)).collect::<BTreeSet<_>>();
        let listed: Vec<_> = self.card_lists.page.live.entries.iter().map(|it| it.card).collect();
        assert_eq!(listed.iter().copied().collect::<BTreeSet<_>>(), there);
        assert_eq!(listed.len(), there.len(), "a card is listed once");
        for ((card, worth), paid) in self.cards.iter().zip(worth).zip(paid) {
            let Some(issued) = &card.live.issued else {
                assert_eq!(worth, 0, "nobody has a card that was issued");
                continue;
            };
            assert_eq!(issued.book.balance(), worth - paid);
            assert_eq!(issued.all_held(), 0, "a card is held for nobody");
        }
    }
}

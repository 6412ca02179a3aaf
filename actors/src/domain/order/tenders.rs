//! What gift cards pay of an order: held beside its pieces, spent when it is bought, on the card again on
//! every way out; its payment is asked for the rest.
//!
//! **Invariants:** cards and the payment together pay what the order comes to, each piece of it once; an
//! order that failed or was cancelled holds nothing of a card, or has asked for all of it to be free;
//! no more is given back to a card than it paid.
//!
//! What is to be given back is the payment's first, and the cards' once the payment has nothing left.

use cluster::entity::{Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::records::{RefundRecord, RefundState};
use super::{Course, Event, Existing, Failure, Voucher};
use crate::domain::gift_card::{self, CardNews, CardStep, GiftCard, NoMoney};
use crate::domain::ids::{GiftCardId, RefundId};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::mutants::Mutant;

/// A gift card, and what it pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    pub card: GiftCardId,
    pub state: TenderState,
    /// Of what it paid, in minor units.
    pub given_back: i64,
}

/// How far a card is; amounts are in minor units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenderState {
    Asked,
    /// More may be held than is needed.
    Held {
        minor: i64,
    },
    Refused(NoMoney),
    /// It is told to be spent.
    Spending {
        minor: i64,
    },
    Spent {
        minor: i64,
    },
    /// What it holds is told to be free again.
    Releasing,
    Released,
    /// What it paid is told to be on the card again.
    Returning {
        minor: i64,
    },
    Returned {
        minor: i64,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenderStep {
    /// Beside `Placed`.
    Asked {
        cards: Vec<GiftCardId>,
    },
    Became {
        nth: u16,
        state: TenderState,
    },
    /// A refund that no payment has to do with, and what of it each card gets.
    GaveBack {
        refund: RefundId,
        amount: Money,
        reason: Label,
        parts: Vec<(u16, i64)>,
        /// For pieces that were called off.
        is_credit: bool,
    },
}

impl Tender {
    fn asked(card: GiftCardId) -> Self {
        Self { card, state: TenderState::Asked, given_back: 0 }
    }

    /// What it paid, or is about to; nothing of an order that came to nothing.
    pub(crate) const fn paid(&self) -> i64 {
        match self.state {
            TenderState::Spending { minor } | TenderState::Spent { minor } => minor,
            TenderState::Asked
            | TenderState::Held { .. }
            | TenderState::Refused(_)
            | TenderState::Releasing
            | TenderState::Released
            | TenderState::Returning { .. }
            | TenderState::Returned { .. } => 0,
        }
    }

    /// What it had paid, of an order that came to nothing since.
    const fn undone(&self) -> Option<i64> {
        match self.state {
            TenderState::Returning { minor } | TenderState::Returned { minor } => Some(minor),
            TenderState::Asked
            | TenderState::Held { .. }
            | TenderState::Refused(_)
            | TenderState::Spending { .. }
            | TenderState::Spent { .. }
            | TenderState::Releasing
            | TenderState::Released => None,
        }
    }

    /// What it ever paid, whatever became of that.
    pub fn ever_paid(&self) -> i64 {
        self.undone().unwrap_or(self.paid())
    }

    /// What of it is on the card again, or on its way there.
    pub fn returned(&self) -> i64 {
        self.undone().unwrap_or(self.given_back)
    }

    /// What the order has of it still.
    pub fn left(&self) -> i64 {
        self.ever_paid() - self.returned()
    }

    /// What ends it.
    fn undo(&self) -> Option<CardStep> {
        match self.state {
            TenderState::Asked | TenderState::Held { .. } => Some(CardStep::Release),
            TenderState::Spending { .. } | TenderState::Spent { .. } => {
                Some(CardStep::GiveBack { minor: self.left() })
            }
            TenderState::Refused(_)
            | TenderState::Releasing
            | TenderState::Released
            | TenderState::Returning { .. }
            | TenderState::Returned { .. } => None,
        }
    }
}

impl Existing {
    pub(super) fn tender_becomes(&mut self, step: &TenderStep, at: Timestamp) {
        match step {
            TenderStep::Asked { cards } => {
                self.tenders = cards.iter().copied().map(Tender::asked).collect();
            }
            TenderStep::Became { nth, state } => {
                if let Some(tender) = self.tenders.get_mut(usize::from(*nth)) {
                    tender.state = *state;
                }
            }
            TenderStep::GaveBack { refund, amount, reason, parts, is_credit } => {
                for (nth, minor) in parts {
                    if let Some(tender) = self.tenders.get_mut(usize::from(*nth)) {
                        tender.given_back = tender.given_back.saturating_add(*minor);
                    }
                }
                let record = RefundRecord::asked(*refund, *amount, reason, at);
                self.refunds.push(RefundRecord { state: RefundState::Done, ..record });
                self.to_cards.push(*refund);
                self.credits.extend(is_credit.then_some(*refund));
            }
        }
    }

    /// What each card pays of what the order comes to: the first what it can, and so on.
    fn shares(&self) -> Vec<i64> {
        let mut left = self.totals.grand.minor;
        let share = |tender: &Tender| {
            let TenderState::Held { minor } = tender.state else { return 0 };
            let share = minor.min(left);
            left -= share;
            share
        };
        self.tenders.iter().map(share).collect()
    }

    /// What is held is spent as far as it is needed; the rest is free again.
    pub(super) fn spend_cards(&mut self) {
        for (share, tender) in self.shares().into_iter().zip(&mut self.tenders) {
            if matches!(tender.state, TenderState::Held { .. }) {
                tender.state = match share {
                    0 => TenderState::Releasing,
                    minor => TenderState::Spending { minor },
                };
            }
        }
    }

    /// What is held, or may be, is free again; what was paid is on the cards again.
    pub(super) fn free_cards(&mut self) {
        for tender in &mut self.tenders {
            tender.state = match (tender.undo(), tender.paid()) {
                (None, _) => tender.state,
                (Some(CardStep::GiveBack { .. }), minor) => TenderState::Returning { minor },
                (Some(_), _) => TenderState::Releasing,
            };
        }
    }

    pub(super) fn waits_for_cards(&self) -> bool {
        self.tenders.iter().any(|tender| tender.state == TenderState::Asked)
    }

    /// Why the order comes to nothing, if a card says no.
    pub(super) fn refused_card(&self) -> Option<Failure> {
        self.tenders.iter().find_map(|tender| {
            let TenderState::Refused(why) = tender.state else { return None };
            Some(Failure::GiftCardRefused { card: tender.card, why })
        })
    }

    /// What cards pay, or will, in minor units.
    fn paid_by_cards(&self) -> i64 {
        let paid: i64 = self.tenders.iter().map(Tender::paid).sum();
        let held: i64 = self.shares().iter().sum();
        paid + held
    }

    /// What is left for the payment.
    pub(super) fn due(&self) -> Money {
        let by_cards =
            if Mutant::GiftCardPaidBesides.is_planted() { 0 } else { self.paid_by_cards() };
        Money { minor: self.totals.grand.minor - by_cards, ..self.totals.grand }
    }

    /// What the payment is to have in the end: pieces that were called off are the first it loses.
    pub(super) fn due_in_the_end(&self) -> i64 {
        (self.due().minor - self.credit()).max(0)
    }

    /// What cards have of it still.
    pub(super) fn left_on_cards(&self) -> i64 {
        self.tenders.iter().map(Tender::left).sum()
    }

    /// Of what is given back, each card what it paid: the last first.
    pub(super) fn parts_of(&self, minor: i64) -> Vec<(u16, i64)> {
        let mut left = minor;
        let tenders = (0..).zip(&self.tenders).collect::<Vec<_>>().into_iter().rev();
        let parts = tenders.filter_map(|(nth, tender)| {
            let part = left.min(tender.left());
            left -= part;
            (part > 0).then_some((nth, part))
        });
        parts.collect()
    }

    /// The error says why it could not have come about.
    pub(super) fn check_tenders(&self) -> Result<(), &'static str> {
        let is_sound = |tender: &Tender| {
            let ever_paid = tender.ever_paid();
            tender.given_back >= 0 && tender.given_back <= ever_paid && ever_paid >= 0
        };
        let cards_paid = self.tenders.iter().map(Tender::ever_paid);
        let cards_paid = cards_paid.fold(0, i64::saturating_add);
        if !self.tenders.iter().all(is_sound) || cards_paid > self.totals.grand.minor {
            return Err("gift cards paid more of an order than it came to, or got more back");
        }
        let to_cards = self.refunds.iter().filter(|it| self.to_cards.contains(&it.id));
        let (count, sum) = to_cards.fold((0, 0_i64), |(count, sum), refund| {
            (count + 1, sum.saturating_add(refund.amount.minor))
        });
        let given_back = self.tenders.iter().map(|tender| tender.given_back);
        let on_vouchers = self.good_vouchers().map(Voucher::of_cards);
        let sum = on_vouchers.fold(sum, i64::saturating_add);
        if count != self.to_cards.len() || given_back.fold(0, i64::saturating_add) != sum {
            return Err("what gift cards got back of an order is not what it was refunded");
        }
        Ok(())
    }
}

impl Course {
    /// Once it is known what the order comes to, cards that it does not need are for others.
    pub(super) fn free_idle_cards(&mut self) {
        let Some(order) = self.order() else { return };
        let tenders = (0..).zip(&order.tenders).zip(order.shares());
        let is_idle = |state| matches!(state, TenderState::Held { .. });
        let idle = tenders.filter(|((_, tender), share)| *share == 0 && is_idle(tender.state));
        let idle: Vec<_> = idle.map(|((nth, tender), _)| (nth, tender.card)).collect();
        for (nth, card) in idle {
            self.tender(TenderStep::Became { nth, state: TenderState::Releasing });
            self.tell_card(card, CardStep::Release);
        }
    }

    pub(super) fn ask_cards(&mut self, cards: Vec<GiftCardId>) {
        let Some(most) = self.order().map(|order| order.totals.grand) else { return };
        self.tender(TenderStep::Asked { cards: cards.clone() });
        for card in cards {
            self.tell_card(card, CardStep::Hold { most });
        }
    }

    pub(super) fn take_card_news(&mut self, card: GiftCardId, news: CardNews) {
        if let CardNews::Issued | CardNews::NotIssued = news {
            return self.take_voucher_news(card, news == CardNews::Issued);
        }
        let Some((nth, tender)) = self.tender_of(card) else { return };
        let state = match (news, tender.state) {
            (CardNews::Held { minor }, TenderState::Asked) => TenderState::Held { minor },
            (CardNews::Refused(why), TenderState::Asked) => TenderState::Refused(why),
            (CardNews::Spent, TenderState::Spending { minor }) => TenderState::Spent { minor },
            (CardNews::Released, TenderState::Releasing) => TenderState::Released,
            (CardNews::GivenBack, TenderState::Returning { minor }) => {
                TenderState::Returned { minor }
            }
            // Said before the order thought better of it, as of stocks; or of a part.
            (
                CardNews::Held { .. }
                | CardNews::Refused(_)
                | CardNews::Spent
                | CardNews::Released
                | CardNews::GivenBack
                | CardNews::Issued
                | CardNews::NotIssued,
                _,
            ) => return,
        };
        let was_asked = tender.state == TenderState::Asked;
        self.tender(TenderStep::Became { nth, state });
        if was_asked {
            self.when_stocks_answered();
        }
    }

    /// Tells cards what they pay, once.
    pub(super) fn spend_cards(&mut self) {
        for Tender { card, state, .. } in self.tenders() {
            match state {
                TenderState::Spending { minor } => {
                    self.tell_card(card, CardStep::Spend { minor });
                }
                TenderState::Releasing => self.tell_card(card, CardStep::Release),
                TenderState::Asked
                | TenderState::Held { .. }
                | TenderState::Refused(_)
                | TenderState::Spent { .. }
                | TenderState::Released
                | TenderState::Returning { .. }
                | TenderState::Returned { .. } => {}
            }
        }
    }

    /// Those that are open, each with what undoes it as it is.
    pub(super) fn open_cards(&self) -> Vec<(GiftCardId, CardStep)> {
        let tenders = self.tenders().into_iter();
        tenders.filter_map(|tender| Some((tender.card, tender.undo()?))).collect()
    }

    pub(super) fn free_cards(&mut self, open: Vec<(GiftCardId, CardStep)>) {
        for (card, undo) in open {
            let is_kept =
                undo == CardStep::Release && Mutant::GiftCardKeptAfterFailure.is_planted();
            if !is_kept {
                self.tell_card(card, undo);
            }
        }
    }

    /// Gives so much of what cards paid back to them.
    pub(super) fn give_back(
        &mut self,
        refund: RefundId,
        amount: Money,
        reason: Label,
        is_credit: bool,
    ) {
        let Some(order) = self.order() else { return };
        let parts = order.parts_of(amount.minor);
        let cards: Vec<_> = order.tenders.iter().map(|tender| tender.card).collect();
        let told = parts.clone();
        self.tender(TenderStep::GaveBack { refund, amount, reason, parts, is_credit });
        for (nth, minor) in told {
            if let Some(card) = cards.get(usize::from(nth)) {
                self.tell_card(*card, CardStep::GiveBack { minor });
            }
        }
    }

    fn tenders(&self) -> Vec<Tender> {
        self.order().map(|order| order.tenders.clone()).unwrap_or_default()
    }

    fn tender_of(&self, card: GiftCardId) -> Option<(u16, &Tender)> {
        let mut tenders = (0..).zip(&self.order()?.tenders);
        tenders.find(|(_, tender)| tender.card == card)
    }

    fn tender(&mut self, step: TenderStep) {
        self.happen(Event::Tender { step, at: self.now });
    }

    fn tell_card(&mut self, card: GiftCardId, step: CardStep) {
        let command = gift_card::Command::ForOrder { order: self.me, step }.to_bytes();
        self.does(Effect::Tell { to: GiftCard::address(card), command });
    }
}

//! Vouchers: gift cards that are made of what an order was paid with, for whoever is to have the money to
//! spend and not on its way back.
//!
//! **Invariants:** what went to a voucher is refunded no other way, and what was refunded goes to none;
//! of a card that could not be issued all is the order's again.
//!
//! The payment's money is taken first, that of the gift cards that had paid after it. The shop may put
//! something on top.

use cluster::entity::{Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::existing::Asked;
use super::records::{RefundRecord, RefundState};
use super::{Course, Event, Existing, Rejection};
use crate::domain::gift_card::{self, GiftCard};
use crate::domain::ids::{GiftCardId, RefundId};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::mutants::Mutant;

/// A refund that became a gift card, and where its money is from; amounts are in minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voucher {
    pub refund: RefundId,
    pub card: GiftCardId,
    pub from_payment: i64,
    /// Of what gift cards had paid.
    pub from_cards: Vec<(u16, i64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoucherStep {
    Asked {
        voucher: Voucher,
        amount: Money,
        reason: Label,
        /// For pieces that were called off.
        is_credit: bool,
    },
    Issued {
        refund: RefundId,
    },
    /// There is a card already.
    Refused {
        refund: RefundId,
    },
}

/// What is to become a gift card.
pub(super) struct Wanted {
    pub(super) refund: RefundId,
    pub(super) amount: Money,
    pub(super) reason: Label,
    pub(super) card: GiftCardId,
    pub(super) ending: Label,
}

impl Voucher {
    pub(super) fn of_cards(&self) -> i64 {
        self.from_cards
            .iter()
            .map(|(_, minor)| minor)
            .fold(0, |sum, minor| sum.saturating_add(*minor))
    }
}

impl Existing {
    pub(super) fn voucher_becomes(&mut self, step: &VoucherStep, at: Timestamp) {
        match step {
            VoucherStep::Asked { voucher, amount, reason, is_credit } => {
                self.refunds.push(RefundRecord::asked(voucher.refund, *amount, reason, at));
                self.credits.extend(is_credit.then_some(voucher.refund));
                self.move_on_cards(&voucher.from_cards, 1);
                self.vouchers.push(voucher.clone());
            }
            VoucherStep::Issued { refund } => self.end_refund(*refund, RefundState::Done),
            VoucherStep::Refused { refund } => {
                self.end_refund(*refund, RefundState::Failed);
                if Mutant::RefusedVoucherKept.is_planted() {
                    return;
                }
                let known = self.vouchers.iter().find(|it| it.refund == *refund);
                let parts = known.map(|it| it.from_cards.clone()).unwrap_or_default();
                self.move_on_cards(&parts, -1);
            }
        }
    }

    fn move_on_cards(&mut self, parts: &[(u16, i64)], sign: i64) {
        for (nth, minor) in parts {
            if let Some(tender) = self.tenders.get_mut(usize::from(*nth)) {
                tender.given_back = tender.given_back.saturating_add(sign * minor);
            }
        }
    }

    pub(super) fn voucher(&self, refund: RefundId) -> Option<&Voucher> {
        self.vouchers.iter().find(|it| it.refund == refund)
    }

    /// Those that are cards, or may become some.
    pub(super) fn good_vouchers(&self) -> impl Iterator<Item = &Voucher> {
        let failed = |it: &RefundRecord| it.state == RefundState::Failed;
        let is_good = move |voucher: &&Voucher| {
            !self.refunds.iter().any(|it| it.id == voucher.refund && failed(it))
        };
        self.vouchers.iter().filter(is_good)
    }

    /// What the payment captured and vouchers have.
    pub(super) fn on_vouchers(&self) -> i64 {
        if Mutant::VoucherRefundedTwice.is_planted() {
            return 0;
        }
        let minor = self.good_vouchers().map(|voucher| voucher.from_payment);
        minor.fold(0, i64::saturating_add)
    }

    /// What may become a voucher: of the payment and of cards. Where the payment only holds its part,
    /// or is given up, the money may still go back.
    pub(super) fn vouchable(&self) -> i64 {
        let is_paid = match self.money.asked {
            Asked::Nothing => self.due().minor == 0,
            Asked::Open => self.money.captured.minor > 0,
            // Cards pay all that is left.
            Asked::Closed => self.due_in_the_end() == 0,
            Asked::Closing => false,
        };
        if !is_paid {
            return 0;
        }
        self.refundable().max(0).saturating_add(self.left_on_cards())
    }

    /// The error says why it could not have come about.
    pub(super) fn check_vouchers(&self) -> Result<(), &'static str> {
        let is_refund = |it: &Voucher| self.refunds.iter().any(|refund| refund.id == it.refund);
        let is_positive = |it: &Voucher| {
            it.from_payment >= 0 && it.from_cards.iter().all(|(_, minor)| *minor > 0)
        };
        let is_sound = |it: &Voucher| is_refund(it) && is_positive(it);
        if self.vouchers.iter().all(is_sound) {
            Ok(())
        } else {
            Err("a voucher of an order is no refund of it")
        }
    }
}

impl Course {
    pub(super) fn refund_to_card(&mut self, wanted: Wanted) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        if order.voucher(wanted.refund).is_some_and(|known| known.card == wanted.card) {
            let known = order.refunds.iter().find(|it| it.id == wanted.refund);
            let is_same = known.is_some_and(|known| known.amount == wanted.amount);
            return is_same.then_some(()).ok_or(Rejection::RefundDiffers);
        }
        order.check_refund(wanted.refund, wanted.amount)?;
        if order.vouchers.iter().any(|it| it.card == wanted.card) {
            return Err(Rejection::RefundDiffers);
        }
        let left = order.vouchable().min(GiftCard::BALANCE_MAX);
        if wanted.amount.minor > left {
            return Err(Rejection::RefundTooLarge { left });
        }
        self.ask_voucher(wanted, false);
        Ok(())
    }

    /// A card of this amount is issued, of what there is of the order's money and for the rest on top.
    pub(super) fn ask_voucher(&mut self, wanted: Wanted, is_credit: bool) {
        let Some(order) = self.order() else { return };
        let Wanted { refund, amount, reason, card, ending } = wanted;
        let ours = amount.minor.min(order.vouchable());
        let from_payment = ours.min(order.refundable().max(0));
        let from_cards = order.parts_of(ours - from_payment);
        let voucher = Voucher { refund, card, from_payment, from_cards };
        let note = Some(reason.clone());
        self.voucher_step(VoucherStep::Asked { voucher, amount, reason, is_credit });
        let order = self.me;
        let command = gift_card::Command::IssueFor { order, amount, ending, note }.to_bytes();
        self.does(Effect::Tell { to: GiftCard::address(card), command });
    }

    /// What a card that was asked for says.
    pub(super) fn take_voucher_news(&mut self, card: GiftCardId, is_issued: bool) {
        let Some(refund) = self.order().and_then(|order| order.open_voucher(card)) else { return };
        self.voucher_step(if is_issued {
            VoucherStep::Issued { refund }
        } else {
            VoucherStep::Refused { refund }
        });
        self.take_exchange_news(card, is_issued);
        self.give_credit();
    }

    fn voucher_step(&mut self, step: VoucherStep) {
        self.happen(Event::Voucher { step, at: self.now });
    }
}

impl Existing {
    fn open_voucher(&self, card: GiftCardId) -> Option<RefundId> {
        let refund = self.vouchers.iter().find(|it| it.card == card)?.refund;
        let asked = |it: &&RefundRecord| it.id == refund && it.state == RefundState::Asked;
        self.refunds.iter().find(asked).map(|it| it.id)
    }
}

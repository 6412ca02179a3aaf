//! Exchanges: pieces come back, or are called off before they are sent, and others are bought with what
//! they had cost. Where none are given up, it is more that is bought.
//!
//! What is wanted is an order of its own, priced when the exchange is asked for. The credit becomes a
//! gift card, see [`super::vouchers`], and pays the other order first.
//!
//! **Invariants:** the other order is placed once: after the pieces are there, unless the shop does not
//! wait for them, and after the credit is a card; no credit is more than was paid and not given back.
//!
//! Where the other order comes to nothing, the credit stays on its card. Of an order whose money is only
//! held there is no credit: what is called off is not captured, and the other order is paid for itself.

use cluster::entity::{Context, Effect, Wire};
use serde::{Deserialize, Serialize};

use super::after_sale::{Items, in_order};
use super::{
    Command, Course, Event, Existing, Extra, Order, Placed, Rejection, ReturnNumber, SellerLines,
    Shortfall, Side, Terms, Wanted,
};
use crate::domain::catalogue::PriceBook;
use crate::domain::gift_card::GiftCard;
use crate::domain::ids::{GiftCardId, OrderId, PaymentId, RefundId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::{Label, ShippingOptionId};
use crate::domain::payment::PaymentMethod;
use crate::domain::pricing::{PricingTerms, Quote};
use crate::domain::quantity::Quantity;

/// An exchange that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    pub names: SwapNames,
    pub given: Given,
    pub wanted: Vec<(SkuCode, Quantity)>,
    /// Without one the shop sends it for nothing.
    pub shipping: Option<ShippingOptionId>,
    /// Without it what the given pieces had cost, as far as the wanted ones cost so much.
    pub credit: Option<Money>,
    /// For what the credit does not pay.
    pub method: PaymentMethod,
    pub reason: Label,
}

/// What an exchange brings into being: it is one and the same under these names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapNames {
    pub order: OrderId,
    pub payment: PaymentId,
    pub refund: RefundId,
    pub card: GiftCardId,
    /// How the card's owner knows it.
    pub ending: Label,
}

/// The pieces that are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Given {
    Nothing,
    Returned {
        items: Vec<(SkuCode, Quantity)>,
        /// Nothing is credited before they are there.
        is_awaited: bool,
    },
    /// Before they are sent.
    Cancelled {
        items: Vec<(SkuCode, Quantity)>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    pub names: SwapNames,
    pub returned: Option<ReturnNumber>,
    pub credit: Money,
    /// The credit is that of pieces that were called off.
    pub is_of_cancelled: bool,
    pub reason: Label,
    pub state: ExchangeState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeState {
    /// The pieces are awaited, or the card is.
    Open(Box<Replacement>),
    Placed,
    /// The credit became no card: nothing is bought with it.
    Refused,
}

/// The other order, until it is placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    pub placed: Placed,
    pub extras: Vec<Extra>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExchangeStep {
    Asked(Box<Exchange>),
    Placed {
        nth: u16,
    },
    Refused {
        nth: u16,
    },
    /// This order is the other one.
    InPlaceOf {
        order: OrderId,
    },
}

impl Given {
    fn in_order(self) -> Result<Self, Rejection> {
        Ok(match self {
            Self::Nothing => Self::Nothing,
            Self::Returned { items, is_awaited } => {
                Self::Returned { items: in_order(items)?, is_awaited }
            }
            Self::Cancelled { items } => Self::Cancelled { items: in_order(items)? },
        })
    }
}

impl Exchange {
    /// Of the other order, while it is kept here.
    pub(super) fn heap_bytes(&self, of_line: usize) -> usize {
        match &self.state {
            ExchangeState::Open(replacement) => {
                let Replacement { placed, extras } = &**replacement;
                let besides: usize = extras.iter().map(Extra::heap_bytes).sum();
                // As much as a line are the terms.
                (placed.lines().len() + 1) * of_line + besides
            }
            ExchangeState::Placed | ExchangeState::Refused => 0,
        }
    }
}

impl Existing {
    pub(super) fn exchange_becomes(&mut self, step: &ExchangeStep) {
        let (nth, state) = match step {
            ExchangeStep::Asked(exchange) => return self.exchanges.push(Exchange::clone(exchange)),
            ExchangeStep::InPlaceOf { order } => return self.in_place_of = Some(*order),
            ExchangeStep::Placed { nth } => (nth, ExchangeState::Placed),
            ExchangeStep::Refused { nth } => (nth, ExchangeState::Refused),
        };
        if let Some(exchange) = self.exchanges.get_mut(usize::from(*nth)) {
            exchange.state = state;
        }
    }

    /// What is wanted instead, at the prices of now, for whom and where this order goes.
    fn replacement(&self, swap: &Swap, ctx: &Context<'_>) -> Result<Box<Replacement>, Rejection> {
        let (book, index) = PriceBook::of(ctx)?;
        let contact = self.contact().clone();
        let terms = PricingTerms {
            currency: self.placed.currency(),
            group: None,
            at: ctx.now,
            destination: Some(&contact.shipping.destination()),
            shipping: swap.shipping.as_ref(),
            codes: &[],
            may_be_first: false,
        };
        let wanted = in_order(swap.wanted.clone())?;
        let Quote { priced, discounts } =
            book.quote(&terms, &wanted).map_err(Rejection::NotPriced)?;
        let (method, capture) = (swap.method.clone(), self.placed.terms.capture);
        let terms = Terms { contact, method, shortfall: Shortfall::FailAll, capture };
        let placed = Placed::new(priced, terms, index, ctx.now);
        let placed = placed.map_err(|_| Rejection::TooManyEntries)?;
        let sellers = SellerLines::all_of(placed.lines(), book).map(Extra::Seller);
        let extras = discounts.into_iter().map(Extra::Discount).chain(sellers).collect();
        Ok(Box::new(Replacement { placed, extras }))
    }

    /// What was paid for pieces that are sent back now, after those that were before.
    fn worth_of_returned(&self, items: &Items) -> i64 {
        self.worth(items, &self.cancelled().plus(self.returned())).minor
    }

    /// Of what was asked for, or else of what the pieces had cost, what can be given. What is about to
    /// be paid is, by the time that pieces are back.
    fn credit_of(
        &self,
        asked: Option<Money>,
        worth: i64,
        (most, is_awaited): (i64, bool),
    ) -> Result<Money, Rejection> {
        let is_paid_then = is_awaited && self.awaits_money();
        let paid = if is_paid_then { self.totals.grand.minor } else { self.vouchable() };
        let left = paid.min(most).min(GiftCard::BALANCE_MAX);
        let Some(asked) = asked else {
            return Ok(Money { minor: worth.min(left), ..self.totals.grand });
        };
        let currency = self.placed.currency();
        if asked.currency != currency {
            return Err(Rejection::OtherCurrency { currency });
        }
        if asked.minor < 0 {
            return Err(Rejection::NotPositive);
        }
        if asked.minor > left { Err(Rejection::RefundTooLarge { left }) } else { Ok(asked) }
    }

    /// An exchange that waits, and for nothing but what is named.
    fn open_exchange(&self, is_it: impl Fn(&Exchange) -> bool) -> Option<u16> {
        let is_open = |it: &Exchange| matches!(it.state, ExchangeState::Open(_)) && is_it(it);
        (0..).zip(&self.exchanges).find(|(_, it)| is_open(it)).map(|(nth, _)| nth)
    }

    fn exchange(&self, nth: u16) -> Option<&Exchange> {
        self.exchanges.get(usize::from(nth))
    }

    /// The error says why it could not have come about.
    pub(super) fn check_exchanges(&self) -> Result<(), &'static str> {
        let currency = self.placed.currency();
        let awaits = |it: &Exchange| {
            let returned = self.returns.iter().find(|known| Some(known.number) == it.returned);
            returned.is_some_and(|known| known.received_at.is_none())
        };
        let is_sound = |it: &Exchange| {
            let is_ours = it.credit.currency == currency && it.credit.minor >= 0;
            let is_open = matches!(it.state, ExchangeState::Open(_));
            is_ours && (!is_open || self.voucher(it.names.refund).is_some() || awaits(it))
        };
        if self.exchanges.len() > Order::EXCHANGES_MAX || !self.exchanges.iter().all(is_sound) {
            return Err("an exchange of an order waits for nothing, or there are too many");
        }
        Ok(())
    }
}

impl Course {
    pub(super) fn exchange(&mut self, swap: Swap, ctx: &Context<'_>) -> Result<(), Rejection> {
        let known = self.found()?.exchanges.iter().find(|it| it.names.order == swap.names.order);
        if let Some(known) = known {
            let is_same = known.reason == swap.reason;
            return is_same.then_some(()).ok_or(Rejection::ExchangeDiffers);
        }
        let order = self.confirmed()?;
        if order.exchanges.len() >= Order::EXCHANGES_MAX {
            return Err(Rejection::TooManyEntries);
        }
        let swap = Swap { given: swap.given.in_order()?, ..swap };
        let replacement = order.replacement(&swap, ctx)?;
        let grand = replacement.placed.totals().grand;
        let Swap { names, given, credit: asked, method, reason, wanted: _, shipping: _ } = swap;
        let (is_of_cancelled, worth) = match &given {
            Given::Nothing => (false, 0),
            Given::Returned { items, .. } => (false, order.worth_of_returned(items)),
            Given::Cancelled { items } => (true, order.worth_of_cancelled(items).minor),
        };
        let (returned, is_awaited) = self.give_up(given, &reason)?;
        let order = self.found()?;
        // What is called off and was not paid is not captured: it is no credit besides.
        let most = if is_of_cancelled { worth.min(order.owed_credit().all()) } else { i64::MAX };
        let credit = order.credit_of(asked, worth, (most.min(grand.minor), is_awaited))?;
        let due = Money { minor: grand.minor - credit.minor, ..grand };
        if due.minor > 0 && method.is_none() {
            return Err(Rejection::PaymentRequired { due });
        }
        let state = ExchangeState::Open(replacement);
        let exchange = Exchange { names, returned, credit, is_of_cancelled, reason, state };
        self.exchange_step(ExchangeStep::Asked(Box::new(exchange)));
        let nth = self.found()?.exchanges.len() - 1;
        if !is_awaited {
            self.credit_exchange(u16::try_from(nth).unwrap_or(u16::MAX));
        }
        self.give_credit();
        Ok(())
    }

    /// The return that it becomes, and whether that is awaited.
    fn give_up(
        &mut self,
        given: Given,
        reason: &Label,
    ) -> Result<(Option<ReturnNumber>, bool), Rejection> {
        match given {
            Given::Nothing => Ok((None, false)),
            Given::Cancelled { items } => {
                self.found()?.check_calling_off(&items)?;
                self.take_off(Side::Shop, items, reason.clone())?;
                Ok((None, false))
            }
            Given::Returned { items, is_awaited } => {
                let next = self.found()?.returns.len() + 1;
                let number = ReturnNumber(u16::try_from(next).unwrap_or(u16::MAX));
                self.ask_return(number, items, reason.clone())?;
                Ok((Some(number), is_awaited))
            }
        }
    }

    /// The pieces of an exchange that waited for them are there.
    pub(super) fn credit_returned(&mut self, number: ReturnNumber) {
        let Some(order) = self.order() else { return };
        let is_uncredited = |it: &Exchange| order.voucher(it.names.refund).is_none();
        let waiting = order.open_exchange(|it| it.returned == Some(number) && is_uncredited(it));
        if let Some(nth) = waiting {
            self.credit_exchange(nth);
        }
    }

    /// As far as something is left of what was paid: it may have been given back meanwhile.
    fn credit_exchange(&mut self, nth: u16) {
        let Some(order) = self.order() else { return };
        let Some(exchange) = order.exchange(nth) else { return };
        let minor = exchange.credit.minor.min(order.vouchable());
        if minor <= 0 {
            return self.place_replacement(nth);
        }
        let Exchange { names, credit, is_of_cancelled, reason, .. } = exchange.clone();
        let SwapNames { refund, card, ending, .. } = names;
        let amount = Money { minor, ..credit };
        self.ask_voucher(Wanted { refund, amount, reason, card, ending }, is_of_cancelled);
    }

    /// What a card that was asked for says may be what an exchange waited for.
    pub(super) fn take_exchange_news(&mut self, card: GiftCardId, is_issued: bool) {
        let waiting = self.order().and_then(|it| it.open_exchange(|it| it.names.card == card));
        match waiting {
            Some(nth) if is_issued => self.place_replacement(nth),
            Some(nth) => self.exchange_step(ExchangeStep::Refused { nth }),
            None => {}
        }
    }

    fn place_replacement(&mut self, nth: u16) {
        let Some(order) = self.order() else { return };
        let Some(Exchange { names, state, .. }) = order.exchange(nth) else { return };
        let ExchangeState::Open(replacement) = state else { return };
        let Replacement { mut placed, mut extras } = Replacement::clone(replacement);
        placed.at = self.now;
        let card = order.voucher(names.refund).map(|voucher| Extra::GiftCard(voucher.card));
        extras.extend(card);
        extras.push(Extra::InPlaceOf(self.me));
        // Whoever may see this order may see that one.
        let of_cart = (order.cart, order.access);
        let place = Command::placing(of_cart, names.payment, Box::new(placed), extras);
        let (to, command) = (Order::address(names.order), place.to_bytes());
        self.exchange_step(ExchangeStep::Placed { nth });
        self.does(Effect::Tell { to, command });
    }

    pub(super) fn exchange_step(&mut self, step: ExchangeStep) {
        self.happen(Event::Exchange { step, at: self.now });
    }
}

//! The shopping cart.
//!
//! **Invariants**, true in every reachable state:
//! - at most [`Cart::LINES_MAX`] lines, one a SKU, each of at least one piece, and at most
//!   [`Cart::CODES_MAX`] discount codes and [`Cart::GIFT_CARDS_MAX`] gift cards;
//! - every price came from the catalogue and is in the cart's currency;
//! - the total is between zero and [`Cart::TOTAL_MAX`], and what is taken off no line is more than it
//!   comes to;
//! - only an open cart changes; one that merged away or was deleted holds no lines;
//! - at most one order at a time is made of it, and it becomes one order at most.
//!
//! Who may read or change a cart is not decided here: the rim compares [`View::access`].

mod checkout;
#[cfg(test)]
mod checkout_tests;
mod codes;
mod discounts;
#[cfg(test)]
mod discounts_tests;
mod existing;
mod facts;
mod first_order;
#[cfg(test)]
mod first_order_tests;
mod gift_cards;
#[cfg(test)]
mod gift_cards_tests;
mod lines;
mod merge;
#[cfg(test)]
mod merge_tests;
mod offers;
mod pricing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, NoCatalogue, Port, TimerName,
};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::catalogue::ProductName;
use super::code_uses::CustomerKey;
use super::discount_code::CodeName;
use super::ids::{CartAccess, CartId, GiftCardId, OrderId, PaymentId, SkuCode};
use super::money::{Currency, Money};
use super::names::{Label, PromotionId, ShippingOptionId};
use super::order::Terms;
use super::pricing::{Discount, GivenCode, NotPriced};
use super::quantity::Quantity;
use crate::codec;
pub(crate) use existing::Existing;
pub use gift_cards::GivenCard;
pub(crate) use lines::{Line, Lines};
pub use merge::{MergeRefused, MergeStrategy};
pub use offers::{Attempt, OfferNumber, OfferOutcome, OfferView};
pub(crate) use offers::{Offer, OfferState, Offers};
pub use view::{LineView, Lookup, Query, Status, Totals, View};

/// Nothing until it is created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cart {
    pub(crate) existing: Option<Existing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Create {
        currency: Currency,
        access: CartAccess,
    },
    /// Adds to what is there, all of them or none.
    AddItems {
        items: Vec<(SkuCode, Quantity)>,
    },
    /// Sets one line's quantity; makes the line if there is none.
    SetQuantity {
        sku: SkuCode,
        quantity: Quantity,
    },
    RemoveLine {
        sku: SkuCode,
    },
    Clear,
    Delete,
    /// Merges this cart into another of the same currency. The reply shows it merging and numbers
    /// the offer: whether the other cart took the lines is seen by asking for that offer.
    GiveUpLines {
        to: CartId,
        strategy: MergeStrategy,
    },
    /// Told by a cart that gives up its lines; answered by `ConfirmMerge` or `TakeLinesBack`.
    Merge {
        from: CartId,
        offer: OfferNumber,
        attempt: Attempt,
        currency: Currency,
        lines: Vec<(SkuCode, Quantity)>,
        strategy: MergeStrategy,
    },
    /// Told by the cart that took this one's lines.
    ConfirmMerge {
        offer: OfferNumber,
        into: CartId,
    },
    /// Told by the cart that refused this one's lines.
    TakeLinesBack {
        offer: OfferNumber,
        attempt: Attempt,
        refused: MergeRefused,
    },
    /// Changes nothing. Sent under the key of a merge before the other cart is asked to give up its
    /// lines, so that the same key with another cart is noticed here.
    ExpectOffer {
        from: CartId,
    },
    /// The timer's: the other cart has not answered.
    RepeatOffer,
    /// Changes nothing. Sent under a key of its own where a merge is to be answered: what became of
    /// the offer by then is recorded, and is the answer from then on.
    ReportOffer {
        number: OfferNumber,
    },
    /// Makes an order of what is in the cart. Where prices have changed the cart takes the new ones
    /// and stays open: its shopper has not seen them.
    CheckOut {
        order: OrderId,
        payment: PaymentId,
        terms: Box<Terms>,
        shipping: Option<ShippingOptionId>,
    },
    /// Told by the order: it is confirmed.
    FinishCheckout {
        order: OrderId,
    },
    /// Told by the order: it came to nothing.
    ReopenAfter {
        order: OrderId,
    },
    AddCode {
        code: CodeName,
    },
    RemoveCode {
        code: CodeName,
    },
    /// [`Command::CheckOut`] by whom or with what else.
    CheckOutWith {
        order: OrderId,
        payment: PaymentId,
        terms: Box<Terms>,
        shipping: Option<ShippingOptionId>,
        means: Vec<Means>,
    },
    /// Whoever sends it has seen the card's code; the cart does not ask what is on it.
    AddGiftCard {
        card: GiftCardId,
        ending: Label,
    },
    RemoveGiftCard {
        card: GiftCardId,
    },
}

/// What a shopper brings to a checkout. New ones come last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Means {
    /// Who it is, as far as limits go.
    Customer(CustomerKey),
    /// Of the shop itself: the order is to be looked at, and held for so long at most.
    Screening {
        held_for: Span,
    },
    GiftCard(GiftCardId),
    /// Of the shop itself: what was found in the customer's list of orders.
    Earlier(EarlierOrders),
}

/// Whether a customer has an order that did not fail and was not cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EarlierOrders {
    NoneStands,
    OneStands,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Created {
        currency: Currency,
        access: CartAccess,
        at: Timestamp,
    },
    QuantitySet {
        sku: SkuCode,
        quantity: Quantity,
        unit_price: Money,
        name: ProductName,
        catalogue_index: u64,
        at: Timestamp,
    },
    LineRemoved {
        sku: SkuCode,
        at: Timestamp,
    },
    Cleared {
        at: Timestamp,
    },
    Deleted {
        at: Timestamp,
    },
    /// This cart is frozen until the other one answers.
    LinesOffered {
        offer: OfferNumber,
        into: CartId,
        strategy: MergeStrategy,
        at: Timestamp,
    },
    /// The other cart took the lines.
    MergedAway {
        into: CartId,
        at: Timestamp,
    },
    /// The other cart refused the lines; this one is open again.
    LinesReturned {
        refused: MergeRefused,
        at: Timestamp,
    },
    /// This cart took another's lines; the `QuantitySet` beside it say which.
    LinesTaken {
        from: CartId,
        at: Timestamp,
    },
    /// The other cart did not answer in time and was told again.
    OfferRepeated {
        attempt: Attempt,
        at: Timestamp,
    },
    CheckoutBegun {
        order: OrderId,
        at: Timestamp,
    },
    /// An order came of it.
    Ordered {
        order: OrderId,
        at: Timestamp,
    },
    /// Nothing came of it: the cart is as it was.
    Reopened {
        order: OrderId,
        at: Timestamp,
    },
    /// What promotions take off what is in the cart by now.
    DiscountsSet {
        discounts: Vec<Discount>,
        catalogue_index: u64,
        at: Timestamp,
    },
    CodeAdded {
        given: GivenCode,
        at: Timestamp,
    },
    CodeRemoved {
        code: CodeName,
        at: Timestamp,
    },
    GiftCardAdded {
        given: GivenCard,
        at: Timestamp,
    },
    GiftCardRemoved {
        card: GiftCardId,
        at: Timestamp,
    },
}

/// Which rule a command broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the cart does not exist")]
    NotFound,
    #[error("the cart exists with another currency or owner")]
    AlreadyExists,
    #[error("the cart was deleted")]
    Deleted,
    #[error("the cart is being merged into {into}")]
    Merging { into: CartId },
    #[error("the cart was merged into {into}")]
    MergedAway { into: CartId },
    #[error("a cart cannot be merged into itself")]
    MergeIntoItself,
    #[error("the carts have different currencies, {from} and {into}")]
    CurrencyMismatch { from: Currency, into: Currency },
    #[error("the cart has no line of sku {sku}")]
    LineNotFound { sku: SkuCode },
    #[error("a cart has at most {} lines", Cart::LINES_MAX)]
    TooManyLines,
    #[error("the line of sku {sku} would hold more than {} pieces", Quantity::MAX)]
    QuantityTooLarge { sku: SkuCode },
    #[error("the total of the cart would be too large")]
    TotalTooLarge,
    #[error("sku {sku} is not for sale")]
    UnknownSku { sku: SkuCode },
    #[error("sku {sku} has no price in {currency}")]
    NotPriced { sku: SkuCode, currency: Currency },
    /// Not a rule: this node has no current catalogue. Retry.
    #[error("the catalogue is not available")]
    CatalogueUnavailable,
    /// Not a rule: this node's catalogue may be too old to price with. Retry.
    #[error("the catalogue may be out of date")]
    CatalogueStale,
    #[error("the cart is being checked out as {order}")]
    CheckingOut { order: OrderId },
    #[error("the cart became {order}")]
    Ordered { order: OrderId },
    #[error("the cart is empty")]
    Empty,
    #[error(transparent)]
    NotPricedForOrder(NotPriced),
    #[error("the order is to be sent, and nobody chose how")]
    ShippingOptionRequired,
    #[error("there is no discount code {code}")]
    UnknownCode { code: CodeName },
    #[error("discount code {code} is not in force")]
    CodeNotInForce { code: CodeName },
    #[error("a cart has at most {} discount codes", Cart::CODES_MAX)]
    TooManyCodes,
    #[error("the cart has no discount code {code}")]
    CodeNotFound { code: CodeName },
    #[error("discount code {code} is limited per customer, and nobody said who it is")]
    CustomerRequired { code: CodeName },
    #[error("at most {} gift cards pay for a cart", Cart::GIFT_CARDS_MAX)]
    TooManyGiftCards,
    #[error("the cart has no gift card {card}")]
    GiftCardNotFound { card: GiftCardId },
    #[error("promotion {promotion} is for first orders, and nobody said whose this is")]
    FirstOrderOfNobody { promotion: PromotionId },
    #[error("promotion {promotion} is for first orders, and this customer has ordered before")]
    NotFirstOrder { promotion: PromotionId },
}

impl From<NoCatalogue> for Rejection {
    fn from(none: NoCatalogue) -> Self {
        match none {
            NoCatalogue::Absent => Self::CatalogueUnavailable,
            NoCatalogue::Stale => Self::CatalogueStale,
        }
    }
}

impl Entity for Cart {
    const KIND: EntityKind = EntityKind(1);
    const NAME: &'static str = "cart";
    type Command = Command;
    type Event = Event;
    /// Nothing where a cart that was never created answers another cart, or expects an offer.
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let me = CartId::try_from(&ctx.me.key).map_err(|_| Rejection::NotFound)?;
        let at = ctx.now;
        let (events, effects) = match command {
            Command::Create { currency, access } => (self.create(currency, access, at)?, vec![]),
            Command::AddItems { items } => (self.add_items(items, ctx)?, vec![]),
            Command::SetQuantity { sku, quantity } => {
                (self.open()?.set_quantities(BTreeMap::from([(sku, quantity)]), ctx)?, vec![])
            }
            Command::RemoveLine { sku } => (self.remove_line(sku, at)?, vec![]),
            Command::Clear => (self.clear(at)?, vec![]),
            Command::Delete => (self.delete(at)?, vec![]),
            Command::GiveUpLines { to, strategy } => self.give_up_lines(me, to, strategy, at)?,
            Command::Merge { from, offer, attempt, currency, lines, strategy } => {
                let taken = self.take_lines(from, currency, lines, strategy, ctx);
                Self::answer_offer(me, from, offer, attempt, taken)
            }
            Command::ConfirmMerge { offer, into } => self.confirm_merge(offer, into, at),
            Command::TakeLinesBack { offer, attempt, refused } => {
                self.take_lines_back(offer, attempt, refused, at)
            }
            Command::ExpectOffer { from } => return self.expect_offer(me, from),
            Command::RepeatOffer => self.repeat_offer(me, at),
            Command::CheckOut { order, payment, terms, shipping } => {
                self.check_out(me, (order, payment), *terms, shipping.as_ref(), &[], ctx)?
            }
            Command::CheckOutWith { order, payment, terms, shipping, means } => {
                self.check_out(me, (order, payment), *terms, shipping.as_ref(), &means, ctx)?
            }
            Command::AddCode { code } => (self.add_code(code, ctx)?, vec![]),
            Command::RemoveCode { code } => (self.remove_code(code, at)?, vec![]),
            Command::AddGiftCard { card, ending } => {
                (self.add_gift_card(GivenCard { card, ending }, at)?, vec![])
            }
            Command::RemoveGiftCard { card } => (self.remove_gift_card(card, at)?, vec![]),
            Command::FinishCheckout { order } => (self.finish_checkout(order, at), vec![]),
            Command::ReopenAfter { order } => (self.reopen_after(order, at), vec![]),
            Command::ReportOffer { number } => {
                let reply = self.view(Query::Offer { number }, ctx);
                return Ok(Decision { events: vec![], effects: vec![], reply });
            }
        };
        Ok(self.decided(me, events, effects, ctx))
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(
            rejection,
            Rejection::CatalogueUnavailable
                | Rejection::CatalogueStale
                | Rejection::Merging { .. }
                | Rejection::CheckingOut { .. }
        )
    }

    fn apply(&mut self, event: &Event) {
        if let Event::Created { currency, access, at } = event {
            self.existing = Some(Existing::new(*currency, *access, *at));
        } else if let Some(cart) = &mut self.existing {
            cart.apply(event);
        } else {
            debug_assert!(false, "a cart that was never created has no {event:?}");
        }
    }

    fn view(&self, query: Query, ctx: &Context<'_>) -> Lookup {
        let (Ok(me), Some(cart)) = (CartId::try_from(&ctx.me.key), &self.existing) else {
            return Lookup(None);
        };
        let offer = match query {
            Query::Cart => cart.offers.last(),
            Query::Offer { number } => cart.offers.find(number),
        };
        Lookup(Some(View { offer: offer.map(Offer::view), ..cart.view(me) }))
    }

    fn exists(&self) -> bool {
        self.existing.as_ref().is_some_and(|cart| cart.status != Status::Deleted)
    }

    fn to_record(&self) -> Vec<u8> {
        codec::cart::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::cart::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.existing.as_ref().map_or(0, Existing::heap_bytes)
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        (name == Self::UNANSWERED).then_some(Command::RepeatOffer)
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl Cart {
    pub const LINES_MAX: usize = 100;
    pub const CODES_MAX: usize = 5;
    /// Its own and those that are brought to its checkout, together.
    pub const GIFT_CARDS_MAX: usize = 5;
    /// In minor units: the largest integer that every JSON reader keeps exactly.
    pub const TOTAL_MAX: i64 = (1 << 53) - 1;
    /// Stands while an offer is open.
    const UNANSWERED: TimerName = TimerName(1);

    pub fn address(id: CartId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: id.key() }
    }

    fn decided(
        &self,
        me: CartId,
        mut events: Vec<Event>,
        mut effects: Vec<Effect>,
        ctx: &Context<'_>,
    ) -> Decision<Self> {
        let mut after = self.clone();
        for event in &events {
            after.apply(event);
        }
        if let Some(event) = after.rediscounted(&events, ctx) {
            after.apply(&event);
            events.push(event);
        }
        let before = self.existing.as_ref();
        let fact = after.existing.as_ref().and_then(|after| facts::fact_of(before, &events, after));
        effects.extend(fact.map(Effect::from));
        let reply = Lookup(after.existing.map(|cart| cart.view(me)));
        Decision { events, effects, reply }
    }

    fn found(&self) -> Result<&Existing, Rejection> {
        self.existing.as_ref().ok_or(Rejection::NotFound)
    }

    fn open(&self) -> Result<&Existing, Rejection> {
        let cart = self.found()?;
        match cart.status {
            Status::Open => Ok(cart),
            Status::Merging { into } => Err(Rejection::Merging { into }),
            Status::MergedAway { into } => Err(Rejection::MergedAway { into }),
            Status::Deleted => Err(Rejection::Deleted),
            Status::CheckingOut { order } => Err(Rejection::CheckingOut { order }),
            Status::Ordered { order } => Err(Rejection::Ordered { order }),
        }
    }

    fn create(
        &self,
        currency: Currency,
        access: CartAccess,
        at: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        let Some(cart) = &self.existing else {
            return Ok(vec![Event::Created { currency, access, at }]);
        };
        if (cart.currency, cart.access) != (currency, access) {
            return Err(Rejection::AlreadyExists);
        }
        self.open().map(|_| vec![])
    }

    fn remove_line(&self, sku: SkuCode, at: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.open()?.lines.quantity(&sku) {
            Some(_) => Ok(vec![Event::LineRemoved { sku, at }]),
            None => Err(Rejection::LineNotFound { sku }),
        }
    }

    fn clear(&self, at: Timestamp) -> Result<Vec<Event>, Rejection> {
        let is_empty = self.open()?.lines.is_empty();
        Ok(if is_empty { vec![] } else { vec![Event::Cleared { at }] })
    }

    fn delete(&self, at: Timestamp) -> Result<Vec<Event>, Rejection> {
        match self.open() {
            Ok(_) => Ok(vec![Event::Deleted { at }]),
            Err(Rejection::Deleted) => Ok(vec![]),
            Err(other) => Err(other),
        }
    }
}

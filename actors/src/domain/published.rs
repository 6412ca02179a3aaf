//! What the shop tells the world: facts for whoever follows its events.
//!
//! **Invariants:** a fact leaves with the entry that makes it true, never before and never without it;
//! it holds no name, address, e-mail, tracking number or free text of a person, and nothing of a gift
//! card's code, so that it may be kept anywhere for any time; what was published is never edited: a new fact is a new variant at the end.
//!
//! The bytes are those of every value here (see `codec`): two bytes of version, then bincode
//! with fixed integers, little-endian: a variant is four bytes of number, a list or a text eight bytes
//! of length, an option one byte, an id its sixteen bytes, money eight bytes of minor units and three
//! letters of currency. Which entity a fact is about, and when it happened, the feed says beside it.

use cluster::entity::{DecodeError, Effect, Topic, Wire};
use serde::{Deserialize, Serialize};

use super::carrier::{BookingRefusal, Whereabouts};
use super::cart;
use super::ids::{CaptureId, CartId, GiftCardId, OrderId, PaymentId, RefundId, SkuCode};
use super::money::Money;
use super::order::{Failure, ReturnNumber, ShipmentNumber};
use super::order_numbers::OrderNumber;
use super::payment::Refusal;
use super::quantity::{Quantity, Units};

/// The topics. Their numbers are on disk: never reuse one.
pub mod topics {
    use cluster::entity::Topic;

    pub const ORDERS: Topic = Topic(1);
    pub const PAYMENTS: Topic = Topic(2);
    pub const CARTS: Topic = Topic(3);
    pub const STOCK: Topic = Topic(4);

    /// What people and brokers call a topic by.
    pub const fn name(topic: Topic) -> Option<&'static str> {
        match topic {
            ORDERS => Some("orders"),
            PAYMENTS => Some("payments"),
            CARTS => Some("carts"),
            STOCK => Some("stock"),
            _ => None,
        }
    }
}

/// Of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderFact {
    Placed {
        cart: CartId,
        payment: PaymentId,
        lines: Vec<SoldLine>,
        total: Money,
    },
    Confirmed {
        number: Option<OrderNumber>,
        /// Those that were bought.
        lines: Vec<SoldLine>,
        total: Money,
    },
    Failed {
        why: Failure,
    },
    /// After its payment was undone; what gift cards paid is theirs again.
    Cancelled,
    Shipped {
        shipment: ShipmentNumber,
        items: Vec<(SkuCode, Quantity)>,
    },
    Delivered {
        shipment: ShipmentNumber,
    },
    ReturnAsked {
        number: ReturnNumber,
        items: Vec<(SkuCode, Quantity)>,
    },
    /// The pieces are in stock again.
    Returned {
        number: ReturnNumber,
    },
    /// By the payment.
    Refunded {
        refund: RefundId,
        amount: Money,
        /// Of all refunds.
        refunded: Money,
    },
    Parcel {
        shipment: ShipmentNumber,
        news: ParcelNews,
    },
    /// It may look like fraud: a person is to decide.
    Held,
    /// A person has nothing against it.
    Approved,
    /// What gift cards paid is on them again.
    RefundedToGiftCards {
        refund: RefundId,
        amount: Money,
        cards: Vec<GivenBack>,
    },
    /// It became a gift card.
    RefundedToVoucher {
        refund: RefundId,
        /// What is on the card.
        amount: Money,
        /// Of it what the order had been paid; the shop put the rest on top.
        paid: Money,
        card: GiftCardId,
    },
    /// Pieces of it, or more beside it, are had as another order.
    Exchanged {
        order: OrderId,
    },
}

/// What a carrier said of the parcel of a shipment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelNews {
    Booked,
    Refused(BookingRefusal),
    Moved(Whereabouts),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldLine {
    pub sku: SkuCode,
    pub quantity: Quantity,
    /// Before discounts and what taxes come on top.
    pub line_total: Money,
}

/// What a gift card got of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenBack {
    pub card: GiftCardId,
    pub amount: Money,
}

/// Of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentFact {
    Authorised {
        order: OrderId,
        amount: Money,
    },
    Declined {
        order: OrderId,
        reason: Refusal,
    },
    Captured {
        order: OrderId,
        capture: CaptureId,
        /// Of all captures.
        captured: Money,
    },
    CaptureFailed {
        order: OrderId,
        capture: CaptureId,
    },
    Refunded {
        order: OrderId,
        refund: RefundId,
        /// Of all refunds.
        refunded: Money,
    },
    RefundFailed {
        order: OrderId,
        refund: RefundId,
    },
    /// Nothing is held and nothing is kept.
    Cancelled {
        order: OrderId,
    },
}

/// Of a cart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CartFact {
    /// As it is after the change.
    Updated {
        status: cart::Status,
        /// Of all lines.
        total: Money,
        lines: u32,
        pieces: u32,
        /// The lines that changed; those that are gone have no quantity.
        changed: Vec<(SkuCode, Option<Quantity>)>,
    },
}

/// Of a stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockFact {
    /// As few are available as the threshold says, or fewer, and were not before.
    RanLow { available: Units, threshold: Units },
}

/// A fact of any topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    Order(OrderFact),
    Payment(PaymentFact),
    Cart(CartFact),
    Stock(StockFact),
}

impl Fact {
    /// Every name there is.
    pub const NAMES: &[&str] = &[
        "order.placed",
        "order.confirmed",
        "order.failed",
        "order.cancelled",
        "order.shipped",
        "order.delivered",
        "order.return_asked",
        "order.returned",
        "order.refunded",
        "order.parcel_booked",
        "order.parcel_refused",
        "order.parcel_moved",
        "order.held",
        "order.approved",
        "order.refunded_to_gift_cards",
        "order.refunded_to_voucher",
        "order.exchanged",
        "payment.authorised",
        "payment.declined",
        "payment.captured",
        "payment.capture_failed",
        "payment.refunded",
        "payment.refund_failed",
        "payment.cancelled",
        "cart.updated",
        "stock.ran_low",
    ];

    /// What was published under a topic; `None` for a topic that this program does not know.
    pub fn read(topic: Topic, bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        Ok(Some(match topic {
            topics::ORDERS => Self::Order(OrderFact::from_bytes(bytes)?),
            topics::PAYMENTS => Self::Payment(PaymentFact::from_bytes(bytes)?),
            topics::CARTS => Self::Cart(CartFact::from_bytes(bytes)?),
            topics::STOCK => Self::Stock(StockFact::from_bytes(bytes)?),
            _ => return Ok(None),
        }))
    }

    /// What people and programs call it by.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Order(fact) => match fact {
                OrderFact::Placed { .. } => "order.placed",
                OrderFact::Confirmed { .. } => "order.confirmed",
                OrderFact::Failed { .. } => "order.failed",
                OrderFact::Cancelled => "order.cancelled",
                OrderFact::Shipped { .. } => "order.shipped",
                OrderFact::Delivered { .. } => "order.delivered",
                OrderFact::ReturnAsked { .. } => "order.return_asked",
                OrderFact::Returned { .. } => "order.returned",
                OrderFact::Refunded { .. } => "order.refunded",
                OrderFact::Held => "order.held",
                OrderFact::Approved => "order.approved",
                OrderFact::RefundedToGiftCards { .. } => "order.refunded_to_gift_cards",
                OrderFact::RefundedToVoucher { .. } => "order.refunded_to_voucher",
                OrderFact::Exchanged { .. } => "order.exchanged",
                OrderFact::Parcel { news, .. } => match news {
                    ParcelNews::Booked => "order.parcel_booked",
                    ParcelNews::Refused(_) => "order.parcel_refused",
                    ParcelNews::Moved(_) => "order.parcel_moved",
                },
            },
            Self::Payment(fact) => match fact {
                PaymentFact::Authorised { .. } => "payment.authorised",
                PaymentFact::Declined { .. } => "payment.declined",
                PaymentFact::Captured { .. } => "payment.captured",
                PaymentFact::CaptureFailed { .. } => "payment.capture_failed",
                PaymentFact::Refunded { .. } => "payment.refunded",
                PaymentFact::RefundFailed { .. } => "payment.refund_failed",
                PaymentFact::Cancelled { .. } => "payment.cancelled",
            },
            Self::Cart(CartFact::Updated { .. }) => "cart.updated",
            Self::Stock(StockFact::RanLow { .. }) => "stock.ran_low",
        }
    }
}

impl From<OrderFact> for Effect {
    fn from(fact: OrderFact) -> Self {
        Self::Publish { topic: topics::ORDERS, event: fact.to_bytes() }
    }
}

impl From<PaymentFact> for Effect {
    fn from(fact: PaymentFact) -> Self {
        Self::Publish { topic: topics::PAYMENTS, event: fact.to_bytes() }
    }
}

impl From<CartFact> for Effect {
    fn from(fact: CartFact) -> Self {
        Self::Publish { topic: topics::CARTS, event: fact.to_bytes() }
    }
}

impl From<StockFact> for Effect {
    fn from(fact: StockFact) -> Self {
        Self::Publish { topic: topics::STOCK, event: fact.to_bytes() }
    }
}

/// The facts of some effects, and the effects that are none.
#[cfg(test)]
pub(crate) fn told_apart(effects: Vec<Effect>) -> (Vec<Fact>, Vec<Effect>) {
    let mut facts = Vec::new();
    let mut others = Vec::new();
    for effect in effects {
        if let Effect::Publish { topic, event } = &effect {
            facts.push(Fact::read(*topic, event).expect("sound").expect("a known topic"));
        } else {
            others.push(effect);
        }
    }
    (facts, others)
}

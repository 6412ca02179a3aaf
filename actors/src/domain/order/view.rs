//! An order as its readers see it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::existing::{Asked, Ending, Settlement};
use super::{
    Cancellation, Exchange, Existing, Failure, LineState, Moment, Parcel, Redemption, RefundState,
    Review, SellerLines, Stage, Tender, TimelineEntry, Voucher,
};
use crate::domain::contact::Contact;
use crate::domain::ids::{CartAccess, CartId, OrderId, PaymentId, RefundId, SkuCode};
use crate::domain::money::Money;
use crate::domain::names::Label;
use crate::domain::order_numbers::OrderNumber;
use crate::domain::pricing::{Discount, GivenCode, PricedLine, PricedShipping, Totals};
use crate::domain::quantity::Quantity;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Order,
}

/// An order, or nothing where none was ever placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<Box<View>>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub id: OrderId,
    pub number: Option<OrderNumber>,
    pub cart: CartId,
    /// For the rim to compare with the token it was shown; never for a shopper.
    pub access: CartAccess,
    pub payment: PaymentId,
    pub status: Status,
    pub payment_status: PaymentStatus,
    pub lines: Vec<LineView>,
    pub shipping: Option<PricedShipping>,
    pub totals: Totals,
    /// As it was placed.
    pub contact: Contact,
    pub captured: Money,
    pub refunded: Money,
    pub shipments: Vec<ShipmentView>,
    pub returns: Vec<ReturnView>,
    pub refunds: Vec<RefundView>,
    pub notes: Vec<(Label, Timestamp)>,
    pub settlement: Option<Settlement>,
    pub timeline: Vec<TimelineEntry>,
    pub placed_at: Timestamp,
    pub updated_at: Timestamp,
    /// What promotions took off. In bytes this and what follows comes after the rest, see
    /// `codec::order`.
    #[serde(skip)]
    pub discounts: Vec<Discount>,
    /// The discount codes that it was placed with, and what each was redeemed for.
    #[serde(skip)]
    pub codes: Vec<GivenCode>,
    #[serde(skip)]
    pub cancellations: Vec<Cancellation>,
    /// Those refunds that gave back what cancelled pieces had cost.
    #[serde(skip)]
    pub credits: Vec<RefundId>,
    /// Of shipments that a carrier was asked to bring, in order.
    #[serde(skip)]
    pub parcels: Vec<Parcel>,
    #[serde(skip)]
    pub review: Option<Review>,
    /// Whose the lines are; those of the shop itself are nobody's.
    #[serde(skip)]
    pub sellers: Vec<SellerLines>,
    /// Gift cards that pay some of it.
    #[serde(skip)]
    pub tenders: Vec<Tender>,
    /// Those refunds that gift cards got.
    #[serde(skip)]
    pub to_cards: Vec<RefundId>,
    /// Those refunds that became gift cards.
    #[serde(skip)]
    pub vouchers: Vec<Voucher>,
    /// Whom it is for and where it goes, where that was put right.
    #[serde(skip)]
    pub corrected: Option<Box<Contact>>,
    #[serde(skip)]
    pub exchanges: Vec<Exchange>,
    /// The order some of whose pieces this one is had for.
    #[serde(skip)]
    pub in_place_of: Option<OrderId>,
}

impl View {
    /// Whom it is for and where it goes by now.
    pub fn contact_now(&self) -> &Contact {
        self.corrected.as_deref().unwrap_or(&self.contact)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Pending,
    Confirmed,
    /// Some of it was shipped.
    Processing,
    Shipped,
    Delivered,
    Returned,
    /// Called off, and the money is on its way back.
    Cancelling,
    Cancelled,
    Failed,
    /// A person is to decide.
    OnHold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentStatus {
    Pending,
    Authorised,
    Captured,
    PartiallyRefunded,
    Refunded,
    Declined,
    Cancelled,
    /// The provider does not say whether it took the money.
    InDoubt,
    /// What is held or was taken could not be given back.
    CancelFailed,
}

/// Where the pieces of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockStatus {
    Asked,
    Reserved,
    Refused,
    Sold,
    Released,
    /// These pieces are to come.
    Backordered {
        pieces: Quantity,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    pub line: PricedLine,
    pub stock: StockStatus,
    pub shipped: u32,
    pub returned: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentView {
    pub number: u16,
    pub items: Vec<(SkuCode, Quantity)>,
    pub carrier: Label,
    pub tracking: Label,
    pub shipped_at: Timestamp,
    pub delivered_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReturnView {
    pub number: u16,
    pub items: Vec<(SkuCode, Quantity)>,
    pub reason: Label,
    pub asked_at: Timestamp,
    pub received_at: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundView {
    pub id: RefundId,
    pub amount: Money,
    pub reason: Label,
    pub state: RefundState,
    pub at: Timestamp,
}

impl Existing {
    pub(super) fn view(&self, id: OrderId) -> Box<View> {
        let (shipped, returned) = (self.shipped(), self.returned());
        let lines = self.placed.lines().iter().zip(&self.lines);
        let lines = lines.map(|(line, state)| LineView {
            line: line.clone(),
            stock: state.status(),
            shipped: shipped.of_sku(&line.sku),
            returned: returned.of_sku(&line.sku),
        });
        Box::new(View {
            id,
            number: self.number,
            cart: self.cart,
            access: self.access,
            payment: self.payment,
            status: self.status(),
            payment_status: self.payment_status(),
            lines: lines.collect(),
            shipping: self.placed.shipping().cloned(),
            totals: self.totals,
            contact: self.placed.terms.contact.clone(),
            captured: self.money.captured,
            refunded: self.money.refunded,
            shipments: self.shipment_views(),
            returns: self.return_views(),
            refunds: self.refund_views(),
            notes: self.notes.iter().map(|note| (note.text.clone(), note.at)).collect(),
            settlement: self.settlement.clone(),
            timeline: self.timeline.entries().to_vec(),
            placed_at: self.placed.at,
            updated_at: self.updated_at,
            discounts: self.discounts.clone(),
            codes: self.codes(),
            cancellations: self.cancellations.clone(),
            credits: self.credits.clone(),
            parcels: self.parcels.clone(),
            review: self.review.clone(),
            sellers: self.sellers.clone(),
            tenders: self.tenders.clone(),
            to_cards: self.to_cards.clone(),
            vouchers: self.vouchers.clone(),
            corrected: self.corrected.clone(),
            exchanges: self.exchanges.clone(),
            in_place_of: self.in_place_of,
        })
    }

    fn codes(&self) -> Vec<GivenCode> {
        let everybodys =
            self.uses.iter().map(|it| &it.redemption).filter(|it| it.counted.customer.is_none());
        let given = |it: &Redemption| {
            let (code, promotion) = (it.counted.code.clone(), it.promotion.clone());
            GivenCode { code, promotion }
        };
        everybodys.map(given).collect()
    }

    pub(super) fn status(&self) -> Status {
        match &self.stage {
            Stage::Reviewing if self.is_held() => Status::OnHold,
            Stage::Reserving
            | Stage::Reviewing
            | Stage::Authorising
            | Stage::Capturing
            | Stage::Ending(Ending::Fails(_)) => Status::Pending,
            Stage::Ending(Ending::IsCancelled) => Status::Cancelling,
            Stage::Failed(_) => Status::Failed,
            Stage::Cancelled => Status::Cancelled,
            Stage::Confirmed => self.way_of_goods(),
        }
    }

    fn way_of_goods(&self) -> Status {
        let bought: u32 = self.bought().map(|line| line.quantity.get()).sum();
        let cancelled = pieces(self.cancellations.iter().map(|known| &known.items));
        let bought = bought.saturating_sub(cancelled);
        let shipped = pieces(self.shipments.iter().map(|shipment| &shipment.items));
        let received = self.returns.iter().filter(|known| known.received_at.is_some());
        let received = pieces(received.map(|known| &known.items));
        let all_delivered = self.shipments.iter().all(|known| known.delivered_at.is_some());
        match shipped {
            0 if bought == 0 => Status::Cancelled,
            0 => Status::Confirmed,
            some if some < bought => Status::Processing,
            _ if received >= bought => Status::Returned,
            _ if all_delivered => Status::Delivered,
            _ => Status::Shipped,
        }
    }

    fn payment_status(&self) -> PaymentStatus {
        let money = &self.money;
        if money.asked == Asked::Closing && self.timeline.undo_failures() > 0 {
            return PaymentStatus::CancelFailed;
        }
        let (captured, refunded) = (money.captured.minor, money.refunded.minor);
        match (captured > 0, refunded) {
            (true, 0) => return PaymentStatus::Captured,
            (true, some) if some < captured => return PaymentStatus::PartiallyRefunded,
            (true, _) => return PaymentStatus::Refunded,
            (false, _) => {}
        }
        match (&self.stage, money.asked) {
            (Stage::Failed(Failure::Declined { .. }), _) => PaymentStatus::Declined,
            (Stage::Failed(_) | Stage::Cancelled, _) | (_, Asked::Closed) => {
                PaymentStatus::Cancelled
            }
            (Stage::Capturing, _) if self.timeline.has(Moment::PaymentInDoubt) => {
                PaymentStatus::InDoubt
            }
            (Stage::Confirmed, _)
                if self.awaits_money() && self.timeline.has(Moment::PaymentInDoubt) =>
            {
                PaymentStatus::InDoubt
            }
            (Stage::Ending(Ending::Fails(Failure::PaymentSilent)), _) => PaymentStatus::InDoubt,
            (_, Asked::Open | Asked::Closing) if money.authorised.minor > 0 => {
                PaymentStatus::Authorised
            }
            // Nothing is due.
            (Stage::Confirmed, Asked::Nothing) => PaymentStatus::Captured,
            (_, Asked::Nothing | Asked::Open | Asked::Closing) => PaymentStatus::Pending,
        }
    }

    fn shipment_views(&self) -> Vec<ShipmentView> {
        let view = |shipment: &super::Shipment| ShipmentView {
            number: shipment.number.0,
            items: shipment.items.clone(),
            carrier: shipment.carrier.clone(),
            tracking: shipment.tracking.clone(),
            shipped_at: shipment.shipped_at,
            delivered_at: shipment.delivered_at,
        };
        self.shipments.iter().map(view).collect()
    }

    fn return_views(&self) -> Vec<ReturnView> {
        let view = |known: &super::Return| ReturnView {
            number: known.number.0,
            items: known.items.clone(),
            reason: known.reason.clone(),
            asked_at: known.asked_at,
            received_at: known.received_at,
        };
        self.returns.iter().map(view).collect()
    }

    fn refund_views(&self) -> Vec<RefundView> {
        let view = |known: &super::RefundRecord| RefundView {
            id: known.id,
            amount: known.amount,
            reason: known.reason.clone(),
            state: known.state,
            at: known.at,
        };
        self.refunds.iter().map(view).collect()
    }
}

impl LineState {
    const fn status(self) -> StockStatus {
        match self {
            Self::Asked => StockStatus::Asked,
            Self::Reserved => StockStatus::Reserved,
            Self::Refused(_) => StockStatus::Refused,
            Self::Selling | Self::Sold => StockStatus::Sold,
            Self::Releasing | Self::Released | Self::Returning => StockStatus::Released,
            Self::Promised { waiting } | Self::PartlySold { waiting } => {
                StockStatus::Backordered { pieces: waiting }
            }
        }
    }
}

fn pieces<'a>(items: impl Iterator<Item = &'a Vec<(SkuCode, Quantity)>>) -> u32 {
    items.flatten().map(|(_, quantity)| quantity.get()).sum()
}

//! An order: what becomes of a cart whose shopper checks out.
//!
//! The order runs the checkout: it asks every stock for its pieces, then the payment for the money,
//! then the stocks to let the pieces go. Whatever was done of that is undone when the rest cannot be.
//!
//! **Invariants**, true in every reachable state:
//! - it is settled once: confirmed, or failed with a reason, and the outcome that the shopper was told
//!   never changes;
//! - an order that failed or was cancelled holds no stock, or has asked for every piece to be released;
//! - nothing is shipped that was not sold to this order or that was called off, refunds never exceed
//!   what was captured;
//! - it does not end while its payment is in doubt.

mod after_sale;
#[cfg(test)]
mod after_sale_tests;
#[cfg(test)]
mod cancellation_tests;
mod cancellations;
mod corrections;
#[cfg(test)]
mod corrections_tests;
mod course;
mod exchanges;
#[cfg(test)]
mod exchanges_tests;
mod existing;
mod facts;
mod fraud;
#[cfg(test)]
mod fraud_tests;
mod listing;
#[cfg(test)]
mod listing_tests;
mod parcels;
#[cfg(test)]
mod parcels_tests;
mod placed;
#[cfg(test)]
mod properties;
mod records;
mod redemptions;
#[cfg(test)]
mod redemptions_tests;
mod rejection;
mod saga;
mod sellers;
#[cfg(test)]
mod sellers_tests;
mod soundness;
mod tenders;
#[cfg(test)]
mod tenders_tests;
#[cfg(test)]
mod tests;
mod timeline;
mod view;
mod vouchers;
#[cfg(test)]
mod vouchers_tests;

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Port, TimerName};
use cluster::ids::{EntityKind, EntityRef};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::carrier;
use super::code_uses::{Counted, UseNews};
use super::contact::Contact;
use super::discount_code::CodeName;
use super::fraud as screening;
use super::gift_card::{CardNews, NoMoney};
use super::ids::{CartAccess, CartId, GiftCardId, OrderId, PaymentId, RefundId, SkuCode};
use super::money::Money;
use super::names::{Label, SellerId};
use super::order_list::{ListId, Place};
use super::order_numbers::OrderNumber;
use super::payment::{self, News, Refusal};
use super::pricing::{Discount, Totals};
use super::quantity::{Quantity, Units};
use crate::codec;
pub use corrections::Correction;
use course::Course;
pub use exchanges::{Exchange, ExchangeState, ExchangeStep, Given, Replacement, Swap, SwapNames};
pub use existing::Settlement;
pub(crate) use existing::{Existing, Funds, LineState, Stage};
pub use fraud::{Review, ReviewCommand, ReviewState, ReviewStep};
pub(crate) use listing::Listing;
pub use parcels::{Parcel, ParcelCommand, ParcelState, ParcelStep};
pub use placed::{CaptureTime, Extra, InvalidOrder, Placed, Shortfall, Terms};
pub use records::{Cancellation, RefundState};
pub(crate) use records::{Note, RefundRecord, Return, Shipment};
pub(crate) use redemptions::Use;
pub use redemptions::{Redemption, UseState};
pub use rejection::Rejection;
pub use sellers::SellerLines;
pub use tenders::{Tender, TenderState, TenderStep};
pub(crate) use timeline::Timeline;
pub use timeline::{Moment, TimelineEntry};
pub use view::{
    LineView, Lookup, PaymentStatus, Query, RefundView, ReturnView, ShipmentView, Status,
    StockStatus, View,
};
use vouchers::Wanted;
pub use vouchers::{Voucher, VoucherStep};

/// Nothing until a cart is checked out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub(crate) existing: Option<Box<Existing>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Told by the cart that is checked out.
    Place {
        cart: CartId,
        access: CartAccess,
        payment: PaymentId,
        placed: Box<Placed>,
    },
    /// Told by the numbers of the slot.
    TakeNumber {
        number: OrderNumber,
    },
    /// Told by a stock.
    TakeStockNews {
        sku: SkuCode,
        news: StockNews,
    },
    /// Told by the payment.
    TakePaymentNews {
        payment: PaymentId,
        news: News,
    },
    /// The timer's: some stock did not answer.
    GiveUpStock,
    /// The timer's: the payment did not answer.
    GiveUpPayment,
    /// The shopper or an operator wants none of it any more, or nothing of what is not on its way.
    Cancel {
        by: Side,
        reason: Label,
    },
    /// Pieces of some lines are on their way.
    Fulfil {
        shipment: ShipmentNumber,
        items: Vec<(SkuCode, Quantity)>,
        carrier: Label,
        tracking: Label,
    },
    /// They have arrived.
    Deliver {
        shipment: ShipmentNumber,
    },
    /// The shopper sends pieces back.
    AskReturn {
        number: ReturnNumber,
        items: Vec<(SkuCode, Quantity)>,
        reason: Label,
    },
    /// They have come, and are in stock again.
    ReceiveReturn {
        number: ReturnNumber,
    },
    Refund {
        refund: RefundId,
        amount: Money,
        reason: Label,
    },
    AddNote {
        text: Label,
    },
    /// [`Command::Place`] of a cart with more than lines.
    PlaceWith {
        cart: CartId,
        access: CartAccess,
        payment: PaymentId,
        placed: Box<Placed>,
        extras: Vec<Extra>,
    },
    /// Told by what counts the uses of a discount code.
    TakeUseNews {
        counted: Counted,
        news: UseNews,
    },
    /// Told by a list that was asked for a place.
    TakePlace {
        list: ListId,
        place: Place,
    },
    OfParcel(ParcelCommand),
    OfReview(ReviewCommand),
    /// Told by a seller's board that has room for it.
    ShowSeller {
        seller: SellerId,
    },
    /// Told by a gift card.
    TakeCardNews {
        card: GiftCardId,
        news: CardNews,
    },
    /// An operator puts right whom it is for, or where it goes.
    Correct(Box<Correction>),
    /// Some pieces that are not on their way are not wanted any more; the others are.
    CancelPieces {
        by: Side,
        items: Vec<(SkuCode, Quantity)>,
        reason: Label,
    },
    /// [`Command::Refund`] as a gift card that is issued for it.
    RefundToCard {
        refund: RefundId,
        amount: Money,
        reason: Label,
        card: GiftCardId,
        ending: Label,
    },
    /// Other pieces are wanted, for some of these or beside them.
    Exchange(Box<Swap>),
}

impl Command {
    /// Without extras it is what the version before them understands.
    pub(crate) fn placing(
        (cart, access): (CartId, CartAccess),
        payment: PaymentId,
        placed: Box<Placed>,
        extras: Vec<Extra>,
    ) -> Self {
        if extras.is_empty() {
            Self::Place { cart, access, payment, placed }
        } else {
            Self::PlaceWith { cart, access, payment, placed, extras }
        }
    }
}

/// Who wants something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Side {
    Shopper,
    Shop,
}

/// Numbers the shipments of an order from one on. Whoever makes one says which it is, so that it is
/// not made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShipmentNumber(pub u16);

/// Numbers the returns of an order from one on, as [`ShipmentNumber`] does shipments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReturnNumber(pub u16);

/// What a stock says to the order that asked it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StockNews {
    Reserved,
    Refused(Shortage),
    Sold,
    Released,
    Restocked,
    /// These pieces are to come; the others are reserved.
    Promised {
        waiting: Quantity,
    },
    /// Pieces that were promised are reserved; so many are still to come.
    Arrived {
        waiting: Units,
    },
}

/// Why a stock gives no pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortage {
    OutOfStock {
        available: Units,
    },
    /// So many wait for this stock that it remembers no more of them.
    Crowded,
}

/// Why an order came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    OutOfStock,
    /// A stock did not answer in time.
    StockSilent,
    Declined {
        reason: Refusal,
    },
    /// The payment did not come about in time.
    PaymentSilent,
    CaptureFailed,
    CancelledInTime,
    /// So many wait for a stock that it remembers no more of them: there may be pieces.
    Crowded,
    /// It was used as often as it may be.
    CodeExhausted {
        code: CodeName,
    },
    /// This customer used it as often as one may.
    CodeUsedBefore {
        code: CodeName,
    },
    FraudSuspected,
    /// What the shopper of an order that is held is told; it may be bought all the same.
    UnderReview,
    /// Somebody of the shop decided so.
    ReviewRejected,
    /// Nobody decided in time.
    ReviewExpired,
    GiftCardRefused {
        card: GiftCardId,
        why: NoMoney,
    },
    /// Gift cards were to pay all of it, and leave so much.
    PaymentRequired {
        due: Money,
    },
    /// Another order of this customer has what only the first one gets.
    NotFirstOrder,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Placed {
        cart: CartId,
        access: CartAccess,
        payment: PaymentId,
        placed: Box<Placed>,
    },
    Numbered {
        number: OrderNumber,
        at: Timestamp,
    },
    StockReserved {
        sku: SkuCode,
        at: Timestamp,
    },
    StockRefused {
        sku: SkuCode,
        shortage: Shortage,
        at: Timestamp,
    },
    /// Bought is what was there.
    LinesDropped {
        skus: Vec<SkuCode>,
        totals: Totals,
        at: Timestamp,
    },
    PaymentAsked {
        amount: Money,
        at: Timestamp,
    },
    Authorised {
        amount: Money,
        at: Timestamp,
    },
    CaptureAsked {
        amount: Money,
        at: Timestamp,
    },
    Captured {
        total: Money,
        at: Timestamp,
    },
    CaptureFailed {
        at: Timestamp,
    },
    /// Its stock was sold to it, and will be once it is reached.
    Confirmed {
        at: Timestamp,
    },
    Failed {
        why: Failure,
        at: Timestamp,
    },
    /// The payment is to be undone before the order ends.
    EndingAsked {
        why: Failure,
        at: Timestamp,
    },
    StockSold {
        sku: SkuCode,
        at: Timestamp,
    },
    StockReleased {
        sku: SkuCode,
        at: Timestamp,
    },
    StockReturned {
        sku: SkuCode,
        at: Timestamp,
    },
    CancelAsked {
        by: Side,
        reason: Label,
        at: Timestamp,
    },
    Cancelled {
        at: Timestamp,
    },
    PaymentUndone {
        at: Timestamp,
    },
    Shipped {
        shipment: ShipmentNumber,
        items: Vec<(SkuCode, Quantity)>,
        carrier: Label,
        tracking: Label,
        at: Timestamp,
    },
    Delivered {
        shipment: ShipmentNumber,
        at: Timestamp,
    },
    ReturnAsked {
        number: ReturnNumber,
        items: Vec<(SkuCode, Quantity)>,
        reason: Label,
        at: Timestamp,
    },
    ReturnReceived {
        number: ReturnNumber,
        at: Timestamp,
    },
    RefundAsked {
        refund: RefundId,
        amount: Money,
        reason: Label,
        at: Timestamp,
    },
    Refunded {
        refund: RefundId,
        amount: Money,
        refunded: Money,
        at: Timestamp,
    },
    RefundFailed {
        refund: RefundId,
        at: Timestamp,
    },
    NoteAdded {
        text: Label,
        at: Timestamp,
    },
    /// What promotions took off, beside `Placed`.
    Discounted {
        discounts: Vec<Discount>,
        at: Timestamp,
    },
    /// The provider does not say whether it took the money.
    PaymentInDoubt {
        at: Timestamp,
    },
    /// The payment is given up by hand; nothing is shipped that it was to pay.
    PaymentVoidAsked {
        at: Timestamp,
    },
    /// The provider still holds or keeps something that the payment is to give up.
    PaymentUndoFailed {
        at: Timestamp,
    },
    /// Uses of discount codes are asked for, beside `Placed`.
    UsesAsked {
        redemptions: Vec<Redemption>,
        at: Timestamp,
    },
    UseBecame {
        nth: u16,
        state: UseState,
        at: Timestamp,
    },
    /// Some pieces are not wanted any more; the others are.
    PiecesCancelled {
        by: Side,
        items: Vec<(SkuCode, Quantity)>,
        /// What was to be paid for them.
        amount: Money,
        reason: Label,
        at: Timestamp,
    },
    /// A refund of what was paid for pieces that were cancelled.
    CreditAsked {
        refund: RefundId,
        amount: Money,
        reason: Label,
        at: Timestamp,
    },
    /// Its lists are asked for places, and shown this status.
    PlacesAsked {
        status: Status,
        at: Timestamp,
    },
    PlaceTaken {
        list: ListId,
        place: Place,
        at: Timestamp,
    },
    /// Something became of the parcel of a shipment.
    Parcel {
        shipment: ShipmentNumber,
        step: ParcelStep,
        at: Timestamp,
    },
    Review {
        step: ReviewStep,
        at: Timestamp,
    },
    /// Whose its lines are, beside `Placed`.
    SellersNamed {
        sellers: Vec<SellerLines>,
        at: Timestamp,
    },
    /// These pieces are to come; the others are reserved.
    StockPromised {
        sku: SkuCode,
        waiting: Quantity,
        at: Timestamp,
    },
    /// Pieces that were promised are there; so many are still to come.
    StockArrived {
        sku: SkuCode,
        waiting: Units,
        at: Timestamp,
    },
    /// Something became of what a gift card pays.
    Tender {
        step: TenderStep,
        at: Timestamp,
    },
    Corrected {
        contact: Box<Contact>,
        at: Timestamp,
    },
    /// Something became of a gift card that is made of what it was paid with.
    Voucher {
        step: VoucherStep,
        at: Timestamp,
    },
    Exchange {
        step: ExchangeStep,
        at: Timestamp,
    },
}

impl Event {
    fn at(&self) -> Timestamp {
        match self {
            Self::Placed { placed, .. } => placed.at,
            Self::Numbered { at, .. }
            | Self::StockReserved { at, .. }
            | Self::StockRefused { at, .. }
            | Self::LinesDropped { at, .. }
            | Self::PaymentAsked { at, .. }
            | Self::Authorised { at, .. }
            | Self::CaptureAsked { at, .. }
            | Self::Captured { at, .. }
            | Self::CaptureFailed { at }
            | Self::Confirmed { at }
            | Self::Failed { at, .. }
            | Self::EndingAsked { at, .. }
            | Self::StockSold { at, .. }
            | Self::StockReleased { at, .. }
            | Self::StockReturned { at, .. }
            | Self::CancelAsked { at, .. }
            | Self::Cancelled { at }
            | Self::PaymentUndone { at }
            | Self::Shipped { at, .. }
            | Self::Delivered { at, .. }
            | Self::ReturnAsked { at, .. }
            | Self::ReturnReceived { at, .. }
            | Self::RefundAsked { at, .. }
            | Self::Refunded { at, .. }
            | Self::RefundFailed { at, .. }
            | Self::NoteAdded { at, .. }
            | Self::Discounted { at, .. }
            | Self::PaymentInDoubt { at }
            | Self::PaymentVoidAsked { at }
            | Self::PaymentUndoFailed { at }
            | Self::UsesAsked { at, .. }
            | Self::UseBecame { at, .. }
            | Self::PiecesCancelled { at, .. }
            | Self::CreditAsked { at, .. }
            | Self::PlacesAsked { at, .. }
            | Self::PlaceTaken { at, .. }
            | Self::Parcel { at, .. }
            | Self::Review { at, .. }
            | Self::SellersNamed { at, .. }
            | Self::StockPromised { at, .. }
            | Self::StockArrived { at, .. }
            | Self::Tender { at, .. }
            | Self::Corrected { at, .. }
            | Self::Voucher { at, .. }
            | Self::Exchange { at, .. } => *at,
        }
    }
}

impl Entity for Order {
    const KIND: EntityKind = EntityKind(5);
    const NAME: &'static str = "order";
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let me = OrderId::try_from(&ctx.me.key).map_err(|_| Rejection::NotFound)?;
        let mut course = Course::new(me, self.clone(), ctx.now);
        match command {
            Command::Place { cart, access, payment, placed } => {
                course.place(cart, access, payment, placed, vec![])?;
            }
            Command::PlaceWith { cart, access, payment, placed, extras } => {
                course.place(cart, access, payment, placed, extras)?;
            }
            Command::TakeUseNews { counted, news } => course.take_use_news(&counted, news),
            Command::TakeNumber { number } => course.take_number(number),
            Command::TakeStockNews { sku, news } => course.take_stock_news(&sku, news),
            Command::TakePaymentNews { payment, news } => course.take_payment_news(payment, news),
            Command::GiveUpStock => course.give_up_stock(),
            Command::GiveUpPayment => course.give_up_payment(),
            Command::Cancel { by, reason } => course.cancel(by, reason)?,
            Command::Fulfil { shipment, items, carrier, tracking } => {
                course.fulfil(shipment, items, carrier, tracking)?;
            }
            Command::Deliver { shipment } => course.deliver(shipment)?,
            Command::AskReturn { number, items, reason } => {
                course.ask_return(number, items, reason)?;
            }
            Command::ReceiveReturn { number } => course.receive_return(number)?,
            Command::Refund { refund, amount, reason } => course.refund(refund, amount, reason)?,
            Command::AddNote { text } => course.add_note(text)?,
            Command::TakePlace { list, place } => course.take_place(list, place),
            Command::OfParcel(command) => course.take_parcel_command(command)?,
            Command::OfReview(command) => course.take_review_command(command)?,
            Command::ShowSeller { seller } => course.show_seller(&seller),
            Command::TakeCardNews { card, news } => course.take_card_news(card, news),
            Command::Correct(correction) => course.correct(&correction)?,
            Command::RefundToCard { refund, amount, reason, card, ending } => {
                course.refund_to_card(Wanted { refund, amount, reason, card, ending })?;
            }
            Command::CancelPieces { by, items, reason } => {
                course.cancel_pieces(by, items, reason)?;
            }
            Command::Exchange(swap) => course.exchange(*swap, ctx)?,
        }
        course.tell_lists();
        course.tell_sellers();
        Ok(course.decision())
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(
            rejection,
            Rejection::OnBackorder { .. }
                | Rejection::NumberDiffers { .. }
                | Rejection::NumberOutOfOrder { .. }
                | Rejection::TooMany { .. }
                | Rejection::CatalogueUnavailable
                | Rejection::CatalogueStale
        )
    }

    fn apply(&mut self, event: &Event) {
        if let Event::Placed { cart, access, payment, placed } = event {
            let placed = Placed::clone(placed);
            self.existing = Some(Box::new(Existing::new(*cart, *access, *payment, placed)));
        } else if let Some(order) = &mut self.existing {
            order.apply(event);
        } else {
            debug_assert!(false, "an order that was never placed has no {event:?}");
        }
    }

    fn view(&self, _: Query, ctx: &Context<'_>) -> Lookup {
        let me = OrderId::try_from(&ctx.me.key);
        Lookup(me.ok().zip(self.existing.as_ref()).map(|(me, order)| order.view(me)))
    }

    fn exists(&self) -> bool {
        self.existing.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::order::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::order::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.existing.as_ref().map_or(0, |order| size_of::<Existing>() + order.heap_bytes())
    }

    fn on_timer(name: TimerName) -> Option<Command> {
        match name {
            Self::STOCK_SILENT => Some(Command::GiveUpStock),
            Self::PAYMENT_SILENT => Some(Command::GiveUpPayment),
            Self::REVIEW => Some(Command::OfReview(ReviewCommand::Expire)),
            _ => None,
        }
    }

    fn on_answer(port: Port, answer: &Answer) -> Option<Command> {
        match port {
            carrier::PORT => parcels::on_answer(answer),
            screening::PORT => fraud::on_answer(answer),
            _ => None,
        }
    }
}

impl Order {
    /// Shipments, refunds and notes: each of them so many.
    pub const ENTRIES_MAX: usize = 64;
    /// Each cancellation gives credit to the payment and to cards once, and so does each capture that
    /// comes after it to the payment.
    const CREDITS_MAX: usize =
        2 * Self::ENTRIES_MAX + payment::Payment::CAPTURES_MAX + Self::EXCHANGES_MAX;
    pub const EXCHANGES_MAX: usize = 8;
    /// Lines of all shipments and returns together.
    pub const ITEMS_MAX: usize = 400;
    const STOCK_SILENT: TimerName = TimerName(1);
    const PAYMENT_SILENT: TimerName = TimerName(2);
    const REVIEW: TimerName = TimerName(3);
    /// Whoever decides does so at once, or a person does.
    const VERDICT_WITHIN: Span = Span::from_secs(30);
    /// Stocks answer within milliseconds, or their shard has no leader.
    const STOCK_ANSWERS_WITHIN: Span = Span::from_secs(30);
    const PAYMENT_ANSWERS_WITHIN: Span = Span::from_secs(15 * 60);
    /// The money is held, and the shopper wants the goods: only that it is in doubt is shown so soon.
    const CAPTURE_ANSWERS_WITHIN: Span = Span::from_secs(60);
    /// An order whose money is in doubt for longer is given up, and its pieces are for others.
    const CAPTURE_IN_DOUBT_MAX: Span = Span::from_secs(24 * 60 * 60);
    /// How often a payment is to be undone before a person must ask for it.
    const UNDONE_TRIES: u32 = 8;

    pub fn address(id: OrderId) -> EntityRef {
        EntityRef { kind: Self::KIND, key: id.key() }
    }
}

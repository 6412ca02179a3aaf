//! The bytes of orders and of their numbers.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, encode_with_parts, latest, latest_with_parts};
use crate::domain::contact::Contact;
use crate::domain::ids::{CartAccess, CartId, OrderId, PaymentId, RefundId, SkuCode};
use crate::domain::order::{
    self, Cancellation, Exchange, Existing, Funds, LineState, Listing, Note, Order, Parcel, Placed,
    Redemption, RefundRecord, Return, Review, SellerLines, Settlement, Shipment, Stage, Tender,
    Timeline, Use, UseState, Voucher,
};
use crate::domain::order_numbers::{self, OrderNumber, OrderNumbers};
use crate::domain::pricing::{Discount, GivenCode, Totals};
use crate::domain::quantity::Quantity;

const RECORD: &str = "an order's record";

wire! {
    order::Command: "an order's command",
    order::Event: "an order's event",
    order::Rejection: "an order's rejection",
    order::Query: "an order's query",
    order_numbers::Command: "a command to order numbers",
    order_numbers::Event: "an event of order numbers",
    order_numbers::Rejection: "a rejection of order numbers",
    order_numbers::Query: "a query of order numbers",
    order_numbers::View: "a view of order numbers",
}

/// What records and views have besides what they had at first. New ones come last.
#[derive(Serialize, Deserialize)]
enum Part {
    Discount(Discount),
    Code(GivenCode),
    Use(Redemption, UseState),
    Cancellation(Cancellation),
    Credit(RefundId),
    Listing(Listing),
    Parcel(Parcel),
    Review(Review),
    Seller(SellerLines),
    /// Pieces that were still to come when the checkout ended.
    Awaited(SkuCode, Quantity),
    Tender(Tender),
    /// A refund that gift cards got.
    ToCards(RefundId),
    /// Whom it is for and where it goes by now.
    Corrected(Box<Contact>),
    Voucher(Voucher),
    Exchange(Exchange),
    InPlaceOf(OrderId),
}

/// The parts of one order, each sort together.
#[derive(Default)]
struct Parts {
    discounts: Vec<Discount>,
    /// Of views.
    codes: Vec<GivenCode>,
    /// Of records, as what follows but for cancellations, credits, parcels, reviews
    /// and tenders.
    uses: Vec<Use>,
    cancellations: Vec<Cancellation>,
    credits: Vec<RefundId>,
    listing: Option<Listing>,
    parcels: Vec<Parcel>,
    review: Option<Review>,
    sellers: Vec<SellerLines>,
    /// Of a settlement.
    awaited: Vec<(SkuCode, Quantity)>,
    tenders: Vec<Tender>,
    to_cards: Vec<RefundId>,
    corrected: Option<Box<Contact>>,
    vouchers: Vec<Voucher>,
    exchanges: Vec<Exchange>,
    in_place_of: Option<OrderId>,
}

impl Part {
    /// Equal values have equal bytes: the sorts come in this order.
    const fn place(&self) -> u8 {
        match self {
            Self::Discount(_) => 0,
            Self::Code(_) => 1,
            Self::Use(..) => 2,
            Self::Cancellation(_) => 3,
            Self::Credit(_) => 4,
            Self::Listing(_) => 5,
            Self::Parcel(_) => 6,
            Self::Review(_) => 7,
            Self::Seller(_) => 8,
            Self::Awaited(..) => 9,
            Self::Tender(_) => 10,
            Self::ToCards(_) => 11,
            Self::Corrected(_) => 12,
            Self::Voucher(_) => 13,
            Self::Exchange(_) => 14,
            Self::InPlaceOf(_) => 15,
        }
    }
}

impl Parts {
    fn into_list(self) -> Vec<Part> {
        let discounts = self.discounts.into_iter().map(Part::Discount);
        let codes = self.codes.into_iter().map(Part::Code);
        let uses = self.uses.into_iter().map(|it| Part::Use(it.redemption, it.state));
        let cancellations = self.cancellations.into_iter().map(Part::Cancellation);
        let credits = self.credits.into_iter().map(Part::Credit);
        let listing = self.listing.into_iter().map(Part::Listing);
        let sellers = self.sellers.into_iter().map(Part::Seller);
        let awaited = self.awaited.into_iter().map(|(sku, pieces)| Part::Awaited(sku, pieces));
        let bought = discounts.chain(codes).chain(uses);
        let parcels = self.parcels.into_iter().map(Part::Parcel);
        let review = self.review.into_iter().map(Part::Review);
        let after = cancellations.chain(credits).chain(listing).chain(parcels).chain(review);
        let tenders = self.tenders.into_iter().map(Part::Tender);
        let paid = tenders.chain(self.to_cards.into_iter().map(Part::ToCards));
        let corrected = self.corrected.into_iter().map(Part::Corrected);
        let list = bought.chain(after).chain(sellers).chain(awaited).chain(paid);
        let vouchers = self.vouchers.into_iter().map(Part::Voucher);
        let exchanges = self.exchanges.into_iter().map(Part::Exchange);
        let in_place_of = self.in_place_of.map(Part::InPlaceOf);
        list.chain(corrected).chain(vouchers).chain(exchanges).chain(in_place_of).collect()
    }

    /// Each sort comes after the one before it; of a listing, a review, a correction and
    /// what it is in place of there is one.
    fn of(list: Vec<Part>) -> Option<Self> {
        let is_in_order = list.is_sorted_by_key(Part::place);
        let mut parts = Self::default();
        for part in list {
            match part {
                Part::Discount(it) => parts.discounts.push(it),
                Part::Code(it) => parts.codes.push(it),
                Part::Use(redemption, state) => parts.uses.push(Use { redemption, state }),
                Part::Cancellation(it) => parts.cancellations.push(it),
                Part::Credit(it) => parts.credits.push(it),
                Part::Listing(it) if parts.listing.is_none() => parts.listing = Some(it),
                Part::Listing(_) => return None,
                Part::Parcel(it) => parts.parcels.push(it),
                Part::Review(it) if parts.review.is_none() => parts.review = Some(it),
                Part::Review(_) => return None,
                Part::Seller(it) => parts.sellers.push(it),
                Part::Awaited(sku, pieces) => parts.awaited.push((sku, pieces)),
                Part::Tender(it) => parts.tenders.push(it),
                Part::ToCards(refund) => parts.to_cards.push(refund),
                Part::Corrected(it) if parts.corrected.is_none() => parts.corrected = Some(it),
                Part::Corrected(_) => return None,
                Part::Voucher(it) => parts.vouchers.push(it),
                Part::Exchange(it) => parts.exchanges.push(it),
                Part::InPlaceOf(it) if parts.in_place_of.is_none() => parts.in_place_of = Some(it),
                Part::InPlaceOf(_) => return None,
            }
        }
        is_in_order.then_some(parts)
    }

    fn is_of_view(&self) -> bool {
        self.uses.is_empty() && self.listing.is_none()
    }

    fn is_of_record(&self) -> bool {
        self.codes.is_empty()
    }
}

impl Wire for order::Lookup {
    fn to_bytes(&self) -> Vec<u8> {
        let parts = self.0.as_ref().map_or_else(Parts::default, |view| Parts {
            discounts: view.discounts.clone(),
            codes: view.codes.clone(),
            cancellations: view.cancellations.clone(),
            credits: view.credits.clone(),
            parcels: view.parcels.clone(),
            review: view.review.clone(),
            sellers: view.sellers.clone(),
            awaited: awaited(view.settlement.as_ref()),
            tenders: view.tenders.clone(),
            to_cards: view.to_cards.clone(),
            vouchers: view.vouchers.clone(),
            corrected: view.corrected.clone(),
            exchanges: view.exchanges.clone(),
            in_place_of: view.in_place_of,
            ..Parts::default()
        });
        encode_with_parts(self, &parts.into_list())
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        const WHAT: &str = "an order's view";
        let (mut lookup, parts): (Self, Vec<Part>) = latest_with_parts(WHAT, bytes)?;
        let Some(view) = &mut lookup.0 else {
            let is_whole = parts.is_empty();
            return is_whole.then_some(lookup).ok_or_else(|| damaged(WHAT, "no order has parts"));
        };
        let parts = Parts::of(parts).filter(Parts::is_of_view);
        let parts = parts.ok_or_else(|| damaged(WHAT, "its parts are not in order"))?;
        view.discounts = parts.discounts;
        view.codes = parts.codes;
        view.cancellations = parts.cancellations;
        view.credits = parts.credits;
        view.parcels = parts.parcels;
        view.review = parts.review;
        view.sellers = parts.sellers;
        view.tenders = parts.tenders;
        view.to_cards = parts.to_cards;
        view.vouchers = parts.vouchers;
        view.corrected = parts.corrected;
        view.exchanges = parts.exchanges;
        view.in_place_of = parts.in_place_of;
        put_awaited(view.settlement.as_mut(), parts.awaited).map_err(|why| damaged(WHAT, why))?;
        Ok(lookup)
    }
}

fn awaited(settlement: Option<&Settlement>) -> Vec<(SkuCode, Quantity)> {
    settlement.map(|told| told.awaited.clone()).unwrap_or_default()
}

fn put_awaited(
    settlement: Option<&mut Settlement>,
    awaited: Vec<(SkuCode, Quantity)>,
) -> Result<(), &'static str> {
    match settlement {
        Some(told) => told.awaited = awaited,
        None if awaited.is_empty() => {}
        None => return Err("pieces were awaited at the end of no checkout"),
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
struct OrderRecordV1 {
    existing: Option<ExistingV1>,
}

#[derive(Serialize, Deserialize)]
struct ExistingV1 {
    cart: CartId,
    access: CartAccess,
    payment: PaymentId,
    number: Option<OrderNumber>,
    placed: Placed,
    stage: Stage,
    lines: Vec<LineState>,
    totals: Totals,
    money: Funds,
    shipments: Vec<Shipment>,
    returns: Vec<Return>,
    refunds: Vec<RefundRecord>,
    notes: Vec<Note>,
    settlement: Option<Settlement>,
    timeline: Timeline,
    updated_at: Timestamp,
}

pub(crate) fn to_record(order: &Order) -> Vec<u8> {
    let existing = order.existing.as_deref().cloned().map(|order| ExistingV1 {
        cart: order.cart,
        access: order.access,
        payment: order.payment,
        number: order.number,
        placed: order.placed,
        stage: order.stage,
        lines: order.lines,
        totals: order.totals,
        money: order.money,
        shipments: order.shipments,
        returns: order.returns,
        refunds: order.refunds,
        notes: order.notes,
        settlement: order.settlement,
        timeline: order.timeline,
        updated_at: order.updated_at,
    });
    let parts = order.existing.as_deref().map_or_else(Parts::default, |order| Parts {
        discounts: order.discounts.clone(),
        uses: order.uses.clone(),
        cancellations: order.cancellations.clone(),
        credits: order.credits.clone(),
        listing: order.listing.clone(),
        parcels: order.parcels.clone(),
        review: order.review.clone(),
        sellers: order.sellers.clone(),
        awaited: awaited(order.settlement.as_ref()),
        tenders: order.tenders.clone(),
        to_cards: order.to_cards.clone(),
        corrected: order.corrected.clone(),
        vouchers: order.vouchers.clone(),
        exchanges: order.exchanges.clone(),
        in_place_of: order.in_place_of,
        ..Parts::default()
    });
    encode_with_parts(&OrderRecordV1 { existing }, &parts.into_list())
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Order, DecodeError> {
    let (OrderRecordV1 { existing }, parts): (_, Vec<Part>) = latest_with_parts(RECORD, bytes)?;
    if existing.is_none() && !parts.is_empty() {
        return Err(damaged(RECORD, "no order has parts"));
    }
    let existing = existing.map(|record| existing_from(record, parts)).transpose()?;
    Ok(Order { existing: existing.map(Box::new) })
}

fn existing_from(record: ExistingV1, parts: Vec<Part>) -> Result<Existing, DecodeError> {
    let parts = Parts::of(parts).filter(Parts::is_of_record);
    let parts = parts.ok_or_else(|| damaged(RECORD, "its parts are not in order"))?;
    let mut settlement = record.settlement;
    put_awaited(settlement.as_mut(), parts.awaited).map_err(|why| damaged(RECORD, why))?;
    let existing = Existing {
        cart: record.cart,
        access: record.access,
        payment: record.payment,
        number: record.number,
        placed: record.placed,
        stage: record.stage,
        lines: record.lines,
        totals: record.totals,
        money: record.money,
        shipments: record.shipments,
        returns: record.returns,
        refunds: record.refunds,
        notes: record.notes,
        settlement,
        timeline: record.timeline,
        updated_at: record.updated_at,
        discounts: parts.discounts,
        uses: parts.uses,
        cancellations: parts.cancellations,
        credits: parts.credits,
        listing: parts.listing,
        parcels: parts.parcels,
        review: parts.review,
        sellers: parts.sellers,
        tenders: parts.tenders,
        to_cards: parts.to_cards,
        vouchers: parts.vouchers,
        corrected: parts.corrected,
        exchanges: parts.exchanges,
        in_place_of: parts.in_place_of,
    };
    existing.check().map_err(|why| damaged(RECORD, why))?;
    Ok(existing)
}

#[derive(Serialize, Deserialize)]
struct NumbersRecordV1 {
    given: u64,
}

pub(crate) fn numbers_to_record(numbers: &OrderNumbers) -> Vec<u8> {
    encode(&NumbersRecordV1 { given: numbers.given })
}

pub(crate) fn numbers_from_record(bytes: &[u8]) -> Result<OrderNumbers, DecodeError> {
    let NumbersRecordV1 { given } = latest("a record of order numbers", bytes)?;
    Ok(OrderNumbers { given })
}

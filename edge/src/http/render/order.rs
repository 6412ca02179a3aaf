//! An order in JSON.

mod schema;

pub(in crate::http) use schema::ORDER_STATUS;

use actors::domain::carrier::{BookingRefusal, Whereabouts};
use actors::domain::contact::{Address, Contact};
use actors::domain::order::{
    Cancellation, Exchange, ExchangeState, LineView, Moment, Parcel, ParcelState, PaymentStatus,
    RefundState, RefundView, ReturnView, Review, ReviewState, Settlement, ShipmentView, Side,
    Status, StockStatus, Tender, TimelineEntry, View,
};
use actors::domain::pricing::{PricedShipping, Totals};
use actors::{Currency, GiftCardId, Money, OrderId, PaymentId, Quantity, RefundId, SkuCode};
use serde::Serialize;

use super::discount::DiscountJson;
use super::{MoneyJson, Text};
use crate::http::rfc3339::Rfc3339;

#[derive(Serialize)]
pub(in crate::http) struct OrderJson<'a> {
    id: Text<OrderId>,
    number: Option<String>,
    status: &'static str,
    payment_status: &'static str,
    items: Vec<ItemJson<'a>>,
    shipping: Option<ShippingJson<'a>>,
    discounts: Vec<DiscountJson<'a>>,
    totals: TotalsJson,
    email: Option<&'a str>,
    addresses: AddressesJson<'a>,
    shipments: Vec<ShipmentJson<'a>>,
    returns: Vec<ReturnJson<'a>>,
    cancellations: Vec<CancellationJson<'a>>,
    exchanges: Vec<ExchangeJson<'a>>,
    in_place_of: Option<Text<OrderId>>,
    /// None where nothing was due.
    payments: Vec<PaymentJson>,
    refunds: Vec<RefundJson<'a>>,
    gift_cards: Vec<TenderJson>,
    placed_at: Text<Rfc3339>,
    updated_at: Text<Rfc3339>,
    /// For the shop alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    review: Option<ReviewJson<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

#[derive(Serialize)]
struct ReviewJson<'a> {
    status: &'static str,
    reason: Option<&'a str>,
    since: Text<Rfc3339>,
}

#[derive(Serialize)]
struct ItemJson<'a> {
    sku: &'a str,
    name: &'a str,
    seller: Option<&'a str>,
    quantity: u32,
    unit_price: MoneyJson,
    line_total: MoneyJson,
    discount: MoneyJson,
    tax: MoneyJson,
    stock: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    backordered: Option<u32>,
    shipped: u32,
    returned: u32,
    cancelled: u32,
}

#[derive(Serialize)]
struct ShippingJson<'a> {
    option: &'a str,
    name: &'a str,
    carrier: &'a str,
    price: MoneyJson,
    tax: MoneyJson,
}

#[derive(Serialize)]
struct AddressesJson<'a> {
    shipping: AddressJson<'a>,
    billing: AddressJson<'a>,
}

#[derive(Serialize)]
struct AddressJson<'a> {
    name: &'a str,
    line1: &'a str,
    line2: Option<&'a str>,
    city: &'a str,
    region: Option<&'a str>,
    postal_code: Option<&'a str>,
    country: &'a str,
}

#[derive(Serialize)]
struct ShipmentJson<'a> {
    number: u16,
    items: Vec<PiecesJson<'a>>,
    sellers: Vec<&'a str>,
    carrier: &'a str,
    /// None until a carrier that is asked for the parcel has one.
    tracking: Option<&'a str>,
    parcel: Option<ParcelJson<'a>>,
    shipped_at: Text<Rfc3339>,
    delivered_at: Option<Text<Rfc3339>>,
}

#[derive(Serialize)]
struct ParcelJson<'a> {
    status: &'static str,
    reason: Option<&'static str>,
    label_url: Option<&'a str>,
    since: Text<Rfc3339>,
}

#[derive(Serialize)]
struct ReturnJson<'a> {
    number: u16,
    items: Vec<PiecesJson<'a>>,
    reason: &'a str,
    asked_at: Text<Rfc3339>,
    received_at: Option<Text<Rfc3339>>,
}

/// Of some pieces, while the others were wanted still.
#[derive(Serialize)]
struct CancellationJson<'a> {
    by: &'static str,
    items: Vec<PiecesJson<'a>>,
    amount: MoneyJson,
    reason: &'a str,
    cancelled_at: Text<Rfc3339>,
}

/// Of some pieces, or beside them, for those of another order.
#[derive(Serialize)]
struct ExchangeJson<'a> {
    order: Text<OrderId>,
    status: &'static str,
    /// The number of the return.
    returned: Option<u16>,
    credit: MoneyJson,
    reason: &'a str,
}

#[derive(Serialize)]
struct PiecesJson<'a> {
    sku: &'a str,
    quantity: u32,
}

#[derive(Serialize)]
struct PaymentJson {
    id: Text<PaymentId>,
    status: &'static str,
    captured: MoneyJson,
    refunded: MoneyJson,
}

#[derive(Serialize)]
struct RefundJson<'a> {
    id: Text<RefundId>,
    amount: MoneyJson,
    reason: &'a str,
    status: &'static str,
    to: &'static str,
    /// That it became.
    gift_card: Option<Text<GiftCardId>>,
    at: Text<Rfc3339>,
}

/// A refund that became a gift card: its code is shown to whoever asked for it, and to nobody later.
#[derive(Serialize)]
pub(in crate::http) struct VoucherJson<'a> {
    pub(in crate::http) gift_card: Text<GiftCardId>,
    pub(in crate::http) code: String,
    pub(in crate::http) order: OrderJson<'a>,
}

/// An exchange: the other order, and the card that its credit becomes.
#[derive(Serialize)]
pub(in crate::http) struct ExchangedJson<'a> {
    pub(in crate::http) exchanged_for: Text<OrderId>,
    pub(in crate::http) gift_card: Option<Text<GiftCardId>>,
    pub(in crate::http) code: Option<String>,
    pub(in crate::http) order: OrderJson<'a>,
}

/// What a gift card pays.
#[derive(Serialize)]
struct TenderJson {
    id: Text<GiftCardId>,
    amount: MoneyJson,
    given_back: MoneyJson,
}

impl<'a> OrderJson<'a> {
    pub(in crate::http) fn new(view: &'a View, seq: u64) -> Self {
        let payment_status = payment_status(view.payment_status);
        let (discounts, currency) = (view.discounts.iter(), view.totals.grand.currency);
        Self {
            id: Text(view.id),
            number: view.number.map(|number| number.to_string()),
            status: status(view.status),
            payment_status,
            items: view.lines.iter().map(|line| ItemJson::new(line, view)).collect(),
            shipping: view.shipping.as_ref().map(ShippingJson::new),
            discounts: discounts.map(|it| DiscountJson::new(it, &view.codes, currency)).collect(),
            totals: TotalsJson::new(view.totals),
            email: email(view.contact_now()),
            addresses: AddressesJson::new(view.contact_now()),
            shipments: shipments(view, ParcelJson::new),
            returns: view.returns.iter().map(ReturnJson::new).collect(),
            cancellations: view.cancellations.iter().map(CancellationJson::new).collect(),
            exchanges: view.exchanges.iter().map(|it| ExchangeJson::new(it, view)).collect(),
            in_place_of: view.in_place_of.map(Text),
            payments: payments(view, payment_status, view.captured, view.refunded),
            refunds: view.refunds.iter().map(|refund| RefundJson::new(refund, view)).collect(),
            gift_cards: view.tenders.iter().map(|it| TenderJson::new(it, currency)).collect(),
            placed_at: Text(Rfc3339(view.placed_at)),
            updated_at: Text(Rfc3339(view.updated_at)),
            review: None,
            seq: Some(seq),
        }
    }

    /// With what only the shop may know.
    pub(in crate::http) fn for_shop(view: &'a View, seq: u64) -> Self {
        let review = view.review.as_ref().map(|review| ReviewJson::new(review, view.status));
        let shipments = shipments(view, ParcelJson::for_shop);
        Self { review, shipments, ..Self::new(view, seq) }
    }
}

impl<'a> ReviewJson<'a> {
    fn new(review: &'a Review, order: Status) -> Self {
        let status = match review.state {
            ReviewState::Wanted | ReviewState::Asked => "pending",
            ReviewState::Allowed => "allowed",
            ReviewState::Denied => "denied",
            ReviewState::Held if order == Status::OnHold => "held",
            // By hand, by its shopper, or because nobody decided in time.
            ReviewState::Held => "ended",
            ReviewState::Approved => "approved",
        };
        let reason = review.why.as_ref().map(|why| why.as_str());
        Self { status, reason, since: Text(Rfc3339(review.since)) }
    }
}

/// The order as it was when its checkout ended, so that every answer to that checkout is the same.
pub(in crate::http) fn settled<'a>(view: &'a View, settlement: &Settlement) -> OrderJson<'a> {
    let is_captured = settlement.captured.minor > 0 || !is_due(view, settlement.totals);
    let paid = if is_captured { PaymentStatus::Captured } else { PaymentStatus::Authorised };
    let zero = Money::zero(settlement.captured.currency);
    let currency = settlement.totals.grand.currency;
    let paid_by = |tender: &Tender| {
        let given_back = MoneyJson(Money::zero(currency));
        TenderJson { given_back, ..TenderJson::new(tender, currency) }
    };
    let line = |line: &'a LineView| {
        let sku = &line.line.sku;
        let awaited = settlement.awaited.iter().find(|(awaited, _)| awaited == sku);
        let stock = match awaited {
            Some((_, pieces)) => StockStatus::Backordered { pieces: *pieces },
            None if settlement.dropped.contains(sku) => StockStatus::Refused,
            None => StockStatus::Sold,
        };
        let (shipped, returned, cancelled) = (0, 0, 0);
        let (stock, backordered) = (stock_status(stock), backordered(stock));
        ItemJson { stock, shipped, returned, cancelled, backordered, ..ItemJson::new(line, view) }
    };
    OrderJson {
        number: settlement.number.map(|number| number.to_string()),
        status: status(Status::Confirmed),
        payment_status: payment_status(paid),
        items: view.lines.iter().map(line).collect(),
        totals: TotalsJson::new(settlement.totals),
        email: email(&view.contact),
        addresses: AddressesJson::new(&view.contact),
        shipments: Vec::new(),
        returns: Vec::new(),
        cancellations: Vec::new(),
        exchanges: Vec::new(),
        payments: payments(view, payment_status(paid), settlement.captured, zero),
        refunds: Vec::new(),
        gift_cards: view.tenders.iter().map(paid_by).collect(),
        updated_at: Text(Rfc3339(settlement.at)),
        seq: None,
        ..OrderJson::new(view, 0)
    }
}

#[derive(Serialize)]
pub(in crate::http) struct TimelineJson {
    data: Vec<MomentJson>,
}

#[derive(Serialize)]
struct MomentJson {
    what: &'static str,
    at: Text<Rfc3339>,
}

impl TimelineJson {
    pub(in crate::http) fn new(view: &View) -> Self {
        let entry = |entry: &TimelineEntry| MomentJson {
            what: moment(entry.moment),
            at: Text(Rfc3339(entry.at)),
        };
        Self { data: view.timeline.iter().map(entry).collect() }
    }
}

impl<'a> ItemJson<'a> {
    fn new(line: &'a LineView, view: &'a View) -> Self {
        let LineView { line, stock, shipped, returned } = line;
        let cancelled = view.cancellations.iter().flat_map(|known| &known.items);
        let cancelled = cancelled.filter(|(sku, _)| *sku == line.sku).map(|(_, n)| n.get()).sum();
        let seller = view.sellers.iter().find(|lines| lines.skus.contains(&line.sku));
        Self {
            sku: line.sku.as_str(),
            name: line.name.as_str(),
            seller: seller.map(|lines| lines.seller.as_str()),
            quantity: line.quantity.get(),
            unit_price: MoneyJson(line.unit_price),
            line_total: MoneyJson(line.line_total),
            discount: MoneyJson(line.discount),
            tax: MoneyJson(line.tax),
            stock: stock_status(*stock),
            backordered: backordered(*stock),
            shipped: *shipped,
            returned: *returned,
            cancelled,
        }
    }
}

impl<'a> ShippingJson<'a> {
    fn new(shipping: &'a PricedShipping) -> Self {
        Self {
            option: shipping.option.as_str(),
            name: shipping.name.as_str(),
            carrier: shipping.carrier.as_str(),
            price: MoneyJson(shipping.price),
            tax: MoneyJson(shipping.tax),
        }
    }
}

#[derive(Serialize)]
struct TotalsJson {
    items: MoneyJson,
    discount: MoneyJson,
    shipping: MoneyJson,
    tax: MoneyJson,
    grand: MoneyJson,
}

impl TotalsJson {
    fn new(totals: Totals) -> Self {
        Self {
            items: MoneyJson(totals.items),
            discount: MoneyJson(totals.discount),
            shipping: MoneyJson(totals.shipping),
            tax: MoneyJson(totals.tax),
            grand: MoneyJson(totals.grand),
        }
    }
}

fn email(contact: &Contact) -> Option<&str> {
    contact.email.as_ref().map(|email| email.as_str())
}

impl<'a> AddressesJson<'a> {
    fn new(contact: &'a Contact) -> Self {
        let shipping = &contact.shipping;
        let billing = contact.billing.as_ref().unwrap_or(shipping);
        Self { shipping: AddressJson::new(shipping), billing: AddressJson::new(billing) }
    }
}

impl<'a> AddressJson<'a> {
    fn new(address: &'a Address) -> Self {
        Self {
            name: address.name.as_str(),
            line1: address.line1.as_str(),
            line2: address.line2.as_ref().map(|line| line.as_str()),
            city: address.city.as_str(),
            region: address.region.as_ref().map(|region| region.as_str()),
            postal_code: address.postal_code.as_ref().map(|code| code.as_str()),
            country: address.country.as_str(),
        }
    }
}

fn shipments<'a>(
    view: &'a View,
    parcel: fn(&'a Parcel) -> ParcelJson<'a>,
) -> Vec<ShipmentJson<'a>> {
    let of = |number| view.parcels.iter().find(|parcel| parcel.shipment.0 == number);
    let json = |it: &'a ShipmentView| {
        let sellers = view.sellers_of(&it.items).map(|seller| seller.as_str()).collect();
        ShipmentJson { sellers, ..ShipmentJson::new(it, of(it.number), parcel) }
    };
    view.shipments.iter().map(json).collect()
}

impl<'a> ShipmentJson<'a> {
    fn new(
        shipment: &'a ShipmentView,
        parcel: Option<&'a Parcel>,
        json: fn(&'a Parcel) -> ParcelJson<'a>,
    ) -> Self {
        let is_numbered = parcel.is_none_or(|parcel| parcel.label_url.is_some());
        Self {
            number: shipment.number,
            items: pieces(&shipment.items),
            sellers: Vec::new(),
            carrier: shipment.carrier.as_str(),
            tracking: is_numbered.then_some(shipment.tracking.as_str()),
            parcel: parcel.map(json),
            shipped_at: Text(Rfc3339(shipment.shipped_at)),
            delivered_at: shipment.delivered_at.map(|at| Text(Rfc3339(at))),
        }
    }
}

impl<'a> ParcelJson<'a> {
    fn new(parcel: &'a Parcel) -> Self {
        let status = match parcel.state {
            ParcelState::Asked => "asked",
            ParcelState::Refused(_) => "refused",
            ParcelState::Booked => "booked",
            ParcelState::Moved(Whereabouts::InTransit) => "in_transit",
            ParcelState::Moved(Whereabouts::OutForDelivery) => "out_for_delivery",
            ParcelState::Moved(Whereabouts::NotHandedOver) => "not_handed_over",
            ParcelState::Moved(Whereabouts::Delivered) => "delivered",
        };
        Self { status, reason: None, label_url: None, since: Text(Rfc3339(parcel.since)) }
    }

    /// With what only the shop may know: whoever has the label could send something else with it.
    fn for_shop(parcel: &'a Parcel) -> Self {
        let reason = match parcel.state {
            ParcelState::Refused(BookingRefusal::NotServed) => Some("not_served"),
            ParcelState::Refused(BookingRefusal::NotTaken) => Some("not_taken"),
            ParcelState::Asked | ParcelState::Booked | ParcelState::Moved(_) => None,
        };
        let label_url = parcel.label_url.as_ref().map(|url| url.as_str());
        Self { reason, label_url, ..Self::new(parcel) }
    }
}

impl<'a> ReturnJson<'a> {
    fn new(known: &'a ReturnView) -> Self {
        Self {
            number: known.number,
            items: pieces(&known.items),
            reason: known.reason.as_str(),
            asked_at: Text(Rfc3339(known.asked_at)),
            received_at: known.received_at.map(|at| Text(Rfc3339(at))),
        }
    }
}

impl<'a> CancellationJson<'a> {
    fn new(known: &'a Cancellation) -> Self {
        Self {
            by: match known.by {
                Side::Shopper => "shopper",
                Side::Shop => "shop",
            },
            items: pieces(&known.items),
            amount: MoneyJson(known.amount),
            reason: known.reason.as_str(),
            cancelled_at: Text(Rfc3339(known.at)),
        }
    }
}

impl<'a> ExchangeJson<'a> {
    /// Of what was given back meanwhile nothing became a card.
    fn new(known: &'a Exchange, view: &View) -> Self {
        let voucher = view.refunds.iter().find(|refund| refund.id == known.names.refund);
        let nothing = Money { minor: 0, ..known.credit };
        let credit = match (voucher, &known.state) {
            (Some(voucher), _) => voucher.amount,
            (None, ExchangeState::Placed) => nothing,
            (None, ExchangeState::Open(_) | ExchangeState::Refused) => known.credit,
        };
        Self {
            order: Text(known.names.order),
            status: match known.state {
                ExchangeState::Open(_) => "pending",
                ExchangeState::Placed => "placed",
                ExchangeState::Refused => "failed",
            },
            returned: known.returned.map(|number| number.0),
            credit: MoneyJson(credit),
            reason: known.reason.as_str(),
        }
    }
}

impl<'a> RefundJson<'a> {
    fn new(refund: &'a RefundView, view: &View) -> Self {
        let status = match refund.state {
            RefundState::Asked => "pending",
            RefundState::Done => "succeeded",
            RefundState::Failed => "failed",
        };
        let voucher = view.vouchers.iter().find(|voucher| voucher.refund == refund.id);
        let to = match voucher {
            Some(_) => "voucher",
            None if view.to_cards.contains(&refund.id) => "gift_cards",
            None => "payment",
        };
        let gift_card = voucher.map(|voucher| Text(voucher.card));
        let (id, reason) = (Text(refund.id), refund.reason.as_str());
        let (amount, at) = (MoneyJson(refund.amount), Text(Rfc3339(refund.at)));
        Self { id, amount, reason, status, to, gift_card, at }
    }
}

impl TenderJson {
    /// What it paid is shown whatever became of it; of an order that ended all of it was given back.
    fn new(tender: &Tender, currency: Currency) -> Self {
        let money = |minor| MoneyJson(Money { minor, currency });
        let (amount, given_back) = (tender.ever_paid(), tender.returned());
        Self { id: Text(tender.card), amount: money(amount), given_back: money(given_back) }
    }
}

/// Whether there is anything to pay that gift cards do not.
fn is_due(view: &View, totals: Totals) -> bool {
    let by_cards: i64 = view.tenders.iter().map(Tender::ever_paid).sum();
    totals.grand.minor > by_cards
}

fn payments(
    view: &View,
    status: &'static str,
    captured: Money,
    refunded: Money,
) -> Vec<PaymentJson> {
    let (captured, refunded) = (MoneyJson(captured), MoneyJson(refunded));
    let payment = PaymentJson { id: Text(view.payment), status, captured, refunded };
    is_due(view, view.totals).then_some(payment).into_iter().collect()
}

fn pieces(items: &[(SkuCode, Quantity)]) -> Vec<PiecesJson<'_>> {
    let items = items.iter();
    items.map(|(sku, n)| PiecesJson { sku: sku.as_str(), quantity: n.get() }).collect()
}

pub(in crate::http) const fn status(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Confirmed => "confirmed",
        Status::Processing => "processing",
        Status::Shipped => "shipped",
        Status::Delivered => "delivered",
        Status::Returned => "returned",
        // Called off either way: what is left is the provider's.
        Status::Cancelling | Status::Cancelled => "cancelled",
        Status::Failed => "failed",
        Status::OnHold => "on_hold",
    }
}

const fn payment_status(status: PaymentStatus) -> &'static str {
    match status {
        PaymentStatus::Pending => "pending",
        PaymentStatus::Authorised => "authorised",
        PaymentStatus::Captured => "captured",
        PaymentStatus::PartiallyRefunded => "partially_refunded",
        PaymentStatus::Refunded => "refunded",
        PaymentStatus::Declined => "declined",
        PaymentStatus::Cancelled => "cancelled",
        PaymentStatus::InDoubt => "in_doubt",
        PaymentStatus::CancelFailed => "cancel_failed",
    }
}

fn backordered(stock: StockStatus) -> Option<u32> {
    match stock {
        StockStatus::Backordered { pieces } => Some(pieces.get()),
        StockStatus::Asked
        | StockStatus::Reserved
        | StockStatus::Refused
        | StockStatus::Sold
        | StockStatus::Released => None,
    }
}

const fn stock_status(status: StockStatus) -> &'static str {
    match status {
        StockStatus::Asked => "asked",
        StockStatus::Reserved => "reserved",
        StockStatus::Refused => "refused",
        StockStatus::Sold => "sold",
        StockStatus::Released => "released",
        StockStatus::Backordered { .. } => "backordered",
    }
}

const fn moment(moment: Moment) -> &'static str {
    match moment {
        Moment::Placed => "placed",
        Moment::LinesDropped => "lines_dropped",
        Moment::Authorised => "payment_authorised",
        Moment::Captured => "payment_captured",
        Moment::CaptureFailed => "capture_failed",
        Moment::Confirmed => "confirmed",
        Moment::Failed => "failed",
        Moment::CancelAsked => "cancel_requested",
        Moment::Cancelled => "cancelled",
        Moment::Shipped => "shipped",
        Moment::Delivered => "delivered",
        Moment::ReturnAsked => "return_requested",
        Moment::ReturnReceived => "return_received",
        Moment::RefundAsked => "refund_requested",
        Moment::Refunded => "refunded",
        Moment::RefundFailed => "refund_failed",
        Moment::NoteAdded => "note_added",
        Moment::PaymentInDoubt => "payment_in_doubt",
        Moment::PaymentVoidAsked => "payment_void_requested",
        Moment::PaymentUndoFailed => "payment_cancel_failed",
        Moment::PiecesCancelled => "items_cancelled",
        Moment::ParcelAsked => "parcel_requested",
        Moment::ParcelBooked => "parcel_booked",
        Moment::ParcelRefused => "parcel_refused",
        Moment::ParcelInTransit => "parcel_in_transit",
        Moment::ParcelOutForDelivery => "parcel_out_for_delivery",
        Moment::ParcelNotHandedOver => "parcel_not_handed_over",
        Moment::OnHold => "on_hold",
        Moment::Approved => "approved",
        Moment::StockArrived => "stock_arrived",
        Moment::Corrected => "corrected",
        Moment::ExchangeAsked => "exchange_requested",
        Moment::Exchanged => "exchanged",
    }
}

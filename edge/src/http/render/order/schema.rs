//! What an order in JSON is made of.

use actors::{Money, Order};

use super::{ExchangedJson, OrderJson, TimelineJson, VoucherJson};
use crate::http::render::discount::discount_schema;
use crate::http::schema::{
    Described, Schema, count, integer, list, maybe, nullable, object, of, required, short_list,
    word, words,
};

const PAYMENT_STATUS: &[&str] = &[
    "captured",
    "pending",
    "authorised",
    "partially_refunded",
    "refunded",
    "declined",
    "cancelled",
    "in_doubt",
    "cancel_failed",
];

const PARCEL_STATUS: &[&str] = &[
    "in_transit",
    "asked",
    "refused",
    "booked",
    "out_for_delivery",
    "not_handed_over",
    "delivered",
];
const STOCK: &[&str] = &["sold", "asked", "reserved", "refused", "released", "backordered"];

pub(in crate::http) const ORDER_STATUS: &[&str] = &[
    "confirmed",
    "pending",
    "processing",
    "shipped",
    "delivered",
    "returned",
    "cancelled",
    "failed",
    "on_hold",
];

impl Described for OrderJson<'_> {
    fn name() -> String {
        "Order".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("id", words::order_id()),
            required("number", nullable(words::text("100042"))),
            required("status", word(ORDER_STATUS)),
            required("payment_status", word(PAYMENT_STATUS)),
            required("items", list(item())),
            required("shipping", nullable(shipping())),
            required("discounts", list(discount_schema())),
            required("totals", totals()),
            required("email", nullable(words::email())),
            required("addresses", addresses()),
            required("shipments", list(shipment())),
            required("returns", list(returned())),
            required("cancellations", list(cancellation())),
            required("exchanges", short_list(exchange(), 0, Order::EXCHANGES_MAX)),
            required("in_place_of", nullable(words::order_id()))
                .about("The order some of whose pieces this one was had for."),
            required("payments", short_list(payment(), 0, 1)),
            required("refunds", list(refund())),
            required("gift_cards", list(tender())).about("What they pay; payments have the rest."),
            required("placed_at", words::instant()),
            required("updated_at", words::instant()),
            maybe("review", review()).about("Where the shop has orders looked at, for it alone."),
            maybe("seq", count(9)).about("Not in the answer to a checkout."),
        ])
    }
}

fn review() -> Schema {
    let status = word(&["held", "pending", "allowed", "denied", "ended", "approved"]);
    object([
        required("status", status),
        required("reason", nullable(words::line("amount=50000.. -> review"))),
        required("since", words::instant()),
    ])
}

fn item() -> Schema {
    object([
        required("sku", words::sku()),
        required("name", words::line("Oolong, 100 g")),
        required("seller", nullable(words::handle("ann"))),
        required("quantity", words::quantity()),
        required("unit_price", of::<Money>()),
        required("line_total", of::<Money>()),
        required("discount", of::<Money>()),
        required("tax", of::<Money>()),
        required("stock", word(STOCK)),
        maybe("backordered", words::quantity()).about(
            "Pieces that are still to come; in the answer to a checkout, that were when it ended.",
        ),
        required("shipped", count(2)),
        required("returned", count(1)),
        required("cancelled", count(0)),
    ])
}

fn totals() -> Schema {
    object(
        ["items", "discount", "shipping", "tax", "grand"].map(|name| required(name, of::<Money>())),
    )
}

fn shipping() -> Schema {
    object([
        required("option", words::handle("parcel")),
        required("name", words::line("Parcel")),
        required("carrier", words::line("Post")),
        required("price", of::<Money>()),
        required("tax", of::<Money>()),
    ])
}

fn addresses() -> Schema {
    object([required("shipping", address()), required("billing", address())])
}

fn address() -> Schema {
    object([
        required("name", words::line("A Shopper")),
        required("line1", words::line("Street 1")),
        required("line2", nullable(words::line("Second floor"))),
        required("city", words::line("Town")),
        required("region", nullable(words::region())),
        required("postal_code", nullable(words::line("12345"))),
        required("country", words::country()),
    ])
}

fn shipment() -> Schema {
    object([
        required("number", number()),
        required("items", list(pieces())),
        required("sellers", list(words::handle("ann")))
            .about("Whose pieces these are; none of those of the shop itself."),
        required("carrier", words::line("Post")),
        required("tracking", nullable(words::line("1Z999"))),
        required("parcel", nullable(parcel())),
        required("shipped_at", words::instant()),
        required("delivered_at", nullable(words::instant())),
    ])
}

/// Of a carrier that is asked by the shop itself.
fn parcel() -> Schema {
    object([
        required("status", word(PARCEL_STATUS)),
        required("reason", nullable(word(&["not_served", "not_taken"])))
            .about("Why the carrier refused it; for the shop alone, null for its shopper."),
        required("label_url", nullable(words::line("https://carrier.example/labels/1Z999")))
            .about("Once it is booked; for the shop alone, null for its shopper."),
        required("since", words::instant()),
    ])
}

fn returned() -> Schema {
    object([
        required("number", number()),
        required("items", list(pieces())),
        required("reason", words::line("stale")),
        required("asked_at", words::instant()),
        required("received_at", nullable(words::instant())),
    ])
}

/// Of pieces that were not on their way, while others were.
fn cancellation() -> Schema {
    object([
        required("by", word(&["shopper", "shop"])),
        required("items", list(pieces())),
        required("amount", of::<Money>()),
        required("reason", words::line("ordered twice")),
        required("cancelled_at", words::instant()),
    ])
}

/// Of pieces, or beside them, for those of another order.
fn exchange() -> Schema {
    object([
        required("order", words::order_id()),
        required("status", word(&["placed", "pending", "failed"])).about(
            "Pending until the pieces are there and the credit is a gift card; how the other order \
             goes on, it says itself.",
        ),
        required("returned", nullable(number())).about("The number of the return."),
        required("credit", of::<Money>()),
        required("reason", words::line("too small")),
    ])
}

fn pieces() -> Schema {
    object([required("sku", words::sku()), required("quantity", words::quantity().so_many(1))])
}

fn number() -> Schema {
    integer(1, i64::from(u16::MAX), 1)
}

fn payment() -> Schema {
    object([
        required("id", words::payment_id()),
        required("status", word(PAYMENT_STATUS)),
        required("captured", of::<Money>()),
        required("refunded", of::<Money>()),
    ])
}

fn tender() -> Schema {
    object([
        required("id", words::gift_card_id()),
        required("amount", of::<Money>()),
        required("given_back", of::<Money>()),
    ])
}

fn refund() -> Schema {
    object([
        required("id", words::refund_id()),
        required("amount", of::<Money>()),
        required("reason", words::line("returned")),
        required("status", word(&["succeeded", "pending", "failed"])),
        required("to", word(&["payment", "gift_cards", "voucher"])),
        required("gift_card", nullable(words::gift_card_id())).about("That it became."),
        required("at", words::instant()),
    ])
}

impl Described for VoucherJson<'_> {
    fn name() -> String {
        "Voucher".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("gift_card", words::gift_card_id()),
            required("code", words::gift_code())
                .about("Shown to this request and its repeats alone."),
            required("order", of::<OrderJson<'_>>()),
        ])
    }
}

impl Described for ExchangedJson<'_> {
    fn name() -> String {
        "ExchangedOrder".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("exchanged_for", words::order_id()),
            required("gift_card", nullable(words::gift_card_id()))
                .about("That the credit becomes, where there is any."),
            required("code", nullable(words::gift_code()))
                .about("Shown to this request and its repeats alone."),
            required("order", of::<OrderJson<'_>>()),
        ])
    }
}

impl Described for TimelineJson {
    fn name() -> String {
        "Timeline".to_owned()
    }

    fn schema() -> Schema {
        let what = word(MOMENTS);
        object([required(
            "data",
            list(object([required("what", what), required("at", words::instant())])),
        )])
    }
}
const MOMENTS: &[&str] = &[
    "placed",
    "lines_dropped",
    "payment_authorised",
    "payment_captured",
    "capture_failed",
    "confirmed",
    "failed",
    "cancel_requested",
    "cancelled",
    "shipped",
    "delivered",
    "return_requested",
    "return_received",
    "refund_requested",
    "refunded",
    "refund_failed",
    "note_added",
    "payment_in_doubt",
    "payment_void_requested",
    "payment_cancel_failed",
    "items_cancelled",
    "parcel_requested",
    "parcel_booked",
    "parcel_refused",
    "parcel_in_transit",
    "parcel_out_for_delivery",
    "parcel_not_handed_over",
    "on_hold",
    "approved",
    "stock_arrived",
    "corrected",
    "exchange_requested",
    "exchanged",
];

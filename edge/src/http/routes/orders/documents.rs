//! What is sent to orders.

use actors::domain::contact::Email;
use actors::domain::names::{Label, SellerId};
use actors::domain::order::Correction;
use actors::{Cart, Money, Quantity, SkuCode};

use crate::http::fields::{Document, Faults, Flaw, Members, inner, integer, made, parsed};
use crate::http::json::Json;
use crate::http::routes::address::{address, address_schema};
use crate::http::routes::documents::{item, item_schema, money, words};
use crate::http::schema::words::{line, moved};
use crate::http::schema::{self, Described, Schema, object, optional, required, short_list};

pub(in crate::http) type Items = Vec<(SkuCode, Quantity)>;

/// `{items?, reason}`
pub(in crate::http) struct CancelOrder {
    /// Without them all that is not shipped.
    pub(in crate::http) items: Option<Items>,
    pub(in crate::http) reason: Label,
}

impl Document for CancelOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let items = if members.has("items") {
            members.objects("items", Cart::LINES_MAX, faults, item).map(Some)
        } else {
            Some(None)
        };
        let reason = members.required("reason", faults, words);
        Some(Self { items: items?, reason: reason? })
    }
}

impl Described for CancelOrder {
    fn name() -> String {
        "Cancellation".to_owned()
    }

    fn schema() -> Schema {
        let reason = || required("reason", line("ordered twice"));
        let items = required("items", items_schema());
        let items = items.about("These alone; else all that is not shipped.");
        Schema::Either(vec![object([reason()]), object([items, reason()])])
    }
}

/// `{email?, shipping_address?, billing_address?}`
pub(in crate::http) struct CorrectOrder(pub(in crate::http) Correction);

impl Document for CorrectOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let email = members.optional("email", faults, words::<Email>);
        let shipping = members.optional("shipping_address", faults, |json| inner(json, address));
        let billing = members.optional("billing_address", faults, |json| inner(json, address));
        Some(Self(Correction { email: email?, shipping: shipping?, billing: billing? }))
    }
}

impl Described for CorrectOrder {
    fn name() -> String {
        "Correction".to_owned()
    }

    fn schema() -> Schema {
        object([
            optional("email", schema::words::email()),
            optional("shipping_address", address_schema()),
            optional("billing_address", address_schema()),
        ])
    }
}

/// `{number?, items, carrier?, tracking?}`, or with `seller` for items: a tracking number is somebody's.
pub(in crate::http) struct FulfilOrder {
    pub(in crate::http) number: Option<u16>,
    pub(in crate::http) sent: Sent,
    pub(in crate::http) carrier: Option<Label>,
    pub(in crate::http) tracking: Option<Label>,
}

impl Document for FulfilOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let number = members.optional("number", faults, number);
        let sent = if members.has("seller") && !members.has("items") {
            members.required("seller", faults, parsed).map(Sent::AllOf)
        } else {
            members.objects("items", Cart::LINES_MAX, faults, item).map(Sent::Items)
        };
        let (carrier, tracking) = brought_by(members, faults);
        Some(Self { number: number?, sent: sent?, carrier: carrier?, tracking: tracking? })
    }
}

impl Described for FulfilOrder {
    fn name() -> String {
        "Fulfilment".to_owned()
    }

    fn schema() -> Schema {
        let with = |sent| {
            object([
                optional("number", number_schema()),
                sent,
                optional("carrier", line("Post")),
                optional("tracking", line("1Z999")),
            ])
        };
        let seller = required("seller", schema::words::handle("ann"));
        let seller = seller.about("All that this seller has to send, of pieces that are there.");
        Schema::Either(vec![with(required("items", items_schema())), with(seller)])
    }
}

/// What a package holds.
pub(in crate::http) enum Sent {
    Items(Items),
    /// Whatever this seller has to send still.
    AllOf(SellerId),
}

/// `{number?, carrier?, tracking?}`
pub(in crate::http) struct BookParcel {
    pub(in crate::http) number: Option<u16>,
    pub(in crate::http) carrier: Option<Label>,
    pub(in crate::http) tracking: Option<Label>,
}

impl Document for BookParcel {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let number = members.optional("number", faults, number);
        let (carrier, tracking) = brought_by(members, faults);
        Some(Self { number: number?, carrier: carrier?, tracking: tracking? })
    }
}

impl Described for BookParcel {
    fn name() -> String {
        "Booking".to_owned()
    }

    fn schema() -> Schema {
        object([
            optional("number", number_schema()),
            optional("carrier", line("Post")),
            optional("tracking", line("1Z999")),
        ])
    }
}

/// `{number?}`
pub(in crate::http) struct DeliverOrder {
    pub(in crate::http) number: Option<u16>,
}

impl Document for DeliverOrder {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { number: members.optional("number", faults, number)? })
    }
}

impl Described for DeliverOrder {
    fn name() -> String {
        "Delivery".to_owned()
    }

    fn schema() -> Schema {
        object([optional("number", number_schema())])
    }
}

/// `{number?, items, reason}`
pub(in crate::http) struct AskReturn {
    pub(in crate::http) number: Option<u16>,
    pub(in crate::http) items: Items,
    pub(in crate::http) reason: Label,
}

impl Document for AskReturn {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let number = members.optional("number", faults, number);
        let items = members.objects("items", Cart::LINES_MAX, faults, item);
        let reason = members.required("reason", faults, words);
        Some(Self { number: number?, items: items?, reason: reason? })
    }
}

impl Described for AskReturn {
    fn name() -> String {
        "Return".to_owned()
    }

    fn schema() -> Schema {
        object([
            optional("number", number_schema()),
            required("items", items_schema()),
            required("reason", line("stale")),
        ])
    }
}

/// `{number?}`
pub(in crate::http) struct ReceiveReturn {
    pub(in crate::http) number: Option<u16>,
}

impl Document for ReceiveReturn {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { number: members.optional("number", faults, number)? })
    }
}

impl Described for ReceiveReturn {
    fn name() -> String {
        "ReceivedReturn".to_owned()
    }

    fn schema() -> Schema {
        object([optional("number", number_schema())])
    }
}

/// `{amount, reason}`
pub(in crate::http) struct RefundOrder {
    pub(in crate::http) amount: Money,
    pub(in crate::http) reason: Label,
}

impl Document for RefundOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let amount = members.required("amount", faults, money);
        let reason = members.required("reason", faults, words);
        Some(Self { amount: amount?, reason: reason? })
    }
}

impl Described for RefundOrder {
    fn name() -> String {
        "Refund".to_owned()
    }

    fn schema() -> Schema {
        object([required("amount", moved()), required("reason", line("returned"))])
    }
}

/// `{text}`
pub(in crate::http) struct AddNote {
    pub(in crate::http) text: Label,
}

impl Document for AddNote {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { text: members.required("text", faults, words)? })
    }
}

impl Described for AddNote {
    fn name() -> String {
        "Note".to_owned()
    }

    fn schema() -> Schema {
        object([required("text", line("asked to ring twice"))])
    }
}

/// Who brings pieces, and the number there; only with a number must it be said who.
fn brought_by(
    members: &mut Members<'_>,
    faults: &mut Faults,
) -> (Option<Option<Label>>, Option<Option<Label>>) {
    // Carriers' numbers are long, and one in ten looks like a card's.
    let tracking = members.optional("tracking", faults, made);
    let carrier = if matches!(tracking, Some(Some(_))) {
        members.required("carrier", faults, words).map(Some)
    } else {
        members.optional("carrier", faults, words)
    };
    (carrier, tracking)
}

fn number(json: Json<'_>) -> Result<u16, Flaw> {
    let number = integer(json, 1, i64::from(u16::MAX))?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

fn number_schema() -> Schema {
    schema::integer(1, i64::from(u16::MAX), 1)
}

fn items_schema() -> Schema {
    short_list(item_schema(), 1, Cart::LINES_MAX)
}

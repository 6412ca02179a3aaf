//! The bodies that clients send.

use actors::domain::cart::MergeStrategy;
use actors::domain::names::LocationId;
use actors::{
    Cart, CartId, Currency, Delta, Money, Payment, Quantity, Reason, ReservationId, SkuCode, Units,
};
use cluster::ids::NodeId;
use cluster::placement::cluster::Fewer;
use cluster::time::Timestamp;

use crate::http::card_number;
use crate::http::code::Code;
use crate::http::fields::{Document, Faults, Flaw, Members, boolean, flaw, integer, parsed, text};
use crate::http::json::Json;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    self, Described, Member, Schema, object, optional, required, short_list, word, words,
};

/// `{}` or nothing.
pub(in crate::http) struct Nothing;

impl Document for Nothing {
    const MAY_BE_EMPTY: bool = true;

    fn read(_: &mut Members<'_>, _: &mut Faults) -> Option<Self> {
        Some(Self)
    }
}

impl Described for Nothing {
    fn name() -> String {
        "Nothing".to_owned()
    }

    fn schema() -> Schema {
        object([])
    }
}

/// `{currency?}`
pub(in crate::http) struct CreateCart {
    pub(in crate::http) currency: Option<Currency>,
}

impl Document for CreateCart {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let currency = members.optional("currency", faults, parsed)?;
        Some(Self { currency })
    }
}

impl Described for CreateCart {
    fn name() -> String {
        "NewCart".to_owned()
    }

    fn schema() -> Schema {
        object([optional("currency", words::currency())])
    }
}

/// `{sku, quantity}` or `{items: [{sku, quantity}, …]}`
pub(in crate::http) struct AddItems {
    pub(in crate::http) items: Vec<(SkuCode, Quantity)>,
}

impl Document for AddItems {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let items = if members.has("items") {
            members.objects("items", Cart::LINES_MAX, faults, item)?
        } else {
            vec![item(members, faults)?]
        };
        Some(Self { items })
    }
}

impl Described for AddItems {
    fn name() -> String {
        "AddedItems".to_owned()
    }

    fn schema() -> Schema {
        let all = required("items", short_list(item_schema(), 1, Cart::LINES_MAX));
        Schema::Either(vec![item_schema(), object([all])])
    }
}

pub(super) fn item_schema() -> Schema {
    object([required("sku", words::sku()), required("quantity", words::quantity())])
}

pub(super) fn item(members: &mut Members<'_>, faults: &mut Faults) -> Option<(SkuCode, Quantity)> {
    let sku = members.required("sku", faults, parsed);
    let quantity = members.required("quantity", faults, quantity);
    sku.zip(quantity)
}

/// `{quantity}`; none removes the line.
pub(in crate::http) struct SetQuantity {
    pub(in crate::http) quantity: Option<Quantity>,
}

impl Document for SetQuantity {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let quantity = members.required("quantity", faults, |json| {
            let count = small(json, 0, Quantity::MAX)?;
            Ok(Quantity::try_from(count).ok())
        })?;
        Some(Self { quantity })
    }
}

impl Described for SetQuantity {
    fn name() -> String {
        "LineQuantity".to_owned()
    }

    fn schema() -> Schema {
        let quantity = schema::integer(0, i64::from(Quantity::MAX), 3);
        object([required("quantity", quantity)])
    }
}

/// `{from, from_token, strategy}`
pub(in crate::http) struct MergeCart {
    pub(in crate::http) from: CartId,
    pub(in crate::http) from_token: String,
    pub(in crate::http) strategy: MergeStrategy,
}

impl Document for MergeCart {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let from = members.required("from", faults, parsed);
        let from_token = members.required("from_token", faults, text);
        let strategy = members.required("strategy", faults, strategy);
        Some(Self { from: from?, from_token: from_token?.into_owned(), strategy: strategy? })
    }
}

impl Described for MergeCart {
    fn name() -> String {
        "CartToMerge".to_owned()
    }

    fn schema() -> Schema {
        let token = words::text("q3Jt5nB0x8vXc2Yw7mKzRfLd1sHgPa4eUiOoTb6N9Qk");
        object([
            required("from", words::cart_id()),
            required("from_token", token).about("Of the cart that is merged away."),
            required("strategy", word(&["sum", "keep", "replace"]))
                .about("What becomes of a line that both carts have."),
        ])
    }
}

fn strategy(json: Json<'_>) -> Result<MergeStrategy, Flaw> {
    match &*text(json)? {
        "sum" => Ok(MergeStrategy::Sum),
        "keep" => Ok(MergeStrategy::Keep),
        "replace" => Ok(MergeStrategy::Replace),
        _ => Err(flaw("invalid", "must be sum, keep or replace")),
    }
}

/// `{delta, reason, location?}`
pub(in crate::http) struct AdjustStock {
    pub(in crate::http) delta: Delta,
    pub(in crate::http) location: Option<LocationId>,
    pub(in crate::http) reason: Reason,
}

impl Document for AdjustStock {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let delta = members.required("delta", faults, |json| {
            let change = integer(json, -Delta::MAX, Delta::MAX)?;
            if change == 0 {
                return Err(flaw("out_of_range", "must not be zero"));
            }
            Delta::try_from(change).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        let reason = members.required("reason", faults, reason);
        let location = members.optional("location", faults, parsed);
        Some(Self { delta: delta?, location: location?, reason: reason? })
    }
}

impl Described for AdjustStock {
    fn name() -> String {
        "StockChange".to_owned()
    }

    fn schema() -> Schema {
        let (down, up) = (schema::integer(-Delta::MAX, -1, -1), schema::integer(1, Delta::MAX, 1));
        object([
            required("delta", Schema::Either(vec![down, up])).about("Not zero."),
            required("reason", words::reason("torn bag")),
            location(),
        ])
    }
}

/// `{on_hand, reason, location?}`
pub(in crate::http) struct SetStock {
    pub(in crate::http) on_hand: Units,
    pub(in crate::http) location: Option<LocationId>,
    pub(in crate::http) reason: Reason,
}

impl Document for SetStock {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let on_hand = members.required("on_hand", faults, |json| {
            let count = small(json, 0, Units::MAX)?;
            Units::try_from(count).map_err(|error| flaw("out_of_range", error.to_string()))
        });
        let reason = members.required("reason", faults, reason);
        let location = members.optional("location", faults, parsed);
        Some(Self { on_hand: on_hand?, location: location?, reason: reason? })
    }
}

impl Described for SetStock {
    fn name() -> String {
        "StockLevel".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("on_hand", words::units(40)),
            required("reason", words::reason("yearly count")),
            location(),
        ])
    }
}

fn location() -> Member {
    optional("location", words::handle("berlin")).about("Without it the default location.")
}

const EXPIRES_IN_SECONDS_MAX: u32 = 30 * 24 * 60 * 60;

/// `{id?, quantity, expires_in_seconds?}`
pub(in crate::http) struct ReserveStock {
    pub(in crate::http) id: Option<ReservationId>,
    pub(in crate::http) quantity: Quantity,
    pub(in crate::http) expires_in_seconds: Option<u32>,
}

impl Document for ReserveStock {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let id = members.optional("id", faults, parsed);
        let quantity = members.required("quantity", faults, quantity);
        let expires_in_seconds = members
            .optional("expires_in_seconds", faults, |json| small(json, 1, EXPIRES_IN_SECONDS_MAX));
        Some(Self { id: id?, quantity: quantity?, expires_in_seconds: expires_in_seconds? })
    }
}

impl Described for ReserveStock {
    fn name() -> String {
        "ReservationBody".to_owned()
    }

    fn schema() -> Schema {
        let seconds = schema::integer(1, i64::from(EXPIRES_IN_SECONDS_MAX), 600);
        object([
            optional("id", words::reservation_id()),
            required("quantity", words::quantity()),
            optional("expires_in_seconds", seconds),
        ])
    }
}

/// `{amount: {amount, currency}}`
pub(in crate::http) struct CapturePayment {
    pub(in crate::http) amount: Money,
}

impl Document for CapturePayment {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { amount: members.required("amount", faults, money)? })
    }
}

impl Described for CapturePayment {
    fn name() -> String {
        "Capture".to_owned()
    }

    fn schema() -> Schema {
        object([required("amount", words::moved())])
    }
}

pub(super) fn instant(json: Json<'_>) -> Result<Timestamp, Flaw> {
    parsed(json).map(|Rfc3339(at)| at)
}

pub(super) fn money(json: Json<'_>) -> Result<Money, Flaw> {
    money_between(json, 1, Payment::AMOUNT_MAX)
}

/// An amount of so many minor units at least and at most.
pub(super) fn money_between(json: Json<'_>, min: i64, max: i64) -> Result<Money, Flaw> {
    let wrong = || flaw("wrong_type", "must be an object of amount and currency");
    let Json::Object(members) = json else { return Err(wrong()) };
    let (mut minor, mut currency) = (None, None);
    for (name, value) in members {
        match &*name {
            "amount" => minor = Some(integer(value, min, max)?),
            "currency" => currency = Some(parsed(value)?),
            _ => return Err(wrong()),
        }
    }
    let (minor, currency) = minor.zip(currency).ok_or_else(wrong)?;
    Ok(Money { minor, currency })
}

/// `{accept_fewer?}`
pub(in crate::http) struct RemoveNode {
    pub(in crate::http) fewer: Fewer,
}

impl Document for RemoveNode {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let accepts = members.optional("accept_fewer", faults, boolean)?.unwrap_or(false);
        Some(Self { fewer: if accepts { Fewer::Accept } else { Fewer::Refuse } })
    }
}

impl Described for RemoveNode {
    fn name() -> String {
        "NodeRemoval".to_owned()
    }

    fn schema() -> Schema {
        let fewer = optional("accept_fewer", Schema::Boolean);
        object([fewer.about("Whether fewer nodes than a shard has copies may remain.")])
    }
}

/// `{to}`
pub(in crate::http) struct SendLead {
    pub(in crate::http) to: NodeId,
}

impl Document for SendLead {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let to = members.required("to", faults, |json| {
            let id = integer(json, 1, i64::MAX)?;
            u64::try_from(id).map(NodeId).map_err(|error| flaw("out_of_range", error.to_string()))
        })?;
        Some(Self { to })
    }
}

impl Described for SendLead {
    fn name() -> String {
        "Lead".to_owned()
    }

    fn schema() -> Schema {
        object([required("to", schema::integer(1, i64::MAX, 65_537)).about("A node.")])
    }
}

pub(super) fn quantity(json: Json<'_>) -> Result<Quantity, Flaw> {
    let count = small(json, 1, Quantity::MAX)?;
    Quantity::try_from(count).map_err(|error| flaw("out_of_range", error.to_string()))
}

pub(super) fn small(json: Json<'_>, min: u32, max: u32) -> Result<u32, Flaw> {
    let number = integer(json, i64::from(min), i64::from(max))?;
    u32::try_from(number).map_err(|_| flaw("out_of_range", format!("must be from {min} to {max}")))
}

fn reason(json: Json<'_>) -> Result<Reason, Flaw> {
    words(json)
}

/// Free text, in which people may write what must never be stored.
pub(super) fn words<T: TryFrom<String, Error: std::fmt::Display>>(
    json: Json<'_>,
) -> Result<T, Flaw> {
    let text = text(json)?;
    if card_number::is_in(&text) {
        let detail = "looks like it holds a card number, which is never stored";
        return Err(flaw(Code::CARD_NUMBER_REFUSED.name, detail));
    }
    text.into_owned().try_into().map_err(|error: T::Error| flaw("invalid", error.to_string()))
}

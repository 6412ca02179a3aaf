//! A stock, its reservations and its ledger in JSON.

mod selling;

use std::fmt;
use std::str::FromStr;

use actors::domain::names::LocationId;
use actors::domain::sku::{Cause, LedgerEntry, Level, Policy, ReservationView};
use actors::{Delta, PageLimit, Reason, ReservationId, SkuCode, Units};
use cluster::ids::EntityRef;
use cluster::time::Timestamp;

use self::selling::{LowStockJson, PolicyJson};
use super::Text;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{
    self, Described, Member, Schema, integer, list, maybe, nullable, object, of, required, words,
};

#[derive(serde::Serialize)]
pub(in crate::http) struct InventoryJson<'a> {
    sku: &'a str,
    on_hand: u32,
    reserved: u32,
    available: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    backordered: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<PolicyJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    low_stock: Option<LowStockJson>,
    seq: u64,
}

impl<'a> InventoryJson<'a> {
    pub(in crate::http) fn new(sku: &'a SkuCode, level: Level, seq: u64) -> Self {
        let (promises, backordered) = (level.policy != Policy::Deny, level.backordered.get());
        Self {
            sku: sku.as_str(),
            on_hand: level.on_hand.get(),
            reserved: level.reserved.get(),
            available: level.available.get(),
            backordered: (promises || backordered > 0).then_some(backordered),
            policy: PolicyJson::new(level.policy),
            low_stock: LowStockJson::new(&level),
            seq,
        }
    }
}

/// A reservation as its creation answers: from the answer of the stock alone, so that a repeat of
/// the request cannot say anything else.
#[derive(serde::Serialize)]
pub(in crate::http) struct ReservedJson<'a> {
    #[serde(flatten)]
    pub(in crate::http) reservation: ReservationJson,
    pub(in crate::http) inventory: InventoryJson<'a>,
}

/// One page of a list.
#[derive(serde::Serialize)]
pub(in crate::http) struct ListJson<T> {
    data: Vec<T>,
    has_more: bool,
    next_cursor: Option<String>,
}

impl<T> ListJson<T> {
    pub(in crate::http) fn new(data: Vec<T>, next: Option<impl fmt::Display>) -> Self {
        Self { data, has_more: next.is_some(), next_cursor: next.map(|next| next.to_string()) }
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct ReservationJson {
    id: Text<ReservationId>,
    quantity: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<Text<EntityRef>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Text<Rfc3339>>,
}

impl From<&ReservationView> for ReservationJson {
    fn from(view: &ReservationView) -> Self {
        Self {
            id: Text(view.id),
            quantity: view.quantity.get(),
            holder: view.holder.map(|holder| Text(holder.into())),
            expires_at: view.expires_at.map(|at| Text(Rfc3339(at))),
        }
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct LedgerEntryJson<'a> {
    at: Text<Rfc3339>,
    delta: i64,
    on_hand: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reservation: Option<Text<ReservationId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferJson<'a>>,
}

/// None is the default location.
#[derive(serde::Serialize)]
struct TransferJson<'a> {
    from: Option<&'a str>,
    to: Option<&'a str>,
    quantity: u32,
}

/// What lies at one location; none is the default one.
#[derive(serde::Serialize)]
pub(in crate::http) struct PlaceJson<'a> {
    location: Option<&'a str>,
    on_hand: u32,
}

impl<'a> From<&'a (Option<LocationId>, Units)> for PlaceJson<'a> {
    fn from((location, on_hand): &'a (Option<LocationId>, Units)) -> Self {
        Self { location: location.as_ref().map(LocationId::as_str), on_hand: on_hand.get() }
    }
}

impl<'a> From<&'a LedgerEntry> for LedgerEntryJson<'a> {
    fn from(entry: &'a LedgerEntry) -> Self {
        let name = |location: &'a Option<LocationId>| location.as_ref().map(LocationId::as_str);
        let (reason, reservation, location) = match &entry.cause {
            Cause::Stated(reason) | Cause::Transferred { reason, .. } => (Some(reason), None, None),
            Cause::StatedAt(location, reason) => (Some(reason), None, Some(location.as_str())),
            Cause::Sold(id) => (None, Some(Text(*id)), None),
            Cause::SoldFrom(id, location) => (None, Some(Text(*id)), name(location)),
        };
        let transfer = match &entry.cause {
            Cause::Transferred { from, to, pieces, .. } => {
                Some(TransferJson { from: name(from), to: name(to), quantity: pieces.get() })
            }
            Cause::Stated(_) | Cause::StatedAt(..) | Cause::Sold(_) | Cause::SoldFrom(..) => None,
        };
        Self {
            at: Text(Rfc3339(entry.at)),
            delta: entry.delta.get(),
            on_hand: entry.on_hand.get(),
            reason: reason.map(Reason::as_str),
            reservation,
            location,
            transfer,
        }
    }
}

/// Where a page of a ledger ends: the time of its last entry, and how many entries of that time it
/// holds, for several changes may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::http) struct LedgerCursor {
    at: Timestamp,
    n_shown: usize,
}

impl LedgerCursor {
    /// The part of a ledger, newest first, that follows a cursor, and the cursor after it.
    pub(in crate::http) fn page(
        after: Option<Self>,
        limit: PageLimit,
        entries: &[LedgerEntry],
    ) -> (&[LedgerEntry], Option<Self>) {
        let n_before = after.map_or(0, |cursor| {
            let newer = entries.iter().filter(|entry| entry.at > cursor.at).count();
            let same = entries.iter().filter(|entry| entry.at == cursor.at).count();
            newer + same.min(cursor.n_shown)
        });
        let rest = entries.get(n_before..).unwrap_or_default();
        let Some((page, [_, ..])) = rest.split_at_checked(limit.get()) else { return (rest, None) };
        let next = page.last().map(|last| {
            let shown = entries.iter().take(n_before + page.len());
            Self { at: last.at, n_shown: shown.filter(|entry| entry.at == last.at).count() }
        });
        (page, next)
    }
}

impl fmt::Display for LedgerCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "led_{}_{}", self.at.as_micros(), self.n_shown)
    }
}

pub(in crate::http) struct InvalidCursor;

impl FromStr for LedgerCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (at, n_shown) =
            text.strip_prefix("led_").and_then(|rest| rest.split_once('_')).ok_or(InvalidCursor)?;
        let at = at.parse().map_err(|_| InvalidCursor)?;
        let n_shown = n_shown.parse().map_err(|_| InvalidCursor)?;
        Ok(Self { at: Timestamp::from_micros(at), n_shown })
    }
}

impl Described for InventoryJson<'_> {
    fn name() -> String {
        "Inventory".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("sku", words::sku()),
            required("on_hand", words::units(40)),
            required("reserved", words::units(3)),
            required("available", words::units(37)),
            maybe("backordered", words::units(2))
                .about("What orders were promised beyond what there is, where any may be."),
            maybe("policy", PolicyJson::schema()).about("Where orders get more than there is."),
            maybe("low_stock", LowStockJson::schema()),
            required("seq", schema::count(7)),
        ])
    }
}

fn reservation_members() -> [Member; 4] {
    [
        required("id", words::reservation_id()),
        required("quantity", words::quantity()),
        maybe("holder", words::text("order/ord_01jzy5v3n8q2w4x6t7r9k0m1ab")),
        maybe("expires_at", words::instant()),
    ]
}

impl Described for ReservationJson {
    fn name() -> String {
        "Reservation".to_owned()
    }

    fn schema() -> Schema {
        object(reservation_members())
    }
}

impl Described for ReservedJson<'_> {
    fn name() -> String {
        "NewReservation".to_owned()
    }

    fn schema() -> Schema {
        let mut members = Vec::from(reservation_members());
        members.push(required("inventory", of::<InventoryJson<'_>>()));
        Schema::Object(members)
    }
}

fn transfer() -> Schema {
    object([
        required("from", nullable(words::handle("berlin"))),
        required("to", nullable(words::handle("potsdam"))),
        required("quantity", words::units(4)),
    ])
}

impl Described for PlaceJson<'_> {
    fn name() -> String {
        "StockAtLocation".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("location", nullable(words::handle("berlin")))
                .about("Null is the default location."),
            required("on_hand", words::units(40)),
        ])
    }
}

impl Described for LedgerEntryJson<'_> {
    fn name() -> String {
        "LedgerEntry".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("at", words::instant()),
            required("delta", integer(-Delta::MAX, Delta::MAX, -2)),
            required("on_hand", words::units(38)),
            maybe("reason", words::reason("torn bag")).about("Of what somebody stated."),
            maybe("reservation", words::reservation_id()).about("Of what was sold."),
            maybe("location", words::handle("berlin")).about("Not of the default location."),
            maybe("transfer", transfer()).about("Of what went from one location to another."),
        ])
    }
}

impl<T: Described> Described for ListJson<T> {
    fn name() -> String {
        format!("{}List", T::name())
    }

    fn schema() -> Schema {
        object([
            required("data", list(of::<T>())),
            required("has_more", Schema::Boolean),
            required("next_cursor", nullable(words::text("tea-oolong-100")))
                .about("What to send as `after` for the next page."),
        ])
    }
}

/// Where a page of a ledger ended.
pub(in crate::http) const fn ledger_cursor() -> Schema {
    words::exact("^led_[0-9]{1,19}_[0-9]{1,9}$", "led_1769903999000000_1")
}

#[cfg(test)]
mod tests {
    use actors::{Reason, Units};

    use super::*;

    fn entry(at: u64, on_hand: u32) -> LedgerEntry {
        LedgerEntry {
            at: Timestamp::from_micros(at),
            delta: Delta::try_from(1).unwrap(),
            on_hand: Units::try_from(on_hand).unwrap(),
            cause: Cause::Stated(Reason::try_from("count".to_owned()).unwrap()),
        }
    }

    #[test]
    fn pages_cover_a_ledger_once_whatever_is_added_meanwhile() {
        let mut entries = vec![entry(9, 5), entry(9, 4), entry(9, 3), entry(8, 2), entry(7, 1)];
        let limit = PageLimit::try_from(2).unwrap();
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = LedgerCursor::page(after, limit, &entries);
            seen.extend(page.iter().map(|entry| entry.on_hand.get()));
            let Some(next) = next else { break };
            after = next.to_string().parse().ok();
            assert_eq!(after, Some(next));
            entries.insert(0, entry(10, 99));
        }
        assert_eq!(seen, [5, 4, 3, 2, 1]);
    }
}

//! The query string of the list of orders.
//!
//! **Invariants:** a parameter that is not known, or comes twice, is refused.

use actors::OrderId;
use actors::domain::contact::Email;
use actors::domain::order::Status;
use actors::domain::order_list::{ListId, Listed};
use axum::http::Uri;
use cluster::ids::Slot;
use cluster::time::Timestamp;

use super::super::lengths::{AFTER, Cursor};
use super::Orders;
use crate::http::error::ApiError;
use crate::http::fields::Faults;
use crate::http::query::Values;
use crate::http::render::order::{ORDER_STATUS, status};
use crate::http::rfc3339::Rfc3339;

use actors::PageLimit;

/// Which orders an operator wants to see.
pub(in crate::http::routes) struct Wanted {
    /// As it is shown.
    status: Option<&'static str>,
    customer: Option<Email>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    named: Option<Named>,
    pub(super) limit: PageLimit,
    pub(super) after: Option<Cursor<Orders>>,
}

/// How somebody calls one order.
enum Named {
    Id(OrderId),
    Number(u64),
}

impl Named {
    fn of(text: &str) -> Option<Self> {
        let number = || text.parse().ok().map(Self::Number);
        text.parse().ok().map(Self::Id).or_else(number)
    }

    /// A number holds the slot of its order, as the id does.
    fn slot(&self) -> Slot {
        match self {
            Self::Id(order) => order.key().slot(),
            Self::Number(number) => {
                let [.., high, low] = number.to_be_bytes();
                Slot::from_bits(u16::from_be_bytes([high, low]))
            }
        }
    }
}

impl Wanted {
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let known = ["status", "customer", "from", "to", "q", "limit", "after"];
        let mut faults = Faults::default();
        let values = Values::of(uri, &known, &mut faults);
        let shown = |text: &str| ORDER_STATUS.iter().find(|known| **known == text).copied();
        let status = values.read("status", "must be a status of orders", shown, &mut faults);
        let email = |text: &str| Email::try_from(text.to_owned()).ok();
        let customer = values.read("customer", "must be an e-mail address", email, &mut faults);
        let instant = |text: &str| text.parse().ok().map(|Rfc3339(at)| at);
        let takes = "must be an instant in UTC like 2026-01-31T23:59:59Z";
        let from = values.read("from", takes, instant, &mut faults);
        let until = values.read("to", takes, instant, &mut faults);
        let takes = "must be the id or the number of an order";
        let named = values.read("q", takes, Named::of, &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", AFTER, &mut faults);
        let wanted = limit.map(|limit| Self { status, customer, from, until, named, limit, after });
        faults.into_result(wanted)
    }

    /// Those that wait for a person's decision.
    pub(in crate::http::routes) fn on_hold(uri: &Uri) -> Result<Self, ApiError> {
        let mut faults = Faults::default();
        let values = Values::of(uri, &["limit", "after"], &mut faults);
        let limit = values.limit(&mut faults);
        let after = values.parsed("after", AFTER, &mut faults);
        let status = Some(status(Status::OnHold));
        let wanted = limit.map(|limit| {
            let (customer, from, until, named) = (None, None, None, None);
            Self { status, customer, from, until, named, limit, after }
        });
        faults.into_result(wanted)
    }

    /// Where to look: among a customer's orders, in the book of the one that is named, or in all books.
    pub(super) fn lists(&self) -> Vec<ListId> {
        match (&self.customer, &self.named) {
            (Some(email), _) => vec![ListId::of_customer(email)],
            (None, Some(named)) => vec![ListId::book_of(named.slot())],
            (None, None) => (0..ListId::BOOKS).map(ListId::book).collect(),
        }
    }

    pub(super) fn includes(&self, listed: &Listed) -> bool {
        let is_named = match &self.named {
            Some(Named::Id(order)) => listed.order == *order,
            Some(Named::Number(number)) => listed.number.get() == *number,
            None => true,
        };
        is_named
            && self.status.is_none_or(|wanted| status(listed.status) == wanted)
            && self.from.is_none_or(|from| listed.placed_at >= from)
            && self.until.is_none_or(|until| listed.placed_at < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(query: &str) -> Result<Wanted, ApiError> {
        Wanted::of(&format!("/admin/v1/orders{query}").parse().unwrap())
    }

    #[test]
    fn what_is_wanted_decides_where_to_look() {
        let n_lists = |query: &str| wanted(query).unwrap().lists().len();
        assert_eq!(n_lists(""), 64);
        assert_eq!(n_lists("?status=shipped&limit=5"), 64);
        assert_eq!(n_lists("?customer=someone%40shop.example"), 1);
        let by_number = wanted("?q=137215").unwrap();
        assert_eq!(by_number.lists(), [ListId::book_of(Slot::from_bits(0x17FF))]);
        let instants = wanted("?from=2026-01-31T00:00:00Z&to=2026-02-01T00%3A00%3A00Z").unwrap();
        assert!(instants.from < instants.until);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "?x=1",
            "?status=sold",
            "?status=shipped&status=shipped",
            "?customer=someone",
            "?from=yesterday",
            "?to=2026-02-30T00:00:00Z",
            "?q=tea",
            "?limit=0",
            "?after=7",
        ] {
            assert!(wanted(bad).is_err(), "{bad}");
        }
    }
}

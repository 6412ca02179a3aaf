//! What is sent to have pieces of an order exchanged.

use actors::domain::names::{Label, ShippingOptionId};
use actors::domain::order::Given;
use actors::{Cart, Money};

use crate::http::fields::{Document, Faults, Members, boolean, inner, parsed};
use crate::http::routes::checkout::document::{GivenMethod, given_method, given_method_schema};
use crate::http::routes::documents::{item, item_schema, money, words};
use crate::http::routes::orders::documents::Items;
use crate::http::schema::words::{line, moved};
use crate::http::schema::{
    self, Described, Member, Schema, object, optional, required, short_list,
};

/// `{returned?, in_advance?, cancelled?, wanted, shipping_option?, credit?, payment?, reason}`; `payment` is
/// there where nothing is given up.
pub(in crate::http) struct ExchangePieces {
    pub(in crate::http) given: Given,
    pub(in crate::http) wanted: Items,
    pub(in crate::http) shipping: Option<ShippingOptionId>,
    pub(in crate::http) credit: Option<Money>,
    pub(in crate::http) payment: Option<GivenMethod>,
    pub(in crate::http) reason: Label,
}

impl Document for ExchangePieces {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let given = given(members, faults);
        let wanted = members.objects("wanted", Cart::LINES_MAX, faults, item);
        let shipping = members.optional("shipping_option", faults, parsed);
        let credit = members.optional("credit", faults, money);
        // Nothing is there to pay with.
        let payment = if given == Some(Given::Nothing) {
            members.required("payment", faults, |json| inner(json, given_method)).map(Some)
        } else {
            members.optional("payment", faults, |json| inner(json, given_method))
        };
        let reason = members.required("reason", faults, words);
        Some(Self {
            given: given?,
            wanted: wanted?,
            shipping: shipping?,
            credit: credit?,
            payment: payment?,
            reason: reason?,
        })
    }
}

/// Pieces go back or are called off: what is of the other sort is no member of the document.
fn given(members: &mut Members<'_>, faults: &mut Faults) -> Option<Given> {
    if members.has("returned") {
        let items = members.objects("returned", Cart::LINES_MAX, faults, item);
        let in_advance = members.optional("in_advance", faults, boolean)?;
        let is_awaited = !in_advance.unwrap_or(false);
        return Some(Given::Returned { items: items?, is_awaited });
    }
    if members.has("cancelled") {
        let items = members.objects("cancelled", Cart::LINES_MAX, faults, item)?;
        return Some(Given::Cancelled { items });
    }
    Some(Given::Nothing)
}

impl Described for ExchangePieces {
    fn name() -> String {
        "Exchange".to_owned()
    }

    fn schema() -> Schema {
        let items = || short_list(item_schema(), 1, Cart::LINES_MAX);
        let wanted = |payment: Member| {
            [
                required("wanted", items()),
                optional("shipping_option", schema::words::handle("parcel"))
                    .about("Without it the other order is sent for nothing."),
                optional("credit", moved()).about(
                    "Without it what the pieces had cost, as far as what is wanted costs so much.",
                ),
                payment.about("For what the credit does not pay; with a provider."),
                required("reason", line("too small")),
            ]
        };
        let more = wanted(required("payment", given_method_schema()));
        let others = || wanted(optional("payment", given_method_schema()));
        let returned = [
            required("returned", items()).about("Pieces that were sent."),
            optional("in_advance", Schema::Boolean)
                .about("Whether the other order is placed before they are back."),
        ];
        let cancelled = [required("cancelled", items()).about("Pieces that are not sent yet.")];
        Schema::Either(vec![
            object(more),
            Schema::Object(returned.into_iter().chain(others()).collect()),
            Schema::Object(cancelled.into_iter().chain(others()).collect()),
        ])
    }
}

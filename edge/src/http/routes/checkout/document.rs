//! What a shopper sends to check out.

use std::collections::BTreeSet;

use actors::Cart;
use actors::domain::contact::{Contact, Email};
use actors::domain::names::ShippingOptionId;
use actors::domain::order::Shortfall;
use actors::domain::payment::{ProviderName, ProviderToken};

use crate::http::fields::{Document, Faults, Flaw, Members, flaw, inner, list, parsed, text};
use crate::http::gift_code::GiftCode;
use crate::http::json::Json;
use crate::http::routes::address::{address, address_schema};
use crate::http::routes::documents::words;
use crate::http::schema::{self, Described, Schema, object, optional, required, word};

/// `{email?, shipping_address, billing_address?, shipping_option?, payment?: {provider?, token},
/// out_of_stock?, gift_cards?}`
pub(in crate::http) struct CheckOut {
    pub(in crate::http) contact: Contact,
    pub(in crate::http) shipping: Option<ShippingOptionId>,
    /// None where gift cards are to pay all of it.
    pub(in crate::http) payment: Option<GivenMethod>,
    pub(in crate::http) shortfall: Shortfall,
    /// What they have is taken first.
    pub(in crate::http) gift_cards: Vec<GiftCode>,
}

/// `{provider?, token}`
pub(in crate::http) struct GivenMethod {
    /// Who is to take the payment; else a rule says.
    pub(in crate::http) provider: Option<ProviderName>,
    pub(in crate::http) token: ProviderToken,
}

impl Document for CheckOut {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let email = members.optional("email", faults, words::<Email>);
        let shipping = members.required("shipping_address", faults, |json| inner(json, address));
        let billing = members.optional("billing_address", faults, |json| inner(json, address));
        let option = members.optional("shipping_option", faults, parsed);
        let method = members.optional("payment", faults, |json| inner(json, given_method));
        let shortfall = members.optional("out_of_stock", faults, shortfall);
        let gift_cards = members.optional("gift_cards", faults, gift_cards);
        let contact = Contact { email: email?, shipping: shipping?, billing: billing? };
        let shortfall = shortfall?.unwrap_or(Shortfall::FailAll);
        let gift_cards = gift_cards?.unwrap_or_default();
        Some(Self { contact, shipping: option?, payment: method?, shortfall, gift_cards })
    }
}

impl Described for CheckOut {
    fn name() -> String {
        "Checkout".to_owned()
    }

    fn schema() -> Schema {
        object([
            optional("email", schema::words::email()),
            required("shipping_address", address_schema()),
            optional("billing_address", address_schema()),
            optional("shipping_option", schema::words::handle("parcel")),
            optional("payment", given_method_schema()).about("May be left out where gift cards pay all of it."),
            optional("out_of_stock", word(&["fail", "drop"]))
                .about("What becomes of lines without stock; `fail` buys nothing."),
            optional(
                "gift_cards",
                schema::short_list(schema::words::gift_code(), 1, Cart::GIFT_CARDS_MAX),
            )
            .about(
                "Codes: what is on them is taken first, after the gift cards of the cart itself, and \
                 the payment pays the rest. All together are five at most.",
            ),
        ])
    }
}

pub(in crate::http::routes) fn given_method_schema() -> Schema {
    object([
        optional("provider", schema::words::provider())
            .about("Without it the shop's rules choose; required where there are none."),
        required("token", schema::words::provider_token())
            .about("The provider's stand-in for a card or an account."),
    ])
}

pub(in crate::http::routes) fn given_method(
    members: &mut Members<'_>,
    faults: &mut Faults,
) -> Option<GivenMethod> {
    let provider = members.optional("provider", faults, parsed);
    let token = members.required("token", faults, words::<ProviderToken>);
    Some(GivenMethod { provider: provider?, token: token? })
}

fn gift_cards(json: Json<'_>) -> Result<Vec<GiftCode>, Flaw> {
    let codes = list(json, Cart::GIFT_CARDS_MAX, parsed::<GiftCode>)?;
    let once: BTreeSet<_> = codes.iter().collect();
    if once.len() < codes.len() {
        return Err(flaw("repeated", "a gift card pays once"));
    }
    Ok(codes)
}

fn shortfall(json: Json<'_>) -> Result<Shortfall, Flaw> {
    match &*text(json)? {
        "fail" => Ok(Shortfall::FailAll),
        "drop" => Ok(Shortfall::DropLines),
        _ => Err(flaw("invalid", "must be fail or drop")),
    }
}

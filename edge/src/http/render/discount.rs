//! What promotions took off a cart or an order, in JSON.

use actors::domain::pricing::{Discount, GivenCode, Granted};
use actors::{Currency, Money};

use super::MoneyJson;
use crate::http::schema::{Schema, nullable, object, of, required, word, words};

#[derive(serde::Serialize)]
pub(super) struct DiscountJson<'a> {
    promotion: &'a str,
    name: &'a str,
    code: Option<&'a str>,
    target: &'static str,
    amount: MoneyJson,
}

impl<'a> DiscountJson<'a> {
    pub(super) fn new(discount: &'a Discount, codes: &'a [GivenCode], currency: Currency) -> Self {
        let code = codes.iter().find(|given| given.promotion == discount.promotion);
        let target = match discount.granted {
            Granted::OfItems(_) => "items",
            Granted::OfShipping { .. } => "shipping",
        };
        Self {
            promotion: discount.promotion.as_str(),
            name: discount.name.as_str(),
            code: code.map(|given| given.code.as_str()),
            target,
            amount: MoneyJson(Money { minor: discount.minor(), currency }),
        }
    }
}

/// `totals.discount` is the sum of those of items; `totals.shipping` is what is left of shipping.
pub(super) fn discount_schema() -> Schema {
    object([
        required("promotion", words::handle("spring")),
        required("name", words::line("Spring sale")),
        required("code", nullable(words::handle("SPRING-10"))),
        required("target", word(&["items", "shipping"])),
        required("amount", of::<Money>())
            .about("Of shipping it is known once it was chosen how to ship."),
    ])
}

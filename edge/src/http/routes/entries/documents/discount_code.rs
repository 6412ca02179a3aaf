//! A discount code in JSON.

use std::num::NonZeroU32;

use actors::PriceBook;
use actors::domain::discount_code::{CodeName, DiscountCode};
use cluster::ids::EntityKey;

use crate::http::fields::{Faults, Flaw, Members, flaw, parsed};
use crate::http::json::Json;
use crate::http::routes::documents::small;
use crate::http::routes::entries::Resource;
use crate::http::schema::{self, Schema, object, optional, required, words};

#[derive(serde::Serialize)]
pub(in crate::http) struct DiscountCodeJson<'a> {
    code: &'a str,
    promotion: &'a str,
    limit: Option<NonZeroU32>,
    limit_per_customer: Option<NonZeroU32>,
}

impl Resource for DiscountCode {
    type Id = CodeName;
    type Json<'a> = DiscountCodeJson<'a>;
    const PATH: &'static str = "/admin/v1/discount_codes";

    fn id(&self) -> String {
        self.code.to_string()
    }

    fn key_of(code: &CodeName) -> EntityKey {
        code.key()
    }

    fn json(&self) -> DiscountCodeJson<'_> {
        DiscountCodeJson {
            code: self.code.as_str(),
            promotion: self.promotion.as_str(),
            limit: self.limit,
            limit_per_customer: self.limit_per_customer,
        }
    }

    fn body() -> Schema {
        object([
            required("code", words::handle("SPRING-10")).about("In either case."),
            required("promotion", words::handle("spring")).about("One that requires a code."),
            optional("limit", limit_schema()).about("How many orders it is used for."),
            optional("limit_per_customer", limit_schema())
                .about("How many of them may be one customer's, by the e-mail of the checkout."),
        ])
    }

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let code = members.required("code", faults, parsed);
        let promotion = members.required("promotion", faults, parsed);
        let of_all = members.optional("limit", faults, limit);
        let limit_per_customer = members.optional("limit_per_customer", faults, limit);
        Some(Self {
            code: code?,
            promotion: promotion?,
            limit: of_all?,
            limit_per_customer: limit_per_customer?,
        })
    }

    fn all(book: &PriceBook) -> impl Iterator<Item = Self> {
        book.discount_codes().map(|code| (**code).clone())
    }
}

pub(super) fn limit_schema() -> Schema {
    schema::integer(1, i64::from(u32::MAX), 100)
}

fn limit(json: Json<'_>) -> Result<NonZeroU32, Flaw> {
    let number = small(json, 1, u32::MAX)?;
    NonZeroU32::new(number).ok_or_else(|| flaw("out_of_range", "must be above zero"))
}

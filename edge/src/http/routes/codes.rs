//! How often discount codes were used, for merchants; and the codes of carts, for shoppers.

use actors::CodeUses;
use actors::domain::cart::Command;
use actors::domain::code_uses::{Counted, Query, View};
use actors::domain::discount_code::CodeName;
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::Viewed;

use super::cart;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{GuestCart, JsonBody, Operator, PathId, ReadTerms, Terms};
use crate::http::fields::{Document, Faults, Members, parsed};
use crate::http::reply::Reply;
use crate::http::schema::{Described, Schema, count, object, required, words};

#[derive(serde::Serialize)]
pub(in crate::http) struct UsesJson<'a> {
    code: &'a str,
    used: u32,
    held: u32,
}

impl Described for UsesJson<'_> {
    fn name() -> String {
        "DiscountCodeUses".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("code", words::handle("SPRING-10")),
            required("used", count(17)).about("By orders that are paid and not cancelled."),
            required("held", count(1)).about("By orders that are being paid."),
        ])
    }
}

/// `GET /admin/v1/discount_codes/{code}/uses`
pub(in crate::http) async fn show_uses(
    State(app): State<App>,
    _: Operator,
    PathId(code): PathId<CodeName>,
    terms: ReadTerms,
) -> Result<Reply, ApiError> {
    let counted = Counted { code, customer: None };
    let query =
        app.fabric.query::<CodeUses>(counted.key(), &terms.at_least, terms.deadline, Query::Uses);
    let Viewed { view: View { used, held }, provenance } = query.await?;
    if terms.knows(provenance.seq) {
        return Ok(Reply::not_modified(provenance));
    }
    Reply::resource(
        StatusCode::OK,
        &UsesJson { code: counted.code.as_str(), used, held },
        provenance,
    )
}

/// `{code}`
pub(in crate::http) struct GiveCode {
    code: CodeName,
}

impl Document for GiveCode {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { code: members.required("code", faults, parsed)? })
    }
}

impl Described for GiveCode {
    fn name() -> String {
        "GivenCode".to_owned()
    }

    fn schema() -> Schema {
        object([required("code", words::handle("spring-10")).about("In either case.")])
    }
}

/// `POST /store/v1/carts/{id}/discount_codes`
pub(in crate::http) async fn add(
    State(app): State<App>,
    cart: GuestCart,
    terms: Terms,
    body: JsonBody<GiveCode>,
) -> Result<Reply, ApiError> {
    let command = Command::AddCode { code: body.document.code };
    cart::change(&app, &terms, &cart, &body.bytes, command).await
}

/// `DELETE /store/v1/carts/{id}/discount_codes/{code}`
pub(in crate::http) async fn remove(
    State(app): State<App>,
    cart: GuestCart,
    PathId(code): PathId<CodeName>,
    terms: Terms,
) -> Result<Reply, ApiError> {
    cart::change(&app, &terms, &cart, b"", Command::RemoveCode { code }).await
}

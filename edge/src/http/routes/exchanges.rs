//! Pieces of an order that are exchanged for those of another.
//!
//! **Invariants:** the ids of the other order, of its payment and of the card that the credit becomes are
//! derived from the client's key, so a retry on any node meets the same exchange.

pub(in crate::http) mod document;

use actors::OrderId;
use actors::domain::order::{Command, Swap, SwapNames};
use actors::domain::payment::PaymentMethod;
use axum::extract::State;
use axum::http::StatusCode;

use self::document::ExchangePieces;
use super::checkout;
use super::checkout::document::GivenMethod;
use super::checkout::method::known_method;
use super::orders::{carry_out, voucher};
use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{JsonBody, Operator, PathId, Terms};
use crate::http::gift_code::GiftCode;
use crate::http::keys::Credential;
use crate::http::render::Text;
use crate::http::render::order::{ExchangedJson, OrderJson};
use crate::http::reply::Reply;

/// `POST /admin/v1/orders/{id}/exchanges`
pub(in crate::http) async fn exchange(
    State(app): State<App>,
    _: Operator,
    PathId(order): PathId<OrderId>,
    terms: Terms,
    body: JsonBody<ExchangePieces>,
) -> Result<Reply, ApiError> {
    let (names, code) = named(&app, &terms, order)?;
    let ExchangePieces { given, wanted, shipping, credit, payment, reason } = body.document;
    let method = payment.map(|given| method(&app, given)).transpose()?;
    let method = method.unwrap_or_else(PaymentMethod::none);
    let (replacement, card) = (names.order, names.card);
    let swap = Swap { names, given, wanted, shipping, credit, method, reason };
    let command = Command::Exchange(Box::new(swap));
    let done = carry_out(&app, &terms, order, Credential::Operator, &body.bytes, command).await?;
    let exchanges = &done.reply.exchanges;
    let known = exchanges.iter().find(|known| known.names.order == replacement);
    let has_credit = known.is_some_and(|known| known.credit.minor > 0);
    let json = ExchangedJson {
        exchanged_for: Text(replacement),
        gift_card: has_credit.then_some(Text(card)),
        code: has_credit.then(|| code.in_groups()),
        order: OrderJson::for_shop(&done.reply, done.provenance.seq),
    };
    Ok(Reply::resource(StatusCode::CREATED, &json, done.provenance)?.kept(done.kept))
}

/// The other order lives where this one does.
fn named(app: &App, terms: &Terms, order: OrderId) -> Result<(SwapNames, GiftCode), ApiError> {
    let slot = order.key().slot();
    let (order, payment) = checkout::ids(app, terms, Credential::Operator, slot)?;
    let (refund, code) = voucher(app, terms)?;
    let (card, ending) = (code.id(app), code.ending());
    let names = SwapNames { order, payment, refund, card, ending };
    Ok((names, code))
}

/// Nobody knows what the credit leaves to pay before it is decided: no rule can choose by it.
fn method(app: &App, given: GivenMethod) -> Result<PaymentMethod, ApiError> {
    let GivenMethod { provider, token } = given;
    let provider = provider.ok_or_else(|| {
        let detail = "payment.provider is required: no rule chooses for an exchange";
        ApiError::new(Code::PROVIDER_UNKNOWN, detail).about("payment")
    })?;
    known_method(app, provider, token)
}

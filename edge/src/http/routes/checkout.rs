//! A cart becomes an order: the shopper waits for how its checkout ends.
//!
//! **Invariants:** the ids of the order and of its payment are derived from the client's key, so a
//! retry on any node meets the same checkout; what is answered is the order's own record of how its
//! checkout ended, the same for every retry; that it is still under way is never remembered.

pub(in crate::http) mod document;

use std::time::Duration;

use actors::domain::cart::{Command, Status};
use actors::domain::order::{self, Failure, Query, Settlement, Shortage, Terms as OrderTerms};
use actors::{CartId, Order, OrderId, PaymentId, SkuCode};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::{Provenance, Viewed};
use cluster::ids::Position;
use cluster::time::{Span, Timestamp};

use self::document::CheckOut;
use super::cart::{self, Done};
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Fault};
use crate::http::extract::{GuestCart, JsonBody, Prefer, Terms};
use crate::http::keys::{self, Credential};
use crate::http::render::order::{OrderJson, settled};
use crate::http::reply::Reply;

const POLL_FIRST: Duration = Duration::from_millis(1);
const POLL_LAST: Duration = Duration::from_millis(50);
/// What the answer may take once the wait is over.
const ANSWER_MAX: Span = Span::from_secs(2);

/// `POST /store/v1/carts/{id}/checkout`
pub(in crate::http) async fn check_out(
    State(app): State<App>,
    cart: GuestCart,
    terms: Terms,
    prefer: Prefer,
    body: JsonBody<CheckOut>,
) -> Result<Reply, ApiError> {
    let credential = Credential::Cart(cart.token.as_bytes());
    let (order, payment) = ids(&app, &terms, credential, cart.id)?;
    let CheckOut { contact, shipping, method, shortfall } = body.document;
    let capture = app.settings.capture;
    let order_terms = Box::new(OrderTerms { contact, method, shortfall, capture });
    let command = Command::CheckOut { order, payment, terms: order_terms, shipping };
    let done = cart::execute(&app, &terms, cart.id, credential, &body.bytes, command).await?;
    match done.view.status {
        Status::CheckingOut { .. } | Status::Ordered { .. } => {}
        // The prices are others than the shopper saw; the cart shows them by now.
        Status::Open | Status::Merging { .. } | Status::MergedAway { .. } | Status::Deleted => {
            return Err(prices_changed(&done));
        }
    }
    let wait_until = terms.deadline.min(terms.now().plus(prefer.wait(app.settings.checkout_wait)));
    let begun = done.provenance.position;
    let (view, provenance) = ended(&app, order, begun, wait_until).await?;
    let path = super::orders::path_of(order);
    let Some(settlement) = &view.settlement else {
        let pending = if prefer.is_impatient() {
            let detail = "the first request with this key is still being carried out";
            return Err(ApiError::new(Code::IDEMPOTENCY_IN_FLIGHT, detail).at(path));
        } else {
            Reply::resource(
                StatusCode::ACCEPTED,
                &OrderJson::new(&view, provenance.seq),
                provenance,
            )
        };
        return Ok(pending?.without_etag().at(path));
    };
    let kept = done.kept;
    match &settlement.failure {
        None => {
            let json = settled(&view, settlement);
            let reply = Reply::resource(StatusCode::CREATED, &json, provenance)?;
            Ok(reply.without_etag().and_position(begun).at(path).kept(kept))
        }
        Some(failure) => {
            Err(failed(failure, settlement, &view).at(path).kept(kept).decided_at(begun))
        }
    }
}

/// Both live in the cart's own slot.
fn ids(
    app: &App,
    terms: &Terms,
    credential: Credential<'_>,
    cart: CartId,
) -> Result<(OrderId, PaymentId), ApiError> {
    let scope = terms.required_scope(credential)?;
    let slot = cart.key().slot();
    let unique = |purpose| {
        let (_, unique) = keys::slot_and_unique(keys::half(app.secrets.derive(purpose, &[&scope])));
        unique
    };
    Ok((OrderId::in_slot(slot, unique("order")), PaymentId::in_slot(slot, unique("payment"))))
}

/// Waits until the checkout has ended, or the deadline has come.
async fn ended(
    app: &App,
    order: OrderId,
    begun: Position,
    deadline: Timestamp,
) -> Result<(Box<order::View>, Provenance), ApiError> {
    let mut pause = POLL_FIRST;
    loop {
        let read_until = deadline.plus(ANSWER_MAX);
        let at_least = [begun];
        let query = app.fabric.query::<Order>(order.key(), &at_least, read_until, Query::Order);
        let Viewed { view: order::Lookup(view), provenance } = query.await?;
        let is_over = now() >= deadline;
        if let Some(view) = view.filter(|view| is_over || view.settlement.is_some()) {
            return Ok((view, provenance));
        }
        if is_over {
            tracing::error!(order.id = %order, "a cart was checked out and its order is not there");
            return Err(ApiError::internal());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LAST);
    }
}

fn prices_changed(done: &Done) -> ApiError {
    let detail = "the cart shows the new prices; check out again, under another key";
    ApiError::new(Code::PRICE_CHANGED, detail)
        .kept(done.kept)
        .at(cart::path_of(done.view.id))
        .decided_at(done.provenance.position)
}

/// Why nothing was bought, as of when it was decided.
fn failed(failure: &Failure, settlement: &Settlement, view: &order::View) -> ApiError {
    match failure {
        Failure::OutOfStock => {
            let faults = settlement.shortages.iter().map(|(sku, why)| fault(view, sku, *why));
            ApiError::faults(Code::OUT_OF_STOCK, "fewer pieces are available", faults.collect())
        }
        Failure::Declined { reason } => {
            ApiError::new(Code::PAYMENT_DECLINED, format!("the payment was declined: {reason}"))
        }
        Failure::StockSilent | Failure::PaymentSilent => {
            let detail = "part of the shop did not answer in time; nothing was bought";
            ApiError::new(Code::CHECKOUT_TIMED_OUT, detail)
        }
        Failure::CaptureFailed => {
            ApiError::new(Code::PAYMENT_DECLINED, "the payment could not be captured")
        }
        Failure::CancelledInTime => {
            ApiError::new(Code::ORDER_CANCELLED, "the order was cancelled before it was confirmed")
        }
    }
}

fn fault(view: &order::View, sku: &SkuCode, why: Shortage) -> Fault {
    let line = view.lines.iter().find(|line| line.line.sku == *sku);
    let requested = line.map_or(0, |line| line.line.quantity.get());
    let available = match why {
        Shortage::OutOfStock { available } => available.get(),
        Shortage::Crowded => 0,
    };
    Fault::Stock { sku: sku.to_string(), requested, available }
}

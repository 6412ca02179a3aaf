//! A cart becomes an order: the shopper waits for how its checkout ends.
//!
//! **Invariants:** the ids of the order and of its payment are derived from the client's key, so a
//! retry on any node meets the same checkout; what is answered is the order's own record of how its
//! checkout ended, the same for every retry; that it is still under way is never remembered.

pub(in crate::http) mod document;
mod first_order;
pub(super) mod method;

use std::time::Duration;

use actors::domain::cart::{self as cart_domain, Command, Means, Status, View};
use actors::domain::code_uses::CustomerKey;
use actors::domain::contact::Email;
use actors::domain::gift_card::NoMoney;
use actors::domain::order::{self, Failure, Query, Settlement, Shortage, Terms as OrderTerms};
use actors::domain::payment::{PaymentMethod, Refusal};
use actors::{Cart, GiftCardId, Money, Order, OrderId, PaymentId, SkuCode};
use axum::extract::State;
use axum::http::StatusCode;
use cluster::fabric::{Provenance, Viewed};
use cluster::ids::{Position, Slot};
use cluster::time::{Span, Timestamp};

use self::document::CheckOut;
use self::method::Paying;
use super::cart;
use super::done::Done;
use super::gift_cards::why_nothing;
use crate::http::app::{App, now};
use crate::http::code::Code;
use crate::http::error::{ApiError, Fault, Kept};
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
    let (order, payment) = ids(&app, &terms, credential, cart.id.key().slot())?;
    let CheckOut { contact, shipping, payment: given, shortfall, gift_cards } = body.document;
    let brought: Vec<_> = gift_cards.iter().map(|code| code.id(&app)).collect();
    let (terms, cart) = (&terms, &cart);
    let country = contact.shipping.country;
    let paying = Paying { app: &app, terms, cart, order, payment, country, brought: &brought };
    let method = match given {
        Some(given) => paying.method(given).await?,
        None => PaymentMethod::none(),
    };
    let capture = app.settings.capture;
    let earlier = first_order::earlier_orders(&app, terms, cart, contact.email.as_ref()).await?;
    let customer = contact.email.iter().map(|email| Means::Customer(customer(&app, email)));
    let screening = app.settings.fraud.as_ref();
    let screening = screening.map(|_| Means::Screening { held_for: app.settings.hold_max });
    let gift_cards = brought.into_iter().map(Means::GiftCard);
    let means =
        customer.chain(screening).chain(gift_cards).chain(earlier.map(Means::Earlier)).collect();
    let order_terms = Box::new(OrderTerms { contact, method, shortfall, capture });
    let command = Command::CheckOutWith { order, payment, terms: order_terms, shipping, means };
    let done = cart::execute(&app, terms, cart.id, credential, &body.bytes, command).await;
    let begun = begun(done)?;
    let wait_until = terms.deadline.min(terms.now().plus(prefer.wait(app.settings.checkout_wait)));
    let (view, provenance) = ended(&app, order, begun.at, wait_until).await?;
    let path = super::orders::path_of(order);
    let Some((view, settlement)) = view.as_ref().and_then(|it| Some((it, it.settlement.as_ref()?)))
    else {
        return pending(order, view.as_deref(), provenance, prefer.is_impatient());
    };
    match &settlement.failure {
        None => {
            let json = settled(view, settlement);
            let reply = Reply::resource(StatusCode::CREATED, &json, provenance)?;
            let reply = reply.without_etag().at(path).kept(begun.kept);
            Ok(begun.at.into_iter().fold(reply, Reply::and_position))
        }
        Some(failure) => {
            let at = begun.at.unwrap_or(provenance.position);
            Err(failed(failure, settlement, view).at(path).kept(begun.kept).decided_at(at))
        }
    }
}

async fn as_it_is(app: &App, terms: &Terms, cart: &GuestCart) -> Result<View, ApiError> {
    let query =
        app.fabric.query::<Cart>(cart.id.key(), &[], terms.deadline, cart_domain::Query::Cart);
    let cart_domain::Lookup(view) = query.await?.view;
    let view = view.filter(|view| view.access == cart.token.access());
    view.ok_or_else(ApiError::cart_not_found)
}

/// Where the cart became an order, as far as that is remembered, and whether it had been so before.
struct Begun {
    at: Option<Position>,
    kept: Kept,
}

fn begun(done: Result<Done<View>, ApiError>) -> Result<Begun, ApiError> {
    let done = match done {
        Ok(done) => done,
        // The cart forgot what it answered; the order did not forget how it ended.
        Err(error) if error.code() == Code::IDEMPOTENCY_REPLY_EXPIRED => {
            return Ok(Begun { at: None, kept: Kept::Replayed });
        }
        Err(error) => return Err(error),
    };
    match done.reply.status {
        Status::CheckingOut { .. } | Status::Ordered { .. } => {
            Ok(Begun { at: Some(done.provenance.position), kept: done.kept })
        }
        // The prices are others than the shopper saw; the cart shows them by now.
        Status::Open | Status::Merging { .. } | Status::MergedAway { .. } | Status::Deleted => {
            Err(prices_changed(&done))
        }
    }
}

/// The end is not known yet.
fn pending(
    order: OrderId,
    view: Option<&order::View>,
    provenance: Provenance,
    is_impatient: bool,
) -> Result<Reply, ApiError> {
    let path = super::orders::path_of(order);
    if is_impatient {
        let detail = "the first request with this key is still being carried out";
        return Err(ApiError::new(Code::IDEMPOTENCY_IN_FLIGHT, detail).at(path));
    }
    let reply = match view {
        Some(view) => {
            let json = OrderJson::new(view, provenance.seq);
            Reply::resource(StatusCode::ACCEPTED, &json, provenance)?
        }
        // The cart has told it to be, and it is not yet.
        None => Reply::empty(StatusCode::ACCEPTED, provenance),
    };
    Ok(reply.without_etag().at(path))
}

/// Both live in the slot of what they come of.
pub(super) fn ids(
    app: &App,
    terms: &Terms,
    credential: Credential<'_>,
    slot: Slot,
) -> Result<(OrderId, PaymentId), ApiError> {
    let scope = terms.required_scope(credential)?;
    let unique = |purpose| {
        let (_, unique) = keys::slot_and_unique(keys::half(app.secrets.derive(purpose, &[&scope])));
        unique
    };
    Ok((OrderId::in_slot(slot, unique("order")), PaymentId::in_slot(slot, unique("payment"))))
}

/// One for all spellings of an address; the cluster's secret keeps it from being read back.
fn customer(app: &App, email: &Email) -> CustomerKey {
    let digest = app.secrets.derive("customer", &[email.as_str().to_lowercase().as_bytes()]);
    CustomerKey::from_bytes(keys::half(digest))
}

/// Waits until the checkout has ended, or the deadline has come.
pub(in crate::http) async fn ended(
    app: &App,
    order: OrderId,
    begun: Option<Position>,
    deadline: Timestamp,
) -> Result<(Option<Box<order::View>>, Provenance), ApiError> {
    let mut pause = POLL_FIRST;
    loop {
        let read_until = deadline.plus(ANSWER_MAX);
        let query =
            app.fabric.query::<Order>(order.key(), begun.as_slice(), read_until, Query::Order);
        let Viewed { view: order::Lookup(view), provenance } = query.await?;
        let has_ended = view.as_ref().is_some_and(|view| view.settlement.is_some());
        if has_ended || now() >= deadline {
            return Ok((view, provenance));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(POLL_LAST);
    }
}

fn prices_changed(done: &Done<View>) -> ApiError {
    let detail = "the cart shows the new prices; check out again, under another key";
    ApiError::new(Code::PRICE_CHANGED, detail)
        .kept(done.kept)
        .at(cart::path_of(done.reply.id))
        .decided_at(done.provenance.position)
}

/// Why nothing was bought, as of when it was decided.
pub(in crate::http) fn failed(
    failure: &Failure,
    settlement: &Settlement,
    view: &order::View,
) -> ApiError {
    match failure {
        Failure::OutOfStock => {
            let faults = settlement.shortages.iter().map(|(sku, why)| fault(view, sku, *why));
            ApiError::faults(Code::OUT_OF_STOCK, "fewer pieces are available", faults.collect())
        }
        // Whom a provider suspects it does not tell either.
        Failure::Declined { reason: Refusal::SuspectedFraud } => {
            ApiError::new(Code::PAYMENT_DECLINED, "the payment was declined")
        }
        Failure::Declined { reason } => {
            ApiError::new(Code::PAYMENT_DECLINED, format!("the payment was declined: {reason}"))
        }
        Failure::Crowded => {
            const RETRY_AFTER_SECONDS: u64 = 5;
            let detail = "too many are buying this at once; check out again, under another key";
            ApiError::new(Code::TOO_MANY_RESERVATIONS, detail).retry_after(RETRY_AFTER_SECONDS)
        }
        Failure::CodeExhausted { code } => {
            let detail = format!("discount code {code} was used as often as it may be");
            ApiError::new(Code::DISCOUNT_CODE_EXHAUSTED, detail)
        }
        Failure::CodeUsedBefore { code } => {
            let detail = format!("this customer has used discount code {code}");
            ApiError::new(Code::DISCOUNT_CODE_USED, detail)
        }
        Failure::NotFirstOrder => {
            let detail = "another order of this customer has what only a first order gets";
            ApiError::new(Code::FIRST_ORDER_ONLY, detail)
        }
        Failure::GiftCardRefused { card, why } => card_refused(view, *card, *why),
        Failure::PaymentRequired { due: Money { minor, currency } } => {
            let left = format!("{minor} minor units of {currency} are left to pay");
            let detail = format!("{left}, and no payment was given; nothing was bought");
            ApiError::new(Code::PAYMENT_REQUIRED, detail).about("payment")
        }
        Failure::StockSilent | Failure::PaymentSilent => {
            let detail = "part of the shop did not answer in time; nothing was bought";
            ApiError::new(Code::CHECKOUT_TIMED_OUT, detail)
        }
        // Why it is held, or not taken, is the shop's alone.
        Failure::UnderReview => {
            let detail = "the order is kept, and somebody looks at it before it is paid";
            ApiError::new(Code::FRAUD_REVIEW, detail)
        }
        Failure::FraudSuspected | Failure::ReviewRejected | Failure::ReviewExpired => {
            ApiError::new(Code::ORDER_REFUSED, "the shop does not take this order")
        }
        Failure::CaptureFailed => {
            ApiError::new(Code::PAYMENT_DECLINED, "the payment could not be captured")
        }
        Failure::CancelledInTime => {
            ApiError::new(Code::ORDER_CANCELLED, "the order was cancelled before it was confirmed")
        }
    }
}

fn card_refused(view: &order::View, card: GiftCardId, why: NoMoney) -> ApiError {
    let nth = view.tenders.iter().position(|tender| tender.card == card).map_or(1, |nth| nth + 1);
    let why = why_nothing(why);
    let detail = format!("number {nth} of the gift cards {why}; nothing was bought");
    ApiError::new(Code::GIFT_CARD_REFUSED, detail).about("gift_cards")
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

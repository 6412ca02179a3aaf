use std::sync::Mutex;

use actors::domain::payment::{Action, Fact, Outcome, ProviderReference, Refusal};
use actors::{Money, OrderId};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::*;
use crate::providers::payment::samples::{self, euro, reference};

fn request(number: u32, action: Action) -> ProviderRequest {
    samples::request("stripe", number, action)
}

fn intent() -> ProviderReference {
    "pi_1".parse().unwrap()
}

fn authorise() -> ProviderRequest {
    let (amount, token) = (euro(1_099), "pm_card_visa".parse().unwrap());
    request(1, Action::Authorise { amount, token, order: OrderId::from_bytes([4; 16]) })
}

fn capture() -> ProviderRequest {
    request(2, Action::Capture { amount: euro(1_099), authorisation: intent() })
}

fn void(captured: i64) -> ProviderRequest {
    request(2, Action::Void { authorisation: intent(), captured: euro(captured) })
}

fn refund() -> ProviderRequest {
    let captures = Vec::new();
    request(3, Action::Refund { amount: euro(99), authorisation: intent(), captures })
}

fn done(text: &str) -> Option<Outcome> {
    Some(Outcome::Done { reference: text.parse().unwrap() })
}

fn no(refusal: Refusal) -> Option<Outcome> {
    Some(Outcome::Refused(refusal))
}

/// `None` is in doubt.
#[track_caller]
fn check(request: &ProviderRequest, status: u16, body: Value, then: Option<Outcome>) {
    let status = StatusCode::from_u16(status).unwrap();
    assert_eq!(answers::outcome(request, status, &body).ok(), then, "{body}");
}

fn card_error(code: &str, decline_code: &str) -> Value {
    json!({"error": {"type": "card_error", "code": code, "decline_code": decline_code}})
}

#[test]
fn requests_are_in_the_words_of_the_api() {
    let text = reference(1).to_string();
    let order = OrderId::from_bytes([4; 16]);
    let form = format!(
        "amount=1099&currency=eur&payment_method=pm_card_visa&payment_method_types%5B%5D=card\
         &capture_method=manual&confirm=true&error_on_requires_action=true\
         &metadata%5Bomnicart_operation%5D={text}&metadata%5Bomnicart_order%5D={order}"
    );
    let call = |path: &str, form: &str| Call {
        method: Method::POST,
        path: path.to_owned(),
        form: form.to_owned(),
    };
    assert_eq!(Call::carry_out(&authorise()), call("/v1/payment_intents", &form));
    let second = reference(2);
    let form = format!("amount_to_capture=1099&metadata%5Bomnicart_capture%5D={second}");
    assert_eq!(Call::carry_out(&capture()), call("/v1/payment_intents/pi_1/capture", &form));
    assert_eq!(Call::carry_out(&void(0)), call("/v1/payment_intents/pi_1/cancel", ""));
    let krona = Money { minor: 5, currency: "ISK".parse().unwrap() };
    let krona = request(2, Action::Capture { amount: krona, authorisation: intent() });
    assert!(Call::carry_out(&krona).form.starts_with("amount_to_capture=500&"));
    assert_eq!(requests::money(500, "isk").map(|money| money.minor), Some(5));
    assert_eq!(requests::money(550, "isk"), None);
}

#[test]
fn a_yes_is_the_state_that_was_asked_for() {
    check(&authorise(), 200, json!({"id": "pi_1", "status": "requires_capture"}), done("pi_1"));
    for status in ["processing", "requires_action", "requires_confirmation", ""] {
        check(&authorise(), 200, json!({"id": "pi_1", "status": status}), None);
    }
    check(&authorise(), 200, json!({"status": "requires_capture"}), None);
    let captured = json!({
        "status": "succeeded",
        "latest_charge": "ch_1",
        "metadata": {"omnicart_capture": reference(2).to_string()},
    });
    check(&capture(), 200, captured.clone(), done("ch_1"));
    check(&capture(), 200, json!({"status": "requires_capture"}), None);
    check(&void(0), 200, json!({"id": "pi_1", "status": "canceled"}), done("pi_1"));
    check(&refund(), 200, json!({"id": "re_1", "status": "succeeded"}), done("re_1"));
    check(&refund(), 200, json!({"id": "re_1", "status": "requires_action"}), None);
}

#[test]
fn a_refund_that_the_bank_has_not_made_is_pending_until_stripe_says_more() {
    let pending = || Some(Outcome::Pending { reference: "re_1".parse().unwrap() });
    let refund_is = |status: &str| json!({"id": "re_1", "status": status});
    check(&refund(), 200, refund_is("pending"), pending());
    check(&refund(), 200, refund_is("failed"), no(Refusal::NotPossible));
    let asked_as = reference(3).number;
    let ask = request(4, Action::CheckRefund { refund: "re_1".parse().unwrap(), asked_as });
    assert_eq!(Call::carry_out(&ask), Call::look_up(&ask));
    let Call { method, path, form } = Call::carry_out(&ask);
    assert_eq!((method, path.as_str(), form.as_str()), (Method::GET, "/v1/refunds/re_1", ""));
    check(&ask, 200, refund_is("succeeded"), done("re_1"));
    check(&ask, 200, refund_is("pending"), pending());
    check(&ask, 200, refund_is("canceled"), no(Refusal::NotPossible));
    // A question that stays open would hold up whatever else the payment is to do.
    check(&ask, 200, refund_is("requires_action"), pending());
    check(&ask, 404, json!({"error": {"type": "invalid_request_error"}}), pending());
    check(&ask, 503, Value::Null, None);
    let object = |status: &str| {
        json!({
            "id": "re_1", "status": status, "amount": 99, "currency": "eur",
            "metadata": {"omnicart_operation": reference(3).to_string()},
        })
    };
    let (operation, amount) = (asked_as, Some(euro(99)));
    for kind in ["refund.created", "refund.updated", "refund.failed", "charge.refund.updated"] {
        let reference = "re_1".parse().unwrap();
        check_notice(kind, object("succeeded"), Some(Fact::Done { operation, reference, amount }));
        check_notice(kind, object("failed"), Some(Fact::Refused { operation }));
        check_notice(kind, object("pending"), None);
    }
}

#[test]
fn a_no_is_a_definite_error_about_this_request() {
    for (code, decline_code, refusal) in [
        ("card_declined", "generic_decline", Refusal::Declined),
        ("card_declined", "insufficient_funds", Refusal::InsufficientFunds),
        ("card_declined", "fraudulent", Refusal::SuspectedFraud),
        ("expired_card", "expired_card", Refusal::MethodExpired),
        ("authentication_required", "", Refusal::AuthenticationRequired),
        ("incorrect_cvc", "incorrect_cvc", Refusal::MethodInvalid),
    ] {
        check(&authorise(), 402, card_error(code, decline_code), no(refusal));
    }
    let invalid = |param: &str| json!({"error": {"type": "invalid_request_error", "code": "resource_missing", "param": param}});
    check(&authorise(), 400, invalid("payment_method"), no(Refusal::MethodInvalid));
    check(&authorise(), 400, invalid("amount"), no(Refusal::NotPossible));
    check(&refund(), 400, invalid("amount"), no(Refusal::NotPossible));
}

#[test]
fn whatever_else_comes_back_is_in_doubt() {
    for status in [401, 403, 404, 409, 429, 500, 502, 503, 504] {
        for request in [authorise(), capture(), void(0), refund()] {
            check(&request, status, card_error("card_declined", ""), None);
        }
    }
    let reused = json!({"error": {"type": "idempotency_error"}});
    check(&authorise(), 400, reused, None);
    check(&authorise(), 402, Value::Null, None);
    check(&capture(), 400, json!({"error": {"type": "invalid_request_error"}}), None);
}

/// The first attempt did it and its key is forgotten: the error of the second is no refusal.
#[test]
fn an_unexpected_state_may_be_the_one_that_was_asked_for() {
    let unexpected = |intent: Value| {
        let code = "payment_intent_unexpected_state";
        let kind = "invalid_request_error";
        json!({"error": {"type": kind, "code": code, "payment_intent": intent}})
    };
    let ours = json!({"omnicart_capture": reference(2).to_string()});
    let others = json!({"omnicart_capture": reference(9).to_string()});
    let succeeded = |metadata: &Value, received: i64| {
        json!({
            "id": "pi_1", "status": "succeeded", "latest_charge": "ch_1", "currency": "eur",
            "amount_received": received, "metadata": metadata,
        })
    };
    check(&capture(), 400, unexpected(succeeded(&ours, 1_099)), done("ch_1"));
    check(&capture(), 400, unexpected(succeeded(&others, 1_099)), no(Refusal::NotPossible));
    let canceled = json!({"id": "pi_1", "status": "canceled"});
    check(&capture(), 400, unexpected(canceled.clone()), no(Refusal::NotPossible));
    check(&void(0), 400, unexpected(canceled), done("pi_1"));
    // What was left of a partial capture is back; a capture by another hand is not.
    check(&void(60), 400, unexpected(succeeded(&ours, 60)), done("pi_1"));
    check(&void(0), 400, unexpected(succeeded(&Value::Null, 60)), None);
    check(&capture(), 400, unexpected(Value::Null), None);
}

#[test]
fn what_became_of_an_operation_is_found_by_its_reference() {
    let found = |request: &ProviderRequest, body: Value| {
        answers::found(request, StatusCode::OK, &body).map_err(|_| "in doubt")
    };
    assert_eq!(found(&authorise(), json!({"data": []})), Ok(None));
    let held = json!({"id": "pi_1", "status": "requires_capture"});
    assert_eq!(found(&authorise(), json!({"data": [held]})), Ok(done("pi_1")));
    assert_eq!(found(&authorise(), json!({"data": [held, held]})), Err("in doubt"));
    let failed = json!({
        "status": "requires_payment_method",
        "last_payment_error": {"code": "card_declined", "decline_code": "insufficient_funds"},
    });
    let declined = no(Refusal::InsufficientFunds);
    assert_eq!(found(&authorise(), json!({"data": [failed]})), Ok(declined));
    assert_eq!(found(&capture(), held), Ok(None));
    let ours = json!({"omnicart_operation": reference(3).to_string()});
    let ours = json!({"id": "re_1", "status": "succeeded", "metadata": ours});
    let list = |data: Value, has_more: bool| json!({"data": data, "has_more": has_more});
    assert_eq!(found(&refund(), list(json!([{}, ours]), true)), Ok(done("re_1")));
    assert_eq!(found(&refund(), list(json!([{}]), false)), Ok(None));
    assert_eq!(found(&refund(), list(json!([{}]), true)), Err("in doubt"));
    assert_eq!(found(&refund(), Value::Null), Err("in doubt"));
}

fn event(kind: &str, object: Value) -> Vec<u8> {
    json!({"id": "evt_1", "type": kind, "data": {"object": object}}).to_string().into_bytes()
}

#[track_caller]
fn check_notice(kind: &str, object: Value, then: Option<Fact>) {
    let notice = notices::read(&event(kind, object)).unwrap();
    assert_eq!(notice.map(|notice| notice.fact), then);
}

#[test]
fn events_tell_what_was_done() {
    let object = |name: &str, number: u32| {
        json!({
            "id": "pi_1", "currency": "eur", "amount_capturable": 1_099, "latest_charge": "ch_1",
            "amount_received": 60, "metadata": {name: reference(number).to_string()},
        })
    };
    let fact = |number: u32, text: &str, minor: i64| {
        let (operation, reference) = (reference(number).number, text.parse().unwrap());
        Some(Fact::Done { operation, reference, amount: Some(euro(minor)) })
    };
    let held = "payment_intent.amount_capturable_updated";
    check_notice(held, object("omnicart_operation", 1), fact(1, "pi_1", 1_099));
    check_notice(held, object("another", 1), None);
    let captured = object("omnicart_capture", 2);
    check_notice("payment_intent.succeeded", captured, fact(2, "ch_1", 60));
    let refused = Some(Fact::Refused { operation: reference(1).number });
    let failed = "payment_intent.payment_failed";
    check_notice(failed, object("omnicart_operation", 1), refused);
    check_notice("customer.created", json!({}), None);
    assert_eq!(notices::read(b"{}"), Err(NoticeRefused::Unreadable));
}

#[test]
fn an_event_is_believed_when_signed() {
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let secret = NoticeSecret::try_from("whsec_0123456789abcdef").unwrap();
    let caller = Caller::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let stripe = Stripe::new(caller, key(), Some(secret.clone()));
    let body = event("customer.created", json!({}));
    let mut headers = HeaderMap::new();
    assert_eq!(stripe.read_notice(&headers, &body, now), Err(NoticeRefused::BadSignature));
    headers.insert(SIGNATURE, secret.sign(now, &body).try_into().unwrap());
    assert_eq!(stripe.read_notice(&headers, &body, now), Ok(None));
    assert_eq!(stripe.read_notice(&headers, b"{}", now), Err(NoticeRefused::BadSignature));
}

fn key() -> ApiKey {
    ApiKey::try_from("sk_test_0123456789").unwrap()
}

/// Plays the API: fails once, then does what it is asked once for each key.
#[derive(Clone, Default)]
struct Played(Arc<Mutex<Vec<(String, String, String)>>>);

async fn play(
    State(played): State<Played>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    assert_eq!(headers.get("authorization").unwrap(), "Bearer sk_test_0123456789");
    let key = headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned());
    let line = format!("{method} {}", uri.path());
    let mut calls = played.0.lock().unwrap();
    calls.push((line, key.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap()));
    match calls.len() {
        1 => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        2 => (StatusCode::OK, json!({"id": "pi_1", "status": "requires_capture"}).to_string()),
        _ => (StatusCode::OK, json!({"data": []}).to_string()),
    }
}

#[tokio::test]
async fn the_same_key_goes_out_with_every_attempt() {
    let played = Played::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let router = Router::new().fallback(play).with_state(played.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let stripe = Stripe::new(Caller::new(origin, None).unwrap(), key(), None);
    assert!(stripe.carry_out("1-2-3-4".to_owned(), authorise()).await.is_err());
    let answer = stripe.carry_out("1-2-3-4".to_owned(), authorise()).await.unwrap();
    assert_eq!(Some(answer.outcome), done("pi_1"));
    assert_eq!(stripe.look_up(authorise()).await.unwrap(), None);
    serving.abort();
    let calls = played.0.lock().unwrap();
    let [first, second, asked] = calls.as_slice() else { panic!("{calls:?}") };
    assert_eq!(first, second);
    assert_eq!((first.0.as_str(), first.1.as_str()), ("POST /v1/payment_intents", "1-2-3-4"));
    assert_eq!(asked.0, "GET /v1/payment_intents/search");
}

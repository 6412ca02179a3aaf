use std::collections::VecDeque;
use std::sync::Mutex;

use actors::OrderId;
use actors::domain::payment::{Action, CapturedPart, Fact, Outcome, ProviderReference, Refusal};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::providers::payment::samples::{self, euro, reference};

const TOKEN: (&str, u16, &str) = (
    "POST /v1/oauth2/token",
    200,
    r#"{"access_token": "A21", "token_type": "Bearer", "expires_in": 32400}"#,
);
const ORDER: &str = "/v2/checkout/orders/5O19";
const AUTHORISATION: &str = "/v2/payments/authorizations/AUTH";

/// Plays the API: knows what is asked next, and what it answers.
#[derive(Clone, Default)]
struct Played {
    script: Arc<Mutex<VecDeque<(String, u16, String)>>>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    key: String,
    authorization: String,
    body: String,
}

async fn play(
    State(played): State<Played>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = |name: &str| {
        let value = headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        value.unwrap_or_default()
    };
    let seen = Seen {
        key: text("paypal-request-id"),
        authorization: text("authorization"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    played.seen.lock().unwrap().push(seen);
    let next = played.script.lock().unwrap().pop_front();
    let asked = format!("{method} {}", uri.path());
    match next {
        Some((line, status, answer)) if line == asked => {
            (StatusCode::from_u16(status).unwrap(), answer)
        }
        other => panic!("{asked} instead of {other:?}"),
    }
}

struct World {
    paypal: PayPal,
    played: Played,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl World {
    async fn open() -> Self {
        let played = Played::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().fallback(play).with_state(played.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        let caller = Caller::new(origin, None).unwrap();
        let credentials = Credentials::try_from("client-1:secret-1").unwrap();
        let webhook = Some(WebhookId::try_from("8PT597110X687430L").unwrap());
        Self { paypal: PayPal::new(caller, credentials, webhook), played, serving }
    }

    fn expect(&self, script: &[(&str, u16, Value)]) {
        let mut lines = self.played.script.lock().unwrap();
        assert!(lines.is_empty(), "{lines:?}");
        let line = |(asked, status, body): &(&str, u16, Value)| {
            ((*asked).to_owned(), *status, body.to_string())
        };
        lines.extend(script.iter().map(line));
    }

    /// A token first.
    async fn open_with_token() -> Self {
        let world = Self::open().await;
        let (asked, status, body) = TOKEN;
        world.expect(&[
            (asked, status, serde_json::from_str(body).unwrap()),
            ("GET /", 404, Value::Null),
        ]);
        world.paypal.account.show("/").await.unwrap();
        world
    }

    /// Carries out, under this script; nothing is in doubt.
    async fn check(
        &self,
        request: &ProviderRequest,
        script: &[(&str, u16, Value)],
        then: Option<Outcome>,
    ) {
        self.expect(script);
        let answer = self.paypal.carry_out("1-2-3-4".to_owned(), request.clone()).await;
        assert_eq!(answer.ok().map(|answer| answer.outcome), then);
        assert!(self.played.script.lock().unwrap().is_empty(), "it was not asked all");
    }

    async fn check_found(
        &self,
        request: &ProviderRequest,
        script: &[(&str, u16, Value)],
        then: Option<Outcome>,
    ) {
        self.expect(script);
        let found = self.paypal.look_up(request.clone()).await.unwrap();
        assert_eq!(found.map(|answer| answer.outcome), then);
    }

    fn last(&self) -> Seen {
        self.played.seen.lock().unwrap().last().cloned().unwrap()
    }
}

fn request(number: u32, action: Action) -> ProviderRequest {
    samples::request("paypal", number, action)
}

fn named(text: &str) -> ProviderReference {
    text.parse().unwrap()
}

fn authorise() -> ProviderRequest {
    let (amount, token) = (euro(1_099), "order_5O19".parse().unwrap());
    request(1, Action::Authorise { amount, token, order: OrderId::from_bytes([4; 16]) })
}

fn capture() -> ProviderRequest {
    request(2, Action::Capture { amount: euro(1_099), authorisation: named("AUTH") })
}

fn void() -> ProviderRequest {
    request(2, Action::Void { authorisation: named("AUTH"), captured: euro(0) })
}

fn refund_of(captures: &[(&str, i64)], minor: i64) -> ProviderRequest {
    let part = |(capture, minor): &(&str, i64)| CapturedPart {
        capture: named(capture),
        amount: euro(*minor),
    };
    let captures = captures.iter().map(part).collect();
    request(3, Action::Refund { amount: euro(minor), authorisation: named("AUTH"), captures })
}

fn refund() -> ProviderRequest {
    refund_of(&[("CAP", 1_099)], 99)
}

fn done(text: &str) -> Option<Outcome> {
    Some(Outcome::Done { reference: named(text) })
}

fn no(refusal: Refusal) -> Option<Outcome> {
    Some(Outcome::Refused(refusal))
}

fn amount(value: &str) -> Value {
    json!({"currency_code": "EUR", "value": value})
}

fn issue(issue: &str) -> Value {
    json!({"name": "UNPROCESSABLE_ENTITY", "details": [{"issue": issue, "description": "…"}]})
}

fn approved(mark: Option<u32>, value: &str) -> Value {
    let mut unit = json!({"reference_id": "default", "amount": amount(value)});
    if let Some(number) = mark {
        unit["custom_id"] = json!(reference(number).to_string());
    }
    json!({"id": "5O19", "intent": "AUTHORIZE", "status": "APPROVED", "purchase_units": [unit]})
}

/// An order with what was done with it.
fn order_with(payments: Value) -> Value {
    let mark = reference(1).to_string();
    let unit = json!({"reference_id": "default", "custom_id": mark, "payments": payments});
    json!({"id": "5O19", "intent": "AUTHORIZE", "status": "COMPLETED", "purchase_units": [unit]})
}

fn authorised(status: &str) -> Value {
    let mark = reference(1).to_string();
    order_with(json!({"authorizations": [{"id": "AUTH", "status": status, "custom_id": mark}]}))
}

fn authorisation(status: &str) -> Value {
    let related = json!({"related_ids": {"order_id": "5O19"}});
    json!({"id": "AUTH", "status": status, "supplementary_data": related})
}

#[tokio::test]
async fn an_approved_order_is_marked_and_authorised_once() {
    let world = World::open_with_token().await;
    let show = format!("GET {ORDER}");
    let mark = format!("PATCH {ORDER}");
    let authorize = format!("POST {ORDER}/authorize");
    let (show, mark, authorize) = (show.as_str(), mark.as_str(), authorize.as_str());
    let first = [
        (show, 200, approved(None, "10.99")),
        (mark, 204, Value::Null),
        (authorize, 201, authorised("CREATED")),
    ];
    world.check(&authorise(), &first, done("AUTH")).await;
    let last = world.last();
    assert_eq!((last.key.as_str(), last.authorization.as_str()), ("1-2-3-4", "Bearer A21"));
    let seen = world.played.seen.lock().unwrap().clone();
    let marked = &seen[seen.len() - 2].body;
    assert!(
        marked.contains(&reference(1).to_string()) && marked.contains("/custom_id"),
        "{marked}"
    );
    // The answer was lost: it is there already.
    world.check(&authorise(), &[(show, 200, authorised("CREATED"))], done("AUTH")).await;
    world.check_found(&authorise(), &[(show, 200, authorised("CREATED"))], done("AUTH")).await;
    world.check_found(&authorise(), &[(show, 200, approved(Some(1), "10.99"))], None).await;
    world.check_found(&authorise(), &[(show, 404, json!({}))], None).await;
    let declined =
        [(show, 200, approved(Some(1), "10.99")), (authorize, 422, issue("INSTRUMENT_DECLINED"))];
    world.check(&authorise(), &declined, no(Refusal::Declined)).await;
    for (answer, refusal) in [
        (approved(None, "10.98"), Refusal::MethodInvalid),
        (approved(Some(9), "10.99"), Refusal::MethodInvalid),
        (json!({"intent": "CAPTURE", "purchase_units": [{}]}), Refusal::MethodInvalid),
        (authorised("DENIED"), Refusal::Declined),
        (authorised("VOIDED"), Refusal::NotPossible),
    ] {
        world.check(&authorise(), &[(show, 200, answer)], no(refusal)).await;
    }
    let mut unseen = approved(None, "10.99");
    unseen["status"] = json!("PAYER_ACTION_REQUIRED");
    world.check(&authorise(), &[(show, 200, unseen)], no(Refusal::AuthenticationRequired)).await;
    world.check(&authorise(), &[(show, 404, json!({}))], no(Refusal::MethodInvalid)).await;
    world.check(&authorise(), &[(show, 200, authorised("PENDING"))], None).await;
    let duplicate =
        [(show, 200, approved(Some(1), "10.99")), (authorize, 422, issue("DUPLICATE_INVOICE_ID"))];
    world.check(&authorise(), &duplicate, None).await;
}

/// Nothing was asked for yet, so the payment is not in doubt, whatever a shopper sent.
#[tokio::test]
async fn a_token_that_names_no_order_of_ours_is_refused() {
    let world = World::open_with_token().await;
    for token in ["vault_1", "order_", "order_a", "order_A/../B", "order_5O19'"] {
        let token = token.parse().unwrap();
        let action =
            Action::Authorise { amount: euro(1), token, order: OrderId::from_bytes([4; 16]) };
        world.check(&request(1, action), &[], no(Refusal::MethodInvalid)).await;
    }
    let (show, mark) = (format!("GET {ORDER}"), format!("PATCH {ORDER}"));
    for status in [400, 403, 404, 422] {
        let denied = [(show.as_str(), status, json!({}))];
        world.check(&authorise(), &denied, no(Refusal::MethodInvalid)).await;
        let unmarked =
            [(show.as_str(), 200, approved(None, "10.99")), (mark.as_str(), status, json!({}))];
        world.check(&authorise(), &unmarked, no(Refusal::MethodInvalid)).await;
    }
    world.check(&authorise(), &[(&show, 401, json!({}))], None).await;
}

#[tokio::test]
async fn another_payments_approval_is_not_used() {
    let world = World::open_with_token().await;
    let show = format!("GET {ORDER}");
    let mut theirs = authorised("CREATED");
    let other = reference(7).to_string();
    theirs["purchase_units"][0]["custom_id"] = json!(other);
    theirs["purchase_units"][0]["payments"]["authorizations"][0]["custom_id"] = json!(other);
    world.check(&authorise(), &[(&show, 200, theirs)], no(Refusal::MethodInvalid)).await;
}

#[tokio::test]
async fn a_capture_is_looked_for_before_it_is_called_refused() {
    let world = World::open_with_token().await;
    let take = format!("POST {AUTHORISATION}/capture");
    let (show, order) = (format!("GET {AUTHORISATION}"), format!("GET {ORDER}"));
    let (take, show, order) = (take.as_str(), show.as_str(), order.as_str());
    world
        .check(&capture(), &[(take, 201, json!({"id": "CAP", "status": "COMPLETED"}))], done("CAP"))
        .await;
    let sent: Value = serde_json::from_str(&world.last().body).unwrap();
    let invoice = reference(2).to_string();
    let wanted = json!({"amount": amount("10.99"), "invoice_id": invoice, "final_capture": false});
    assert_eq!(sent, wanted);
    world
        .check(
            &capture(),
            &[(take, 201, json!({"id": "CAP", "status": "DECLINED"}))],
            no(Refusal::Declined),
        )
        .await;
    world.check(&capture(), &[(take, 201, json!({"id": "CAP", "status": "PENDING"}))], None).await;
    let ours = json!({"id": "CAP", "status": "COMPLETED", "invoice_id": invoice});
    let theirs =
        json!({"id": "CAQ", "status": "COMPLETED", "invoice_id": reference(5).to_string()});
    for name in ["AUTHORIZATION_ALREADY_CAPTURED", "ORDER_ALREADY_CAPTURED", "DUPLICATE_INVOICE_ID"]
    {
        let found = [
            (take, 422, issue(name)),
            (show, 200, authorisation("CAPTURED")),
            (order, 200, order_with(json!({"captures": [theirs, ours]}))),
        ];
        world.check(&capture(), &found, done("CAP")).await;
    }
    let not_ours = |name: &str| {
        [
            (take, 422, issue(name)),
            (show, 200, authorisation("CAPTURED")),
            (order, 200, order_with(json!({"captures": [theirs]}))),
        ]
    };
    let not_possible = no(Refusal::NotPossible);
    world.check(&capture(), &not_ours("AUTHORIZATION_VOIDED"), not_possible.clone()).await;
    world.check(&capture(), &not_ours("ORDER_ALREADY_CAPTURED"), not_possible).await;
    world.check(&capture(), &not_ours("DUPLICATE_INVOICE_ID"), None).await;
    world.check(&capture(), &not_ours("SOMETHING_NEW"), None).await;
    let found = [
        (show, 200, authorisation("PARTIALLY_CAPTURED")),
        (order, 200, order_with(json!({"captures": [ours]}))),
    ];
    world.check_found(&capture(), &found, done("CAP")).await;
}

#[tokio::test]
async fn a_void_is_done_when_nothing_is_held() {
    let world = World::open_with_token().await;
    let give_up = format!("POST {AUTHORISATION}/void");
    let show = format!("GET {AUTHORISATION}");
    let (give_up, show) = (give_up.as_str(), show.as_str());
    world.check(&void(), &[(give_up, 204, Value::Null)], done("AUTH")).await;
    for status in ["VOIDED", "EXPIRED", "DENIED"] {
        let late = [(give_up, 422, issue("PREVIOUSLY_VOIDED")), (show, 200, authorisation(status))];
        world.check(&void(), &late, done("AUTH")).await;
    }
    let held = [
        (give_up, 422, issue("AUTHORIZATION_ALREADY_CAPTURED")),
        (show, 200, authorisation("CAPTURED")),
    ];
    world.check(&void(), &held, None).await;
    world.check_found(&void(), &[(show, 200, authorisation("CREATED"))], None).await;
}

#[tokio::test]
async fn refunds_are_of_captures_one_or_several() {
    let world = World::open_with_token().await;
    let give = "POST /v2/payments/captures/CAP/refund";
    let status = |status: &str| json!({"id": "REF", "status": status});
    world.check(&refund(), &[(give, 201, status("COMPLETED"))], done("REF")).await;
    let sent: Value = serde_json::from_str(&world.last().body).unwrap();
    let mark = reference(3).to_string();
    assert_eq!(sent, json!({"amount": amount("0.99"), "custom_id": mark}));
    let pending = || Some(Outcome::Pending { reference: named("REF") });
    world.check(&refund(), &[(give, 201, status("PENDING"))], pending()).await;
    world.check(&refund(), &[(give, 201, status("FAILED"))], no(Refusal::NotPossible)).await;
    let (show, order) = (format!("GET {AUTHORISATION}"), format!("GET {ORDER}"));
    let (show, order) = (show.as_str(), order.as_str());
    let with = |refunds: Value| {
        [
            (show, 200, authorisation("CAPTURED")),
            (order, 200, order_with(json!({"refunds": refunds}))),
        ]
    };
    let made = |capture: &str, value: &str| {
        let up = format!("https://api-m.paypal.com/v2/payments/captures/{capture}");
        json!({
            "id": "REF", "status": "COMPLETED", "custom_id": mark, "amount": amount(value),
            "links": [{"rel": "up", "href": up}],
        })
    };
    let again = [
        vec![(give, 422, issue("CAPTURE_FULLY_REFUNDED"))],
        with(json!([made("CAP", "0.99")])).to_vec(),
    ];
    world.check(&refund(), &again.concat(), done("REF")).await;
    let refused = [vec![(give, 422, issue("CAPTURE_FULLY_REFUNDED"))], with(json!([])).to_vec()];
    world.check(&refund(), &refused.concat(), no(Refusal::NotPossible)).await;
    world.check_found(&refund(), &with(json!([made("CAP", "0.99")])), done("REF")).await;
    world.check_found(&refund(), &with(json!([])), None).await;
    // A hundred of sixty and forty, whose first part was made before its answer was lost.
    let both = refund_of(&[("CAP", 60), ("CAQ", 40)], 100);
    let rest = [
        with(json!([made("CAP", "0.60")])).to_vec(),
        vec![("POST /v2/payments/captures/CAQ/refund", 201, status("COMPLETED"))],
    ];
    world.check(&both, &rest.concat(), done("REF")).await;
    assert_eq!(world.last().key, "1-2-3-4-CAQ");
    let asked_as = reference(3).number;
    let check = request(4, Action::CheckRefund { refund: named("REF"), asked_as });
    let shown = "GET /v2/payments/refunds/REF";
    world.check(&check, &[(shown, 200, status("PENDING"))], pending()).await;
    world.check(&check, &[(shown, 200, status("COMPLETED"))], done("REF")).await;
    world.check(&check, &[(shown, 200, status("SOMETHING"))], pending()).await;
    world.check(&check, &[(shown, 404, Value::Null)], pending()).await;
    world.check(&check, &[(shown, 503, Value::Null)], None).await;
}

#[tokio::test]
async fn a_fault_of_the_server_is_in_doubt() {
    let world = World::open_with_token().await;
    let take = format!("POST {AUTHORISATION}/capture");
    for status in [429, 500, 502, 503, 504] {
        world.check(&capture(), &[(&take, status, Value::Null)], None).await;
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_again_when_it_is_refused() {
    let world = World::open().await;
    let take = format!("POST {AUTHORISATION}/capture");
    let (asked, status, body) = TOKEN;
    let token = (asked, status, serde_json::from_str(body).unwrap());
    let captured = || (take.as_str(), 201, json!({"id": "CAP", "status": "COMPLETED"}));
    world.check(&capture(), &[token.clone(), captured()], done("CAP")).await;
    let first = world.played.seen.lock().unwrap().first().cloned().unwrap();
    assert_eq!(first.authorization, "Basic Y2xpZW50LTE6c2VjcmV0LTE=");
    assert_eq!(first.body, "grant_type=client_credentials");
    world.check(&capture(), &[captured()], done("CAP")).await;
    world.check(&capture(), &[(&take, 401, Value::Null)], None).await;
    world.check(&capture(), &[token, captured()], done("CAP")).await;
    let refused = World::open().await;
    refused.check(&capture(), &[(asked, 401, Value::Null)], None).await;
    // One that ends at once is not kept.
    let short = json!({"access_token": "A22", "expires_in": 60});
    for _ in 0..2 {
        refused.check(&capture(), &[(asked, 200, short.clone()), captured()], done("CAP")).await;
    }
}

#[tokio::test]
async fn a_provider_that_is_not_there_leaves_things_in_doubt() {
    let caller = Caller::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let credentials = Credentials::try_from("client-1:secret-1").unwrap();
    let paypal = PayPal::new(caller, credentials, None);
    assert!(paypal.carry_out("1-2-3-4".to_owned(), capture()).await.is_err());
    assert!(paypal.look_up(capture()).await.is_err());
}

fn event(kind: &str, resource: &Value) -> Vec<u8> {
    json!({"id": "WH-1", "event_type": kind, "resource": resource}).to_string().into_bytes()
}

#[test]
fn events_tell_what_was_done() {
    #[track_caller]
    fn check(kind: &str, resource: &Value, then: Option<Fact>) {
        let notice = notices::read(&event(kind, resource)).unwrap();
        assert_eq!(notice.map(|notice| notice.fact), then);
    }
    let object = |status: &str| {
        json!({
            "id": "X", "status": status, "amount": amount("10.99"),
            "custom_id": reference(1).to_string(), "invoice_id": reference(2).to_string(),
        })
    };
    let done = |number: u32| {
        let (operation, amount) = (reference(number).number, Some(euro(1_099)));
        Some(Fact::Done { operation, reference: named("X"), amount })
    };
    check("PAYMENT.AUTHORIZATION.CREATED", &object("CREATED"), done(1));
    check("PAYMENT.AUTHORIZATION.CREATED", &object("PENDING"), None);
    check("PAYMENT.CAPTURE.COMPLETED", &object("COMPLETED"), done(2));
    check("PAYMENT.CAPTURE.PENDING", &object("PENDING"), None);
    check("PAYMENT.CAPTURE.REFUNDED", &object("COMPLETED"), done(1));
    let refused = |number: u32| Some(Fact::Refused { operation: reference(number).number });
    check("PAYMENT.REFUND.FAILED", &object("FAILED"), refused(1));
    check("PAYMENT.CAPTURE.DENIED", &object("DECLINED"), refused(2));
    check("CUSTOMER.DISPUTE.CREATED", &object("OPEN"), None);
    check("PAYMENT.CAPTURE.COMPLETED", &json!({"id": "X"}), None);
    assert_eq!(notices::read(b"{}"), Err(NoticeRefused::Unreadable));
    assert_eq!(notices::read(b"nonsense"), Err(NoticeRefused::Unreadable));
}

#[tokio::test]
async fn an_event_is_believed_when_paypal_vouches_for_it() {
    let world = World::open_with_token().await;
    let body = event("PAYMENT.CAPTURE.COMPLETED", &json!({"id": "X"}));
    let mut headers = HeaderMap::new();
    let now = Timestamp::ZERO;
    assert_eq!(world.paypal.read_notice(&headers, &body, now), Err(NoticeRefused::BadSignature));
    for name in
        ["transmission-id", "transmission-time", "transmission-sig", "auth-algo", "cert-url"]
    {
        let name: axum::http::HeaderName = format!("paypal-{name}").parse().unwrap();
        headers.insert(name, HeaderValue::from_static("v\"1"));
    }
    assert_eq!(world.paypal.read_notice(&headers, &body, now), Ok(None));
    let verify = "POST /v1/notifications/verify-webhook-signature";
    for (status, answer, then) in [
        (200, json!({"verification_status": "SUCCESS"}), Some(true)),
        (200, json!({"verification_status": "FAILURE"}), Some(false)),
        (200, json!({}), None),
        (503, json!({}), None),
    ] {
        world.expect(&[(verify, status, answer)]);
        assert_eq!(world.paypal.vouch(&headers, &body).await.ok(), then);
    }
    let asked: Value = serde_json::from_str(&world.last().body).unwrap();
    assert_eq!(asked["webhook_id"], "8PT597110X687430L");
    assert_eq!(asked["transmission_sig"], "v\"1");
    assert_eq!(asked["webhook_event"], serde_json::from_slice::<Value>(&body).unwrap());
    assert!(world.last().body.contains(std::str::from_utf8(&body).unwrap()), "byte by byte");
}

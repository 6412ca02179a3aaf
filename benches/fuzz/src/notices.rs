//! What payment providers say unasked, behind a signature that is right.

use std::sync::LazyLock;

use actors::domain::ids::PaymentId;
use actors::domain::payment::Command;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use cluster::entity::Wire;
use cluster::time::Timestamp;
use edge::providers::Caller;
use edge::providers::payment::paypal::{Credentials, PayPal, WebhookId};
use edge::providers::payment::simulator::Simulator;
use edge::providers::payment::stripe::{ApiKey, Stripe};
use edge::providers::payment::{Notice, NoticeSecret, PaymentProvider};

use crate::allocation::bounded;
use crate::world::{choosing, chosen};

const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
/// A JSON document takes some space for each of its smallest parts.
const FIXED_BYTES: usize = 8 << 20;

static SECRET: LazyLock<NoticeSecret> =
    LazyLock::new(|| NoticeSecret::try_from("whsec_0123456789abcdef").expect("a secret"));

static PROVIDERS: LazyLock<[Box<dyn PaymentProvider>; 3]> = LazyLock::new(|| {
    let caller = || {
        let origin = "http://127.0.0.1:1".parse().expect("an origin");
        Caller::new(origin, None).expect("a caller")
    };
    let key = ApiKey::try_from("sk_test_0123456789").expect("a key");
    let credentials = Credentials::try_from("client-1:secret-1").expect("credentials");
    let webhook = WebhookId::try_from("8PT597110X687430L").expect("a webhook");
    [
        Box::new(Simulator::new(caller(), Some(SECRET.clone()))),
        Box::new(Stripe::new(caller(), key, Some(SECRET.clone()))),
        Box::new(PayPal::new(caller(), credentials, Some(webhook))),
    ]
});

/// # Panics
/// If a notice is read as something that nobody can be told.
pub fn check(bytes: &[u8]) {
    let (choice, body) = chosen(bytes);
    let Some(provider) = PROVIDERS.get(choice % PROVIDERS.len()) else { return };
    let headers = headers(body);
    let read = bounded(body.len(), FIXED_BYTES, || provider.read_notice(&headers, body, NOON));
    if let Ok(Some(Notice { event, payment: _, fact })) = read {
        let command = Command::Notified { event, fact };
        assert_eq!(Command::from_bytes(&command.to_bytes()), Ok(command));
    }
}

/// Those of all three.
fn headers(body: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let signature = HeaderValue::try_from(SECRET.sign(NOON, body)).expect("a header");
    for name in ["omni-signature", "stripe-signature"] {
        headers.insert(HeaderName::from_static(name), signature.clone());
    }
    for name in [
        "paypal-transmission-id",
        "paypal-transmission-time",
        "paypal-transmission-sig",
        "paypal-auth-algo",
        "paypal-cert-url",
    ] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("value"));
    }
    headers
}

/// One notice of each kind, as the providers send them.
pub fn seeds() -> Vec<Vec<u8>> {
    let name = format!("{}-2", PaymentId::from_bytes([3; 16]));
    let simulated = [
        r#"{"kind":"authorise","amount":{"amount":9,"currency":"EUR"},"token":"tok_visa"}"#,
        r#"{"kind":"capture","amount":{"amount":9,"currency":"EUR"},"authorisation":"auth_1"}"#,
        r#"{"kind":"void","authorisation":"auth_1"}"#,
        r#"{"kind":"refund","amount":{"amount":9,"currency":"EUR"},"authorisation":"auth_1"}"#,
    ]
    .map(|action| {
        format!(
            r#"{{"event":"evt_1","entry":{{"number":1,"key":"k","operation":{{"reference":"{name}",
            "action":{action}}},"result":{{"status":"done","id":"capture_1"}}}}}}"#
        )
    });
    let stripe = [
        ("payment_intent.amount_capturable_updated", "omnicart_operation"),
        ("payment_intent.succeeded", "omnicart_capture"),
        ("payment_intent.payment_failed", "omnicart_operation"),
        ("refund.updated", "omnicart_operation"),
    ]
    .map(|(kind, member)| {
        format!(
            r#"{{"id":"evt_1","type":"{kind}","data":{{"object":{{"id":"re_1","currency":"eur",
            "status":"succeeded","amount":9,"amount_capturable":9,"amount_received":9,
            "latest_charge":"ch_1","metadata":{{"{member}":"{name}"}}}}}}}}"#
        )
    });
    let paypal = [
        ("PAYMENT.AUTHORIZATION.CREATED", "CREATED"),
        ("PAYMENT.CAPTURE.COMPLETED", "COMPLETED"),
        ("PAYMENT.CAPTURE.REFUNDED", "COMPLETED"),
        ("PAYMENT.REFUND.FAILED", "FAILED"),
    ]
    .map(|(kind, status)| {
        format!(
            r#"{{"id":"WH-1","event_type":"{kind}","resource":{{"id":"2GG2","status":"{status}",
            "amount":{{"currency_code":"EUR","value":"0.09"}},"custom_id":"{name}",
            "invoice_id":"{name}"}}}}"#
        )
    });
    let all = [(0, simulated), (1, stripe), (2, paypal)];
    all.iter()
        .flat_map(|(choice, texts)| texts.iter().map(|text| choosing(*choice, text.as_bytes())))
        .collect()
}

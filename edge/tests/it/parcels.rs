//! Parcels that a carrier is asked for, as the shop and carriers see them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use actors::domain::carrier::{
    Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, ParcelReference,
    Whereabouts,
};
use axum::body::Body;
use axum::http::HeaderMap;
use cluster::runtime::ports::InDoubt;
use cluster::time::Timestamp;
use edge::metrics::ProviderMetrics;
use edge::providers::carrier::{Carrier, Carriers, Notice};
use edge::providers::{NoticeRefused, ProviderFuture};
use serde_json::{Value, json};

use crate::checkout::{KEY, basket, check_out, simulators, terms};
use crate::shop::{Answer, Ask, Shop};

/// Answers as it is told to, in order, and books at last; remembers what it was asked.
#[derive(Clone, Default)]
struct Mule(Arc<Mutex<Stable>>);

#[derive(Default)]
struct Stable {
    /// Nothing is silence.
    moods: VecDeque<Option<BookingRefusal>>,
    asked: Vec<(String, BookingRequest)>,
}

impl Carrier for Mule {
    fn book(&self, key: String, request: BookingRequest) -> ProviderFuture<BookingAnswer> {
        let mut stable = self.0.lock().unwrap();
        let (parcel, attempt) = (request.parcel, request.attempt);
        stable.asked.push((key, request));
        let outcome = match stable.moods.pop_front() {
            Some(None) => return Box::pin(async { Err(InDoubt("it says nothing".to_owned())) }),
            Some(Some(why)) => BookingOutcome::Refused(why),
            None => {
                let text = |text: &str| text.to_owned().try_into().unwrap();
                let label_url = text("https://mule.example/M1");
                BookingOutcome::Booked(Booking { tracking: text("M1"), label_url })
            }
        };
        Box::pin(async move { Ok(BookingAnswer { parcel, attempt, outcome }) })
    }

    fn look_up(&self, _: BookingRequest) -> ProviderFuture<Option<BookingAnswer>> {
        Box::pin(async { Ok(None) })
    }

    /// `<parcel> <place>`
    fn read_notice(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        _: Timestamp,
    ) -> Result<Option<Notice>, NoticeRefused> {
        if headers.get("x-signed").is_none() {
            return Err(NoticeRefused::BadSignature);
        }
        let text = std::str::from_utf8(body).map_err(|_| NoticeRefused::Unreadable)?;
        let (parcel, place) = text.split_once(' ').ok_or(NoticeRefused::Unreadable)?;
        let parcel: ParcelReference = parcel.parse().map_err(|_| NoticeRefused::Unreadable)?;
        let to = match place {
            "in_transit" => Whereabouts::InTransit,
            "delivered" => Whereabouts::Delivered,
            _ => return Ok(None),
        };
        Ok(Some(Notice { event: "evt_1".parse().unwrap(), parcel, to }))
    }
}

impl Mule {
    fn with(moods: &[Option<BookingRefusal>]) -> Self {
        let mule = Self::default();
        mule.0.lock().unwrap().moods.extend(moods);
        mule
    }

    fn asked(&self) -> Vec<(String, BookingRequest)> {
        self.0.lock().unwrap().asked.clone()
    }
}

async fn open(mule: &Mule) -> (Shop, tempfile::TempDir) {
    let carrier: Arc<dyn Carrier> = Arc::new(mule.clone());
    let all = BTreeMap::from([
        ("mule".parse().unwrap(), Arc::clone(&carrier)),
        ("ox".parse().unwrap(), carrier),
    ]);
    let carriers = Carriers::new(all, ProviderMetrics::default());
    let (payments, folder) = simulators(&["simulator"]);
    (Shop::open_with_carriers(payments, carriers).await, folder)
}

/// One piece of tea, bought.
async fn ordered(shop: &Shop) -> String {
    ordered_by(shop, 1).await.0
}

/// Some pieces of tea, and the token of whoever bought them.
async fn ordered_by(shop: &Shop, pieces: u32) -> (String, String) {
    shop.stock("tea", 5).await;
    let basket = basket(shop, &[("tea", pieces)]).await;
    let created = shop.send(check_out(&basket, KEY, &terms("tok_visa"))).await;
    assert_eq!(created.status, 201, "{created:?}");
    (created.json()["id"].as_str().unwrap().to_owned(), basket.token)
}

async fn admin(shop: &Shop, order: &str, what: &str, key: &str, body: &Value) -> Answer {
    let ask = Ask::post(format!("/admin/v1/orders/{order}/{what}")).operator().key(key);
    shop.send(ask.json(body)).await
}

async fn fulfil(shop: &Shop, order: &str, body: &Value) -> Answer {
    admin(shop, order, "fulfilments", "parcel", body).await
}

/// The order once its first parcel is what it is to be.
async fn once(shop: &Shop, order: &str, status: &str) -> Value {
    once_nth(shop, order, 0, status).await
}

async fn once_nth(shop: &Shop, order: &str, nth: usize, status: &str) -> Value {
    loop {
        let shown = shop.send(Ask::get(format!("/admin/v1/orders/{order}")).operator()).await;
        let json = shown.json();
        if json["shipments"][nth]["parcel"]["status"] == status {
            return json;
        }
        tokio::task::yield_now().await;
    }
}

fn items() -> Value {
    json!([{"sku": "tea", "quantity": 1}])
}

async fn says(shop: &Shop, carrier: &str, body: String) -> Answer {
    let ask = Ask::post(format!("/hooks/shipping/{carrier}")).header("x-signed", "yes");
    shop.send(ask.body(Body::from(body))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_is_asked_until_it_answers_and_says_where_the_parcel_is() {
    let mule = Mule::with(&[None, None]);
    let (shop, _folder) = open(&mule).await;
    let order = ordered(&shop).await;
    let body = json!({"items": items(), "carrier": "mule"});
    let sent = fulfil(&shop, &order, &body).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let shipment = &sent.json()["shipments"][0];
    assert_eq!((&shipment["tracking"], &shipment["carrier"]), (&Value::Null, &json!("mule")));
    assert_eq!(shipment["parcel"]["status"], "asked");
    let again = fulfil(&shop, &order, &body).await;
    assert_eq!((again.status, &again.body), (200, &sent.body));
    let booked = once(&shop, &order, "booked").await;
    let shipment = &booked["shipments"][0];
    assert_eq!(shipment["tracking"], "M1");
    assert_eq!(shipment["parcel"]["label_url"], "https://mule.example/M1");
    // Under one key, however often.
    let asked = mule.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|one| *one == asked[0]), "{asked:?}");

    let notice = |place: &str| format!("{order}-1 {place}");
    assert_eq!(says(&shop, "mule", notice("delivered")).await.status, 204);
    assert_eq!(says(&shop, "mule", notice("delivered")).await.status, 204);
    assert_eq!(says(&shop, "mule", notice("in_transit")).await.status, 204);
    let arrived = once(&shop, &order, "delivered").await;
    assert_eq!(arrived["status"], "delivered");
    assert!(arrived["shipments"][0]["delivered_at"].is_string());
    let events = shop.send(Ask::get("/admin/v1/events?type=order&limit=100").operator()).await;
    let events = events.json();
    let names = events["data"].as_array().unwrap().iter().map(|event| event["type"].as_str());
    let names: Vec<_> = names.map(Option::unwrap).skip_while(|it| *it != "order.shipped").collect();
    assert_eq!(names, ["order.shipped", "order.parcel_booked", "order.delivered"]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_booking_is_shown_and_asked_for_again() {
    let mule = Mule::with(&[Some(BookingRefusal::NotServed), Some(BookingRefusal::NotTaken)]);
    let (shop, _folder) = open(&mule).await;
    let order = ordered(&shop).await;
    let sent = fulfil(&shop, &order, &json!({"items": items(), "carrier": "mule"})).await;
    assert_eq!(sent.status, 200, "{sent:?}");
    let refused = once(&shop, &order, "refused").await;
    assert_eq!(refused["shipments"][0]["parcel"]["reason"], "not_served");
    let book = async |key: &str, body| admin(&shop, &order, "book_parcel", key, &body).await;
    let again = book("one", json!({})).await;
    assert_eq!(again.json()["shipments"][0]["parcel"]["status"], "asked", "{again:?}");
    let refused = once(&shop, &order, "refused").await;
    assert_eq!(refused["shipments"][0]["parcel"]["reason"], "not_taken");
    book("two", json!({"carrier": "snail"})).await.problem(422, "carrier_unknown");
    book("three", json!({"number": 7, "carrier": "ox"})).await.problem(404, "shipment_not_found");
    assert_eq!(book("four", json!({"carrier": "ox"})).await.status, 200);
    let booked = once(&shop, &order, "booked").await;
    assert_eq!(booked["shipments"][0]["carrier"], "ox");
    book("five", json!({"number": 1, "carrier": "mule"}))
        .await
        .problem(409, "shipment_with_carrier");
    // What was refused is no act.
    let acts = shop.acts(&format!("&entity=order/{order}")).await;
    let booked = acts.iter().filter(|act| act["operation"] == "bookParcel");
    assert_eq!(booked.count(), 2);
    let carriers: Vec<_> = mule.asked().iter().map(|(_, it)| it.carrier.to_string()).collect();
    assert_eq!(carriers, ["mule", "mule", "ox"]);
    // What the carrier that refused says of it is nothing.
    assert_eq!(says(&shop, "mule", format!("{order}-1 delivered")).await.status, 202);
    assert_eq!(once(&shop, &order, "booked").await["status"], "shipped");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_of_a_booking_has_its_answer_whatever_came_of_it() {
    let mule = Mule::with(&[Some(BookingRefusal::NotTaken), None, Some(BookingRefusal::NotTaken)]);
    let (shop, _folder) = open(&mule).await;
    let (order, _) = ordered_by(&shop, 2).await;
    let stated = json!({"number": 1, "items": items(), "carrier": "Post", "tracking": "1Z"});
    assert_eq!(fulfil(&shop, &order, &stated).await.status, 200);
    let asked = json!({"number": 2, "items": items(), "carrier": "mule"});
    assert_eq!(admin(&shop, &order, "fulfilments", "second", &asked).await.status, 200);
    once_nth(&shop, &order, 1, "refused").await;
    let book = async |key: &str, body| admin(&shop, &order, "book_parcel", key, &body).await;
    let first = book("one", json!({})).await;
    assert_eq!(first.json()["shipments"][1]["parcel"]["status"], "asked", "{first:?}");
    let expect_the_same = async || {
        let again = book("one", json!({})).await;
        assert_eq!((again.status, &again.body, again.is_replayed()), (200, &first.body, true));
    };
    expect_the_same().await;
    once_nth(&shop, &order, 1, "refused").await;
    expect_the_same().await;
    let otherwise = book("two", json!({"carrier": "Post", "tracking": "2Z"})).await;
    assert_eq!(otherwise.json()["shipments"][1]["parcel"], Value::Null, "{otherwise:?}");
    expect_the_same().await;
    book("three", json!({"number": 1})).await.problem(409, "shipment_with_carrier");
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_carrier_brings_is_brought_as_the_shop_says() {
    for moods in [vec![Some(BookingRefusal::NotServed)], vec![None; 10_000]] {
        let mule = Mule::with(&moods);
        let (shop, _folder) = open(&mule).await;
        let order = ordered(&shop).await;
        let sent = fulfil(&shop, &order, &json!({"items": items(), "carrier": "mule"})).await;
        assert_eq!(sent.status, 200, "{sent:?}");
        let answers = moods[0].is_some();
        once(&shop, &order, if answers { "refused" } else { "asked" }).await;
        let book = async |body: &Value| {
            let ask = Ask::post(format!("/admin/v1/orders/{order}/book_parcel")).operator();
            shop.send(ask.json(body)).await
        };
        let unnumbered = json!({"carrier": "Post", "tracking": "1Z"});
        book(&unnumbered).await.problem(400, "idempotency_key_required");
        book(&json!({"number": 1, "tracking": "1Z"})).await.problem(422, "validation_failed");
        let stated = json!({"number": 1, "carrier": "Post", "tracking": "1Z"});
        for _ in 0..2 {
            let answer = book(&stated).await;
            let shipment = &answer.json()["shipments"][0];
            let seen = (&shipment["carrier"], &shipment["tracking"], &shipment["parcel"]);
            assert_eq!(seen, (&json!("Post"), &json!("1Z"), &Value::Null), "{answer:?}");
        }
        let other = json!({"number": 1, "carrier": "Post", "tracking": "2Z"});
        book(&other).await.problem(409, "shipment_with_carrier");
        assert_eq!(says(&shop, "mule", format!("{order}-1 delivered")).await.status, 202);
        let shown = shop.send(Ask::get(format!("/admin/v1/orders/{order}")).operator()).await;
        assert_eq!(shown.json()["status"], "shipped");
        shop.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_refusals_are_for_the_shop_alone() {
    let mule = Mule::with(&[Some(BookingRefusal::NotServed)]);
    let (shop, _folder) = open(&mule).await;
    let (order, token) = ordered_by(&shop, 1).await;
    let own = async || {
        let ask = Ask::get(format!("/store/v1/orders/{order}")).token(&token);
        shop.send(ask).await.json()["shipments"][0]["parcel"].clone()
    };
    fulfil(&shop, &order, &json!({"items": items(), "carrier": "mule"})).await;
    let refused = once(&shop, &order, "refused").await;
    assert_eq!(refused["shipments"][0]["parcel"]["reason"], "not_served");
    let seen = own().await;
    assert_eq!((&seen["status"], &seen["reason"]), (&json!("refused"), &Value::Null));
    admin(&shop, &order, "book_parcel", "again", &json!({})).await;
    let booked = once(&shop, &order, "booked").await;
    assert_eq!(booked["shipments"][0]["parcel"]["label_url"], "https://mule.example/M1");
    let seen = own().await;
    assert_eq!((&seen["status"], &seen["label_url"]), (&json!("booked"), &Value::Null));
    let at = format!("/admin/v1/orders/{order}/at?seq={}", booked["seq"]);
    assert_eq!(shop.send(Ask::get(at).operator()).await.json()["state"], booked);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_not_asked_is_what_the_shop_says() {
    let mule = Mule::default();
    let (shop, _folder) = open(&mule).await;
    let order = ordered(&shop).await;
    for body in [json!({"items": items()}), json!({"items": items(), "carrier": "Post"})] {
        fulfil(&shop, &order, &body).await.problem(422, "carrier_unknown");
    }
    let unnamed = fulfil(&shop, &order, &json!({"items": items(), "tracking": "1Z"})).await;
    unnamed.problem(422, "validation_failed");
    let stated = json!({"items": items(), "carrier": "mule", "tracking": "1Z"});
    let sent = fulfil(&shop, &order, &stated).await;
    let shipment = &sent.json()["shipments"][0];
    assert_eq!((&shipment["tracking"], &shipment["parcel"]), (&json!("1Z"), &Value::Null));
    assert_eq!(mule.asked(), vec![]);
    shop.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_is_signed_by_a_carrier_of_the_shop() {
    let (shop, _folder) = open(&Mule::default()).await;
    let order = ordered(&shop).await;
    let unsigned = Ask::post("/hooks/shipping/mule").body(Body::from(format!("{order}-1 lost")));
    shop.send(unsigned).await.problem(401, "notice_not_signed");
    says(&shop, "mule", "?".to_owned()).await.problem(400, "notice_unreadable");
    says(&shop, "snail", format!("{order}-1 delivered")).await.problem(404, "not_found");
    // Of a parcel that is not here, and of nothing that is about one.
    assert_eq!(says(&shop, "mule", format!("{order}-1 delivered")).await.status, 202);
    let nowhere = "ord_00000000000000000000000001-1 delivered".to_owned();
    assert_eq!(says(&shop, "mule", nowhere).await.status, 202);
    assert_eq!(says(&shop, "mule", format!("{order}-1 advertised")).await.status, 204);
    shop.close().await;
}

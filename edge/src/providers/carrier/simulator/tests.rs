use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use actors::OrderId;
use actors::domain::carrier::{BookingOutcome, BookingRefusal, Whereabouts};
use actors::domain::contact::Address;
use actors::domain::names::Label;
use actors::domain::order::ShipmentNumber;
use cluster::time::Span;
use storage::disk::RealDisk;
use tempfile::TempDir;

use super::behaviour::Sending;
use super::desk::{Desk, NoAnswer};
use super::wire::{Outcome, Place, Reason, Reference};
use super::*;
use crate::providers::service::ask;
use crate::providers::{NoticeTarget, Percent, notices};

const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn label(text: &str) -> Label {
    text.to_owned().try_into().unwrap()
}

fn request(number: u16, country: &str) -> BookingRequest {
    let to = Address {
        name: label("A Shopper"),
        line1: label("Street 1"),
        line2: None,
        city: label("Town"),
        region: None,
        postal_code: None,
        country: country.parse().unwrap(),
    };
    let order = OrderId::from_bytes([7; 16]);
    let parcel = ParcelReference { order, shipment: ShipmentNumber(number) };
    let (carrier, option) = ("mule".parse().unwrap(), None);
    BookingRequest { carrier, parcel, attempt: 1, option, to, pieces: 2 }
}

fn parcel(number: u16, country: &str) -> Parcel {
    Parcel::from(&request(number, country))
}

fn percent(share: u8) -> Percent {
    share.try_into().unwrap()
}

fn open(folder: &TempDir, behaviour: Behaviour) -> Desk {
    let disk = RealDisk::open(folder.path()).unwrap();
    Desk::open(&disk, behaviour, "http://mule/labels".to_owned()).unwrap()
}

#[test]
fn a_parcel_is_booked_once_under_any_key_and_after_a_kill() {
    let folder = TempDir::new().unwrap();
    let mut desk = open(&folder, Behaviour::default());
    let first = desk.book("k", &parcel(1, "DE"));
    let entry = first.answer.unwrap();
    assert_eq!(first.news.as_ref(), Some(&entry));
    let answer = entry.answer().unwrap();
    let BookingOutcome::Booked(booking) = &answer.outcome else { panic!("{answer:?}") };
    assert_eq!(booking.label_url, label("http://mule/labels/SIM000000001"));
    assert_eq!(answer.parcel, request(1, "DE").parcel);
    let mut desk = open(&folder, Behaviour::default());
    for key in ["k", "l"] {
        let again = desk.book(key, &parcel(1, "DE"));
        assert_eq!((again.answer.unwrap(), again.news), (entry.clone(), None));
    }
    let other = desk.book("k", &parcel(2, "DE"));
    assert!(matches!(other.answer, Err(NoAnswer::Conflict)));
    assert_eq!(desk.ledger.entries().len(), 1);
}

#[test]
fn a_refusal_is_for_its_key_alone() {
    let folder = TempDir::new().unwrap();
    let refuses = Behaviour { refusals: percent(50), ..Behaviour::default() };
    let mut desk = open(&folder, refuses);
    let refused = (0..50).map(|nth| format!("key-{nth}")).find(|key| {
        let entry = desk.book(key, &parcel(1, "DE")).answer.unwrap();
        entry.outcome == Outcome::Refused { reason: Reason::NotTaken }
    });
    let refused = refused.expect("half of them are refused");
    let again = desk.book(&refused, &parcel(1, "DE"));
    assert_eq!(again.answer.unwrap().outcome, Outcome::Refused { reason: Reason::NotTaken });
    let mut desk = open(&TempDir::new().unwrap(), Behaviour::default());
    let nowhere = desk.book("k", &parcel(1, "AQ")).answer.unwrap().answer().unwrap();
    assert_eq!(nowhere.outcome, BookingOutcome::Refused(BookingRefusal::NotServed));
    assert!(desk.ledger.find(Reference(request(1, "AQ").parcel)).is_none());
}

#[test]
fn what_is_silent_did_it_or_did_not() {
    let silent = |timeouts, late_successes| {
        let behaviour = Behaviour {
            timeouts: percent(timeouts),
            late_successes: percent(late_successes),
            ..Behaviour::default()
        };
        let mut desk = open(&TempDir::new().unwrap(), behaviour);
        let attempted = desk.book("k", &parcel(1, "DE"));
        assert!(matches!(attempted.answer, Err(NoAnswer::Silence)));
        assert_eq!(attempted.news.is_some(), desk.ledger.entries().len() == 1);
        desk.ledger.entries().len()
    };
    assert_eq!((silent(100, 0), silent(0, 100)), (0, 1));
}

#[test]
fn odd_notices_come_twice_and_after_the_next_one() {
    let notices = |odd_notices| -> Vec<Sending> {
        let pace = Duration::from_secs(2);
        let behaviour =
            Behaviour { odd_notices: percent(odd_notices), pace, ..Behaviour::default() };
        behaviour.notices(Reference(request(1, "DE").parcel)).collect()
    };
    let seconds = |all: &[Sending]| all.iter().map(|it| it.after.as_secs()).collect::<Vec<_>>();
    let (even, odd) = (notices(0), notices(100));
    assert_eq!(even.iter().map(|it| it.place).collect::<Vec<_>>(), Place::WAY);
    assert_eq!((seconds(&even), seconds(&odd)), (vec![2, 4, 6], vec![5, 7, 9]));
    assert!(even.iter().all(|it| it.times == 1) && odd.iter().all(|it| it.times == 2));
}

#[test]
fn a_notice_is_believed_when_signed() {
    let secret = NoticeSecret::try_from("whsec_0123456789abcdef").unwrap();
    let caller = || Caller::new("http://localhost:1".parse().unwrap(), None).unwrap();
    let carrier = Simulator::new(caller(), Some(secret.clone()));
    let reference = request(1, "DE").parcel;
    let (event, place) = ("evt_1_1".to_owned(), Place::OutForDelivery);
    let body = NoticeBody { event, parcel: Reference(reference), place };
    let body = serde_json::to_vec(&body).unwrap();
    let unsigned = carrier.read_notice(&HeaderMap::new(), &body, NOON);
    assert_eq!(unsigned, Err(NoticeRefused::BadSignature));
    let headers = notices::signed(&secret, NOON, &body).unwrap();
    let to = Whereabouts::OutForDelivery;
    let notice = Notice { event: "evt_1_1".parse().unwrap(), parcel: reference, to };
    assert_eq!(carrier.read_notice(&headers, &body, NOON), Ok(Some(notice)));
    let later = NOON.plus(Span::from_secs(3_600));
    assert_eq!(carrier.read_notice(&headers, &body, later), Err(NoticeRefused::OutOfTime));
    let deaf = Simulator::new(caller(), None);
    assert_eq!(deaf.read_notice(&headers, &body, NOON), Err(NoticeRefused::BadSignature));
}

/// Where notices of a carrier go, and what it is told to do.
fn inside(folder: &TempDir, hook: &str) -> InProcess {
    let caller = Caller::new(hook.parse().unwrap(), None).unwrap();
    let secret = NoticeSecret::try_from("whsec_0123456789abcdef").unwrap();
    let behaviour = Behaviour { pace: Duration::ZERO, ..Behaviour::default() };
    InProcess::new(folder.path().join("mule"), behaviour, NoticeTarget { caller, secret })
}

/// One notice, as it came in.
fn heard(hook: &TcpListener) -> String {
    let (mut stream, _) = hook.accept().unwrap();
    let mut request = Vec::new();
    let mut more = [0; 1024];
    while !request.ends_with(b"}") {
        let n_read = stream.read(&mut more).unwrap();
        request.extend_from_slice(&more[..n_read]);
    }
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
    String::from_utf8(request).unwrap()
}

#[tokio::test]
async fn what_was_on_its_way_inside_goes_on_before_anybody_asks() {
    let folder = TempDir::new().unwrap();
    let before = inside(&folder, "http://localhost:1/hook");
    before.go_on();
    assert!(!folder.path().join("mule").exists());
    before.book("k".to_owned(), request(1, "DE")).await.unwrap();
    drop(before);
    let hook = TcpListener::bind("127.0.0.1:0").unwrap();
    let after = inside(&folder, &format!("http://{}/hook", hook.local_addr().unwrap()));
    after.go_on();
    let places = tokio::task::spawn_blocking(move || [(); 3].map(|()| heard(&hook))).await.unwrap();
    for place in ["in_transit", "out_for_delivery", "delivered"] {
        assert!(places.iter().any(|body| body.contains(place)), "{place}: {places:?}");
    }
}

#[tokio::test]
async fn the_service_books_a_parcel_once_and_lists_it() {
    let folder = TempDir::new().unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    let labels = "http://mule/labels".to_owned();
    let router = service::router(&disk, Behaviour::default(), labels, None).unwrap();
    let body = serde_json::to_string(&parcel(1, "DE")).unwrap();
    let path = format!("{PARCELS}/{}", request(1, "DE").parcel);
    assert_eq!(ask(&router, "GET", &path, "k", "").await.0, 404);
    let first = ask(&router, "POST", PARCELS, "k", &body).await;
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(ask(&router, "POST", PARCELS, "k", &body).await, first);
    assert_eq!(ask(&router, "GET", &path, "k", "").await, first);
    let other = serde_json::to_string(&parcel(2, "DE")).unwrap();
    assert_eq!(ask(&router, "POST", PARCELS, "k", &other).await.0, 409);
    assert_eq!(ask(&router, "POST", PARCELS, "k", "{}").await.0, 400);
    let page = ask(&router, "GET", "/ledger", "k", "").await.1;
    assert_eq!(page, format!("{{\"data\":[{}],\"has_more\":false}}", first.1));
    assert_eq!(ask(&router, "GET", "/labels/SIM000000001", "k", "").await.1, "SIM000000001\n");
}

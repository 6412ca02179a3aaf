use actors::OrderId;
use actors::domain::payment::{Action, Outcome, ProviderAnswer, ProviderRequest, Refusal};
use cluster::time::{Span, Timestamp};
use storage::disk::{Disk, RealDisk};
use tempfile::TempDir;

use super::book::Book;
use super::ledger::{Conflict, Decided, Ledger};
use super::wire::{Reason, Result as Came};
use super::*;
use crate::providers::chance::Manner;
use crate::providers::journal::JournalError;
use crate::providers::payment::samples::{self, euro, reference};
use crate::providers::service::ask;
use crate::providers::{InvalidPercent, Percent, notices};

fn request(number: u32, action: Action) -> ProviderRequest {
    samples::request("simulator", number, action)
}

fn authorise(number: u32, minor: i64, token: &str) -> ProviderRequest {
    let (amount, token) = (euro(minor), token.parse().unwrap());
    request(number, Action::Authorise { amount, token, order: OrderId::from_bytes([4; 16]) })
}

fn auth() -> actors::domain::payment::ProviderReference {
    format!("auth_{}", reference(1)).parse().unwrap()
}

fn capture(number: u32, minor: i64) -> ProviderRequest {
    request(number, Action::Capture { amount: euro(minor), authorisation: auth() })
}

fn void(number: u32) -> ProviderRequest {
    request(number, Action::Void { authorisation: auth(), captured: euro(0) })
}

fn refund(number: u32, minor: i64) -> ProviderRequest {
    let captures = Vec::new();
    request(number, Action::Refund { amount: euro(minor), authorisation: auth(), captures })
}

/// Carries out all in turn; the answers to them.
#[track_caller]
fn check(requests: &[ProviderRequest], then: &[Option<Reason>]) {
    let (behaviour, mut ledger) = (Behaviour::default(), Ledger::default());
    for (request, refused) in requests.iter().zip(then) {
        let operation = Operation::try_from(request).unwrap();
        let key = format!("key-{}", request.reference);
        let decided = ledger.decide(&behaviour, &key, &operation);
        let Ok(Decided::New(entry)) = decided else { panic!("{decided:?}") };
        let reason = match &entry.result {
            Came::Done { .. } => None,
            Came::Refused { reason } => Some(*reason),
        };
        assert_eq!(reason, *refused, "{request:?}");
        ledger.add(entry.clone());
        assert_eq!(ledger.decide(&behaviour, &key, &operation), Ok(Decided::Known(entry.clone())));
        let again = ledger.decide(&behaviour, "another key", &operation);
        assert_eq!(again, Ok(Decided::Known(entry)), "done twice under two keys");
        let other = Operation::try_from(&authorise(9, 1, "tok_visa")).unwrap();
        assert_eq!(ledger.decide(&behaviour, &key, &other), Err(Conflict));
    }
}

#[test]
fn no_more_moves_than_there_is() {
    let no = Some(Reason::NotPossible);
    check(&[capture(2, 1)], &[no]);
    check(
        &[authorise(1, 100, "tok_visa"), capture(2, 60), capture(3, 41), capture(4, 40)],
        &[None, None, no, None],
    );
    check(
        &[
            authorise(1, 100, "tok_visa"),
            capture(2, 60),
            refund(3, 50),
            refund(4, 11),
            refund(5, 10),
        ],
        &[None, None, None, no, None],
    );
    check(
        &[authorise(1, 100, "tok_visa"), capture(2, 60), void(3), capture(4, 1), void(5)],
        &[None, None, None, no, None],
    );
}

#[test]
fn tokens_say_what_comes_of_them() {
    check(&[authorise(1, 1, "tok_decline")], &[Some(Reason::Declined)]);
    check(&[authorise(1, 1, "tok_insufficient_funds")], &[Some(Reason::InsufficientFunds)]);
    check(&[authorise(1, 1, "card_visa")], &[Some(Reason::Invalid)]);
    let behaviour = Behaviour::default();
    let manner = |token, attempt| behaviour.manner(Reference(reference(1)), Some(token), attempt);
    assert_eq!(
        [0, 1, 2].map(|attempt| manner("tok_timeout", attempt))[1..],
        [Manner::Lost, Manner::Prompt]
    );
    assert_eq!(manner("tok_late_success", 0), Manner::Late);
    assert_eq!(manner("tok_visa", 0), Manner::Prompt);
}

#[test]
fn shares_are_about_as_large_as_told() {
    let behaviour = Behaviour { declines: 30.try_into().unwrap(), ..Behaviour::default() };
    let refused = (1..=1_000)
        .filter(|number| behaviour.refusal(Reference(reference(*number)), "tok_visa").is_some());
    let refused = refused.count();
    assert!((240..=360).contains(&refused), "{refused}");
    assert_eq!(Percent::try_from(101), Err(InvalidPercent));
}

/// What was answered is there after a kill; what was being written is not, and nothing is lost to it.
#[test]
fn the_ledger_survives_a_torn_end() {
    let folder = TempDir::new().unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    let behaviour = Behaviour::default();
    let operation = Operation::try_from(&authorise(1, 100, "tok_visa")).unwrap();
    let first = Book::open(&disk).unwrap().carry_out(&behaviour, "k", &operation).unwrap();
    let Decided::New(entry) = first else { panic!("{first:?}") };
    let file = disk.open("ledger.jsonl").unwrap();
    file.write_at(file.len().unwrap(), br#"{"number":2,"key"#).unwrap();
    let mut book = Book::open(&disk).unwrap();
    assert_eq!(book.carry_out(&behaviour, "k", &operation).unwrap(), Decided::Known(entry));
    let next = Operation::try_from(&capture(2, 100)).unwrap();
    assert!(matches!(book.carry_out(&behaviour, "l", &next).unwrap(), Decided::New(_)));
    assert_eq!(Book::open(&disk).unwrap().ledger.entries().len(), 2);
    file.write_at(0, b"x").unwrap();
    assert!(matches!(Book::open(&disk), Err(JournalError::Damaged { line: 1, .. })));
}

#[tokio::test]
async fn a_late_success_is_known_when_asked_for() {
    let folder = TempDir::new().unwrap();
    let provider = InProcess::new(folder.path().to_owned(), Behaviour::default());
    let late = authorise(1, 100, "tok_late_success");
    assert_eq!(provider.look_up(late.clone()).await.unwrap(), None);
    assert!(provider.carry_out("k".to_owned(), late.clone()).await.is_err());
    let done = ProviderAnswer {
        operation: late.reference.number,
        outcome: Outcome::Done { reference: auth() },
    };
    assert_eq!(provider.look_up(late).await.unwrap(), Some(done));
    let lost = authorise(2, 100, "tok_timeout");
    assert!(provider.carry_out("l".to_owned(), lost.clone()).await.is_err());
    assert_eq!(provider.look_up(lost).await.unwrap(), None);
    let declined = provider.carry_out("m".to_owned(), authorise(3, 1, "tok_fraud")).await.unwrap();
    assert_eq!(declined.outcome, Outcome::Refused(Refusal::SuspectedFraud));
}

fn caller() -> Caller {
    Caller::new("http://localhost:1".parse().unwrap(), None).unwrap()
}

#[test]
fn a_notice_is_believed_when_signed() {
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let secret = NoticeSecret::try_from("whsec_0123456789abcdef").unwrap();
    let provider = Simulator::new(caller(), Some(secret.clone()));
    let operation = Operation::try_from(&authorise(1, 100, "tok_visa")).unwrap();
    let decided = Ledger::default().decide(&Behaviour::default(), "k", &operation);
    let Ok(Decided::New(entry)) = decided else { panic!("{decided:?}") };
    let body = serde_json::to_vec(&NoticeBody { event: "evt_1".to_owned(), entry }).unwrap();
    let headers = HeaderMap::new();
    let read = |headers: &HeaderMap, now| provider.read_notice(headers, &body, now);
    assert_eq!(read(&headers, now), Err(NoticeRefused::BadSignature));
    let headers = notices::signed(&secret, now, &body).unwrap();
    let (operation, amount) = (reference(1).number, Some(euro(100)));
    let fact = Fact::Done { operation, reference: auth(), amount };
    let (event, payment) = ("evt_1".parse().unwrap(), reference(1).payment);
    assert_eq!(read(&headers, now), Ok(Some(Notice { event, payment, fact })));
    let later = now.plus(Span::from_secs(3_600));
    assert_eq!(read(&headers, later), Err(NoticeRefused::OutOfTime));
}

#[tokio::test]
async fn the_service_does_an_operation_once_and_lists_it() {
    let folder = TempDir::new().unwrap();
    let disk = RealDisk::open(folder.path()).unwrap();
    let router = service::router(&disk, Behaviour::default(), None).unwrap();
    let body = serde_json::to_string(&Operation::try_from(&authorise(1, 100, "tok_visa")).unwrap())
        .unwrap();
    let path = format!("/v1/operations/{}", reference(1));
    assert_eq!(ask(&router, "GET", &path, "k", "").await.0, 404);
    let first = ask(&router, "POST", "/v1/operations", "k", &body).await;
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(ask(&router, "POST", "/v1/operations", "k", &body).await, first);
    assert_eq!(ask(&router, "GET", &path, "k", "").await, first);
    let other =
        serde_json::to_string(&Operation::try_from(&authorise(2, 100, "tok_visa")).unwrap())
            .unwrap();
    assert_eq!(ask(&router, "POST", "/v1/operations", "k", &other).await.0, 409);
    assert_eq!(ask(&router, "POST", "/v1/operations", "", &other).await.0, 400);
    assert_eq!(ask(&router, "POST", "/v1/operations", "l", "{}").await.0, 400);
    let page = ask(&router, "GET", "/ledger?limit=1", "", "").await.1;
    assert_eq!(page, format!("{{\"data\":[{}],\"has_more\":false}}", first.1));
    assert!(ask(&router, "GET", "/ledger?after=1", "", "").await.1.contains("[]"));
}

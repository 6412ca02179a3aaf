//! The payment simulator as a process: asked through the adapter, killed, asked again.

use actors::domain::payment::{
    Action, OperationReference, Outcome, ProviderAnswer, ProviderReference, ProviderRequest,
};
use actors::{Currency, Money, OrderId, PaymentId};
use edge::providers::payment::PaymentProvider;
use edge::providers::payment::simulator::Simulator;

use crate::client::{Ask, Client, Who};
use crate::running::Running;

const COMMAND: &str = "payment-simulator";

fn provider(running: &Running) -> Simulator {
    Simulator::new(running.caller(), None)
}

async fn ledger(running: &Running) -> serde_json::Value {
    let mut client = Client::new(running.address.parse().expect("an address"));
    client.ask(Ask::get(Who::Nobody, "/ledger")).await.expect(200).json()
}

fn request(number: u32, action: Action) -> ProviderRequest {
    let payment = PaymentId::from_bytes([1; 16]);
    let reference = OperationReference { payment, number: number.try_into().expect("a number") };
    ProviderRequest { provider: "simulator".parse().expect("a name"), reference, action }
}

fn amount() -> Money {
    Money { minor: 100, currency: Currency::EURO }
}

fn authorise(token: &str) -> ProviderRequest {
    let token = token.parse().expect("a token");
    request(1, Action::Authorise { amount: amount(), token, order: OrderId::from_bytes([2; 16]) })
}

fn done(answer: ProviderAnswer) -> ProviderReference {
    match answer.outcome {
        Outcome::Done { reference } => reference,
        Outcome::Refused(refusal) => panic!("{refusal}"),
        Outcome::Pending { reference } => panic!("{reference:?} is pending"),
    }
}

#[tokio::test]
async fn what_was_answered_is_in_the_ledger_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(COMMAND, folder.path(), &[]);
    let first = provider(&running).carry_out("key-1".to_owned(), authorise("tok_visa")).await;
    let authorisation = done(first.unwrap());
    let before = ledger(&running).await;
    drop(running);

    let running = Running::start(COMMAND, folder.path(), &[]);
    assert_eq!(ledger(&running).await, before);
    let provider = provider(&running);
    let again = provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await;
    assert_eq!(done(again.unwrap()), authorisation);
    let capture = request(2, Action::Capture { amount: amount(), authorisation });
    done(provider.carry_out("key-2".to_owned(), capture).await.unwrap());
    assert_eq!(ledger(&running).await["data"].as_array().unwrap().len(), 2);
    drop(running);
}

#[tokio::test]
async fn a_late_success_is_found_by_its_reference() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(COMMAND, folder.path(), &["--late-percent", "100"]);
    let provider = provider(&running);
    assert_eq!(provider.look_up(authorise("tok_visa")).await.unwrap(), None);
    assert!(provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await.is_err());
    let found = provider.look_up(authorise("tok_visa")).await.unwrap();
    assert!(done(found.unwrap()).as_str().starts_with("auth_"));
    drop(running);
    // Nobody answers: in doubt, not refused.
    assert!(provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await.is_err());
}

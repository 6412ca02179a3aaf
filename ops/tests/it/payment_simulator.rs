//! The payment simulator as a process: asked through the adapter, killed, asked again.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use actors::domain::payment::{
    Action, OperationReference, Outcome, ProviderAnswer, ProviderReference, ProviderRequest,
};
use actors::{Currency, Money, OrderId, PaymentId};
use edge::providers::Caller;
use edge::providers::payment::PaymentProvider;
use edge::providers::payment::simulator::Simulator;

use crate::client::{Ask, Client, Who};
use crate::server::BINARY;

struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(data: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new(BINARY)
            .args(["payment-simulator", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit_once("http://").expect("an address").1.to_owned();
        Self { child, address }
    }

    fn provider(&self) -> Simulator {
        let origin = format!("http://{}", self.address).parse().expect("an origin");
        Simulator::new(Caller::new(origin, None).expect("no TLS"), None)
    }

    async fn ledger(&self) -> serde_json::Value {
        let mut client = Client::new(self.address.parse().expect("an address"));
        client.ask(Ask::get(Who::Nobody, "/ledger")).await.expect(200).json()
    }

    fn kill(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
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
    let running = Running::start(folder.path(), &[]);
    let first = running.provider().carry_out("key-1".to_owned(), authorise("tok_visa")).await;
    let authorisation = done(first.unwrap());
    let before = running.ledger().await;
    running.kill();

    let running = Running::start(folder.path(), &[]);
    assert_eq!(running.ledger().await, before);
    let provider = running.provider();
    let again = provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await;
    assert_eq!(done(again.unwrap()), authorisation);
    let capture = request(2, Action::Capture { amount: amount(), authorisation });
    done(provider.carry_out("key-2".to_owned(), capture).await.unwrap());
    assert_eq!(running.ledger().await["data"].as_array().unwrap().len(), 2);
    running.kill();
}

#[tokio::test]
async fn a_late_success_is_found_by_its_reference() {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(folder.path(), &["--late-percent", "100"]);
    let provider = running.provider();
    assert_eq!(provider.look_up(authorise("tok_visa")).await.unwrap(), None);
    assert!(provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await.is_err());
    let found = provider.look_up(authorise("tok_visa")).await.unwrap();
    assert!(done(found.unwrap()).as_str().starts_with("auth_"));
    running.kill();
    // Nobody answers: in doubt, not refused.
    assert!(provider.carry_out("key-1".to_owned(), authorise("tok_visa")).await.is_err());
}

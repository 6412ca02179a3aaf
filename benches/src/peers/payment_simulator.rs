//! The payment provider for trials, as a process of its own, and its ledger.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::load::client::{Call, Caller};
use crate::peers::folder::Folder;
use crate::peers::omnicart::Program;
use crate::peers::process::{Process, free_address};

pub(crate) struct PaymentSimulator(Process);

/// What was moved of one payment, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) captured: i64,
    pub(crate) refunded: i64,
}

/// One thing that the provider did, or refused to do.
#[derive(Clone, Debug, Deserialize)]
struct LedgerEntry {
    number: u64,
    operation: Operation,
    result: Outcome,
}

#[derive(Clone, Debug, Deserialize)]
struct Operation {
    /// The payment, a hyphen, and which of its operations it is.
    reference: String,
    action: Action,
}

#[derive(Clone, Debug, Deserialize)]
struct Action {
    kind: String,
    amount: Option<Amount>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Amount {
    amount: i64,
}

#[derive(Clone, Debug, Deserialize)]
struct Outcome {
    status: String,
}

#[derive(Deserialize)]
struct Page {
    data: Vec<LedgerEntry>,
    has_more: bool,
}

impl LedgerEntry {
    fn payment(&self) -> &str {
        self.operation.reference.split_once('-').map_or("", |(payment, _)| payment)
    }

    /// What it moved, if it did that.
    fn moved(&self, kind: &str) -> i64 {
        let is_done = self.operation.action.kind == kind && self.result.status == "done";
        self.operation.action.amount.filter(|_| is_done).map_or(0, |amount| amount.amount)
    }
}

impl PaymentSimulator {
    pub(crate) async fn start(program: Option<&Path>, folder: &Folder) -> anyhow::Result<Self> {
        let address = free_address()?;
        let mut command = Program::asked_for(program)?.begin("payment-simulator");
        command
            .args(["--listen", &address.to_string()])
            .arg("--data")
            .arg(folder.join("payment-simulator"));
        let log = folder.join("payment-simulator.log");
        Process::start(command, address, "/ledger?limit=1", &log).await.map(Self)
    }

    /// How a node is told of it.
    pub(crate) fn flag(&self) -> String {
        format!("--payment-provider=simulator=simulator+http://{}", self.0.address())
    }

    /// All that it moved, by payment.
    pub(crate) async fn moved(&self) -> anyhow::Result<BTreeMap<String, Moved>> {
        let mut all: BTreeMap<String, Moved> = BTreeMap::new();
        for entry in self.ledger().await? {
            let moved = all.entry(entry.payment().to_owned()).or_default();
            moved.captured += entry.moved("capture");
            moved.refunded += entry.moved("refund");
        }
        Ok(all)
    }

    /// All that it did, in order.
    async fn ledger(&self) -> anyhow::Result<Vec<LedgerEntry>> {
        let mut caller = Caller::new(self.0.address());
        let (mut all, mut after): (Vec<LedgerEntry>, _) = (Vec::new(), 0);
        loop {
            let call = Call::new(Method::GET, format!("/ledger?after={after}&limit=1000"));
            let answer = caller.send(&call).await.context("the ledger")?;
            let page: Page = answer.expect(StatusCode::OK)?.json()?;
            all.extend(page.data);
            if !page.has_more {
                return Ok(all);
            }
            after = all.last().map_or(after, |entry| entry.number);
        }
    }
}

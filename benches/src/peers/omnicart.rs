//! The real binary as a process of its own, and requests to it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use serde::Deserialize;

use crate::load::client::{Answer, Call, Caller};
use crate::metrics::LogCounters;
use crate::peers::folder::Folder;
use crate::peers::process::{Process, free_address, own_program};
use crate::shop;

/// Makes this program be the server, as the rest of the command line says.
pub(crate) const SERVER_TASK: &str = "omnicart";
const SERVER_ARGUMENTS: &[&str] = &[SERVER_TASK];
const NO_ARGUMENTS: &[&str] = &[];
pub(crate) const READY_PATH: &str = "/readyz";
const OPERATOR_TOKEN: &str = "operator-token-of-a-bench-run-0123456789";
const CART_TOKEN_HEADER: &str = "omni-cart-token";
const KEY_HEADER: &str = "idempotency-key";

/// What is under test: the binary asked for, or the server in this program.
pub(crate) struct Program {
    file: PathBuf,
    /// What comes before the program's own command line.
    arguments: &'static [&'static str],
}

impl Program {
    pub(crate) fn asked_for(asked: Option<&Path>) -> anyhow::Result<Self> {
        // By default the server is part of this program, so that what is measured is never older.
        let (file, arguments) = match asked {
            Some(file) => (file.to_owned(), NO_ARGUMENTS),
            None => (own_program()?, SERVER_ARGUMENTS),
        };
        anyhow::ensure!(file.is_file(), "there is no {}", file.display());
        Ok(Self { file, arguments })
    }

    /// The beginning of a command that serves.
    pub(crate) fn serve(&self) -> Command {
        let mut command = self.begin("serve");
        command.env("OMNICART_OPERATOR_TOKEN", OPERATOR_TOKEN);
        command
    }

    /// The beginning of any command.
    pub(crate) fn begin(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.file);
        command.args(self.arguments).arg(verb);
        command
    }
}

/// How to start the binary on one data folder, again and again.
pub(crate) struct Omnicart {
    program: Program,
    data: PathBuf,
    catalogue: PathBuf,
    log: PathBuf,
    sizes: Sizes,
    flags: Vec<String>,
}

/// How much the binary holds before it moves things on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// As it comes.
    Default,
    /// So small that entities leave memory, shards are snapshotted and the log is trimmed within
    /// seconds.
    Small,
}

impl Sizes {
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Default => &[],
            Self::Small => &[
                "--shards=8",
                "--segment-size=4MiB",
                "--snapshot-after=64KiB",
                "--entity-memory=1MiB",
                "--index-cache=4MiB",
            ],
        }
    }
}

impl Omnicart {
    pub(crate) fn in_folder(program: Option<&Path>, folder: &Folder) -> anyhow::Result<Self> {
        let (program, catalogue) = (Program::asked_for(program)?, write_catalogue(folder)?);
        let (data, log) = (folder.join("data"), folder.join("omnicart.log"));
        let (sizes, flags) = (Sizes::Default, Vec::new());
        Ok(Self { program, data, catalogue, log, sizes, flags })
    }

    pub(crate) fn with_flags(self, flags: Vec<String>) -> Self {
        Self { flags, ..self }
    }

    pub(crate) fn with_sizes(self, sizes: Sizes) -> Self {
        Self { sizes, ..self }
    }

    /// Starts it and waits until it serves.
    pub(crate) async fn start(&self) -> anyhow::Result<Process> {
        let address = free_address()?;
        Process::start(self.command(address), address, READY_PATH, &self.log).await
    }

    /// Starts it and does not wait.
    pub(crate) fn launch(&self) -> anyhow::Result<Process> {
        let address = free_address()?;
        Process::launch(self.command(address), address, &self.log)
    }

    fn command(&self, address: SocketAddr) -> Command {
        let mut command = self.program.serve();
        command
            .args(["--listen", &address.to_string(), "--log-level", "warn"])
            // All load comes from one address.
            .arg("--cart-creation-rate=0")
            .arg("--data")
            .arg(&self.data)
            .arg("--catalogue")
            .arg(&self.catalogue)
            .args(self.sizes.flags())
            .args(&self.flags);
        command
    }
}

pub(crate) fn write_catalogue(folder: &Folder) -> anyhow::Result<PathBuf> {
    let catalogue = folder.join("catalogue.json");
    std::fs::write(&catalogue, shop::catalogue_json().to_string())
        .context("cannot write the catalogue")?;
    Ok(catalogue)
}

/// A cart that its holder can change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CartHandle {
    pub(crate) id: String,
    pub(crate) token: String,
}

#[derive(Deserialize)]
struct Created {
    cart: CreatedCart,
    token: String,
}

#[derive(Deserialize)]
struct CreatedCart {
    id: String,
}

impl CartHandle {
    pub(crate) fn from_answer(answer: Answer) -> anyhow::Result<Self> {
        let created: Created = answer.expect(StatusCode::CREATED)?.json()?;
        Ok(Self { id: created.cart.id, token: created.token })
    }

    fn call(&self, method: Method, rest: &str) -> anyhow::Result<Call> {
        let path = format!("/store/v1/carts/{}{rest}", self.id);
        Call::new(method, path).header(CART_TOKEN_HEADER, &self.token)
    }

    pub(crate) fn add(&self, sku: &str, quantity: u32) -> anyhow::Result<Call> {
        let body = serde_json::json!({"sku": sku, "quantity": quantity});
        Ok(self.call(Method::POST, "/items")?.json(&body))
    }

    pub(crate) fn add_all<'a>(&self, skus: impl Iterator<Item = &'a str>) -> anyhow::Result<Call> {
        let item = |sku| serde_json::json!({"sku": sku, "quantity": 1});
        let items: Vec<_> = skus.map(item).collect();
        Ok(self.call(Method::POST, "/items")?.json(&serde_json::json!({"items": items})))
    }

    pub(crate) fn read(&self) -> anyhow::Result<Call> {
        self.call(Method::GET, "")
    }

    /// Pays with the simulated provider; to be sent under a key.
    pub(crate) fn check_out(&self) -> anyhow::Result<Call> {
        let address = serde_json::json!({
            "name": "A Shopper", "line1": "Street 1", "city": "Town", "country": "DE",
        });
        let payment = serde_json::json!({"provider": "simulator", "token": "tok_visa"});
        let body = serde_json::json!({"shipping_address": address, "payment": payment});
        Ok(self.call(Method::POST, "/checkout")?.json(&body))
    }
}

pub(crate) fn create_cart() -> Call {
    Call::new(Method::POST, "/store/v1/carts")
        .json(&serde_json::json!({"currency": shop::CURRENCY}))
}

/// The request under an idempotency key.
pub(crate) fn keyed(call: Call, key: &str) -> anyhow::Result<Call> {
    call.header(KEY_HEADER, key)
}

/// The request of an operator.
pub(crate) fn as_operator(call: Call) -> anyhow::Result<Call> {
    call.header("authorization", &format!("Bearer {OPERATOR_TOKEN}"))
}

/// A request of an operator about the stock of a SKU; `rest` follows the SKU in the path.
pub(crate) fn inventory(method: Method, sku: &str, rest: &str) -> anyhow::Result<Call> {
    as_operator(Call::new(method, format!("/admin/v1/inventory/{sku}{rest}")))
}

pub(crate) fn set_on_hand(sku: &str, on_hand: u32) -> anyhow::Result<Call> {
    let body = serde_json::json!({"on_hand": on_hand, "reason": "bench"});
    Ok(inventory(Method::POST, sku, "/set")?.json(&body))
}

/// The stock of a SKU.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct StockLevel {
    pub(crate) on_hand: u64,
    pub(crate) reserved: u64,
}

/// The stock of a SKU; of one that was never stated, nothing.
pub(crate) async fn stock_level(caller: &mut Caller, sku: &str) -> anyhow::Result<StockLevel> {
    let answer = caller.send(&inventory(Method::GET, sku, "")?).await?;
    match answer.status {
        StatusCode::NOT_FOUND => Ok(StockLevel { on_hand: 0, reserved: 0 }),
        _ => answer.expect(StatusCode::OK)?.json(),
    }
}

pub(crate) async fn log_counters(address: SocketAddr) -> anyhow::Result<LogCounters> {
    let answer = Caller::new(address).send(&Call::new(Method::GET, "/metrics")).await?;
    let answer = answer.expect(StatusCode::OK)?;
    LogCounters::read(std::str::from_utf8(&answer.body)?)
}

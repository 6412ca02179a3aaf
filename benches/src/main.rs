//! A load generator for OmniCart: each scenario starts what it needs, puts load on it, measures it
//! against a yardstick in the same run, and prints its figures as one JSON object.
//!
//! **Invariants:** a scenario leaves no process and no file behind; a figure is measured or it is
//! absent, never assumed; broken promises end in an exit code other than zero.

mod arguments;
mod figures;
mod load;
mod machine;
mod metrics;
mod peers;
mod report;
mod scenarios;
mod shop;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use mimalloc::MiMalloc;

use crate::arguments::{Arguments, Common, Scenario, Task};
use crate::peers::omnicart::SERVER_TASK;
use crate::peers::{bare, folder::Folder};
use crate::report::{Report, Verbosity, Verdict};
use crate::scenarios::{
    cart_write, chaos, checkout, crash, failover, flash_sale, hot_sku, idle, import, memory,
    rebalance, recovery, scale,
};

/// For a run that finished and found a promise broken.
const EXIT_BROKEN: u8 = 3;

// What `omnicart` uses, for nodes measured in this process and for the peers.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|first| first == SERVER_TASK) {
        return Ok(server(words));
    }
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        let Arguments { scenario, common } = arguments;
        if let Scenario::Task(task) = scenario {
            return one_task(task).await.map(|()| ExitCode::SUCCESS);
        }
        measured(scenario, &common).await
    })
}

/// Runs what the `omnicart` binary would with the same words.
fn server(words: impl Iterator<Item = OsString>) -> ExitCode {
    let line = std::iter::once(SERVER_TASK.into()).chain(words);
    ops::cli::run_with(line).unwrap_or_else(|failure| {
        failure.report();
        failure.exit.into()
    })
}

async fn measured(scenario: Scenario, common: &Common) -> anyhow::Result<ExitCode> {
    let folder = Folder::create(common.folder.as_deref())?;
    let machine = machine::measure(folder.path())?;
    let mut report = Report::of(scenario.name());
    report.add("machine", &machine)?;
    match scenario {
        Scenario::CartWrite(asked) => {
            Box::pin(cart_write::run(common, &asked, &folder, &machine, &mut report)).await?;
        }
        Scenario::HotSku(asked) => {
            Box::pin(hot_sku::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Checkout(asked) => {
            Box::pin(checkout::run(common, &asked, &folder, &machine, &mut report)).await?;
        }
        Scenario::FlashSale(asked) => {
            Box::pin(flash_sale::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Memory(asked) => memory::run(&asked, &folder, &mut report)?,
        Scenario::Recovery(asked) => recovery::run(&asked, &folder, &mut report)?,
        Scenario::Crash(asked) => {
            Box::pin(crash::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Chaos(asked) => {
            Box::pin(chaos::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Failover(asked) => {
            Box::pin(failover::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Scale(asked) => {
            Box::pin(scale::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Rebalance(asked) => {
            Box::pin(rebalance::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Idle(asked) => {
            Box::pin(idle::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Import(asked) => {
            Box::pin(import::run(common, &asked, &folder, &mut report)).await?;
        }
        Scenario::Task(_) => unreachable!("a task is not measured"),
    }
    let verbosity = if common.json { Verbosity::JsonOnly } else { Verbosity::Text };
    Ok(match report.print(verbosity)? {
        Verdict::Kept => ExitCode::SUCCESS,
        Verdict::Broken => ExitCode::from(EXIT_BROKEN),
    })
}

async fn one_task(task: Task) -> anyhow::Result<()> {
    match task {
        Task::BarePeer(asked) => bare::serve(&asked).await,
        Task::MemoryPhase(asked) => Box::pin(memory::phase(&asked)).await,
        Task::IndexMemory { data } => memory::index_alone(&data),
        Task::BuildLog(asked) => Box::pin(recovery::build(&asked)).await,
        Task::ColdStart { data, memory } => Box::pin(recovery::cold_start(&data, memory)).await,
        Task::RawRead { data, drop_caches } => recovery::raw_read(&data, drop_caches),
    }
}

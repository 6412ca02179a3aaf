//! Memory of a great many idle carts: all of them resident, and all but a few passivated.
//!
//! Each phase is a process of its own, so that what one allocated and freed does not count for
//! another. Passivated carts are read in the process that let go of them while it served, and after
//! a restart: the first still holds what its queues once needed, and only a call that this program
//! may not make would give it back.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum as _;
use cluster::runtime::node::NodeConfig;
use serde::{Deserialize, Serialize};
use storage::clock;
use storage::state::{IndexOptions, StateIndex};

use crate::arguments::{self, MemoryPhase, Phase};
use crate::peers::folder::Folder;
use crate::peers::part;
use crate::report::{Report, progress};
use crate::shop::Shop;
use crate::{figures, machine};

/// Carts made before the first reading, so that what a node needs anyway does not count.
const WARM_UP_CARTS: u64 = 2_000;
/// So few that what a node holds of them is nothing beside what it holds anyway.
const FEW_CARTS: NonZero<u32> = NonZero::new(2_000).unwrap();
/// Memory for entities while nearly all are passivated, over all shards.
const TINY_BYTES: usize = 4 << 20;
/// Of a node that was not told otherwise.
const SHARDS: u32 = 64;
/// How long the state index may take to open.
const OPEN_MAX: Duration = Duration::from_secs(120);
const SETTLE_MAX: Duration = Duration::from_secs(180);
const SETTLE_STEP: Duration = Duration::from_secs(2);

/// What a phase read.
#[derive(Debug, Deserialize, Serialize)]
struct Reading {
    carts: u64,
    resident_before: u64,
    resident_after: u64,
    /// What the node itself says.
    hot_entities: u64,
    hot_bytes: u64,
    settled: Settled,
    seconds: f64,
}

/// What it took until entities had left memory that were to leave it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Settled {
    Idle,
    UnderLightTraffic,
    Never,
}

impl Reading {
    fn grown(&self) -> u64 {
        self.resident_after.saturating_sub(self.resident_before)
    }
}

/// What the state index holds by itself.
#[derive(Debug, Deserialize, Serialize)]
struct IndexReading {
    resident_bytes: u64,
    records: u64,
    bytes_on_disk: u64,
}

pub(crate) fn run(
    asked: &arguments::Memory,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let hot = run_phase(Phase::Hot, asked.carts, &folder.join("hot"))?;
    report.add("carts", hot.carts)?;
    report.add("bytes_per_idle_entity_hot", figures::ratio_of(hot.grown(), hot.carts))?;
    // One at a time: together the folders may be larger than the disk.
    std::fs::remove_dir_all(folder.join("hot"))
        .context("cannot remove the first phase's folder")?;
    let few = Restarted::on(FEW_CARTS, &folder.join("few"))?;
    let Restarted { written: passivated, restarted, restarts, index } =
        Restarted::on(asked.carts, &folder.join("passivated"))?;
    // What a node holds without carts, its open index included, is what one with few holds.
    let carts_and_index = restarted.resident_after.saturating_sub(few.restarted.resident_after);
    // What stayed in memory is not passivated, and has no place in a figure that says so.
    let left = (restarted.settled != Settled::Never).then_some(carts_and_index);
    // Where the index alone takes as much, there are too few carts to tell the rest from noise.
    let index_of_carts = index.resident_bytes.saturating_sub(few.index.resident_bytes);
    let rest = left.and_then(|left| left.checked_sub(index_of_carts));
    let each = |bytes: Option<u64>| bytes.map(|bytes| figures::ratio_of(bytes, restarted.carts));
    report.add("bytes_per_idle_entity_passivated", each(rest))?;
    report.add("bytes_per_idle_entity_passivated_with_index", each(left))?;
    let running = (passivated.settled != Settled::Never).then_some(passivated.grown());
    let running_rest = running.and_then(|running| running.checked_sub(index.resident_bytes));
    report.add("bytes_per_idle_entity_running", each(running_rest))?;
    report.add("bytes_per_idle_entity_running_with_index", each(running))?;
    report.add("state_index_bytes", index.resident_bytes)?;
    report.add("hot", &hot)?;
    report.add("passivated", &passivated)?;
    report.add("restarted", &restarted)?;
    report.add("restarts", restarts)?;
    report.add("state_index", &index)
}

/// A folder of passivated carts: the process that wrote it, the last that was started on it, and
/// what its state index holds by itself.
struct Restarted {
    written: Reading,
    restarted: Reading,
    restarts: u32,
    index: IndexReading,
}

impl Restarted {
    fn on(carts: NonZero<u32>, data: &Path) -> anyhow::Result<Self> {
        let written = run_phase(Phase::Passivated, carts, data)?;
        let (restarted, restarts) = restart(carts, data)?;
        progress("memory: the state index alone");
        let index =
            part::run(["index-memory".into(), "--data".into(), data.as_os_str().to_owned()])?;
        Ok(Self { written, restarted, restarts, index })
    }
}

/// Restarts until a start finds everything in the state index. One that has to carry out the log
/// again keeps the memory that took, and each stop brings the index further.
fn restart(carts: NonZero<u32>, data: &Path) -> anyhow::Result<(Reading, u32)> {
    const RESTARTS_MAX: u32 = 4;
    let mut restarts = 1;
    loop {
        let reading = run_phase(Phase::Restarted, carts, data)?;
        if reading.settled == Settled::Idle || restarts == RESTARTS_MAX {
            return Ok((reading, restarts));
        }
        restarts += 1;
    }
}

fn run_phase(phase: Phase, carts: NonZero<u32>, data: &Path) -> anyhow::Result<Reading> {
    let name = phase.to_possible_value().context("every phase has a name")?;
    progress(&format!("memory: {carts} carts, {}", name.get_name()));
    part::run([
        "memory-phase".into(),
        "--phase".into(),
        name.get_name().into(),
        "--carts".into(),
        carts.to_string().into(),
        "--data".into(),
        data.as_os_str().to_owned(),
    ])
}

/// One phase, in its own process.
pub(crate) async fn phase(asked: &MemoryPhase) -> anyhow::Result<()> {
    let started = clock::monotonic();
    let resident_bytes_max = match asked.phase {
        Phase::Hot => usize::MAX,
        Phase::Passivated | Phase::Restarted => TINY_BYTES,
    };
    let empty_process = machine::resident_bytes()?;
    let shop =
        Shop::open(&asked.data, |config| NodeConfig { resident_bytes_max, ..config }).await?;
    let carts = u64::from(asked.carts.get());
    let resident_before = match asked.phase {
        Phase::Hot | Phase::Passivated => {
            shop.fill_carts(0, WARM_UP_CARTS).await?;
            settle(&shop, resident_bytes_max).await?;
            let before = machine::resident_bytes()?;
            shop.fill_carts(WARM_UP_CARTS, WARM_UP_CARTS + carts).await?;
            before
        }
        Phase::Restarted => empty_process,
    };
    let settled = settle(&shop, resident_bytes_max).await?;
    let resident_after = machine::resident_bytes()?;
    let (hot_entities, hot_bytes) = hot(&shop).await;
    let seconds = figures::seconds(started.elapsed());
    shop.node.stop().await;
    part::answer(&Reading {
        carts,
        resident_before,
        resident_after,
        hot_entities,
        hot_bytes,
        settled,
        seconds,
    })
}

/// Waits until entities left memory that are to leave it, and memory stays as it is.
async fn settle(shop: &Shop, resident_bytes_max: usize) -> anyhow::Result<Settled> {
    const STILL_BYTES: u64 = 1 << 20;
    let started = clock::monotonic();
    let mut before = machine::resident_bytes()?;
    let bytes_max = u64::try_from(resident_bytes_max).unwrap_or(u64::MAX);
    let mut settled = Settled::Idle;
    while started.elapsed() < SETTLE_MAX {
        tokio::time::sleep(SETTLE_STEP).await;
        let resident = machine::resident_bytes()?;
        let is_still = resident.abs_diff(before) < STILL_BYTES;
        // Each shard keeps to its own share, and one entity more is within reason.
        let is_small = hot(shop).await.1 <= bytes_max.saturating_mul(2);
        if is_still && is_small {
            return Ok(settled);
        }
        if is_still {
            // It would stay as it is for ever, so it is given something to do.
            settled = Settled::UnderLightTraffic;
            shop.fill_carts(0, WARM_UP_CARTS).await?;
        }
        before = machine::resident_bytes()?;
    }
    Ok(Settled::Never)
}

async fn hot(shop: &Shop) -> (u64, u64) {
    let status = shop.node.status().await;
    let entities: usize = status.iter().map(|shard| shard.hot_entities).sum();
    let bytes: usize = status.iter().map(|shard| shard.hot_bytes).sum();
    (entities as u64, bytes as u64)
}

/// The state index of a stopped node, read from end to end as a start does, and nothing else.
pub(crate) fn index_alone(data: &Path) -> anyhow::Result<()> {
    let before = machine::resident_bytes()?;
    let options = IndexOptions { deadline: OPEN_MAX, ..IndexOptions::default() };
    let mut index = StateIndex::open(&data.join("state"), &options)?.index;
    let mut records = 0;
    for shard in 0..SHARDS {
        for entry in index.scan(shard)? {
            entry?;
            records += 1;
        }
    }
    let resident_bytes = machine::resident_bytes()?.saturating_sub(before);
    let bytes_on_disk = index.size_on_disk()?;
    part::answer(&IndexReading { resident_bytes, records, bytes_on_disk })
}

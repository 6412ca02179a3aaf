//! Cold start on a large log, against reading the same bytes once.
//!
//! The log is built in little memory, so that the state index holds carts, and started on with the
//! memory a node has when nobody says otherwise. What a start without the index costs in little
//! memory is a figure of its own: most of it is carts leaving memory while the log is carried out.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actors::domain::cart::Command as CartCommand;
use actors::{CartId, Quantity, SkuCode};
use anyhow::Context as _;
use cluster::fabric::Fabric;
use cluster::runtime::node::NodeConfig;
use serde::{Deserialize, Serialize};
use storage::clock;
use storage::disk::RealDisk;
use storage::log::{Finding, inspect};
use tokio::task::JoinSet;

use crate::arguments::{self, BuildLog, StartMemory};
use crate::metrics::LogCounters;
use crate::peers::folder::Folder;
use crate::peers::part;
use crate::report::{Report, progress};
use crate::shop::{self, PRODUCTS, Shop};
use crate::{figures, machine};

const LOG_DIR: &str = "log";
const INDEX_DIR: &str = "state";
const INDEX_MARKER: &str = "CURRENT";
/// Writers that build the log: few, so that many entries are written and not a few large ones.
const WRITERS: u64 = 192;
/// Small enough that building the log puts carts into the state index.
const RESIDENT_BYTES: usize = 256 << 10;
/// Starts of each sort; the one in the middle counts.
const TURNS: usize = 5;

/// The log as it lies on disk.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct RawRead {
    micros: u64,
    bytes: u64,
    records: u64,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct ColdStart {
    micros: u64,
    entities: u64,
    resident_bytes: u64,
    /// Whether the state index that was there before is the one in use.
    index_kept: bool,
}

#[derive(Debug, Serialize)]
struct Variant {
    seconds: f64,
    records_per_second: f64,
    ratio_to_raw_read: f64,
    raw_read_seconds: f64,
    /// Of the other turns, to tell the noise.
    seconds_min: f64,
    seconds_max: f64,
    index_kept: bool,
    entities: u64,
    resident_bytes: u64,
}

/// What the timed steps find in the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum PageCache {
    Warm,
    Dropped,
}

pub(crate) fn run(
    asked: &arguments::Recovery,
    folder: &Folder,
    report: &mut Report,
) -> anyhow::Result<()> {
    let data = folder.join("data");
    progress(&format!("recovery: writing {} records", asked.records));
    let records = asked.records.to_string();
    let built: Built = part::run(["build-log", "--records", &records, "--data", &text(&data)?])?;
    let page_cache = if asked.drop_caches { PageCache::Dropped } else { PageCache::Warm };
    progress("recovery: cold start with the state index");
    let (raw, with_index) = variant(&data, page_cache, Index::Kept, StartMemory::Ordinary)?;
    progress("recovery: cold start without the state index");
    let (_, without_index) = variant(&data, page_cache, Index::Removed, StartMemory::Ordinary)?;
    let (_, in_little_memory) = variant(&data, page_cache, Index::Removed, StartMemory::Little)?;
    report.add("records", raw.records)?;
    report.add("log_bytes", raw.bytes)?;
    report.add("page_cache", page_cache)?;
    report.add("records_per_second", without_index.records_per_second)?;
    report.add("ratio_to_raw_read", without_index.ratio_to_raw_read)?;
    report.add("with_index", &with_index)?;
    report.add("without_index", &without_index)?;
    report.add("without_index_in_little_memory", &in_little_memory)?;
    report.add("build_seconds", built.seconds)
}

/// What a start finds of the state index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Index {
    Kept,
    Removed,
}

/// Some raw reads and cold starts in turns, each after the same preparation.
fn variant(
    data: &Path,
    page_cache: PageCache,
    index: Index,
    memory: StartMemory,
) -> anyhow::Result<(RawRead, Variant)> {
    let path = text(data)?;
    let drop_caches = matches!(page_cache, PageCache::Dropped).then_some("--drop-caches");
    let mut turns = Vec::with_capacity(TURNS);
    for _ in 0..TURNS {
        if index == Index::Removed {
            std::fs::remove_dir_all(data.join(INDEX_DIR))
                .context("cannot remove the state index")?;
        }
        let raw: RawRead = part::run(["raw-read", "--data", &path].into_iter().chain(drop_caches))?;
        page_cache.prepare()?;
        let start: ColdStart =
            part::run(["cold-start", "--data", &path, "--memory", memory.name()])?;
        turns.push((start, raw));
    }
    turns.sort_by_key(|(start, _)| start.micros);
    let seconds = |micros| figures::seconds(Duration::from_micros(micros));
    let of_turn = |nth: usize| turns.get(nth).map_or(0, |(start, _)| start.micros);
    let (start, _) = *turns.get(TURNS / 2).context("there are turns")?;
    let mut raws: Vec<_> = turns.iter().map(|(_, raw)| *raw).collect();
    raws.sort_by_key(|raw| raw.micros);
    let raw = *raws.get(TURNS / 2).context("there are turns")?;
    let variant = Variant {
        seconds: seconds(start.micros),
        records_per_second: figures::per_second(raw.records, Duration::from_micros(start.micros)),
        ratio_to_raw_read: figures::ratio_of(start.micros, raw.micros),
        raw_read_seconds: seconds(raw.micros),
        seconds_min: seconds(of_turn(0)),
        seconds_max: seconds(of_turn(TURNS - 1)),
        index_kept: start.index_kept,
        entities: start.entities,
        resident_bytes: start.resident_bytes,
    };
    Ok((raw, variant))
}

impl PageCache {
    fn prepare(self) -> anyhow::Result<()> {
        match self {
            Self::Warm => Ok(()),
            Self::Dropped => std::fs::write("/proc/sys/vm/drop_caches", "3")
                .context("cannot empty the page cache; it takes root"),
        }
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    path.to_str().map(ToOwned::to_owned).context("the folder's path is not UTF-8")
}

#[derive(Debug, Deserialize, Serialize)]
struct Built {
    seconds: f64,
}

/// A node that never shortens its log, for the log is what is measured.
fn configure(config: NodeConfig, memory: StartMemory) -> NodeConfig {
    let config = NodeConfig { snapshot_log_bytes_min: u64::MAX, ..config };
    match memory {
        StartMemory::Ordinary => config,
        StartMemory::Little => NodeConfig { resident_bytes_max: RESIDENT_BYTES, ..config },
    }
}

/// Runs a node under load until its log has the records.
pub(crate) async fn build(asked: &BuildLog) -> anyhow::Result<()> {
    const LOOK: Duration = Duration::from_millis(50);
    let started = clock::monotonic();
    let shop = Shop::open(&asked.data, |config| configure(config, StartMemory::Little)).await?;
    let enough = Arc::new(AtomicBool::new(false));
    let mut writers = JoinSet::new();
    for nth in 0..WRITERS {
        writers.spawn(write_until(shop.node.fabric(), nth, Arc::clone(&enough)));
    }
    while LogCounters::read(&shop.metrics()?)?.records < u64::from(asked.records.get()) {
        tokio::time::sleep(LOOK).await;
        anyhow::ensure!(writers.try_join_next().is_none(), "a writer ended early");
    }
    enough.store(true, Ordering::Relaxed);
    while let Some(done) = writers.join_next().await {
        done??;
    }
    shop.node.stop().await;
    part::answer(&Built { seconds: figures::seconds(started.elapsed()) })
}

/// One writer: a new cart, some changes to it, the next cart.
async fn write_until(fabric: Fabric, nth: u64, enough: Arc<AtomicBool>) -> anyhow::Result<()> {
    const CHANGES: u32 = 30;
    let mut carts = (0..).map(|step| shop::cart_id(step * WRITERS + nth));
    while let Some(cart) = carts.next().filter(|_| !enough.load(Ordering::Relaxed)) {
        shop::fill_cart(&fabric, cart).await?;
        for change in 1..=CHANGES {
            set_quantity(&fabric, cart, change).await?;
        }
    }
    Ok(())
}

async fn set_quantity(fabric: &Fabric, cart: CartId, to: u32) -> anyhow::Result<()> {
    let nth = usize::try_from(to)? % shop::LINES;
    let (sku, ..) = PRODUCTS.get(nth).context("a cart has lines of what is for sale")?;
    let sku: SkuCode = sku.parse()?;
    let quantity = Quantity::try_from(to)?;
    shop::command(fabric, cart, CartCommand::SetQuantity { sku, quantity }).await
}

/// Starts a node on the folder and says how long it took until it served.
pub(crate) async fn cold_start(data: &Path, memory: StartMemory) -> anyhow::Result<()> {
    let before = std::fs::read(data.join(INDEX_DIR).join(INDEX_MARKER)).ok();
    let started = clock::monotonic();
    let shop = Shop::open(data, |config| configure(config, memory)).await?;
    let took = started.elapsed();
    let after = std::fs::read(data.join(INDEX_DIR).join(INDEX_MARKER)).ok();
    let status = shop.node.status().await;
    let entities = status.iter().map(|shard| shard.entities as u64).sum();
    let resident_bytes = machine::resident_bytes()?;
    shop.node.stop().await;
    part::answer(&ColdStart {
        micros: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        entities,
        resident_bytes,
        index_kept: before.is_some() && before == after,
    })
}

/// Reads the bytes of the log once and checksums them.
pub(crate) fn raw_read(data: &Path, drop_caches: bool) -> anyhow::Result<()> {
    // Finding the segments reads them, so that the page cache is warm unless it is emptied.
    let segments = segments(data)?;
    if drop_caches {
        PageCache::Dropped.prepare()?;
    }
    let started = clock::monotonic();
    let mut bytes = 0;
    let mut checksum = 0;
    let mut buffer = vec![0; 1 << 20];
    for Segment { path, used, .. } in &segments {
        checksum = read_one(path, *used, &mut buffer, checksum)?;
        bytes += used;
    }
    let micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    progress(&format!("recovery: read {bytes} bytes of checksum {checksum:08x}"));
    let records = segments.iter().map(|segment| segment.records).sum();
    part::answer(&RawRead { micros, bytes, records })
}

fn read_one(path: &Path, used: u64, buffer: &mut [u8], checksum: u32) -> anyhow::Result<u32> {
    let failed = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(failed)?;
    let mut checksum = checksum;
    let mut at = 0;
    while at < used {
        let rest = usize::try_from(used - at)?.min(buffer.len());
        let window = buffer.get_mut(..rest).unwrap_or_default();
        file.read_exact_at(window, at).with_context(failed)?;
        checksum = crc32c::crc32c_append(checksum, window);
        at += rest as u64;
    }
    Ok(checksum)
}

struct Segment {
    path: PathBuf,
    used: u64,
    records: u64,
}

fn segments(data: &Path) -> anyhow::Result<Vec<Segment>> {
    let disk = RealDisk::open(data)?;
    let mut segments = Vec::new();
    inspect(&disk, LOG_DIR, None, &mut |finding| {
        match finding {
            Finding::Segment(report) => segments.push(Segment {
                path: data.join(&report.file),
                used: report.used,
                records: report.records,
            }),
            // A torn tail is cut by the start, and damage makes it fail.
            Finding::Record(_) | Finding::TornTail(_) | Finding::Damage(_) => {}
        }
        Ok(())
    })?;
    Ok(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_log_is_found_with_its_records_and_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let small = |config| NodeConfig { n_shards: Some(4), segment_bytes: 1 << 20, ..config };
        let shop = Shop::open(folder.path(), small).await.unwrap();
        shop.fill_carts(0, 100).await.unwrap();
        shop.node.stop().await;
        let found = segments(folder.path()).unwrap();
        assert!(found.iter().map(|segment| segment.records).sum::<u64>() > 8);
        let mut whole = Vec::new();
        let mut checksum = 0;
        for Segment { path, used, .. } in &found {
            let bytes = std::fs::read(path).unwrap();
            whole.extend_from_slice(&bytes[..usize::try_from(*used).unwrap()]);
            checksum = read_one(path, *used, &mut [0; 1_000], checksum).unwrap();
        }
        assert_eq!(checksum, crc32c::crc32c(&whole));
    }
}

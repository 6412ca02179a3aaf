//! What was acknowledged survives whatever happens to the process, to the disk and to its space.

mod ledger;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Ask, Client, Guest, Who};
use crate::crash::ledger::{Shopper, Warehouse};
use crate::server::{DEADLINE, Server, Setup, available, deadline, omnicart};

const ROUNDS: u64 = 10;
const SHOPPERS: usize = 4;
/// Acknowledgements between two kills, over all writers.
const WRITES_PER_ROUND: u64 = 150;

#[tokio::test(flavor = "multi_thread")]
async fn ten_kills_lose_nothing_and_double_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Small, so that snapshots and trimming are killed too.
    let setup = Setup::demo(folder.path()).with(&["--snapshot-after", "64KiB"]);
    let mut shoppers: Vec<_> = (0..SHOPPERS).map(Shopper::new).collect();
    let mut warehouses: Vec<_> = ["crash-a", "crash-b"].map(Warehouse::new).into();
    for round in 0..ROUNDS {
        let server = Server::start(&setup);
        let address = server.address;
        for shopper in &mut shoppers {
            shopper.check(&mut Client::new(address)).await;
            shopper.take_new_cart(&mut Client::new(address), round).await;
        }
        for warehouse in &mut warehouses {
            warehouse.check(&mut Client::new(address)).await;
        }
        let written = Arc::new(AtomicU64::new(0));
        let mut tasks = tokio::task::JoinSet::new();
        for mut shopper in shoppers.drain(..) {
            let written = Arc::clone(&written);
            tasks.spawn(async move {
                shopper.write_until_broken(&mut Client::new(address), &written).await;
                (Some(shopper), None)
            });
        }
        for mut warehouse in warehouses.drain(..) {
            let written = Arc::clone(&written);
            tasks.spawn(async move {
                warehouse.write_until_broken(&mut Client::new(address), &written).await;
                (None, Some(warehouse))
            });
        }
        until("enough was written", || written.load(Ordering::Relaxed) >= WRITES_PER_ROUND).await;
        if round % 2 == 1 {
            let before = snapshots(folder.path());
            until("a snapshot is under way", || snapshots(folder.path()) != before).await;
        }
        server.kill();
        for (shopper, warehouse) in tasks.join_all().await {
            shoppers.extend(shopper);
            warehouses.extend(warehouse);
        }
    }
    let server = Server::start(&setup);
    let mut client = Client::new(server.address);
    for shopper in &mut shoppers {
        shopper.check(&mut client).await;
    }
    for warehouse in &mut warehouses {
        warehouse.check(&mut client).await;
    }
    // Killed again and again on the way, one gets through once nobody kills.
    let finished = |name: &OsString| !name.to_string_lossy().ends_with(".writing");
    until("a snapshot is finished", || snapshots(folder.path()).iter().any(finished)).await;
    assert_eq!(server.terminate().code(), Some(0));
    let verified = omnicart(&["verify", folder.path().to_str().unwrap(), "--json"]);
    let report = String::from_utf8_lossy(&verified.stdout);
    assert!(verified.status.success(), "{report}");
    let verdict: Value = serde_json::from_str(report.lines().last().unwrap()).unwrap();
    assert!(verdict["snapshots"].as_u64() > Some(0), "snapshots were under way too: {verdict}");
}

/// The names of snapshots, unfinished ones too.
fn snapshots(data: &Path) -> BTreeSet<OsString> {
    let names = fs::read_dir(data.join("snapshots")).into_iter().flatten();
    names.map_while(Result::ok).map(|entry| entry.file_name()).collect()
}

/// Waits for something that others bring about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = deadline();
    while !holds() {
        assert!(storage::clock::monotonic() < end, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One warehouse that writes until something stops it; returns what it knows.
async fn write_alone(server: &Server, sku: &'static str) -> Warehouse {
    let mut warehouse = Warehouse::new(sku);
    let mut client = Client::new(server.address);
    warehouse.check(&mut client).await;
    let written = AtomicU64::new(0);
    let writing = warehouse.write_until_broken(&mut client, &written);
    tokio::time::timeout(DEADLINE, writing).await.expect("the disk fails in time");
    warehouse
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_sync_ends_the_process_before_anything_is_acknowledged() {
    let strace = Command::new("strace").arg("--version").output();
    if !available("strace", strace.is_ok_and(|output| output.status.success())) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let setup = Setup::demo(&data);
    // Counted per thread: only the log writer ever comes this far.
    let inject = "inject=fdatasync:error=EIO:when=60+";
    let trace = folder.path().join("trace");
    let tracer = ["strace", "-f", "-o", trace.to_str().unwrap(), "-e", "trace=fdatasync", "-e"];
    let tracer: Vec<_> = tracer.into_iter().chain([inject]).collect();
    let mut server = Server::start(&setup.clone().under(&tracer));
    let mut warehouse = write_alone(&server, "crash-sync").await;
    assert!(warehouse.acknowledged() > 0);
    assert_eq!(server.wait().code(), Some(74));
    let log = server.log();
    assert!(log.contains("storage failed, the process ends"), "{log}");
    assert!(log.contains("Input/output error"), "{log}");
    let trace = fs::read_to_string(&trace).unwrap();
    assert_eq!(trace.matches("(INJECTED)").count(), 1, "nothing is synced after a failed sync");

    let server = Server::start(&setup);
    warehouse.check(&mut Client::new(server.address)).await;
    assert_eq!(server.terminate().code(), Some(0));
}

/// A small file system of its own, gone with the test.
struct SmallDisk {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed.
    fn mount(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("disk");
        fs::create_dir(&at).unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &size, "tmpfs"])
            .arg(&at)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then_some(Self { at, _folder: folder })
    }

    /// Takes all space that is left.
    fn fill(&self) -> PathBuf {
        use std::io::Write;
        let filler = self.at.join("filler");
        let mut file = fs::File::create(&filler).unwrap();
        for block in [vec![1_u8; 1 << 16], vec![1_u8; 1 << 12]] {
            while file.write_all(&block).is_ok() {}
        }
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a server that a failed test left behind may still be there.
        Command::new("umount").arg("-l").arg(&self.at).status().ok();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_changes_and_nothing_else_until_there_is_space_again() {
    let disk = SmallDisk::mount(48);
    if !available("the right to mount", disk.is_some()) {
        return;
    }
    let Some(disk) = disk else { return };
    let setup = Setup::demo(&disk.at.join("data"));
    let mut server = Server::start(&setup);
    let mut client = Client::new(server.address);
    let mut shopper = Shopper::new(0);
    shopper.take_new_cart(&mut client, 0).await;
    let mut warehouse = Warehouse::new("crash-space");
    warehouse.check(&mut client).await;
    warehouse.write(&mut client, 50).await;
    // The log may still have space of its own, and may look for more at any moment.
    let filler = disk.fill();
    let writing = warehouse.write_until_refused(&mut client, 507);
    tokio::time::timeout(DEADLINE, writing).await.expect("the disk is full in time");

    assert!(server.is_running());
    warehouse.check(&mut client).await;
    shopper.check(&mut client).await;
    client.ask(Ask::get(Who::Nobody, "/healthz")).await.expect(200);
    client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await.expect(507);
    fs::remove_file(&filler).unwrap();
    creations_are_answered(&mut client, 201).await;
    warehouse.check(&mut client).await;
    assert_eq!(server.terminate().code(), Some(0));
    let server = Server::start(&setup);
    let mut client = Client::new(server.address);
    warehouse.check(&mut client).await;
    shopper.check(&mut client).await;
    assert_eq!(server.terminate().code(), Some(0));
}

/// The disk is filled just after they left memory, before sled has written all of them. Where sled was
/// faster nothing is missing, and more carts are made.
#[tokio::test(flavor = "multi_thread")]
async fn carts_that_left_memory_are_read_from_a_full_disk() {
    const CARTS: usize = 2_500;
    const SOON: Duration = Duration::from_secs(5);
    let disk = SmallDisk::mount(96);
    if !available("the right to mount", disk.is_some()) {
        return;
    }
    let Some(disk) = disk else { return };
    let setup = Setup::plain(&disk.at.join("data")).with(&["--entity-memory", "1MiB"]);
    let mut server = Server::start(&setup);
    let mut client = Client::new(server.address);
    let end = deadline();
    let mut guests = Vec::new();
    loop {
        for _ in 0..CARTS {
            let answer = client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await;
            guests.push(Guest::of(&answer.expect(201)));
        }
        let filler = disk.fill();
        for guest in &guests {
            client.ask(Ask::get(guest.who(), guest.path())).await.expect(200);
        }
        // The log may still have space of its own.
        creations_are_answered(&mut client, 507).await;
        let is_seen = tokio::time::timeout(SOON, index_lacks_space(&mut client)).await.is_ok();
        fs::remove_file(&filler).unwrap();
        creations_are_answered(&mut client, 201).await;
        if is_seen {
            break;
        }
        assert!(storage::clock::monotonic() < end, "the state index has space");
    }

    for guest in &guests {
        client.ask(Ask::get(guest.who(), guest.path())).await.expect(200);
    }
    assert!(server.is_running());
    disk.fill();
    creations_are_answered(&mut client, 507).await;
    assert_eq!(server.terminate().code(), Some(0));
}

/// Makes carts until that is answered so.
async fn creations_are_answered(client: &mut Client, status: u16) {
    let end = deadline();
    while client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await.status != status {
        assert!(storage::clock::monotonic() < end, "no creation is answered {status}");
    }
}

async fn index_lacks_space(client: &mut Client) {
    let lacks_space = "omnicart_storage_index_lacks_space 1";
    loop {
        let metrics = client.ask(Ask::get(Who::Nobody, "/metrics")).await.expect(200).body;
        if String::from_utf8_lossy(&metrics).contains(lacks_space) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_space_fails_and_says_so() {
    let disk = SmallDisk::mount(8);
    if !available("the right to mount", disk.is_some()) {
        return;
    }
    let Some(disk) = disk else { return };
    let failed = Setup::demo(&disk.at.join("data")).fails();
    assert_eq!(failed.code, Some(1), "{}", failed.message());
    assert!(failed.message().contains("no space left"), "{}", failed.message());
}

//! Snapshots, history, trimming and the state index: whatever a node restarts from, it ends in the
//! same state.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use cluster::runtime::node::{Node, NodeConfig, StartError};
use storage::disk::RealDisk;
use storage::history::HistoryReader;
use storage::log::{Class, GroupId, Log, LogOptions, Record};
use storage::vault::Vault;

use crate::node::{add, config, start_with, view};

/// Small segments and snapshots, little memory: everything happens within a second.
fn busy(folder: &Path) -> NodeConfig {
    NodeConfig {
        segment_bytes: 64 << 10,
        snapshot_log_bytes_min: 64 << 10,
        index_floor_every: Duration::from_millis(300),
        resident_bytes_max: 64 << 10,
        ..config(folder)
    }
}

pub(crate) fn segments(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder.join("log")).expect("the log's folder is there");
    let mut names: Vec<_> = names
        .map(|entry| entry.expect("a name").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".seg"))
        .collect();
    names.sort();
    names
}

async fn write_until_trimmed(node: &Node, folder: &Path) -> u64 {
    let first = segments(folder).first().cloned();
    for round in 1..=200 {
        for n in 0..100 {
            assert_eq!(add(node, &format!("t{n}"), 1).await, round);
        }
        if segments(folder).first() != first.as_ref() && round >= 10 {
            return u64::try_from(round).expect("positive");
        }
    }
    panic!("no segment was dropped");
}

/// The state once nothing waits to be recorded any more: progress of channels takes a tick or two to
/// get an entry of its own.
async fn hash(node: &Node) -> [u8; 32] {
    const A_FEW_TICKS: Duration = Duration::from_millis(500);
    let mut before = None;
    loop {
        let now = node.state_hash().await.expect("every record can be read");
        if before == Some(now) {
            return now;
        }
        before = Some(now);
        tokio::time::sleep(A_FEW_TICKS).await;
    }
}

async fn all_hold(node: &Node, rounds: u64) {
    let rounds = usize::try_from(rounds).expect("small");
    for n in 0..100 {
        assert_eq!(view(node, &format!("t{n}")).await.added, vec![1; rounds]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trimmed_log_restarts_into_the_same_state() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let node = start_with(busy(folder)).await;
    let rounds = write_until_trimmed(&node, folder).await;
    let before = hash(&node).await;
    node.stop().await;

    let node = start_with(busy(folder)).await;
    assert_eq!(hash(&node).await, before, "with the state index");
    all_hold(&node, rounds).await;
    node.stop().await;

    fs::remove_dir_all(folder.join("state")).expect("the index can be deleted");
    let node = start_with(busy(folder)).await;
    assert_eq!(hash(&node).await, before, "without the state index");
    all_hold(&node, rounds).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_index_is_rebuilt_into_the_same_state() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let node = start_with(busy(folder)).await;
    write_until_trimmed(&node, folder).await;
    let before = hash(&node).await;
    node.stop().await;
    for seed in 0..6_usize {
        for (nth, file) in files(&folder.join("state")).into_iter().enumerate() {
            let mut bytes = fs::read(&file).expect("readable");
            if bytes.is_empty() {
                continue;
            }
            let at = (seed * 7_919 + nth * 104_729 + 1) % bytes.len();
            match seed % 3 {
                0 => bytes.iter_mut().skip(at).take(64).for_each(|byte| *byte ^= 0x5a),
                1 => bytes.truncate(at),
                _ => bytes.iter_mut().skip(at).take(4_096).for_each(|byte| *byte = 0),
            }
            fs::write(&file, bytes).expect("writable");
        }
        let node = start_with(busy(folder)).await;
        assert_eq!(hash(&node).await, before, "damage of seed {seed}");
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_is_ahead_of_the_log_costs_nothing_but_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let little = || NodeConfig { snapshot_log_bytes_min: u64::MAX, ..busy(folder) };
    let node = start_with(little()).await;
    for round in 1..=20 {
        for n in 0..100 {
            assert_eq!(add(&node, &format!("t{n}"), 1).await, round);
        }
    }
    let before = hash(&node).await;
    node.stop().await;
    // As a crash leaves it between the index's own floor and the log's record of it.
    let disk = Arc::new(RealDisk::open(folder).expect("the folder opens"));
    let options = LogOptions { segment_bytes: little().segment_bytes, ..LogOptions::default() };
    let (mut log, _) = Log::open(disk, "log", options, &mut |_| Ok(())).expect("the log is sound");
    let floors: Vec<_> =
        (0..4).map(|n| Record::IndexFloor { group: GroupId(n), position: 3 }).collect();
    log.append(&floors, Class::Client).expect("there is space");
    log.sync().expect("the disk works");
    drop(log);
    let node = start_with(little()).await;
    assert_eq!(hash(&node).await, before);
    all_hold(&node, 20).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_holds_what_the_log_let_go() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let node = start_with(busy(folder.path())).await;
    write_until_trimmed(&node, folder.path()).await;
    node.stop().await;
    let disk = Arc::new(RealDisk::open(folder.path()).expect("the folder opens"));
    let mut indexes_seen = 0;
    for shard in 0..4 {
        let reader = HistoryReader::new(disk.clone(), "history", shard, None);
        let mut last = 0;
        for entry in reader.scan(0).expect("history opens") {
            let entry = entry.expect("history is sound");
            assert!(entry.index > last);
            assert!(!entry.entities.is_empty());
            last = entry.index;
            indexes_seen += 1;
        }
    }
    assert!(indexes_seen > 500, "{indexes_seen} entries in history");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_folder_shows_nothing_and_opens_with_its_key_only() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let with =
        |key: u8| NodeConfig { vault: Some(Arc::new(Vault::from_key([key; 32]))), ..busy(folder) };
    let node = start_with(with(7)).await;
    for n in 0..20 {
        for round in 1..=60 {
            assert_eq!(add(&node, &format!("canary-{n}"), 1).await, round);
        }
    }
    tokio::time::sleep(Duration::from_millis(700)).await;
    let before = hash(&node).await;
    node.stop().await;
    for file in files(folder) {
        // sled keeps keys in the clear: they name entities, whose contents are sealed.
        if file.starts_with(folder.join("state")) {
            continue;
        }
        let bytes = fs::read(&file).expect("readable");
        let found = bytes.windows(7).any(|window| window == b"canary-");
        assert!(!found, "{} shows a name", file.display());
    }
    for wrong in [Some(Arc::new(Vault::from_key([8; 32]))), None] {
        let config = NodeConfig { vault: wrong, ..busy(folder) };
        let refused =
            Node::start(config, &mut prometheus_client::registry::Registry::default()).await;
        assert!(refused.is_err());
    }
    let node = start_with(with(7)).await;
    assert_eq!(hash(&node).await, before);
    node.stop().await;
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a name").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_without_its_log_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let node = start_with(busy(folder)).await;
    write_until_trimmed(&node, folder).await;
    let before = hash(&node).await;
    node.stop().await;
    let aside = folder.with_extension("log-aside");
    fs::rename(folder.join("log"), &aside).expect("the log can be moved");
    let refused =
        Node::start(busy(folder), &mut prometheus_client::registry::Registry::default()).await;
    assert!(matches!(refused.err(), Some(StartError::ShardLost { .. })));
    fs::remove_dir_all(folder.join("log")).expect("what the start made can be removed");
    fs::rename(&aside, folder.join("log")).expect("the log can be put back");
    let node = start_with(busy(folder)).await;
    assert_eq!(hash(&node).await, before);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_starts_at_a_barrier_stops_no_later_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    // Only barriers in the idle shards, and segments that the busy one fills.
    for _ in 0..2 {
        let node = start_with(busy(folder)).await;
        let first = segments(folder).first().cloned();
        for amount in 0..6_000 {
            add(&node, "busy", amount).await;
        }
        for _ in 0..100 {
            if segments(folder).first() != first.as_ref() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_ne!(segments(folder).first(), first.as_ref(), "no segment was dropped");
        node.stop().await;
    }
}

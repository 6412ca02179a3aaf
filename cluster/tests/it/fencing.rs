//! A shard with an entry that this program cannot apply, as after an upgrade with a fault: it stops,
//! the others serve, and a program that can apply it finds everything.

use std::fs;
use std::path::Path;
use std::time::Duration;

use cluster::fabric::{CommandError, QueryError, Unavailable};
use cluster::ids::ShardId;
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::node::{Node, NodeConfig};
use cluster::shard::io::Reply;

use crate::lone_shard::{LoneShard, own_name};
use crate::node::{add, config, envelope, send, start_with, view};
use crate::persistence::segments;
use crate::tally::{Ask, Tally, TallyCommand, break_on, key, mend};

const N_SHARDS: u32 = 4;
/// The number of segments past which a shard is snapshotted for pinning them.
const PINNED_SEGMENTS_MAX: usize = 8;

#[test]
fn a_shard_that_cannot_apply_an_entry_stops_and_says_where() {
    const NUMBER: u64 = 1;
    let mut sound = LoneShard::new();
    sound.execute(&own_name(0), &TallyCommand::Add(5));
    sound.execute(&own_name(0), &TallyCommand::AddFragile(NUMBER));
    sound.execute(&own_name(1), &TallyCommand::Add(6));
    break_on(NUMBER);
    let mut fenced = sound.replayed();
    assert_eq!(fenced.fenced.len(), 1, "{:?}", fenced.fenced);
    assert!(fenced.fenced[0].starts_with("entry 3 of term 1"), "{:?}", fenced.fenced);
    assert!(fenced.status().fenced && !fenced.status().leads);
    assert_eq!(fenced.execute(&own_name(1), &TallyCommand::Add(1)), Reply::Fenced);
    assert_eq!(fenced.query(&own_name(1)), Err(Reply::Fenced));
    for _ in 0..50 {
        fenced.tick();
    }
    assert_eq!(fenced.fenced.len(), 1, "it stays fenced, and says so once");
    assert!(fenced.records().is_none(), "half an entry must never be kept");
    mend(NUMBER);
    let mut mended = fenced.replayed();
    assert_eq!(mended.records(), sound.records());
    assert_eq!(mended.view(&own_name(0)).added, [5, 1]);
    assert_eq!(mended.view(&own_name(1)).added, [6]);
}

fn small(folder: &Path) -> NodeConfig {
    NodeConfig {
        n_shards: Some(N_SHARDS),
        segment_bytes: 64 << 10,
        snapshot_log_bytes_min: 128 << 10,
        ..config(folder)
    }
}

fn name_in(shard: u32) -> String {
    let map = ShardMap::even(N_SHARDS).expect("a few shards");
    let mut names = (0..).map(|n: u32| format!("n{n}"));
    names.find(|name| map.shard_of(key(name).slot()) == ShardId(shard)).expect("endless")
}

/// The newest snapshot of a shard.
fn snapshot_of(folder: &Path, shard: u32) -> Option<String> {
    let start = format!("snapshot-{shard:010}-");
    let names = fs::read_dir(folder.join("snapshots")).into_iter().flatten();
    let names = names.map(|entry| entry.expect("a name").file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&start) && !name.contains('.')).max()
}

async fn is_fenced(node: &Node, name: &str) {
    let refused = send(node, name, envelope(), TallyCommand::Add(1)).await.err();
    let fenced =
        matches!(refused, Some(CommandError::Unavailable(Unavailable::Fenced { shard: 1 })));
    assert!(fenced, "{refused:?}");
    let query = node.fabric().query::<Tally>(key(name), &[], envelope().deadline, Ask).await;
    let refused = query.err();
    let fenced = matches!(refused, Some(QueryError::Unavailable(Unavailable::Fenced { shard: 1 })));
    assert!(fenced, "{refused:?}");
}

/// Writes until the log has grown by so many segments.
async fn grow_log(node: &Node, folder: &Path, name: &str, n: usize) {
    let before = newest(folder);
    for _ in 0..1_000 {
        let news = TallyCommand::Announce("x".repeat(8_000));
        send(node, name, envelope(), news).await.expect("accepted");
        if newest(folder) >= before + n {
            return;
        }
    }
    panic!("the log does not grow");
}

fn newest(folder: &Path) -> usize {
    let last = segments(folder).pop().expect("a segment");
    last.trim_end_matches(".seg").parse().expect("a number")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not in time: {what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fenced_shard_stops_no_other_and_its_log_is_kept_for_a_program_that_can_apply_it() {
    const NUMBER: u64 = 2;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let folder = folder.path();
    let (sick, well) = (name_in(1), name_in(2));
    let node = start_with(small(folder)).await;
    add(&node, &sick, 5).await;
    send(&node, &sick, envelope(), TallyCommand::AddFragile(NUMBER)).await.expect("accepted");
    add(&node, &sick, 7).await;
    node.stop().await;

    break_on(NUMBER);
    fs::remove_dir_all(folder.join("state")).expect("the index can be deleted");
    let first = segments(folder).first().cloned();
    let start = tokio::time::timeout(Duration::from_secs(20), start_with(small(folder)));
    let node = start.await.expect("it comes up, without the one");
    assert!(node.is_ready());
    let fenced: Vec<_> = node.status().await.iter().map(|shard| shard.fenced).collect();
    assert_eq!(fenced, [false, true, false, false]);
    is_fenced(&node, &sick).await;
    grow_log(&node, folder, &well, 2 * PINNED_SEGMENTS_MAX).await;
    let snapshot = snapshot_of(folder, 2);
    grow_log(&node, folder, &well, 4).await;
    until("others are snapshotted on", || snapshot_of(folder, 2) > snapshot).await;
    assert_eq!(segments(folder).first().cloned(), first, "the only copy is kept");
    assert_eq!(snapshot_of(folder, 1), None);
    // What is told to it waits, and takes no room that others need.
    for _ in 0..200 {
        let tell = |to: &str| TallyCommand::AddAndTell { amount: 1, to: vec![to.to_owned()] };
        send(&node, &well, envelope(), tell(&sick)).await.expect("accepted");
        send(&node, &well, envelope(), tell(&name_in(3))).await.expect("accepted");
    }
    let stop = tokio::time::timeout(Duration::from_secs(20), node.stop());
    stop.await.expect("a fenced shard does not hold up the stop");

    mend(NUMBER);
    let node = start_with(small(folder)).await;
    for _ in 0..500 {
        if view(&node, &sick).await.added.len() == 203 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(view(&node, &sick).await.added[..3], [5, 2, 7]);
    assert_eq!(view(&node, &sick).await.added[3..], [1; 200]);
    assert_eq!(view(&node, &name_in(3)).await.added, [1; 200]);
    grow_log(&node, folder, &well, 1).await;
    until("the log is trimmed again", || segments(folder).first() != first.as_ref()).await;
    node.stop().await;
}

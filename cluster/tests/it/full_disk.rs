//! A node that starts on a full disk: it serves what it has, refuses what it cannot keep, and goes
//! on once there is space. It needs the right to mount a small file system of its own.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use cluster::fabric::{CommandError, Unavailable};
use cluster::runtime::node::{Node, NodeConfig};

use cluster::shard::io::{Input, Reply, Space};

use crate::cluster::{Member, cluster, settled};
use crate::lone_shard::{LoneShard, own_name};
use crate::node::{add, config, envelope, send, start_with, view};
use crate::tally::{NegativeSum, TallyCommand};

const SEGMENT_BYTES: u64 = 4 << 20;

struct SmallDisk {
    at: PathBuf,
    _folder: tempfile::TempDir,
}

impl SmallDisk {
    /// `None` where mounting is not allowed; in CI it must be.
    fn mount(mib: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = folder.path().join("disk");
        fs::create_dir(&at).expect("a folder to mount on");
        let size = format!("size={mib}m");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        assert!(mounted || std::env::var("CI").as_deref() != Ok("true"), "CI needs to mount");
        if !mounted {
            // Not `println`, which the test harness keeps to itself when a test passes.
            writeln!(std::io::stderr(), "skipped: this test needs to mount a small disk").ok();
        }
        mounted.then_some(Self { at, _folder: folder })
    }

    fn node(&self) -> NodeConfig {
        NodeConfig {
            segment_bytes: SEGMENT_BYTES,
            index_cache_bytes: 1 << 20,
            ..config(&self.at.join("data"))
        }
    }

    /// Takes all space but what the state index may need: less than the log's next segment.
    fn fill(&self) -> PathBuf {
        let filler = self.at.join("filler");
        let mut file = fs::File::create(&filler).expect("the filler can be made");
        for block in [vec![1_u8; 1 << 16], vec![1_u8; 1 << 12]] {
            while file.write_all(&block).is_ok() {}
        }
        let bytes = file.metadata().expect("its length").len();
        file.set_len(bytes.saturating_sub(SEGMENT_BYTES * 3 / 4)).expect("it can be cut");
        filler
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg("-l").arg(&self.at).status().ok();
    }
}

/// What became of an addition: whether there was space for it.
async fn try_add(node: &Node, name: &str) -> bool {
    let weigh = TallyCommand::Announce("x".repeat(10_000));
    match send(node, name, envelope(), weigh).await {
        Ok(_) => true,
        Err(CommandError::Unavailable(Unavailable::StorageFull)) => false,
        Err(other) => panic!("{other:?}"),
    }
}

async fn write_until_full(node: &Node) {
    for n in 0..2_000 {
        if !try_add(node, &format!("filling-{}", n % 50)).await {
            return;
        }
    }
    panic!("the disk is never full");
}

async fn until_told(node: &Node, full: bool) {
    for _ in 0..500 {
        if node.status().await.iter().all(|shard| shard.storage_full == full) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("some shards do not know");
}

async fn space_is_back(node: &Node) {
    for _ in 0..500 {
        if try_add(node, "filling-0").await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("space is back and commands are refused");
}

#[test]
fn a_command_that_waits_for_its_entity_when_space_runs_out_is_refused_at_once() {
    let mut shard = LoneShard::new();
    let name = own_name(0);
    shard.execute(&name, &TallyCommand::Grow(30_000));
    for _ in 0..3 {
        shard.tick();
    }
    assert_eq!(shard.status().hot_entities, 0);
    let waits = shard.submit(&name, &TallyCommand::Add(1));
    shard.flush();
    shard.input(Input::Space(Space::Full));
    shard.settle();
    assert_eq!(shard.reply(waits), Reply::StorageFull);
    assert_eq!(shard.execute(&name, &TallyCommand::Add(1)), Reply::StorageFull);
    assert_eq!(shard.view(&name).added.len(), 30_000, "reads go on");
    shard.input(Input::Space(Space::Free));
    assert!(matches!(shard.execute(&name, &TallyCommand::Add(1)), Reply::Accepted { .. }));
    assert_eq!(shard.replayed().records(), shard.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_on_a_full_disk_and_serves_what_needs_no_space() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let node = start_with(disk.node()).await;
    add(&node, "a", 5).await;
    let filler = disk.fill();
    write_until_full(&node).await;
    node.stop().await;

    // More than once: each start needs a little of what is held in reserve.
    for _ in 0..3 {
        let node = start_with(disk.node()).await;
        assert_eq!(view(&node, "a").await.sum, 5);
        // Until the log has found out, what is left of its last segment may be used.
        write_until_full(&node).await;
        for n in 0..4 {
            let refused = send(&node, "a", envelope(), TallyCommand::Add(n)).await.err();
            let full: Option<CommandError<NegativeSum>> =
                Some(CommandError::Unavailable(Unavailable::StorageFull));
            assert_eq!(format!("{refused:?}"), format!("{full:?}"));
        }
        assert_eq!(view(&node, "a").await.sum, 5);
        node.stop().await;
    }

    let node = start_with(disk.node()).await;
    // The shards themselves were told, not the way to them alone: timers must wait, too.
    until_told(&node, true).await;
    fs::remove_file(&filler).expect("the filler can go");
    space_is_back(&node).await;
    assert_eq!(add(&node, "a", 1).await, 6);
    until_told(&node, false).await;
    node.stop().await;
    let node = start_with(disk.node()).await;
    assert_eq!(view(&node, "a").await.added, [5, 1]);
    node.stop().await;
}

async fn applied(member: &Member) -> Vec<u64> {
    member.node().status().await.iter().map(|shard| shard.applied).collect()
}

/// A replica without space takes nothing more and leads nothing; the others go on without it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_lives_on_in_a_cluster_that_serves() {
    let Some(disk) = SmallDisk::mount(48) else { return };
    let mut members = cluster(2).await;
    let seed = members[0].address;
    let mut third = Member::new(3);
    third.elsewhere = Some(disk.at.join("data"));
    third.start(&[seed]).await;
    members.push(third);
    for member in &members {
        settled(member.node(), 3).await;
    }
    let filler = disk.fill();
    let handle = members[2].node().cluster().expect("part of a cluster").clone();
    for _ in 0..3_000 {
        if handle.n_led_here() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(handle.n_led_here(), 0, "others lead in its place");
    // More than it had claimed ahead.
    for n in 0..2_000 {
        assert!(try_add(members[0].node(), &format!("filling-{}", n % 50)).await);
    }
    let status = members[2].node().status().await;
    assert!(status.iter().all(|shard| shard.storage_full && !shard.fenced), "{status:?}");
    fs::remove_file(&filler).expect("the filler can go");
    until_told(members[2].node(), false).await;
    for _ in 0..3_000 {
        if applied(&members[2]).await == applied(&members[0]).await {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(applied(&members[2]).await, applied(&members[0]).await, "it caught up");
    for member in &mut members {
        member.stop().await;
    }
}

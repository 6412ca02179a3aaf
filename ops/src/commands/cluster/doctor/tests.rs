use edge::http::topology::{LevelsDocument, ReplicaDocument, ReplicaRole, Serving};

use super::*;

pub(in crate::commands::cluster) fn cluster_of_three() -> ClusterDocument {
    let node = |id: u16| NodeDocument {
        id: u64::from(id),
        number: Some(id),
        generation: 0,
        address: Some(format!("10.0.0.{id}:7700")),
        zone: Some("one".to_owned()),
        standing: Some("active".to_owned()),
        levels: Some(LevelsDocument { lowest: 1, highest: 1 }),
        live: true,
        last_heard_ms: Some(0),
        unlinked_from: Vec::new(),
        leads: Some(1),
        holds: Some(2),
        version: Some("0.0.0".to_owned()),
        uptime_ms: Some(1_000),
        ready: Some(true),
        stopping: Some(false),
        storage_full: Some(false),
        clock_ahead_ms: Some(3),
    };
    ClusterDocument {
        answered_by: 1,
        incarnation: 0,
        seq: Some(9),
        version: 9,
        level: 1,
        current: true,
        complete: true,
        unanswered: Vec::new(),
        fault_tolerant: true,
        risk: None,
        nodes: (1..=3).map(node).collect(),
    }
}

pub(in crate::commands::cluster) fn shards_of_three() -> ShardsDocument {
    let replica = |node: u64, leader: u64| ReplicaDocument {
        node,
        role: if node == leader { ReplicaRole::Leader } else { ReplicaRole::Voter },
        term: Some(4),
        commit: Some(20),
        applied: Some(20),
        last: Some(20),
        behind: (node != leader).then_some(0),
        heard_by_leader: (node != leader).then_some(true),
        pace: (node != leader).then(|| "streaming".to_owned()),
        fenced: None,
        whole: Some(true),
        entities: Some(5),
        memory_bytes: Some(500),
        log_bytes: Some(100),
        snapshot_bytes: Some(0),
        clock_doubt_ms: Some(0),
    };
    let shard = |id: u32, leader: u64, meta: bool| ShardDocument {
        id,
        meta,
        leader: Some(leader),
        serving: Serving::Yes,
        term: 4,
        commit: 20,
        applied: 20,
        lag: 0,
        bytes: 100,
        voters: vec![1, 2, 3],
        learners: Vec::new(),
        wanted: vec![1, 2, 3],
        pin: None,
        moving: false,
        fenced: false,
        replicas: (1..=3).map(|node| replica(node, leader)).collect(),
    };
    ShardsDocument {
        answered_by: 1,
        current: true,
        complete: true,
        unanswered: Vec::new(),
        data: vec![shard(0, 1, false), shard(1, 2, false), shard(4_096, 1, true)],
        has_more: false,
        next_cursor: None,
    }
}

/// Spoils a healthy cluster and expects these findings, as `severity code subject`.
#[track_caller]
fn check(
    spoil: impl FnOnce(&mut ClusterDocument, &mut ShardsDocument),
    then: &[(Severity, &str, &str)],
) -> Vec<Finding> {
    let (mut cluster, mut shards) = (cluster_of_three(), shards_of_three());
    spoil(&mut cluster, &mut shards);
    let findings = examine(&cluster, &shards, None);
    let found: Vec<_> = findings.iter().map(|f| (f.severity, f.code, f.subject.as_str())).collect();
    assert_eq!(found, then);
    findings
}

use Severity::{Problem, Warning};

fn silence(cluster: &mut ClusterDocument, shards: &mut ShardsDocument, id: usize) {
    let node = &mut cluster.nodes[id - 1];
    (node.live, node.last_heard_ms) = (false, Some(4_000));
    node.unlinked_from = (1..=3).filter(|other| *other != node.id).collect();
    for shard in &mut shards.data {
        shard.replicas[id - 1].role = ReplicaRole::Silent;
    }
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    check(|_, _| {}, &[]);
    let text = tell(&cluster_of_three(), &[]);
    assert_eq!(text, "healthy: 3 nodes, every shard serves\n");
}

#[test]
fn a_silent_node_is_named_with_its_address() {
    let findings = check(
        |cluster, shards| {
            silence(cluster, shards, 3);
            cluster.risk = Some("not heard of: node 3".to_owned());
        },
        &[(Problem, "node_silent", "node 3"), (Warning, "not_fault_tolerant", "cluster")],
    );
    assert!(findings[0].text.contains("nodes 1 and 2 cannot reach it at 10.0.0.3:7700"));
    assert!(findings[0].text.contains("4 s ago"));
}

#[test]
fn a_shard_without_a_quorum_names_who_is_silent() {
    let findings = check(
        |cluster, shards| {
            silence(cluster, shards, 2);
            silence(cluster, shards, 3);
            cluster.current = false;
            for shard in &mut shards.data {
                (shard.leader, shard.serving) = (None, Serving::Unknown);
            }
        },
        &[
            (Problem, "meta_unavailable", "cluster"),
            (Problem, "node_silent", "node 2"),
            (Problem, "node_silent", "node 3"),
            (Problem, "no_quorum", "shards 0-1, meta"),
        ],
    );
    assert!(findings[3].text.contains("2 of its 3 voters are silent (nodes 2 and 3)"));
}

#[test]
fn every_way_not_to_serve_has_its_reason() {
    let leaderless = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        (shards.data[1].leader, shards.data[1].serving) = (None, Serving::No);
        shards.data[1].replicas[1].role = ReplicaRole::Voter;
    };
    check(leaderless, &[(Problem, "no_leader", "shard 1")]);
    let starting = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        shards.data[1].serving = Serving::No;
        shards.data[1].replicas[1].role = ReplicaRole::Starting;
    };
    check(starting, &[(Problem, "leader_starting", "shard 1")]);
    let hearsay = |cluster: &mut ClusterDocument, shards: &mut ShardsDocument| {
        silence(cluster, shards, 2);
        shards.data[1].serving = Serving::Unknown;
    };
    check(hearsay, &[(Problem, "node_silent", "node 2"), (Problem, "leader_silent", "shard 1")]);
    let fenced = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        shards.data[0].serving = Serving::No;
        shards.data[0].replicas[0].role = ReplicaRole::Starting;
        shards.data[0].replicas[0].fenced = Some("entry 7 cannot be applied".to_owned());
    };
    let findings =
        check(fenced, &[(Problem, "fenced", "shard 0"), (Problem, "leader_starting", "shard 0")]);
    assert!(findings[0].text.ends_with("entry 7 cannot be applied"));
}

#[test]
fn what_is_stuck_is_told_from_what_is_slow() {
    let (cluster, mut shards) = (cluster_of_three(), shards_of_three());
    (shards.data[0].commit, shards.data[0].lag) = (25, 5);
    assert!(deserves_a_second_look(&shards));
    let codes = |earlier: &ShardsDocument| {
        let findings = examine(&cluster, &shards, Some(earlier));
        findings.iter().map(|finding| finding.code).collect::<Vec<_>>()
    };
    assert_eq!(codes(&shards), ["apply_stuck"]);
    let mut earlier = shards.clone();
    earlier.data[0].applied = 10;
    assert_eq!(codes(&earlier), [""; 0]);
}

#[test]
fn nodes_that_answer_can_be_unwell() {
    check(|c, _| c.nodes[1].storage_full = Some(true), &[(Problem, "disk_full", "node 2")]);
    check(|c, _| c.nodes[1].unlinked_from = vec![3], &[(Problem, "link_cut", "node 2")]);
    check(|c, _| c.nodes[2].clock_ahead_ms = Some(-6_000), &[(Problem, "clock_doubt", "node 3")]);
    check(|c, _| c.nodes[2].clock_ahead_ms = Some(4_000), &[]);
    check(|c, _| c.nodes[1].ready = Some(false), &[(Warning, "node_not_ready", "node 2")]);
}

#[test]
fn what_operators_asked_for_is_told_while_it_lasts() {
    let standing = |standing: &'static str| {
        move |cluster: &mut ClusterDocument, _: &mut ShardsDocument| {
            cluster.nodes[2].standing = Some(standing.to_owned());
        }
    };
    check(standing("draining"), &[(Warning, "drained", "node 3")]);
    check(standing("leaving"), &[(Warning, "leaving", "node 3")]);
    check(standing("removed"), &[]);
    check(standing("lost"), &[(Warning, "node_lost", "node 3")]);
    check(
        |c, _| c.nodes[0].standing = Some("draining".to_owned()),
        &[(Warning, "draining", "node 1")],
    );
    check(|_, s| s.data[2].pin = Some(3), &[(Warning, "pin_unmet", "shard meta")]);
    check(|_, s| s.data[0].moving = true, &[(Warning, "moving", "shard 0")]);
}

#[test]
fn skew_and_laggards_are_warned_of() {
    let newer = Some(LevelsDocument { lowest: 1, highest: 2 });
    let findings = check(|c, _| c.nodes[0].levels = newer, &[(Warning, "level_skew", "cluster")]);
    assert!(findings[0].text.contains("nodes 2 and 3 only up to 1"), "{}", findings[0].text);
    let version = Some("0.1.0".to_owned());
    check(|c, _| c.nodes[0].version = version, &[(Warning, "version_skew", "cluster")]);
    let far = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        for shard in &mut shards.data {
            shard.replicas[2].behind = Some(5_000);
        }
    };
    check(far, &[(Warning, "replica_behind", "shards 0-1, meta")]);
    let filling = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        shards.data[0].replicas[2].pace = Some("snapshot".to_owned());
    };
    check(filling, &[(Warning, "replica_filling", "shard 0")]);
    let doubted = |_: &mut ClusterDocument, shards: &mut ShardsDocument| {
        shards.data[0].replicas[2].clock_doubt_ms = Some(70_000);
    };
    check(doubted, &[(Warning, "clock_doubt", "shard 0")]);
}

//! What is wrong with single nodes.

use edge::http::topology::{ClusterDocument, NodeDocument, ShardsDocument};

use super::super::tables::heard;
use super::{Finding, Severity, numbers, takes_part};

/// Clocks that differ by more are doubted: reservations and timers follow them.
const CLOCK_SKEW_MS_MAX: i64 = 5_000;

pub(super) fn examine(cluster: &ClusterDocument, shards: &ShardsDocument) -> Vec<Finding> {
    let median = median_clock(cluster);
    let mut findings = Vec::new();
    for node in cluster.nodes.iter().filter(|node| takes_part(node)) {
        if node.live {
            findings.extend(of_live(cluster, node));
            findings.extend(clock(node, median));
        } else {
            findings.push(silent(cluster, node));
        }
        findings.extend(on_its_way(node, shards));
    }
    for node in cluster.nodes.iter().filter(|node| node.standing.as_deref() == Some("lost")) {
        let is_replaced = cluster
            .nodes
            .iter()
            .any(|other| other.number == node.number && other.generation > node.generation);
        if !is_replaced {
            let text = "it was silent for so long that it was given up, and its replicas are made \
                        anew elsewhere";
            let advice = "start it again, with its folder or an empty one; or `omnicart cluster \
                          remove` it for good";
            findings.push(about(node, Severity::Warning, "node_lost", text, advice));
        }
    }
    findings
}

fn about(
    node: &NodeDocument,
    severity: Severity,
    code: &'static str,
    text: impl Into<String>,
    advice: &str,
) -> Finding {
    Finding::new(severity, code, format!("node {}", node.id), text, advice)
}

fn silent(cluster: &ClusterDocument, node: &NodeDocument) -> Finding {
    let address = node.address.as_deref().unwrap_or("an unknown address");
    let heard = heard(node);
    let unreached: Vec<_> = node.unlinked_from.clone();
    let (code, text, advice) = if unreached.is_empty() && node.last_heard_ms.is_some() {
        let text = format!(
            "it has open connections and did not answer in time; last heard {heard} at {address}"
        );
        let advice = "it may be paused or out of processor time: look at its log and its load";
        ("node_mute", text, advice)
    } else {
        let from = if unreached.is_empty() {
            format!("node {}", cluster.answered_by)
        } else {
            numbers(unreached)
        };
        let text = format!("silent: {from} cannot reach it at {address}; last heard: {heard}");
        let advice = "see whether its process runs; if it does, whether that address can be reached \
                      from the others (`--advertise`, firewalls, certificates in its log)";
        ("node_silent", text, advice)
    };
    about(node, Severity::Problem, code, text, advice)
}

fn of_live(cluster: &ClusterDocument, node: &NodeDocument) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, code, text: String, advice: &str| {
        findings.push(about(node, severity, code, text, advice));
    };
    if node.storage_full == Some(true) {
        let text = "its disk is full: shards it leads refuse changes with 507 and go on reading";
        let advice = "make room on the disk of its data folder; changes are accepted by themselves \
                      then";
        add(Severity::Problem, "disk_full", text.to_owned(), advice);
    }
    let live = |id: &u64| cluster.nodes.iter().any(|other| other.id == *id && other.live);
    let cut: Vec<_> = node.unlinked_from.iter().copied().filter(live).collect();
    if !cut.is_empty() {
        let text = format!(
            "it answers, and {} has no whole connection with it at {}",
            numbers(cut),
            node.address.as_deref().unwrap_or("an unknown address")
        );
        let advice = "the network between them is cut or just coming up; the node with the lower \
                      number dials the other one's address";
        add(Severity::Problem, "link_cut", text, advice);
    }
    if node.stopping == Some(true) {
        let advice = "nothing, if that was asked for";
        add(Severity::Warning, "node_stopping", "it is stopping".to_owned(), advice);
    } else if node.ready == Some(false) {
        let text = "it does not know the leader of every shard that it has a replica of";
        let advice = "wait if it has just started; else see the findings on shards";
        add(Severity::Warning, "node_not_ready", text.to_owned(), advice);
    }
    findings
}

/// What an operator asked for and is under way.
fn on_its_way(node: &NodeDocument, shards: &ShardsDocument) -> Option<Finding> {
    let led = shards.data.iter().filter(|shard| shard.leader == Some(node.id)).count();
    let held = shards.data.iter();
    let held = held.filter(|s| s.voters.contains(&node.id) || s.wanted.contains(&node.id)).count();
    match node.standing.as_deref() {
        Some("draining") if led > 0 => {
            let text = format!("it is to be drained and still leads {led} shards");
            let advice = "wait; a shard without another copy cannot be led elsewhere";
            Some(about(node, Severity::Warning, "draining", text, advice))
        }
        Some("draining") => {
            let text = "it is drained: it leads nothing and keeps its replicas";
            let advice = "`omnicart cluster resume` it when its time has come";
            Some(about(node, Severity::Warning, "drained", text, advice))
        }
        Some("leaving") => {
            let text = format!("it is to be removed, and {held} shards are still on it");
            let advice = "wait; `omnicart cluster resume` calls it off";
            Some(about(node, Severity::Warning, "leaving", text, advice))
        }
        _ => None,
    }
}

fn median_clock(cluster: &ClusterDocument) -> Option<i64> {
    let mut clocks: Vec<_> = cluster.nodes.iter().filter_map(|node| node.clock_ahead_ms).collect();
    clocks.sort_unstable();
    clocks.get(clocks.len() / 2).copied()
}

fn clock(node: &NodeDocument, median: Option<i64>) -> Option<Finding> {
    let off = node.clock_ahead_ms?.saturating_sub(median?);
    (off.abs() > CLOCK_SKEW_MS_MAX).then(|| {
        let side = if off > 0 { "ahead of" } else { "behind" };
        let text = format!("its clock is {} ms {side} the others'", off.abs());
        let advice = "let its time be kept by NTP; it leads badly until then";
        about(node, Severity::Problem, "clock_doubt", text, advice)
    })
}

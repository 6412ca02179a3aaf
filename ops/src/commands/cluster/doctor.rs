//! What is wrong with a cluster, in plain words, and what to do about it.
//!
//! **Invariants:** every finding rests on what some node said; what was not heard is said to be
//! silent, not dead. A shard that does not serve has at least one finding that says why.

mod nodes;
mod shards;

use std::collections::BTreeSet;
use std::time::Duration;

use edge::http::topology::{ClusterDocument, NodeDocument, ShardDocument, ShardsDocument};
use serde::Serialize;

/// Between two looks, when one does not tell what is slow from what is stuck.
pub(super) const SECOND_LOOK_AFTER: Duration = Duration::from_millis(1_500);
/// Committed entries that a shard may have yet to apply, and a replica yet to get, at any moment.
const BEHIND_USUAL: u64 = 1_000;

/// Something worth knowing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// Stable, for machines.
    pub code: &'static str,
    /// What it is about: `cluster`, `node 3`, `shards 0-4, meta`.
    pub subject: String,
    pub text: String,
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something does not work.
    Problem,
    /// It works, and not as it should.
    Warning,
}

impl Finding {
    fn new(
        severity: Severity,
        code: &'static str,
        subject: impl Into<String>,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (subject, text, advice) = (subject.into(), text.into(), advice.into());
        Self { severity, code, subject, text, advice }
    }
}

/// Whether what is seen may be slow or stuck, which only time tells.
pub(super) fn deserves_a_second_look(shards: &ShardsDocument) -> bool {
    shards.data.iter().any(|shard| shard.lag > 0)
}

/// Everything found; what does not work comes first.
pub(super) fn examine(
    cluster: &ClusterDocument,
    shards: &ShardsDocument,
    earlier: Option<&ShardsDocument>,
) -> Vec<Finding> {
    let mut findings = of_cluster(cluster);
    findings.extend(nodes::examine(cluster, shards));
    findings.extend(shards::examine(cluster, shards, earlier));
    findings.sort_by_key(|finding| finding.severity);
    findings
}

fn of_cluster(cluster: &ClusterDocument) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |severity, code, text: String, advice: &str| {
        findings.push(Finding::new(severity, code, "cluster", text, advice));
    };
    if !cluster.current && cluster.level > 0 {
        let text = format!(
            "the group that agrees on the cluster does not answer node {}: what is shown of members \
             and places is what that node last heard, and may be old",
            cluster.answered_by
        );
        let advice = "a majority of its voters must be reachable; see the findings on nodes, or ask \
                      another node with --node";
        add(Severity::Problem, "meta_unavailable", text, advice);
    }
    if let Some(risk) = &cluster.risk {
        let advice = "run three nodes or more, and bring back those that are silent; until then \
                      some loss of one node stops shards or loses data";
        add(Severity::Warning, "not_fault_tolerant", format!("not fault tolerant: {risk}"), advice);
    }
    let there = || cluster.nodes.iter().filter(|node| takes_part(node));
    let levels: BTreeSet<_> =
        there().filter_map(|node| node.levels.map(|levels| levels.highest)).collect();
    if let (Some(lowest), Some(highest)) = (levels.first(), levels.last())
        && lowest != highest
    {
        let behind = there().filter(|node| node.levels.is_some_and(|l| l.highest == *lowest));
        let behind = numbers(behind.map(|node| node.id));
        let text = format!(
            "some nodes can work at level {highest}, but {behind} only up to {lowest}: the cluster \
             stays at level {}",
            cluster.level
        );
        let advice = "finish the rolling upgrade; until then the old version can still come back";
        add(Severity::Warning, "level_skew", text, advice);
    }
    let versions: BTreeSet<_> = there().filter_map(|node| node.version.as_deref()).collect();
    if versions.len() > 1 {
        let versions: Vec<_> = versions.into_iter().collect();
        let text = format!("nodes run different versions: {}", versions.join(", "));
        add(Severity::Warning, "version_skew", text, "finish the rolling upgrade");
    }
    findings
}

/// Whether a node is one that the others talk to.
fn takes_part(node: &NodeDocument) -> bool {
    !matches!(node.standing.as_deref(), Some("lost" | "removed"))
}

fn find(cluster: &ClusterDocument, id: u64) -> Option<&NodeDocument> {
    cluster.nodes.iter().find(|node| node.id == id)
}

/// `node 3`, `nodes 1 and 3`
fn numbers(ids: impl IntoIterator<Item = u64>) -> String {
    let ids: Vec<_> = ids.into_iter().map(|id| id.to_string()).collect();
    match ids.as_slice() {
        [] => "no node".to_owned(),
        [one] => format!("node {one}"),
        [first @ .., last] => format!("nodes {} and {last}", first.join(", ")),
    }
}

/// `shard 7`, `shards 0-4, 9, meta`
fn named(shards: &[&ShardDocument]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut ids = shards.iter().filter(|shard| !shard.meta).map(|shard| shard.id).peekable();
    while let Some(first) = ids.next() {
        let mut last = first;
        while ids.peek().is_some_and(|next| *next == last + 1) {
            last = ids.next().unwrap_or(last);
        }
        parts.push(if first == last { first.to_string() } else { format!("{first}-{last}") });
    }
    if shards.iter().any(|shard| shard.meta) {
        parts.push(edge::http::topology::META.to_owned());
    }
    let word = if shards.len() == 1 { "shard" } else { "shards" };
    format!("{word} {}", parts.join(", "))
}

/// The findings for people.
pub(super) fn tell(cluster: &ClusterDocument, findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let severity = match finding.severity {
            Severity::Problem => "PROBLEM",
            Severity::Warning => "warning",
        };
        let Finding { subject, text: what, advice, .. } = finding;
        text.push_str(&format!("{severity}  {subject}: {what}\n         what to do: {advice}\n"));
    }
    let n_problems = findings.iter().filter(|f| f.severity == Severity::Problem).count();
    text.push_str(&match (n_problems, findings.len()) {
        (0, 0) => format!("healthy: {} nodes, every shard serves\n", cluster.nodes.len()),
        (0, n) => format!("every shard serves; warnings: {n}\n"),
        (n, _) => format!("problems: {n}\n"),
    });
    text
}

#[cfg(test)]
pub(super) mod tests;

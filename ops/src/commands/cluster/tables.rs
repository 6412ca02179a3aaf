//! The cluster in columns, for people.

use edge::http::topology::{
    ClusterDocument, META, NodeDocument, ReplicaRole, Serving, ShardDocument, ShardsDocument,
};

pub(super) fn cluster(cluster: &ClusterDocument) -> String {
    let n = cluster.nodes.len();
    let nodes = if n == 1 { "1 node".to_owned() } else { format!("{n} nodes") };
    let mut text = match cluster.level {
        0 => format!("node {} is alone, no part of a cluster\n", cluster.answered_by),
        level => format!("{nodes} at level {level}, seen from node {}\n", cluster.answered_by),
    };
    text.push_str(&match &cluster.risk {
        None => "fault tolerant: the loss of any one node stops nothing\n".to_owned(),
        Some(risk) => format!("NOT FAULT TOLERANT: {risk}\n"),
    });
    if !cluster.current {
        text.push_str("what is agreed could not be asked: this is what the node last heard\n");
    }
    text.push('\n');
    let header = [
        "ID", "NODE", "ADDRESS", "ZONE", "STANDING", "HEARD", "LEADS", "HOLDS", "LEVELS",
        "VERSION", "REMARKS",
    ];
    text.push_str(&columns(&header, cluster.nodes.iter().map(node).collect()));
    text
}

fn node(node: &NodeDocument) -> Vec<String> {
    let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let name = node.number.map_or_else(
        || "?".to_owned(),
        |number| match node.generation {
            0 => number.to_string(),
            generation => format!("{number}+{generation}"),
        },
    );
    let levels = node
        .levels
        .map_or_else(|| "-".to_owned(), |levels| format!("{}-{}", levels.lowest, levels.highest));
    let standing = node.standing.clone().unwrap_or_else(|| "alone".to_owned());
    let gone = matches!(node.standing.as_deref(), Some("lost" | "removed"));
    let heard = if gone && !node.live { "-".to_owned() } else { heard(node) };
    vec![
        node.id.to_string(),
        name,
        text(&node.address),
        text(&node.zone),
        standing,
        heard,
        number(node.leads),
        number(node.holds),
        levels,
        text(&node.version),
        remarks_on_node(node),
    ]
}

pub(super) fn heard(node: &NodeDocument) -> String {
    match node.last_heard_ms {
        _ if node.live => "answers".to_owned(),
        Some(ms) => format!("{} s ago", ms.div_ceil(1_000)),
        None => "never".to_owned(),
    }
}

fn remarks_on_node(node: &NodeDocument) -> String {
    let mut remarks = Vec::new();
    if node.storage_full == Some(true) {
        remarks.push("disk full".to_owned());
    }
    if node.stopping == Some(true) {
        remarks.push("stopping".to_owned());
    } else if node.ready == Some(false) {
        remarks.push("not ready".to_owned());
    }
    if node.live && !node.unlinked_from.is_empty() {
        remarks.push(format!("no link with {}", list(&node.unlinked_from)));
    }
    remarks.join(", ")
}

pub(super) fn shards(shards: &ShardsDocument) -> String {
    let mut text = String::new();
    if !shards.complete {
        let silent = list(&shards.unanswered);
        text.push_str(&format!("not all nodes answered; silent: {silent}\n\n"));
    }
    let header = [
        "SHARD", "LEADER", "SERVING", "TERM", "COMMIT", "APPLIED", "LAG", "BYTES", "VOTERS",
        "LEARNERS", "PIN", "REMARKS",
    ];
    text.push_str(&columns(&header, shards.data.iter().map(shard).collect()));
    text
}

fn shard(shard: &ShardDocument) -> Vec<String> {
    let id = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |id| id.to_string());
    let serving = match shard.serving {
        Serving::Yes => "yes",
        Serving::No => "NO",
        Serving::Unknown => "unknown",
    };
    vec![
        if shard.meta { META.to_owned() } else { shard.id.to_string() },
        id(shard.leader),
        serving.to_owned(),
        shard.term.to_string(),
        shard.commit.to_string(),
        shard.applied.to_string(),
        shard.lag.to_string(),
        shard.bytes.to_string(),
        list(&shard.voters),
        if shard.learners.is_empty() { "-".to_owned() } else { list(&shard.learners) },
        id(shard.pin),
        remarks_on_shard(shard),
    ]
}

fn remarks_on_shard(shard: &ShardDocument) -> String {
    let mut remarks = Vec::new();
    if shard.moving {
        remarks.push(format!("moving to {}", list(&shard.wanted)));
    }
    for replica in &shard.replicas {
        if replica.fenced.is_some() {
            remarks.push(format!("fenced on {}", replica.node));
        }
        match replica.role {
            ReplicaRole::Silent => remarks.push(format!("{} silent", replica.node)),
            ReplicaRole::Mute => remarks.push(format!("{} mute", replica.node)),
            ReplicaRole::Leader
            | ReplicaRole::Starting
            | ReplicaRole::Voter
            | ReplicaRole::Learner => {}
        }
    }
    remarks.join(", ")
}

pub(super) fn list(ids: &[u64]) -> String {
    ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// Aligned columns, each as wide as its widest cell.
fn columns(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let header = header.iter().map(|name| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(header).chain(rows).collect();
    let width = |nth: usize| {
        let cells = rows.iter().filter_map(|row| row.get(nth));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..rows.first().map_or(0, Vec::len)).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(widths.iter().copied());
        let cells = cells.map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::doctor::tests::{cluster_of_three, shards_of_three};
    use super::*;

    #[test]
    fn a_cluster_is_a_table_that_says_first_whether_it_survives() {
        let mut whole = cluster_of_three();
        let text = cluster(&whole);
        assert!(text.starts_with("3 nodes at level 1, seen from node 1\nfault tolerant"), "{text}");
        assert!(text.contains("\nID  NODE  ADDRESS"), "{text}");
        whole.risk = Some("node 3 is away".to_owned());
        whole.nodes[2].live = false;
        whole.nodes[2].last_heard_ms = Some(4_200);
        let text = cluster(&whole);
        assert!(text.contains("NOT FAULT TOLERANT: node 3 is away\n"), "{text}");
        assert!(text.contains("5 s ago"), "{text}");
    }

    #[test]
    fn shards_are_a_table_with_what_is_unusual_at_its_end() {
        let mut all = shards_of_three();
        all.data[0].moving = true;
        all.data[0].replicas[2].role = ReplicaRole::Silent;
        let text = shards(&all);
        assert!(text.starts_with("SHARD  LEADER  SERVING"), "{text}");
        assert!(text.contains("moving to 1,2,3, 3 silent\n"), "{text}");
        assert!(text.contains("\nmeta "), "{text}");
    }
}

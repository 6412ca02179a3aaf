//! Why shards do not serve, or serve worse than they should.

use std::collections::BTreeMap;

use edge::http::topology::{
    ClusterDocument, ReplicaDocument, ReplicaRole, Serving, ShardDocument, ShardsDocument,
};

use super::{BEHIND_USUAL, Finding, Severity, find, named, numbers};

/// A finding on one shard, to be told once for all that have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Symptom {
    severity: Severity,
    code: &'static str,
    text: String,
    advice: &'static str,
}

pub(super) fn examine(
    cluster: &ClusterDocument,
    shards: &ShardsDocument,
    earlier: Option<&ShardsDocument>,
) -> Vec<Finding> {
    let mut by_symptom = BTreeMap::<Symptom, Vec<&ShardDocument>>::new();
    for shard in &shards.data {
        let before = earlier.and_then(|all| all.data.iter().find(|other| other.id == shard.id));
        let mut symptoms = fences(shard);
        if shard.serving != Serving::Yes {
            symptoms.push(not_serving(cluster, shard));
        }
        symptoms.extend(lag(shard, before));
        symptoms.extend(shard.replicas.iter().filter_map(|replica| behind(cluster, replica)));
        symptoms.extend(clocks(shard));
        symptoms.extend(moving(shard));
        symptoms.extend(pin(shard));
        for symptom in symptoms {
            by_symptom.entry(symptom).or_default().push(shard);
        }
    }
    let finding = |(symptom, shards): (Symptom, Vec<&ShardDocument>)| {
        let Symptom { severity, code, text, advice } = symptom;
        Finding::new(severity, code, named(&shards), text, advice)
    };
    by_symptom.into_iter().map(finding).collect()
}

fn problem(code: &'static str, text: String, advice: &'static str) -> Symptom {
    Symptom { severity: Severity::Problem, code, text, advice }
}

fn warning(code: &'static str, text: String, advice: &'static str) -> Symptom {
    Symptom { severity: Severity::Warning, code, text, advice }
}

/// The likeliest reason, the surest first.
fn not_serving(cluster: &ClusterDocument, shard: &ShardDocument) -> Symptom {
    let is_silent = |id: &&u64| find(cluster, **id).is_none_or(|node| !node.live);
    let silent: Vec<_> = shard.voters.iter().filter(is_silent).copied().collect();
    let n_voters = shard.voters.len();
    if silent.len() * 2 >= n_voters && !silent.is_empty() {
        let text = format!(
            "no quorum: {} of its {n_voters} voters are silent ({}), and a majority must answer",
            silent.len(),
            numbers(silent)
        );
        let advice = "bring those nodes back, one may be enough; their data is on their disks";
        return problem("no_quorum", text, advice);
    }
    if let Some(leader) = shard.replicas.iter().find(|r| r.role == ReplicaRole::Starting) {
        let text = format!(
            "node {} was elected and has not applied everything from before it yet",
            leader.node
        );
        return problem("leader_starting", text, "wait; see its log if that lasts");
    }
    match shard.leader {
        Some(leader) if shard.serving == Serving::Unknown => {
            let text = format!(
                "the others name node {leader} as its leader, which did not answer: it may serve \
                 where this node cannot see it"
            );
            let advice = "ask that node itself with --node; see the findings on it";
            problem("leader_silent", text, advice)
        }
        Some(leader) => {
            let text = format!("node {leader} is named as its leader and does not lead it now");
            problem("leader_changing", text, "wait for an election, some seconds at most")
        }
        None => {
            let text = format!(
                "no leader: {} of {n_voters} voters answer and none of them leads",
                n_voters - silent.len()
            );
            let advice = "wait for an election, some seconds at most; if that lasts, look for cut \
                          links between its voters and for full disks";
            problem("no_leader", text, advice)
        }
    }
}

fn fences(shard: &ShardDocument) -> Vec<Symptom> {
    let fenced = shard.replicas.iter().filter_map(|r| r.fenced.as_ref().map(|why| (r.node, why)));
    let symptom = |(node, why): (u64, &String)| {
        let text = format!("its replica on node {node} is fenced and serves nothing: {why}");
        let advice = "keep that node's data folder; run `omnicart verify` on a copy of it, and start \
                      a version that can apply the entry";
        problem("fenced", text, advice)
    };
    fenced.map(symptom).collect()
}

fn lag(shard: &ShardDocument, before: Option<&ShardDocument>) -> Option<Symptom> {
    let leader = shard.leader.map_or_else(|| "a replica".to_owned(), |id| format!("node {id}"));
    let is_stuck = before.is_some_and(|before| {
        before.lag > 0 && before.applied == shard.applied && before.leader == shard.leader
    });
    if shard.lag > 0 && is_stuck {
        let text = format!(
            "stuck: {leader} has not applied its committed entries for a while, {} wait",
            shard.lag
        );
        let advice = "look at that node's log and disk; transfer the shard if another replica is \
                      further";
        return Some(problem("apply_stuck", text, advice));
    }
    (shard.lag > BEHIND_USUAL).then(|| {
        let text = format!("{leader} has {} committed entries yet to apply", shard.lag);
        warning("apply_lag", text, "wait; if the number does not fall, look at that node's load")
    })
}

fn behind(cluster: &ClusterDocument, replica: &ReplicaDocument) -> Option<Symptom> {
    let node = replica.node;
    let is_live = find(cluster, node).is_some_and(|known| known.live);
    if replica.role == ReplicaRole::Mute {
        let text = format!("its replica on node {node} gives no answer, though the node does");
        let advice = "wait if it is being made; else restart that node";
        return Some(warning("replica_mute", text, advice));
    }
    if replica.pace.as_deref() == Some("snapshot") || replica.whole == Some(false) {
        let text = format!("its replica on node {node} is being filled from a snapshot");
        return Some(warning("replica_filling", text, "wait"));
    }
    let far = replica.behind.is_some_and(|behind| behind > BEHIND_USUAL);
    (far && is_live).then(|| {
        let text = format!("its replica on node {node} is more than {BEHIND_USUAL} entries behind");
        warning("replica_behind", text, "wait; if that lasts, look at that node's disk and load")
    })
}

fn clocks(shard: &ShardDocument) -> Vec<Symptom> {
    let doubted = shard.replicas.iter().filter(|r| r.clock_doubt_ms.is_some_and(|ms| ms > 0));
    let symptom = |replica: &ReplicaDocument| {
        let text =
            format!("the clock of node {} jumped ahead and is caught up with slowly", replica.node);
        warning("clock_doubt", text, "see that its time is right; timers wait until it is believed")
    };
    doubted.map(symptom).collect()
}

fn moving(shard: &ShardDocument) -> Option<Symptom> {
    shard.moving.then(|| {
        let from = numbers(shard.voters.iter().copied());
        let mut wanted = shard.wanted.clone();
        wanted.sort_unstable();
        let text = format!("on its way from {from} to {}", numbers(wanted));
        warning("moving", text, "wait; it serves meanwhile")
    })
}

fn pin(shard: &ShardDocument) -> Option<Symptom> {
    let pin = shard.pin.filter(|pin| shard.leader != Some(*pin))?;
    let text = format!("pinned to node {pin}, which does not lead it");
    let advice = "see whether that node is active, answers and has a replica; else unpin the shard";
    Some(warning("pin_unmet", text, advice))
}

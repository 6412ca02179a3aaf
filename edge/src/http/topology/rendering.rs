//! From what nodes said to JSON.

use std::collections::BTreeSet;

use cluster::ids::{NodeId, ShardId};
use cluster::placement::survey::{NodeView, ReplicaView, Serving as Served, ShardView, Survey};
use cluster::runtime::operations::Surveyed;
use cluster::shard::report::{Pace, ReplicaReport, Role};
use storage::clock;

use super::{
    ClusterDocument, LevelsDocument, NodeDocument, ReplicaDocument, ReplicaRole, Serving,
    ShardDocument, ShardsDocument,
};

impl ClusterDocument {
    pub(in crate::http) fn new(surveyed: &Surveyed, incarnation: u32) -> Self {
        let Surveyed { survey, agreed } = surveyed;
        let unanswered = survey.unanswered();
        let risk = survey.risk();
        let now_micros = clock::wall_micros();
        Self {
            answered_by: survey.asked.0,
            incarnation,
            seq: agreed.map(|agreed| agreed.seq),
            version: survey.cluster.version(),
            level: survey.cluster.level(),
            current: agreed.is_some(),
            complete: unanswered.is_empty(),
            unanswered: ids(&unanswered),
            fault_tolerant: risk.is_none(),
            risk: risk.map(|risk| risk.to_string()),
            nodes: survey.nodes().iter().map(|node| NodeDocument::new(node, now_micros)).collect(),
        }
    }
}

impl NodeDocument {
    fn new(view: &NodeView<'_>, now_micros: u64) -> Self {
        let NodeView { node, member, report, .. } = view;
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let ahead = |clock_micros: u64| {
            let micros = i128::from(clock_micros) - i128::from(now_micros);
            i64::try_from(micros / 1_000).unwrap_or(i64::MAX)
        };
        Self {
            id: node.0,
            number: node.number().map(|number| number.get()),
            generation: node.generation(),
            address: member.map(|member| member.address.clone()),
            zone: member.map(|member| member.zone.clone()),
            standing: member.map(|member| member.standing.name().to_owned()),
            levels: member.map(|member| LevelsDocument {
                lowest: member.levels.lowest,
                highest: member.levels.highest,
            }),
            live: report.is_some(),
            last_heard_ms: view.silent_ms,
            unlinked_from: view.unlinked_from.iter().map(|node| node.0).collect(),
            leads: report.map(|_| count(view.n_led)),
            holds: report.map(|_| count(view.n_held)),
            version: report.map(|report| report.version.clone()),
            uptime_ms: report.map(|report| report.uptime_ms),
            ready: report.map(|report| report.is_ready),
            stopping: report.map(|report| report.is_stopping),
            storage_full: report.map(|report| report.is_storage_full),
            clock_ahead_ms: report.map(|report| ahead(report.clock_micros)),
        }
    }
}

impl ShardsDocument {
    pub(in crate::http) fn new(surveyed: &Surveyed) -> Self {
        let Surveyed { survey, agreed } = surveyed;
        let unanswered = survey.unanswered();
        let shards = survey.shards();
        Self {
            answered_by: survey.asked.0,
            current: agreed.is_some(),
            complete: unanswered.is_empty(),
            unanswered: ids(&unanswered),
            data: shards.iter().map(|shard| ShardDocument::new(shard, survey)).collect(),
            has_more: false,
            next_cursor: None,
        }
    }
}

impl ShardDocument {
    fn new(view: &ShardView<'_>, survey: &Survey) -> Self {
        let fenced = |replica: &ReplicaView<'_>| {
            replica.report.is_some_and(|report| report.fenced.is_some())
        };
        let wanted = view.place.map(|place| place.wanted.iter().map(|node| node.0).collect());
        Self {
            id: view.shard.0,
            meta: view.shard == ShardId::META,
            leader: view.leader.map(|node| node.0),
            serving: match view.serving {
                Served::Yes => Serving::Yes,
                Served::No => Serving::No,
                Served::Unknown => Serving::Unknown,
            },
            term: view.term,
            commit: view.commit,
            applied: view.applied,
            lag: view.lag,
            bytes: view.bytes,
            voters: ids(&view.voters),
            learners: ids(&view.learners),
            wanted: wanted.unwrap_or_default(),
            pin: view.place.and_then(|place| place.pin).map(|node| node.0),
            moving: view.is_moving,
            fenced: view.replicas.iter().any(fenced),
            replicas: view.replicas.iter().map(|r| ReplicaDocument::new(r, survey)).collect(),
        }
    }
}

impl ReplicaDocument {
    fn new(view: &ReplicaView<'_>, survey: &Survey) -> Self {
        let ReplicaView { node, report, progress } = view;
        let number = |of: fn(&ReplicaReport) -> u64| report.map(of);
        let role = match report.map(|report| report.role) {
            Some(Role::Leads) => ReplicaRole::Leader,
            Some(Role::Begins) => ReplicaRole::Starting,
            Some(Role::Votes) => ReplicaRole::Voter,
            Some(Role::Learns) => ReplicaRole::Learner,
            None if survey.reports.contains_key(node) => ReplicaRole::Mute,
            None => ReplicaRole::Silent,
        };
        let pace = progress.map(|progress| match progress.pace {
            Pace::Probing => "probing",
            Pace::Streaming => "streaming",
            Pace::Snapshot => "snapshot",
        });
        Self {
            node: node.0,
            role,
            term: number(|r| r.term),
            commit: number(|r| r.commit),
            applied: number(|r| r.applied),
            last: number(|r| r.last),
            behind: progress.map(|progress| progress.behind),
            heard_by_leader: progress.map(|progress| progress.is_live),
            pace: pace.map(str::to_owned),
            fenced: report.and_then(|report| report.fenced.clone()),
            whole: report.map(|report| report.is_whole),
            entities: number(|r| r.entities),
            memory_bytes: number(|r| r.memory_bytes),
            log_bytes: number(|r| r.log_bytes),
            snapshot_bytes: number(|r| r.snapshot_bytes),
            clock_doubt_ms: number(|r| r.clock_doubt_ms),
        }
    }
}

fn ids(nodes: &BTreeSet<NodeId>) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

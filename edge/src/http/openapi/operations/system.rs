//! The cluster and the service.

use axum::http::StatusCode;

use super::super::headers::{CHANGED, Header};
use super::super::operation::{Key, Operation, Tag};
use crate::http::code::Code;
use crate::http::extract::{NodePath, ShardPath};
use crate::http::routes::documents::{Nothing, RemoveNode, SendLead};
use crate::http::routes::system::{Health, Readiness};
use crate::http::schema::{Described, Schema, words};
use crate::http::topology::{ClusterDocument, NodeChange, ShardChange, ShardsDocument};
use crate::http::{Endpoint as E, Verb};

const NODES: [Code; 4] =
    [Code::NODE_LOST, Code::NODE_REMOVED, Code::NOT_CLUSTERED, Code::TOO_FEW_NODES];
const LEADS: [Code; 5] = [
    Code::NODE_MAY_NOT_LEAD,
    Code::NODE_NOT_FOUND,
    Code::NOT_CLUSTERED,
    Code::NO_REPLICA,
    Code::SHARD_PINNED,
];

pub(super) fn all() -> [Operation; 13] {
    [
        survey::<ClusterDocument>(E::Cluster, "showCluster", "Shows the nodes of the cluster"),
        node::<Nothing>(E::NodeDrain, "drainNode", "Has a node lead nothing"),
        node::<Nothing>(E::NodeResume, "resumeNode", "Has a node take its share again"),
        node::<RemoveNode>(E::NodeRemove, "removeNode", "Moves a node's replicas, then drops it"),
        survey::<ShardsDocument>(E::Shards, "listShards", "Shows the shards of the cluster"),
        shard(E::ShardTransfer, "transferShard", "Has a node lead a shard, for the time being")
            .body::<SendLead>(),
        shard(E::ShardPin, "pinShard", "Has a node lead a shard whenever it can")
            .body::<SendLead>(),
        shard(E::ShardUnpin, "unpinShard", "Leaves it to the cluster who leads a shard")
            .maybe_body::<Nothing>(),
        service(E::Health, "showHealth", "Says that the process answers")
            .answers::<Health>(StatusCode::OK, &[]),
        service(E::Readiness, "showReadiness", "Says whether the node serves")
            .answers::<Readiness>(StatusCode::OK, &[])
            .refuses(&[Code::NOT_READY]),
        service(
            E::Metrics,
            "showMetrics",
            "Shows the node's metrics, in the format of OpenMetrics",
        )
        .answers_with(
            StatusCode::OK,
            "application/openmetrics-text",
            words::text("# EOF"),
            &[],
        ),
        service(E::OpenApi, "showDescription", "Shows this description, as OpenAPI 3.1")
            .answers_with(StatusCode::OK, "application/json", Schema::Anything, &[]),
        service(E::Docs, "showPage", "Shows this description to people").answers_with(
            StatusCode::OK,
            "text/html",
            words::text("<!doctype html>"),
            &[],
        ),
    ]
}

fn survey<T: Described>(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Get, id, Tag::Cluster, summary)
        .about("Asks every node, and says which gave no answer.")
        .operator()
        .reads()
        .answers::<T>(StatusCode::OK, &[Header::OmniSeqMaybe])
}

fn node<T: Described>(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Post, id, Tag::Cluster, summary)
        .operator()
        .at::<NodePath>()
        .changes(Key::Optional)
        .maybe_body::<T>()
        .answers::<NodeChange>(StatusCode::OK, &CHANGED)
        .refuses(&NODES)
}

fn shard(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Post, id, Tag::Cluster, summary)
        .operator()
        .at::<ShardPath>()
        .changes(Key::Optional)
        .answers::<ShardChange>(StatusCode::OK, &CHANGED)
        .refuses(&LEADS)
        .refuses(&NODES)
}

fn service(endpoint: E, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(endpoint, Verb::Get, id, Tag::Service, summary)
}

//! What an operator sees of a cluster and does to it, over HTTP.
//!
//! **Invariants:** any running node is asked, and another one when it gives no answer; changes carry
//! no key: the cluster remembers 256 a day, and made twice they come to the same; nodes are named by
//! their place, not by their id.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use cluster::ids::ShardId;
use edge::http::topology::{ClusterDocument, ShardDocument, ShardsDocument};
use hyper::{Method, StatusCode};
use storage::clock;

use crate::load::client::{Answer, Call, Caller};
use crate::peers::cluster::Cluster;
use crate::peers::omnicart::as_operator;

/// For one node's answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// For an answer of any of them.
const ANY_ANSWER_MAX: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
const FORMING_PAUSE: Duration = Duration::from_millis(200);
/// Of a shard in a cluster of three nodes or more.
const VOTERS: usize = 3;

pub(crate) struct Operator {
    /// Ids of nodes, by place.
    ids: Vec<u64>,
}

impl Operator {
    /// To be called anew when a node is wiped: it comes back under another id.
    pub(crate) async fn of(cluster: &Cluster) -> anyhow::Result<Self> {
        let call = as_operator(Call::new(Method::GET, "/system/v1/cluster"))?;
        let document: ClusterDocument = asked(cluster, &call).await?.json()?;
        let id_of = |number: u16| {
            let of_number = document.nodes.iter().filter(|node| node.number == Some(number));
            of_number.map(|node| node.id).max().context("a node is not in the cluster")
        };
        let ids = cluster.nodes.iter().map(|node| id_of(node.number));
        Ok(Self { ids: ids.collect::<anyhow::Result<_>>()? })
    }

    /// The place of the node that leads, for every shard that somebody leads.
    pub(crate) async fn leaders(&self, cluster: &Cluster) -> anyhow::Result<BTreeMap<u32, usize>> {
        let call = as_operator(Call::new(Method::GET, "/system/v1/shards"))?;
        let document: ShardsDocument = asked(cluster, &call).await?.json()?;
        let place_of = |id| self.ids.iter().position(|known| *known == id);
        let shards = document.data.iter().filter(|shard| !ShardId(shard.id).is_everywhere());
        Ok(shards.filter_map(|shard| Some((shard.id, place_of(shard.leader?)?))).collect())
    }

    /// Another node is to lead a shard.
    pub(crate) async fn transfer(
        &self,
        cluster: &Cluster,
        shard: u32,
        to: usize,
    ) -> anyhow::Result<()> {
        let to = serde_json::json!({"to": self.id(to)?});
        let call = Call::new(Method::POST, format!("/system/v1/shards/{shard}/transfer")).json(&to);
        change(cluster, call).await
    }

    /// A node is to lead nothing.
    pub(crate) async fn drain(&self, cluster: &Cluster, nth: usize) -> anyhow::Result<()> {
        let path = format!("/system/v1/nodes/{}/drain", self.id(nth)?);
        change(cluster, Call::new(Method::POST, path)).await
    }

    /// A node takes its share again.
    pub(crate) async fn resume(&self, cluster: &Cluster, nth: usize) -> anyhow::Result<()> {
        let path = format!("/system/v1/nodes/{}/resume", self.id(nth)?);
        change(cluster, Call::new(Method::POST, path)).await
    }

    fn id(&self, nth: usize) -> anyhow::Result<u64> {
        self.ids.get(nth).copied().with_context(|| format!("there is no node at place {nth}"))
    }
}

/// Waits until every group, also those of the cluster itself, has as many voters as it is to have.
///
/// Nodes do not know of shards whose turn has not come: between two batches of moves each of them
/// says that nothing is moving.
pub(crate) async fn replicated(cluster: &Cluster, within: Duration) -> anyhow::Result<()> {
    let started = clock::monotonic();
    let copies = cluster.nodes.iter().filter(|node| node.is_running()).count();
    // Two nodes cannot outvote each other, so a shard has one voter until there are three.
    let copies = if copies < VOTERS { 1 } else { VOTERS };
    let call = as_operator(Call::new(Method::GET, "/system/v1/shards"))?;
    let mut lacking = 0;
    while started.elapsed() < within {
        let document: ShardsDocument = asked(cluster, &call).await?.json()?;
        let lacks = |shard: &&ShardDocument| shard.moving || shard.voters.len() < copies;
        lacking = document.data.iter().filter(lacks).count();
        if document.complete && lacking == 0 {
            return Ok(());
        }
        tokio::time::sleep(FORMING_PAUSE).await;
    }
    anyhow::bail!("{lacking} groups lack voters after {within:?}")
}

async fn change(cluster: &Cluster, call: Call) -> anyhow::Result<()> {
    asked(cluster, &as_operator(call)?).await?;
    Ok(())
}

/// Asks one node after the other until one answers.
async fn asked(cluster: &Cluster, call: &Call) -> anyhow::Result<Answer> {
    let started = clock::monotonic();
    while started.elapsed() < ANY_ANSWER_MAX {
        for node in cluster.nodes.iter().filter(|node| node.is_running()) {
            let mut caller = Caller::new(node.http);
            match tokio::time::timeout(ANSWER_MAX, caller.send(call)).await {
                Ok(Ok(answer)) if !answer.status.is_server_error() => {
                    return answer.expect(StatusCode::OK).with_context(|| call.path.clone());
                }
                Ok(Ok(_) | Err(_)) | Err(_) => {}
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    anyhow::bail!("no node answers {}", call.path)
}

//! Waiting until what was asked for has come about.
//!
//! **Invariants:** no wait is longer than asked; each change of what is waited for is told on stderr
//! once; a node that cannot be asked for a moment does not end a wait.

use std::time::Duration;

use anyhow::anyhow;
use edge::http::topology::{Serving, ShardsDocument};
use storage::clock;

use super::client::Client;
use crate::failure::{Exit, Failure};

const LOOK_PAUSE: Duration = Duration::from_millis(300);

/// How far something is.
enum Stage {
    Done,
    /// What is left, as people read it.
    Left(String),
    /// It will not come about by waiting.
    Stuck(String),
}

/// Until a node leads nothing.
pub(super) async fn drained(
    client: &Client,
    node: u64,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    let look = async || -> Result<Stage, Failure> { Ok(draining(&client.shards().await?, node)) };
    until(wait, look).await
}

fn draining(shards: &ShardsDocument, node: u64) -> Stage {
    let led = || shards.data.iter().filter(|shard| shard.leader == Some(node));
    let n_led = led().count();
    if n_led == 0 {
        return Stage::Done;
    }
    if led().all(|shard| shard.voters.len() == 1) && !shards.data.iter().any(|s| s.moving) {
        return Stage::Stuck(format!("node {node} has the only copy of {n_led} shards it leads"));
    }
    Stage::Left(format!("node {node} still leads {n_led} shards"))
}

/// Until a node is dropped.
pub(super) async fn removed(
    client: &Client,
    node: u64,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    let look = async || -> Result<Stage, Failure> {
        let cluster = client.cluster().await?;
        let standing = cluster.nodes.iter().find(|known| known.id == node);
        let standing = standing.and_then(|known| known.standing.clone()).unwrap_or_default();
        if standing == "removed" {
            return Ok(Stage::Done);
        }
        if standing != "leaving" {
            return Ok(Stage::Stuck(format!("node {node} is {standing} again")));
        }
        let shards = client.shards().await?;
        let holds =
            shards.data.iter().filter(|s| s.voters.contains(&node) || s.wanted.contains(&node));
        Ok(Stage::Left(format!("{} shards are still on node {node}", holds.count())))
    };
    until(wait, look).await
}

/// Until a shard is led by a node.
pub(super) async fn transferred(
    client: &Client,
    shard: u64,
    to: u64,
    wait: Option<Duration>,
) -> Result<(), Failure> {
    let look = async || -> Result<Stage, Failure> {
        let shards = client.shards().await?;
        let found = shards.data.iter().find(|known| u64::from(known.id) == shard);
        let led = found.is_some_and(|s| s.leader == Some(to) && s.serving == Serving::Yes);
        let left = || Stage::Left(format!("node {to} does not lead the shard yet"));
        Ok(if led { Stage::Done } else { left() })
    };
    until(wait, look).await
}

async fn until(
    wait: Option<Duration>,
    look: impl AsyncFn() -> Result<Stage, Failure>,
) -> Result<(), Failure> {
    let Some(wait) = wait else { return Ok(()) };
    let started = clock::monotonic();
    let mut told = String::new();
    loop {
        let left = match look().await {
            Ok(Stage::Done) => return Ok(()),
            Ok(Stage::Stuck(why)) => return Err(Failure::new(Exit::Unfinished, anyhow!("{why}"))),
            Ok(Stage::Left(left)) => left,
            Err(failure) if failure.exit == Exit::Unreachable => format!("{:#}", failure.error),
            Err(failure) => return Err(failure),
        };
        if left != told {
            eprintln!("{left}");
            told = left;
        }
        if started.elapsed() >= wait {
            let why =
                anyhow!("after {} s: {told}; it goes on without this command", wait.as_secs());
            return Err(Failure::new(Exit::Unfinished, why));
        }
        tokio::time::sleep(LOOK_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::super::doctor::tests::shards_of_three;
    use super::*;

    #[test]
    fn a_node_is_drained_when_it_leads_nothing() {
        let mut shards = shards_of_three();
        assert!(matches!(draining(&shards, 1), Stage::Left(_)));
        assert!(matches!(draining(&shards, 3), Stage::Done));
        for shard in &mut shards.data {
            shard.voters = vec![1];
        }
        assert!(matches!(draining(&shards, 1), Stage::Stuck(_)));
    }
}

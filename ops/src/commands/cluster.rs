//! `omnicart cluster`: looks at a running cluster and changes it, by the HTTP API of any node.
//!
//! **Invariants:** a change is asked for once, under a key, so that an answer that was lost can be
//! asked for again; waiting is bounded and says what it waits for; what is printed comes from the
//! cluster's answers alone.

pub mod client;
pub mod doctor;
mod tables;
mod waiting;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::anyhow;
use edge::http::topology::{ClusterDocument, META, NodeDocument, ShardsDocument};
use serde_json::{Value, json};

use self::client::{Client, NodeUrl};
use self::doctor::{Finding, Severity};
use crate::commands::Output;
use crate::failure::{Exit, Failure};

/// What is asked of which node.
#[derive(Clone, Debug)]
pub struct Request {
    pub node: NodeUrl,
    /// The operator's token, if there is one.
    pub token: Option<String>,
    pub output: Output,
    pub verb: Verb,
}

#[derive(Clone, Debug)]
pub enum Verb {
    Status,
    Shards,
    Doctor,
    Drain { node: u64, wait: Option<Duration> },
    Resume { node: u64 },
    Remove { node: u64, accept_fewer: bool, wait: Option<Duration> },
    Transfer { shard: ShardName, to: u64, wait: Option<Duration> },
    Pin { shard: ShardName, to: u64 },
    Unpin { shard: ShardName },
}

/// A shard as people call it: its number, or `meta`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardName(String);

impl std::str::FromStr for ShardName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_number = text.parse::<u32>().is_ok_and(|number| number.to_string() == text);
        let is_shard = text == META || is_number;
        is_shard.then(|| Self(text.to_owned())).ok_or_else(|| format!("a number, or `{META}`"))
    }
}

/// Runs the command.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, error))?;
    let client = Client::new(request.node.clone(), request.token.clone());
    let desk = Desk { client, output: request.output };
    runtime.block_on(desk.carry_out(&request.verb, out))
}

struct Desk {
    client: Client,
    output: Output,
}

impl Desk {
    async fn carry_out(&self, verb: &Verb, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        match verb {
            Verb::Status => {
                let cluster = self.client.cluster().await?;
                self.show(out, || tables::cluster(&cluster), || vec![line("cluster", &cluster)])?;
            }
            Verb::Shards => {
                let shards = self.client.shards().await?;
                let lines = || shards.data.iter().map(|shard| line("shard", shard)).collect();
                self.show(out, || tables::shards(&shards), lines)?;
            }
            Verb::Doctor => return self.examine(out).await,
            Verb::Drain { node, wait } => {
                let node = self.find(*node).await?;
                self.change(out, &format!("nodes/{}/drain", node.id), json!({})).await?;
                waiting::drained(&self.client, node.id, *wait).await?;
            }
            Verb::Resume { node } => {
                let node = self.find(*node).await?;
                self.change(out, &format!("nodes/{}/resume", node.id), json!({})).await?;
            }
            Verb::Remove { node, accept_fewer, wait } => {
                let node = self.find(*node).await?;
                let body = json!({ "accept_fewer": accept_fewer });
                self.change(out, &format!("nodes/{}/remove", node.id), body).await?;
                waiting::removed(&self.client, node.id, *wait).await?;
            }
            Verb::Transfer { shard, to, wait } => {
                let to = self.find(*to).await?.id;
                let path = format!("shards/{}/transfer", shard.0);
                let answer = self.change(out, &path, json!({ "to": to })).await?;
                let id = answer.get("id").and_then(Value::as_u64).unwrap_or(u64::MAX);
                waiting::transferred(&self.client, id, to, *wait).await?;
            }
            Verb::Pin { shard, to } => {
                let to = self.find(*to).await?.id;
                self.change(out, &format!("shards/{}/pin", shard.0), json!({"to": to})).await?;
            }
            Verb::Unpin { shard } => {
                self.change(out, &format!("shards/{}/unpin", shard.0), json!({})).await?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The node of a number, as it is by now, or of a whole id.
    async fn find(&self, given: u64) -> Result<NodeDocument, Failure> {
        let cluster = self.client.cluster().await?;
        resolve(&cluster, given).cloned().ok_or_else(|| {
            let known: Vec<_> = cluster.nodes.iter().map(|node| node.id.to_string()).collect();
            let known = known.join(", ");
            Failure::new(Exit::Refused, anyhow!("there is no node {given}; there are: {known}"))
        })
    }

    async fn change(&self, out: &mut dyn Write, path: &str, body: Value) -> Result<Value, Failure> {
        let answer = self.client.post(&format!("/system/v1/{path}"), &body).await?;
        let text = || format!("accepted: {path}\n");
        self.show(out, text, || vec![line("change", &answer)])?;
        Ok(answer)
    }

    async fn examine(&self, out: &mut dyn Write) -> Result<ExitCode, Failure> {
        let first = self.client.shards().await?;
        let later = if doctor::deserves_a_second_look(&first) {
            tokio::time::sleep(doctor::SECOND_LOOK_AFTER).await;
            Some(self.client.shards().await?)
        } else {
            None
        };
        let cluster = self.client.cluster().await?;
        let (shards, earlier): (&ShardsDocument, _) = match &later {
            Some(later) => (later, Some(&first)),
            None => (&first, None),
        };
        let findings = doctor::examine(&cluster, shards, earlier);
        let is_bad = |finding: &Finding| finding.severity == Severity::Problem;
        let healthy = !findings.iter().any(is_bad);
        let lines = || {
            let findings = findings.iter().map(|finding| line("finding", finding));
            let verdict = json!({ "healthy": healthy, "findings": findings.len() });
            findings.chain([line("verdict", &verdict)]).collect()
        };
        self.show(out, || doctor::tell(&cluster, &findings), lines)?;
        Ok(if healthy { ExitCode::SUCCESS } else { Exit::Failed.into() })
    }

    fn show(
        &self,
        out: &mut dyn Write,
        text: impl FnOnce() -> String,
        lines: impl FnOnce() -> Vec<Value>,
    ) -> Result<(), Failure> {
        let text = match self.output {
            Output::Text => text(),
            Output::Json => lines().iter().map(|line| format!("{line}\n")).collect(),
        };
        // A reader that left, such as `head`, is no reason for a long story.
        out.write_all(text.as_bytes()).map_err(|error| Failure::new(Exit::Failed, error))
    }
}

/// One object for machines, told what it is.
fn line(what: &str, value: &impl serde::Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    if let Some(object) = value.as_object_mut() {
        object.insert("what".to_owned(), what.into());
    }
    value
}

fn resolve(cluster: &ClusterDocument, given: u64) -> Option<&NodeDocument> {
    let of_number = cluster.nodes.iter().filter(|node| node.number.map(u64::from) == Some(given));
    of_number
        .max_by_key(|node| node.generation)
        .or_else(|| cluster.nodes.iter().find(|node| node.id == given))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_the_node_that_has_it_by_now() {
        let mut cluster = doctor::tests::cluster_of_three();
        let mut wiped = cluster.nodes[2].clone();
        wiped.id = 65_539;
        wiped.generation = 1;
        cluster.nodes.push(wiped);
        let id = |given| resolve(&cluster, given).map(|node| node.id);
        assert_eq!([id(1), id(3), id(65_539), id(4)], [Some(1), Some(65_539), Some(65_539), None]);
    }

    #[test]
    fn a_shard_has_a_number_or_is_meta() {
        for good in ["0", "63", "meta"] {
            assert!(good.parse::<ShardName>().is_ok(), "{good}");
        }
        for bad in ["", "x", "01", "-1", "1/../../nodes", "4294967296"] {
            assert!(bad.parse::<ShardName>().is_err(), "{bad}");
        }
    }
}

//! `omnicart dev`: a cluster on this machine, each node a process of its own.
//!
//! **Invariants:** nodes listen on loopback only; a node ends with this command, however this
//! command ends, because it stops when its standard input does; one that ends by itself is told of
//! and not started again, so that what a cluster does then can be watched.

mod node;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use edge::http::app::OperatorToken;
use tokio::signal::unix::{SignalKind, signal};

use self::node::Node;
use crate::commands::cluster::client::{Client, NodeUrl};
use crate::config::{Demo, Setting};
use crate::failure::{Exit, Failure};

pub const NODES_MAX: u16 = 9;
/// From a node's HTTP port to that of its mesh.
const MESH_PORT_OFFSET: u16 = 100;
const LOOK_PAUSE: Duration = Duration::from_millis(200);
/// How long a node may take to be ready.
const READY_MAX: Duration = Duration::from_secs(120);

#[derive(Clone, Debug)]
pub struct Request {
    pub nodes: u16,
    pub base_port: u16,
    pub data: PathBuf,
    pub demo: Demo,
    pub token: Option<String>,
}

/// Runs until it is asked to stop, or until every node has ended.
pub fn run(request: &Request) -> Result<ExitCode, Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime").map_err(failed)?;
    let token = match &request.token {
        Some(token) => token.clone(),
        None => drawn_token()?,
    };
    OperatorToken::try_from(token.clone())
        .with_context(|| Setting::OperatorToken.variable())
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    runtime.block_on(watch(request, &token))
}

async fn watch(request: &Request, token: &str) -> Result<ExitCode, Failure> {
    let failed = |error: anyhow::Error| Failure::new(Exit::Failed, error);
    let listen = |kind| signal(kind).context("cannot listen for signals").map_err(failed);
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut nodes = Vec::new();
    let started = tokio::select! {
        started = start(request, token, &mut nodes) => started,
        _ = terminate.recv() => return Ok(stop(nodes).await),
        _ = interrupt.recv() => return Ok(stop(nodes).await),
    };
    if let Err(failure) = started {
        stop(nodes).await;
        return Err(failure);
    }
    greet(&nodes, token);
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK_PAUSE) => {}
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        nodes.retain_mut(|node| match node.ended() {
            None => true,
            Some(how) => {
                eprintln!("node {} ended: {how}", node.number);
                false
            }
        });
        if nodes.is_empty() {
            return Err(failed(anyhow!("every node has ended")));
        }
    }
    Ok(stop(nodes).await)
}

/// Starts one node after the other: the first founds the cluster that the others join.
async fn start(request: &Request, token: &str, nodes: &mut Vec<Node>) -> Result<(), Failure> {
    for number in 1..=request.nodes {
        let mut node = Node::start(request, number, token)?;
        let ready = ready(&mut node).await;
        nodes.push(node);
        ready?;
    }
    Ok(())
}

async fn ready(node: &mut Node) -> Result<(), Failure> {
    let number = node.number;
    let client = Client::new(node.url.clone(), None);
    let waited = tokio::time::timeout(READY_MAX, async {
        while !client.is_ready().await {
            if let Some(how) = node.ended() {
                return Err(anyhow!("node {number} ended before it was ready: {how}"));
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
        Ok(())
    });
    let late = |_| Err(anyhow!("node {number} is not ready after {} s", READY_MAX.as_secs()));
    waited.await.unwrap_or_else(late).map_err(|error| Failure::new(Exit::Failed, error))
}

fn greet(nodes: &[Node], token: &str) {
    for node in nodes {
        eprintln!("node {}: {}", node.number, node.url);
    }
    let variable = Setting::OperatorToken.variable();
    let url = nodes.first().map(|node| node.url.to_string()).unwrap_or_default();
    eprintln!("operator token: {token}");
    eprintln!("try: {variable}={token} omnicart cluster status --node {url}");
}

/// Stops them one by one, the last first, so that each hands over what it leads while it can.
async fn stop(mut nodes: Vec<Node>) -> ExitCode {
    while let Some(mut node) = nodes.pop() {
        eprintln!("node {} stops", node.number);
        node.stop().await;
    }
    ExitCode::SUCCESS
}

fn drawn_token() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("the operating system gives no random bytes: {error}"))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn loopback(port: u16) -> Result<NodeUrl, Failure> {
    format!("http://127.0.0.1:{port}")
        .parse()
        .map_err(|error: String| Failure::new(Exit::Usage, anyhow!("{error}")))
}

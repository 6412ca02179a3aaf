//! One node of a local cluster: a child process, its log lines, its end.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use storage::clock;

use super::{MESH_PORT_OFFSET, Request, loopback};
use crate::commands::cluster::client::NodeUrl;
use crate::config::{Demo, Setting};
use crate::failure::{Exit, Failure};

/// A cluster for trying things takes little room on the disk and in memory.
const SMALL: [&str; 8] = [
    "--shards",
    "16",
    "--segment-size",
    "16MiB",
    "--entity-memory",
    "256MiB",
    "--index-cache",
    "8MiB",
];
/// How long a node may take to stop before it is ended.
const STOP_MAX: Duration = Duration::from_secs(60);
const LOOK_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Node {
    pub(super) number: u16,
    pub(super) url: NodeUrl,
    child: Child,
}

impl Node {
    pub(super) fn start(request: &Request, number: u16, token: &str) -> Result<Self, Failure> {
        let ports = || {
            let http = request.base_port.checked_add(number - 1)?;
            let first_mesh = request.base_port.checked_add(MESH_PORT_OFFSET)?;
            Some((http, first_mesh, first_mesh.checked_add(number - 1)?))
        };
        let ports = ports().ok_or_else(|| anyhow!("the base port leaves no ports for all nodes"));
        let (http, first_mesh, mesh) = ports.map_err(|error| Failure::new(Exit::Usage, error))?;
        let failed = |error| Failure::new(Exit::Failed, error);
        let program =
            std::env::current_exe().context("cannot find this program").map_err(failed)?;
        let mut command = Command::new(program);
        // Settings of the shell are not meant for every node at once.
        let is_kept = |name: &str| {
            [Setting::LogLevel, Setting::LogFormat].iter().any(|kept| kept.variable() == name)
        };
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("OMNICART_") && !is_kept(&name) {
                command.env_remove(&*name);
            }
        }
        command
            .arg("serve")
            .arg("--until-stdin-ends")
            .arg("--data")
            .arg(request.data.join(format!("node-{number}")))
            .args(["--listen", &format!("127.0.0.1:{http}")])
            .args(["--mesh-listen", &format!("127.0.0.1:{mesh}")])
            .args(["--node-number", &number.to_string()])
            .args(SMALL)
            .env(Setting::OperatorToken.variable(), token)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // So that ctrl-c reaches this command alone, which stops the nodes in order.
            .process_group(0);
        if number > 1 {
            command.args(["--join", &format!("127.0.0.1:{first_mesh}")]);
        }
        if request.demo == Demo::Yes {
            command.arg("--demo");
        }
        let mut child = command.spawn().context("cannot start a node").map_err(failed)?;
        if let Some(lines) = child.stderr.take() {
            std::thread::spawn(move || pass_on(number, lines));
        }
        Ok(Self { number, url: loopback(http)?, child })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(status) => status.map(|status| status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Asks it to stop, and ends it when it does not.
    pub(super) async fn stop(&mut self) {
        drop(self.child.stdin.take());
        let asked = clock::monotonic();
        while self.ended().is_none() {
            if asked.elapsed() > STOP_MAX {
                eprintln!("node {} does not stop and is ended", self.number);
                // It may end by itself this very moment.
                self.child.kill().ok();
                self.child.wait().ok();
                return;
            }
            tokio::time::sleep(LOOK_PAUSE).await;
        }
    }
}

/// Repeats a node's log lines, each with whose it is.
fn pass_on(number: u16, lines: ChildStderr) {
    for line in BufReader::new(lines).lines().map_while(Result::ok) {
        eprintln!("{number} | {line}");
    }
}

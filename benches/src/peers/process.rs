//! A server process: started, waited for, ended.
//!
//! **Invariants:** the process does not outlive its handle.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use hyper::{Method, StatusCode};
use storage::clock;

use crate::load::client::{Call, Caller};

/// How long a start may take: a large log is read first.
const START_MAX: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which serves at `address`, and waits until `ready_path` answers 200. What
    /// it prints goes to the file `log`.
    pub(crate) async fn start(
        command: Command,
        address: SocketAddr,
        ready_path: &str,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let mut process = Self::launch(command, address, log)?;
        process.wait_until_ready(ready_path).await?;
        Ok(process)
    }

    /// Starts `command` and does not wait.
    pub(crate) fn launch(
        mut command: Command,
        address: SocketAddr,
        log: &Path,
    ) -> anyhow::Result<Self> {
        let output = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot open {}", log.display()))?;
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("cannot start {program}"))?;
        Ok(Self { child, address, log: log.to_owned() })
    }

    pub(crate) async fn wait_until_ready(&mut self, path: &str) -> anyhow::Result<()> {
        let started = clock::monotonic();
        let mut caller = Caller::new(self.address);
        let call = Call::new(Method::GET, path);
        while started.elapsed() < START_MAX {
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("the server ended with {status}: {}", self.last_words());
            }
            match caller.send(&call).await {
                Ok(answer) if answer.status == StatusCode::OK => return Ok(()),
                // It does not listen yet, or is not done recovering.
                Ok(_) | Err(_) => tokio::time::sleep(POLL).await,
            }
        }
        anyhow::bail!("the server is not ready after {START_MAX:?}: {}", self.last_words())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.child.try_wait().context("cannot look at the server")?.is_none())
    }

    /// kill -9, and gone when this returns.
    pub(crate) fn kill(mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill().context("cannot kill the server")?;
        self.child.wait().context("cannot wait for the server")
    }

    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        // The shell's own command: the program of that name is not everywhere.
        let script = format!("kill -{} {}", signal.name(), self.child.id());
        let sent = Command::new("sh").args(["-c", &script]).status().context("cannot run sh")?;
        anyhow::ensure!(sent.success(), "cannot send {} to the server", signal.name());
        Ok(())
    }

    /// Waits for the server to end by itself.
    pub(crate) async fn ended(&mut self, within: Duration) -> anyhow::Result<ExitStatus> {
        let started = clock::monotonic();
        while started.elapsed() < within {
            if let Some(status) = self.child.try_wait().context("cannot wait for the server")? {
                return Ok(status);
            }
            tokio::time::sleep(POLL).await;
        }
        anyhow::bail!("the server has not ended after {within:?}: {}", self.last_words())
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut lines: Vec<_> = text.lines().rev().take(5).collect();
        lines.reverse();
        lines.join(" | ")
    }
}

/// What a process can be asked besides requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    Terminate,
    Stop,
    Continue,
}

impl Signal {
    const fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Either it ended before, or it ends here; nothing is left to do about a failure.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A port of the loopback that nothing listens on.
pub(crate) fn free_address() -> anyhow::Result<SocketAddr> {
    let probe = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(probe.local_addr()?)
}

/// A port of the loopback to come back to: outside the range from which the system takes ports for
/// connections, so that none has it while its server is away.
pub(crate) fn lasting_address() -> anyhow::Result<SocketAddr> {
    const FIRST: u16 = 18_000;
    const PORTS: u16 = 14_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs that go on at the same time look in different places first.
    let own = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap_or(0);
    for _ in 0..PORTS {
        let nth = own.wrapping_mul(37).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, FIRST + nth % PORTS));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    anyhow::bail!("no port from {FIRST} on is free")
}

pub(crate) fn own_program() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("this program does not know its own file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_reported_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no tea left; exit 7"]);
        let log = folder.path().join("log");
        let started = Process::start(command, free_address().unwrap(), "/", &log).await;
        let error = started.err().unwrap().to_string();
        assert!(error.contains('7') && error.contains("no tea left"), "{error}");
    }
}

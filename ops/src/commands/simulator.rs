//! What the simulators of providers have in common: processes of their own, each with a ledger.
//!
//! **Invariants:** a ledger belongs to one process at a time; what was answered is on disk.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use edge::metrics::EdgeMetrics;
use edge::providers::{Caller, JournalError, NoticeTarget, Origin};
use edge::server::{self, Connections, Limits};
use prometheus_client::registry::Registry;
use storage::disk::{DirLock, Disk, RealDisk};

use crate::failure::{self, Exit, Failure};
use crate::providers;
use crate::serve::{self, Stop};

/// Where a simulator is asked, where its ledger lies, and whom it tells.
pub struct Place {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// Where notices go, and the file of what they are signed with.
    pub notices: Option<(Origin, PathBuf)>,
}

pub struct Request<B> {
    pub place: Place,
    pub behaviour: B,
}

/// How a simulator behaves; with it, what it is.
pub trait Simulated {
    const NAME: &'static str;

    /// Its API, where it is asked.
    fn connections(
        &self,
        disk: &dyn Disk,
        address: SocketAddr,
        target: Option<NoticeTarget>,
        limits: &Limits,
        metrics: EdgeMetrics,
    ) -> Result<Connections, JournalError>;
}

/// Serves until SIGTERM or SIGINT. The first line on `out` says where.
pub fn run<B: Simulated>(request: &Request<B>, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(failed)?;
    runtime.block_on(serve(request, out))
}

async fn serve<B: Simulated>(request: &Request<B>, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let Request { place: Place { listen, data, notices }, behaviour } = request;
    let _lock =
        DirLock::acquire(data).map_err(|error| Failure::new(failure::of_lock(&error), error))?;
    let disk = RealDisk::open(data)
        .with_context(|| format!("data folder {}", data.display()))
        .map_err(|error| Failure::new(Exit::Folder, error))?;
    let target = notices.as_ref().map(target).transpose()?;
    let listener = serve::bind(*listen).await?;
    let address = listener.local_addr().context("the listener's own address").map_err(failed)?;
    let limits = Limits::default();
    // What is counted of it is shown nowhere.
    let metrics = EdgeMetrics::register(&mut Registry::default());
    let connections = behaviour.connections(&disk, address, target, &limits, metrics);
    let connections = connections.map_err(|error| {
        let exit = match error {
            JournalError::Io(_) => Exit::Folder,
            JournalError::Damaged { .. } | JournalError::OutOfOrder { .. } => Exit::Damaged,
        };
        Failure::new(exit, error)
    })?;
    let mut stop = Stop::listen(false)?;
    writeln!(out, "{} on http://{address}", B::NAME)
        .and_then(|()| out.flush())
        .map_err(|error| failed(error.into()))?;
    server::serve(listener, connections, limits, async move { stop.asked().await }).await;
    Ok(())
}

fn target((origin, file): &(Origin, PathBuf)) -> Result<NoticeTarget, Failure> {
    let secret = providers::read_secret(file)?.ok_or_else(|| {
        Failure::new(Exit::Usage, anyhow::anyhow!("there is no secret file {}", file.display()))
    })?;
    let caller = Caller::new(origin.clone(), None);
    let caller = caller.map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(NoticeTarget { caller, secret })
}

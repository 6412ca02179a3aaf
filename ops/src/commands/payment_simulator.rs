//! `omnicart payment-simulator`: a payment provider for trials, in a process of its own.
//!
//! **Invariants:** its ledger belongs to one process at a time; what it answered is on disk.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use edge::metrics::EdgeMetrics;
use edge::providers::payment::simulator::service::{self, NoticeTarget};
use edge::providers::payment::simulator::{Behaviour, BookError};
use edge::providers::{Caller, Origin};
use edge::server::{self, Connections, Limits};
use prometheus_client::registry::Registry;
use storage::disk::{DirLock, RealDisk};

use crate::failure::{self, Exit, Failure};
use crate::payments;
use crate::serve::{self, Stop};

pub struct Request {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub behaviour: Behaviour,
    /// Where notices go, and the file of what they are signed with.
    pub notices: Option<(Origin, PathBuf)>,
}

/// Serves until SIGTERM or SIGINT. The first line on `out` says where.
pub fn run(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(failed)?;
    runtime.block_on(serve(request, out))
}

async fn serve(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    let _lock = DirLock::acquire(&request.data)
        .map_err(|error| Failure::new(failure::of_lock(&error), error))?;
    let disk = RealDisk::open(&request.data)
        .with_context(|| format!("data folder {}", request.data.display()))
        .map_err(|error| Failure::new(Exit::Folder, error))?;
    let target = request.notices.as_ref().map(target).transpose()?;
    let router = service::router(&disk, request.behaviour.clone(), target).map_err(|error| {
        let exit = match error {
            BookError::Io(_) => Exit::Folder,
            BookError::Damaged { .. } | BookError::OutOfOrder { .. } => Exit::Damaged,
        };
        Failure::new(exit, error)
    })?;
    let listener = serve::bind(request.listen).await?;
    let address = listener.local_addr().context("the listener's own address").map_err(failed)?;
    let mut stop = Stop::listen(false)?;
    writeln!(out, "payment simulator on http://{address}")
        .and_then(|()| out.flush())
        .map_err(|error| failed(error.into()))?;
    let limits = Limits::default();
    let metrics = EdgeMetrics::register(&mut Registry::default());
    let connections = Connections::new(router, &limits, metrics);
    server::serve(listener, connections, limits, async move { stop.asked().await }).await;
    Ok(())
}

fn target((origin, file): &(Origin, PathBuf)) -> Result<NoticeTarget, Failure> {
    let secret = payments::read_secret(file)?.ok_or_else(|| {
        Failure::new(Exit::Usage, anyhow::anyhow!("there is no secret file {}", file.display()))
    })?;
    let caller = Caller::new(origin.clone(), None);
    let caller = caller.map_err(|error| Failure::new(Exit::Usage, error))?;
    Ok(NoticeTarget { caller, secret })
}

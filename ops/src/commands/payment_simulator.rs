//! `omnicart payment-simulator`: a payment provider for trials, in a process of its own.

use std::net::SocketAddr;

use edge::metrics::EdgeMetrics;
use edge::providers::payment::simulator::{Behaviour, service};
use edge::providers::{JournalError, NoticeTarget};
use edge::server::{Connections, Limits};
use storage::disk::Disk;

use super::simulator::Simulated;

impl Simulated for Behaviour {
    const NAME: &'static str = "payment simulator";

    fn connections(
        &self,
        disk: &dyn Disk,
        _: SocketAddr,
        target: Option<NoticeTarget>,
        limits: &Limits,
        metrics: EdgeMetrics,
    ) -> Result<Connections, JournalError> {
        let router = service::router(disk, self.clone(), target)?;
        Ok(Connections::new(router, limits, metrics))
    }
}

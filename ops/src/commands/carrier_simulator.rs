//! `omnicart carrier-simulator`: a carrier for trials, in a process of its own.

use std::net::SocketAddr;

use edge::metrics::EdgeMetrics;
use edge::providers::carrier::simulator::{Behaviour, service};
use edge::providers::{JournalError, NoticeTarget};
use edge::server::{Connections, Limits};
use storage::disk::Disk;

use super::simulator::Simulated;

impl Simulated for Behaviour {
    const NAME: &'static str = "carrier simulator";

    fn connections(
        &self,
        disk: &dyn Disk,
        address: SocketAddr,
        target: Option<NoticeTarget>,
        limits: &Limits,
        metrics: EdgeMetrics,
    ) -> Result<Connections, JournalError> {
        let labels = format!("http://{address}/labels");
        let router = service::router(disk, self.clone(), labels, target)?;
        Ok(Connections::new(router, limits, metrics))
    }
}

//! `omnicart carrier-simulator`: a carrier for trials, in a process of its own.

use std::io::Write;
use std::net::SocketAddr;

use edge::metrics::EdgeMetrics;
use edge::providers::carrier::simulator::{Behaviour, service};
use edge::providers::{JournalError, NoticeTarget};
use edge::server::{Connections, Limits};
use prometheus_client::registry::Registry;
use storage::disk::Disk;

use super::simulator::{self, Place, Simulated};
use crate::failure::Failure;

pub struct Request {
    pub place: Place,
    pub behaviour: Behaviour,
}

pub fn run(request: &Request, out: &mut dyn Write) -> Result<(), Failure> {
    simulator::run(request, out)
}

impl Simulated for Request {
    const NAME: &'static str = "carrier simulator";

    fn place(&self) -> &Place {
        &self.place
    }

    fn connections(
        &self,
        disk: &dyn Disk,
        address: SocketAddr,
        target: Option<NoticeTarget>,
        limits: &Limits,
    ) -> Result<Connections, JournalError> {
        let labels = format!("http://{address}/labels");
        let router = service::router(disk, self.behaviour.clone(), labels, target)?;
        let metrics = EdgeMetrics::register(&mut Registry::default());
        Ok(Connections::new(router, limits, metrics))
    }
}

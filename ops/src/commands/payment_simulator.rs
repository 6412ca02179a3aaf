//! `omnicart payment-simulator`: a payment provider for trials, in a process of its own.

use std::io::Write;
use std::net::SocketAddr;

use edge::metrics::EdgeMetrics;
use edge::providers::payment::simulator::{Behaviour, service};
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
    const NAME: &'static str = "payment simulator";

    fn place(&self) -> &Place {
        &self.place
    }

    fn connections(
        &self,
        disk: &dyn Disk,
        _: SocketAddr,
        target: Option<NoticeTarget>,
        limits: &Limits,
    ) -> Result<Connections, JournalError> {
        let router = service::router(disk, self.behaviour.clone(), target)?;
        let metrics = EdgeMetrics::register(&mut Registry::default());
        Ok(Connections::new(router, limits, metrics))
    }
}

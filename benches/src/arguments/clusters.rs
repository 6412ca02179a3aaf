//! What scenarios about whole clusters are asked.

use std::num::NonZero;
use std::path::PathBuf;

use clap::Args;

use crate::scenarios::chaos::fault::Fault;

#[derive(Args, Debug)]
pub(crate) struct Chaos {
    /// How many nodes there are in the beginning.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) nodes: NonZero<u16>,
    /// What is done to them [default: all that is possible].
    #[arg(long, value_delimiter = ',', value_name = "FAULT,…")]
    pub(crate) faults: Vec<Fault>,
    /// How many clients, three at each entity.
    #[arg(long, value_name = "N", default_value = "24")]
    pub(crate) clients: NonZero<u16>,
    /// How long a client waits between an answer and its next request.
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) pause_ms: u64,
    /// Draws the faults and the requests [default: the clock].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Where the nodes' logs and all violations are kept [default: gone with the run].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Failover {
    /// How often each event is brought about.
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) events: NonZero<u32>,
    /// Where the nodes' logs are kept [default: gone with the run].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) shards: NonZero<u32>,
    /// Draws the stocks that are written to.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Scale {
    /// Numbers of nodes, one cluster each.
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", default_value = "1,3,5")]
    pub(crate) nodes: Vec<NonZero<u16>>,
    /// How much of a core each node may have.
    #[arg(long, value_name = "N", default_value = "25")]
    pub(crate) cap_percent: u64,
    /// How often local and remote requests take turns.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) turns: NonZero<u16>,
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) shards: NonZero<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Rebalance {
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) shards: NonZero<u32>,
    /// Where the nodes' logs are kept [default: gone with the run].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
    /// Draws the stocks that are written to.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
}

#[derive(Args, Debug)]
pub(crate) struct Idle {
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) shards: NonZero<u32>,
}

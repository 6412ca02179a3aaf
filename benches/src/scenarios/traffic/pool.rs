//! Connections to all nodes, shared by all who write.
//!
//! **Invariants:** a connection carries one request at a time, and is not used again after an error;
//! connections come from many addresses of the loopback: a node lets one peer have only so many, and
//! while a shard has no leader every write that waits for one holds a connection.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use storage::clock;

use crate::load::client::{Answer, Call, Connection};

/// A node that has not answered by then is left for another.
const ATTEMPT_MAX: Duration = Duration::from_secs(5);
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Connections to a node that are kept for later.
const IDLE_MAX: usize = 256;
/// Addresses that connections come from, in turns.
const SOURCES: u32 = 64;

#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<BTreeMap<SocketAddr, Vec<Connection>>>,
    n_opened: AtomicU32,
}

impl Pool {
    /// `None` if this node gave no answer that counts.
    pub(super) async fn ask(
        &self,
        address: SocketAddr,
        call: &Call,
        until: Instant,
    ) -> Option<Answer> {
        let mut connection = match self.take(address) {
            Some(connection) => connection,
            None => self.open(address).await?,
        };
        let left = until.saturating_duration_since(clock::monotonic()).min(ATTEMPT_MAX);
        let answer = tokio::time::timeout(left, connection.send(call)).await.ok()?.ok()?;
        if answer.headers.get("connection").is_none_or(|value| value != "close") {
            self.keep(address, connection);
        }
        (!answer.status.is_server_error()).then_some(answer)
    }

    async fn open(&self, address: SocketAddr) -> Option<Connection> {
        let nth = self.n_opened.fetch_add(1, Ordering::Relaxed) % SOURCES;
        // The first of them is everybody else's.
        let source = Ipv4Addr::from(u32::from(Ipv4Addr::LOCALHOST) + 1 + nth);
        let opened = Connection::open_from(source, address);
        tokio::time::timeout(CONNECT_WITHIN, opened).await.ok()?.ok()
    }

    fn take(&self, address: SocketAddr) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&address)?.pop()
    }

    fn keep(&self, address: SocketAddr, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.entry(address).or_default();
        if idle.len() < IDLE_MAX {
            idle.push(connection);
        }
    }
}

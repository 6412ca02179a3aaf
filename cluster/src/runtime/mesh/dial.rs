//! Dialing: one task per peer keeps its lanes open.
//!
//! **Invariants:** one dial to a peer at a time; after a failure, and after a lane that lived only
//! briefly, the next dial waits, longer each time and never in step with other nodes; a new address
//! is tried at once.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use storage::clock;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::ids::NodeId;
use crate::metrics::Direction;
use crate::runtime::mesh::connection::{BoxStream, Connection};
use crate::runtime::mesh::fault::FaultGate;
use crate::runtime::mesh::framed;
use crate::runtime::mesh::handshake::{self, Greeted, HandshakeError, Target};
use crate::runtime::mesh::peers::{Peer, PeerAddress};
use crate::runtime::mesh::{Refused, Shared};
use crate::wire::frame::PAYLOAD_BYTES_MAX;
use crate::wire::greeting::{BootId, Purpose, Welcome};
use crate::wire::{Lane, WireError};

/// A lane that lived so long begins anew with short waits.
const STABLE: Duration = Duration::from_secs(5);

/// Keeps every lane to a peer open until the peer is removed.
pub(super) async fn keep_linked(shared: Arc<Shared>, peer: Arc<Peer>) {
    let mut removed = peer.removed.subscribe();
    tokio::select! {
        () = redial(&shared, &peer) => {}
        _ = removed.wait_for(|removed| *removed) => {}
    }
}

async fn redial(shared: &Arc<Shared>, peer: &Arc<Peer>) {
    let mut address = peer.address.subscribe();
    let mut gate = FaultGate::new(&peer.fault);
    let mut opened: BTreeMap<Lane, Instant> = BTreeMap::new();
    let mut failures = 0_u32;
    let mut reported = false;
    loop {
        let Some(lane) = peer.closed_lane() else {
            peer.ended.notified().await;
            continue;
        };
        match opened.remove(&lane).map(|at| clock::monotonic().duration_since(at)) {
            Some(lived) if lived >= STABLE => failures = 0,
            Some(_) => wait(shared, &mut address, &mut failures).await,
            None => {}
        }
        gate.handshake().await;
        let target = address.borrow_and_update().clone();
        let purpose = Purpose::Lane(lane);
        let dialed = handshake::dial(shared, &target.0, Target::Node(peer.node), purpose);
        let dialed = timeout(shared.limits.handshake_max, dialed).await;
        match dialed.unwrap_or(Err(HandshakeError::Timeout)) {
            Ok(greeted) => {
                begin(shared, peer, lane, greeted);
                opened.insert(lane, clock::monotonic());
                reported = false;
            }
            Err(error) => {
                shared.metrics.redials.inc();
                shared.metrics.handshake_failed(Direction::Out, error.reason());
                report(peer.node, &target, &error, reported);
                reported = true;
                wait(shared, &mut address, &mut failures).await;
            }
        }
    }
}

/// A peer that is away is dialed for hours: only the first failure is news.
fn report(peer: NodeId, address: &PeerAddress, error: &HandshakeError, reported: bool) {
    let error = error as &dyn std::error::Error;
    if reported {
        tracing::debug!(peer.id = peer.0, peer.address = %address, error, "a dial failed again");
    } else {
        tracing::warn!(peer.id = peer.0, peer.address = %address, error, "a dial failed");
    }
}

fn begin(shared: &Arc<Shared>, peer: &Arc<Peer>, lane: Lane, greeted: Greeted<Welcome>) {
    let Greeted { stream, said } = greeted;
    open(shared, peer, lane, (said.boot, said.window), stream);
}

/// Makes a proven connection a lane of its peer, unless the peer was removed meanwhile.
pub(super) fn open(
    shared: &Arc<Shared>,
    peer: &Arc<Peer>,
    lane: Lane,
    (boot, credit): (BootId, u64),
    stream: BoxStream,
) {
    let id = shared.next_connection();
    // Counted first: whoever is told of the lane finds it counted.
    shared.metrics.lanes_up.inc();
    let Some(registered) = shared.peers.register(peer, lane, boot, (id, credit)) else {
        shared.metrics.lanes_up.dec();
        return;
    };
    let (to, peer) = (Arc::clone(shared), Arc::clone(peer));
    let connection = Connection { shared: to, peer, lane, boot, id };
    shared.spawn(connection.run(stream, registered));
}

/// Waits before the next dial, or until the peer has moved.
async fn wait(shared: &Shared, address: &mut watch::Receiver<PeerAddress>, failures: &mut u32) {
    let limits = &shared.limits;
    let longest = limits.redial_min.saturating_mul(1 << (*failures).min(20)).min(limits.redial_max);
    // Between a half and the whole, so that nodes that lost a peer together do not return together.
    let parts = u32::try_from(shared.chance() % 512).unwrap_or(0).saturating_add(512);
    let delay = longest.saturating_mul(parts) / 1_024;
    tokio::select! {
        () = sleep(delay) => *failures = failures.saturating_add(1),
        _ = address.changed() => *failures = 0,
    }
}

/// Why a question to an address has no answer.
#[derive(Debug, thiserror::Error)]
pub enum KnockError {
    #[error("cannot reach {address}")]
    Handshake {
        address: PeerAddress,
        #[source]
        source: HandshakeError,
    },
    #[error("{address} gave no answer")]
    Unanswered { address: PeerAddress },
    #[error(transparent)]
    Refused(Refused),
    #[error("{address} breaks the protocol")]
    Wire {
        address: PeerAddress,
        #[source]
        source: WireError,
    },
}

pub(super) async fn knock(
    shared: &Shared,
    address: &PeerAddress,
    request: Bytes,
    within: Duration,
) -> Result<(NodeId, Bytes), KnockError> {
    if request.len() > PAYLOAD_BYTES_MAX {
        return Err(KnockError::Refused(Refused::TooLarge { bytes: request.len() }));
    }
    let asked = async {
        let dialed = handshake::dial(shared, &address.0, Target::Member, Purpose::Knock);
        let dialed = timeout(shared.limits.handshake_max, dialed).await;
        let Greeted { mut stream, said } = dialed
            .unwrap_or(Err(HandshakeError::Timeout))
            .map_err(|source| KnockError::Handshake { address: address.clone(), source })?;
        let answer = match framed::write(&mut stream, shared.map_version(), &request).await {
            Ok(()) => framed::read(&mut stream).await,
            Err(error) => Err(error),
        };
        let unanswered = |_: io::Error| KnockError::Unanswered { address: address.clone() };
        let answer = answer.map_err(unanswered)?;
        let wire = |source| KnockError::Wire { address: address.clone(), source };
        let (_, answer) = answer.map_err(wire)?;
        Ok((said.node, answer))
    };
    let unanswered = || Err(KnockError::Unanswered { address: address.clone() });
    timeout(within, asked).await.unwrap_or_else(|_| unanswered())
}

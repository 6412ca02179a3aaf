//! One open connection: frames out, frames in, until it ends.
//!
//! **Invariants:** all that waits goes out in one write per wake-up; a frame is handed on only while
//! its connection is the one that is open; a lane that breaks the rules ends, and so does a peer
//! whose raft lane is silent.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use storage::clock;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::{sleep_until, timeout};

use crate::metrics::Direction;
use crate::runtime::mesh::Shared;
use crate::runtime::mesh::fault::FaultGate;
use crate::runtime::mesh::framed;
use crate::runtime::mesh::handler::{Class, ConnectionId, Frame, Permit};
use crate::runtime::mesh::lane_queue::{Arrival, Batch, LaneQueue};
use crate::runtime::mesh::peers::{Peer, Registered};
use crate::wire::frame::{HEADER_BYTES, Header, Kind, charge, decode_credit};
use crate::wire::greeting::BootId;
use crate::wire::{Lane, WireError};

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) type BoxStream = Box<dyn Stream>;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("its peer closed it")]
    Closed,
    #[error("it failed")]
    Failed(#[source] io::Error),
    #[error("its peer breaks the protocol")]
    Wire(#[from] WireError),
    #[error("its peer sent more than it was granted")]
    Overrun,
    #[error("its peer sent an answer on a lane without questions")]
    Unasked,
    #[error("its peer was silent for {0:?}")]
    Silent(Duration),
    #[error("another connection took its place, or its peer was removed")]
    Replaced,
}

pub(super) struct Connection {
    pub(super) shared: Arc<Shared>,
    pub(super) peer: Arc<Peer>,
    pub(super) lane: Lane,
    pub(super) boot: BootId,
    pub(super) id: ConnectionId,
}

impl Connection {
    /// Serves the connection to its end.
    pub(super) async fn run(self, stream: BoxStream, registered: Registered) {
        let Registered { mut opened, queue, lost } = registered;
        let connection = Ending(self);
        let Ending(this) = &connection;
        this.shared.lost(lost);
        let (read, write) = tokio::io::split(stream);
        let end = tokio::select! {
            end = this.receive(&queue, read) => end,
            end = this.send(&queue, &opened.wake, write) => end,
            _ = opened.ended.wait_for(|ended| *ended) => End::Replaced,
        };
        let (peer, lane) = (this.peer.node.0, this.lane.name());
        tracing::debug!(peer.id = peer, lane, reason = %end, "a connection to a peer ended");
        if let End::Silent(_) = end {
            this.shared.lost(this.shared.peers.silence(&this.peer));
        }
    }

    async fn send(&self, queue: &LaneQueue, wake: &Notify, mut write: WriteHalf<BoxStream>) -> End {
        const KEPT_BYTES_MAX: usize = 512 << 10;
        let heartbeat = self.shared.limits.heartbeat;
        let mut gate = FaultGate::new(&self.peer.fault);
        let mut buffer = BytesMut::new();
        let mut written = clock::monotonic();
        loop {
            let map_version = self.shared.map_version();
            let Some(mut batch) = queue.take(self.id, map_version, &mut buffer) else {
                return End::Replaced;
            };
            if buffer.is_empty() {
                let idle = async {
                    match (self.lane, written.checked_add(heartbeat)) {
                        (Lane::Raft, Some(due)) => sleep_until(due.into()).await,
                        (Lane::Raft | Lane::Control | Lane::Calls | Lane::Bulk, _) => {
                            pending().await
                        }
                    }
                };
                tokio::select! {
                    () = wake.notified() => continue,
                    () = idle => {}
                }
                Header { kind: Kind::Heartbeat, map_version, payload_bytes: 0 }.encode(&mut buffer);
                batch = Batch { frames: 1, bytes: u64::try_from(buffer.len()).unwrap_or(0) };
            }
            gate.out().await;
            let flushed = match write.write_all(&buffer).await {
                Ok(()) => write.flush().await,
                Err(error) => Err(error),
            };
            if let Err(error) = flushed {
                return End::Failed(error);
            }
            self.shared.metrics.carried(self.lane, Direction::Out, batch.frames, batch.bytes);
            written = clock::monotonic();
            buffer.clear();
            if buffer.capacity() > KEPT_BYTES_MAX {
                buffer = BytesMut::new();
            }
        }
    }

    async fn receive(&self, queue: &Arc<LaneQueue>, read: ReadHalf<BoxStream>) -> End {
        const BUFFER_BYTES: usize = 64 << 10;
        let silence = self.shared.limits.silence_max;
        let mut gate = FaultGate::new(&self.peer.fault);
        let mut read = BufReader::with_capacity(BUFFER_BYTES, read);
        loop {
            let next = async {
                let frame = read_frame(&mut read).await;
                gate.arrival().await;
                frame
            };
            let frame = match self.lane {
                Lane::Raft => timeout(silence, next).await.unwrap_or(Err(End::Silent(silence))),
                Lane::Control | Lane::Calls | Lane::Bulk => next.await,
            };
            let (header, payload) = match frame {
                Ok(frame) => frame,
                Err(end) => return end,
            };
            self.shared.peers.heard(&self.peer);
            let bytes = u64::try_from(payload.len().saturating_add(HEADER_BYTES)).unwrap_or(0);
            self.shared.metrics.carried(self.lane, Direction::In, 1, bytes);
            if let Err(end) = self.arrived(queue, header, payload) {
                return end;
            }
        }
    }

    fn arrived(&self, queue: &Arc<LaneQueue>, header: Header, payload: Bytes) -> Result<(), End> {
        let class = match header.kind {
            Kind::Heartbeat => return Ok(()),
            Kind::Credit => {
                queue.credited(self.id, decode_credit(&payload)?);
                return Ok(());
            }
            Kind::Answer if !self.lane.carries_calls() => return Err(End::Unasked),
            Kind::Answer => Class::Answer,
            Kind::Data => Class::Data,
        };
        let cost = charge(payload.len());
        match queue.arrived(self.id, class, cost) {
            Arrival::Welcome => {}
            Arrival::Stale => return Err(End::Replaced),
            Arrival::Overrun => return Err(End::Overrun),
            Arrival::Dropped => {
                self.shared.metrics.dropped(self.lane, Direction::In);
                return Ok(());
            }
        }
        let charged = match class {
            Class::Data => cost,
            Class::Answer => 0,
        };
        self.shared.handler_frame(Frame {
            from: self.peer.node,
            boot: self.boot,
            lane: self.lane,
            class,
            connection: self.id,
            map_version: header.map_version,
            payload,
            permit: Permit::new(Arc::clone(queue), self.id, charged),
        });
        Ok(())
    }
}

/// Closes the lane however its task ends: a lane that looks open and is not served would swallow
/// everything that is sent.
struct Ending(Connection);

impl Drop for Ending {
    fn drop(&mut self) {
        let Self(Connection { shared, peer, lane, id, .. }) = self;
        shared.lost(shared.peers.ended(peer, *lane, *id));
        peer.ended.notify_one();
    }
}

async fn read_frame(read: &mut BufReader<ReadHalf<BoxStream>>) -> Result<(Header, Bytes), End> {
    Ok(framed::read(read).await.map_err(broken)??)
}

fn broken(error: io::Error) -> End {
    if error.kind() == io::ErrorKind::UnexpectedEof { End::Closed } else { End::Failed(error) }
}

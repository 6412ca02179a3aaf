//! What waits to be sent on one lane to one peer, and the credit between the two.
//!
//! **Invariants:**
//! - frames that wait cost at most `queue_bytes_max` together, answers as much again;
//! - on a lane with credit no more is sent than the receiver granted, and a peer that sends more
//!   than it was granted loses its connection;
//! - what a connection did not take when it ended is known never to have been sent;
//! - only the connection that is open now takes, receives or grants anything.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Notify, watch};

use crate::runtime::mesh::handler::{Class, ConnectionId};
use crate::wire::Lane;
use crate::wire::frame::{Header, Kind, PAYLOAD_BYTES_MAX, charge, encode_credit};

/// One write takes no more than this, and one frame.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// A grant is sent once it is worth a frame: a part of the window.
const GRANTS_PER_WINDOW: u64 = 8;
/// What a receiver must grant for a start, or its largest frame could never be sent.
pub(super) const WINDOW_BYTES_MIN: u64 = 4 * (PAYLOAD_BYTES_MAX as u64);

/// Why a frame was not taken. It was certainly not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the node is no known peer")]
    UnknownPeer,
    #[error("there is no connection to the peer")]
    Down,
    #[error("too many bytes wait for the peer")]
    Full,
    #[error("{bytes} bytes: at most {PAYLOAD_BYTES_MAX} fit into a frame")]
    TooLarge { bytes: usize },
}

/// A received frame as the credit sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Welcome,
    /// The connection was replaced or its peer removed.
    Stale,
    /// More than was granted.
    Overrun,
    /// No room on a lane whose frames may be lost.
    Dropped,
}

/// What one write took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) frames: u64,
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) queue_bytes_max: u64,
    /// What the peer may have under way to us.
    pub(super) window: u64,
}

#[derive(Debug)]
pub(super) struct LaneQueue {
    lane: Lane,
    bounds: Bounds,
    open: Mutex<Option<Open>>,
}

/// The state of the connection that is open.
#[derive(Debug)]
struct Open {
    connection: ConnectionId,
    wake: Arc<Notify>,
    ended: watch::Sender<bool>,
    answers: VecDeque<Bytes>,
    answers_bytes: u64,
    frames: VecDeque<Bytes>,
    frames_bytes: u64,
    /// What may still be sent.
    credit: u64,
    /// What the peer may still send.
    granted: u64,
    /// What was finished with and not yet granted again.
    finished: u64,
}

/// What a connection's tasks hold of the queue they serve.
pub(super) struct Opened {
    pub(super) wake: Arc<Notify>,
    pub(super) ended: watch::Receiver<bool>,
    /// The connection before, and what it had not sent.
    pub(super) displaced: Option<(ConnectionId, Vec<Bytes>)>,
}

impl LaneQueue {
    pub(super) fn new(lane: Lane, bounds: Bounds) -> Self {
        Self { lane, bounds, open: Mutex::new(None) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_some()
    }

    /// Begins with nothing to send, and the credit the peer gave in its greeting.
    pub(super) fn open(&self, connection: ConnectionId, credit: u64) -> Opened {
        let wake = Arc::new(Notify::new());
        let (ended, ending) = watch::channel(false);
        let open = Open {
            connection,
            wake: Arc::clone(&wake),
            ended,
            answers: VecDeque::new(),
            answers_bytes: 0,
            frames: VecDeque::new(),
            frames_bytes: 0,
            credit,
            granted: self.bounds.window,
            finished: 0,
        };
        let displaced = self.lock().replace(open).map(Open::end);
        Opened { wake, ended: ending, displaced }
    }

    /// Ends whatever is open.
    pub(super) fn end(&self) -> Option<(ConnectionId, Vec<Bytes>)> {
        self.lock().take().map(Open::end)
    }

    /// Ends one connection; `None` when it is not the one that is open.
    pub(super) fn end_of(&self, connection: ConnectionId) -> Option<Vec<Bytes>> {
        let mut open = self.lock();
        open.take_if(|open| open.connection == connection).map(|open| open.end().1)
    }

    pub(super) fn push(&self, payload: Bytes) -> Result<ConnectionId, Refused> {
        let cost = cost(&payload)?;
        let mut open = self.lock();
        let open = open.as_mut().ok_or(Refused::Down)?;
        open.frames_bytes = self.room(open.frames_bytes, cost)?;
        open.frames.push_back(payload);
        open.wake.notify_one();
        Ok(open.connection)
    }

    /// Without credit, and only to the connection that asked.
    pub(super) fn push_answer(&self, to: ConnectionId, payload: Bytes) -> Result<(), Refused> {
        let cost = cost(&payload)?;
        let mut open = self.lock();
        let open = open.as_mut().filter(|open| open.connection == to).ok_or(Refused::Down)?;
        open.answers_bytes = self.room(open.answers_bytes, cost)?;
        open.answers.push_back(payload);
        open.wake.notify_one();
        Ok(())
    }

    /// What waits, with one frame more.
    fn room(&self, waiting: u64, cost: u64) -> Result<u64, Refused> {
        let bytes = waiting.saturating_add(cost);
        if bytes > self.bounds.queue_bytes_max { Err(Refused::Full) } else { Ok(bytes) }
    }

    /// Encodes what may be sent now; `None` when the connection is not the open one.
    pub(super) fn take(
        &self,
        connection: ConnectionId,
        map_version: u64,
        buffer: &mut BytesMut,
    ) -> Option<Batch> {
        let mut open = self.lock();
        let open = open.as_mut().filter(|open| open.connection == connection)?;
        let mut batch = Batch::default();
        if let Some(grant) = open.grant(self.bounds.window) {
            encode_credit(grant, map_version, buffer);
            batch.frames += 1;
        }
        while buffer.len() < BATCH_BYTES_MAX {
            let Some((kind, payload)) = open.next(self.lane) else { break };
            let header = Header { kind, map_version, payload_bytes: payload.len() };
            header.encode(buffer);
            buffer.extend_from_slice(&payload);
            batch.frames += 1;
        }
        batch.bytes = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        Some(batch)
    }

    pub(super) fn arrived(&self, connection: ConnectionId, class: Class, cost: u64) -> Arrival {
        let mut open = self.lock();
        let Some(open) = open.as_mut().filter(|open| open.connection == connection) else {
            return Arrival::Stale;
        };
        match class {
            Class::Answer => Arrival::Welcome,
            Class::Data => match open.granted.checked_sub(cost) {
                Some(granted) => {
                    open.granted = granted;
                    Arrival::Welcome
                }
                None if self.lane.has_credit() => Arrival::Overrun,
                None => Arrival::Dropped,
            },
        }
    }

    /// The handler is done with a frame.
    pub(super) fn finished(&self, connection: ConnectionId, cost: u64) {
        let mut open = self.lock();
        let Some(open) = open.as_mut().filter(|open| open.connection == connection) else { return };
        if self.lane.has_credit() {
            open.finished = open.finished.saturating_add(cost);
            if open.finished >= self.bounds.window / GRANTS_PER_WINDOW {
                open.wake.notify_one();
            }
        } else {
            open.granted = open.granted.saturating_add(cost);
        }
    }

    /// The peer lets us send more.
    pub(super) fn credited(&self, connection: ConnectionId, bytes: u64) {
        let mut open = self.lock();
        let Some(open) = open.as_mut().filter(|open| open.connection == connection) else { return };
        open.credit = open.credit.saturating_add(bytes);
        open.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn end(self) -> (ConnectionId, Vec<Bytes>) {
        self.ended.send_replace(true);
        (self.connection, self.answers.into_iter().chain(self.frames).collect())
    }

    fn grant(&mut self, window: u64) -> Option<u64> {
        if self.finished == 0 || self.finished < window / GRANTS_PER_WINDOW {
            return None;
        }
        let grant = std::mem::take(&mut self.finished);
        self.granted = self.granted.saturating_add(grant);
        Some(grant)
    }

    /// The next frame that may be sent: an answer, or what credit allows.
    fn next(&mut self, lane: Lane) -> Option<(Kind, Bytes)> {
        if let Some(payload) = self.answers.pop_front() {
            self.answers_bytes = self.answers_bytes.saturating_sub(charge(payload.len()));
            return Some((Kind::Answer, payload));
        }
        let cost = self.frames.front().map(|payload| charge(payload.len()))?;
        if lane.has_credit() {
            self.credit = self.credit.checked_sub(cost)?;
        }
        self.frames_bytes = self.frames_bytes.saturating_sub(cost);
        self.frames.pop_front().map(|payload| (Kind::Data, payload))
    }
}

fn cost(payload: &Bytes) -> Result<u64, Refused> {
    match payload.len() {
        bytes if bytes > PAYLOAD_BYTES_MAX => Err(Refused::TooLarge { bytes }),
        bytes => Ok(charge(bytes)),
    }
}

#[cfg(test)]
mod tests;

//! Requests and answers, on the lanes that carry them.
//!
//! **Invariants:** every request that was taken is answered, if only by a refusal; a deadline
//! travels as time that is left, so two clocks need not agree; a body is a view into the frame.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use crate::ids::NodeId;
use crate::wire::WireError;
use crate::wire::fields::Fields;
use crate::wire::frame::PAYLOAD_BYTES_MAX;

/// `kind u8, id u64, microseconds left u64`.
const REQUEST_HEAD_BYTES: usize = 17;
/// `kind u8, id u64`.
const ANSWER_HEAD_BYTES: usize = 9;
pub const REQUEST_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - REQUEST_HEAD_BYTES;
pub const ANSWER_BYTES_MAX: usize = PAYLOAD_BYTES_MAX - ANSWER_HEAD_BYTES;

/// Tells a caller's requests on one connection apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub id: CallId,
    /// After this nobody waits for the answer.
    pub left: Duration,
    pub body: Bytes,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub id: CallId,
    pub outcome: Result<Bytes, Refused>,
}

/// Why a node did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it does not lead the shard")]
    NotLeader { hint: Option<NodeId> },
    #[error("it is busy for the next {retry_after:?}")]
    Busy { retry_after: Duration },
    #[error("it does not hold the shard as of shard map {map_version}")]
    WrongShard { map_version: u64 },
    #[error("what was asked for is gone")]
    Gone,
    /// The one refusal that leaves open whether the request took effect.
    #[error("it gave the request up halfway")]
    Abandoned,
}

const REPLY: u8 = 0;
const NOT_LEADER: u8 = 1;
const BUSY: u8 = 2;
const WRONG_SHARD: u8 = 3;
const GONE: u8 = 4;
const ABANDONED: u8 = 5;
const REQUEST: u8 = 6;

impl Request {
    pub fn encode(&self) -> Bytes {
        let mut buffer = BytesMut::with_capacity(REQUEST_HEAD_BYTES + self.body.len());
        buffer.put_u8(REQUEST);
        buffer.put_u64_le(self.id.0);
        buffer.put_u64_le(u64::try_from(self.left.as_micros()).unwrap_or(u64::MAX));
        buffer.put_slice(&self.body);
        buffer.freeze()
    }

    pub fn decode(payload: &Bytes) -> Result<Self, WireError> {
        let mut fields = Fields::of("a request", payload);
        match fields.u8()? {
            REQUEST => {}
            found => return Err(WireError::Unknown { what: "a request", found: found.into() }),
        }
        let id = CallId(fields.u64()?);
        let left = Duration::from_micros(fields.u64()?);
        Ok(Self { id, left, body: payload.slice_ref(fields.rest()) })
    }
}

impl Answer {
    pub fn encode(&self) -> Bytes {
        let body = self.outcome.as_deref().unwrap_or_default();
        let mut buffer = BytesMut::with_capacity(ANSWER_HEAD_BYTES + 8 + body.len());
        let (kind, detail) = match self.outcome {
            Ok(_) => (REPLY, None),
            Err(Refused::NotLeader { hint }) => (NOT_LEADER, Some(hint.map_or(0, |node| node.0))),
            Err(Refused::Busy { retry_after }) => {
                (BUSY, Some(u64::try_from(retry_after.as_micros()).unwrap_or(u64::MAX)))
            }
            Err(Refused::WrongShard { map_version }) => (WRONG_SHARD, Some(map_version)),
            Err(Refused::Gone) => (GONE, None),
            Err(Refused::Abandoned) => (ABANDONED, None),
        };
        buffer.put_u8(kind);
        buffer.put_u64_le(self.id.0);
        if let Some(detail) = detail {
            buffer.put_u64_le(detail);
        }
        buffer.put_slice(body);
        buffer.freeze()
    }

    pub fn decode(payload: &Bytes) -> Result<Self, WireError> {
        let mut fields = Fields::of("an answer", payload);
        let kind = fields.u8()?;
        let id = CallId(fields.u64()?);
        let refused = match kind {
            REPLY => {
                return Ok(Self { id, outcome: Ok(payload.slice_ref(fields.rest())) });
            }
            NOT_LEADER => {
                let hint = Some(fields.u64()?).filter(|node| *node != 0).map(NodeId);
                Refused::NotLeader { hint }
            }
            BUSY => Refused::Busy { retry_after: Duration::from_micros(fields.u64()?) },
            WRONG_SHARD => Refused::WrongShard { map_version: fields.u64()? },
            GONE => Refused::Gone,
            ABANDONED => Refused::Abandoned,
            found => return Err(WireError::Unknown { what: "an answer", found: found.into() }),
        };
        fields.end()?;
        Ok(Self { id, outcome: Err(refused) })
    }
}

//! The frames of an open lane: a header of fixed size, then the payload.
//!
//! **Invariants:** a payload has at most [`PAYLOAD_BYTES_MAX`] bytes; what a frame costs its
//! receiver ([`charge`]) is computed alike on both sides, so credit never drifts.

use bytes::{BufMut, BytesMut};

use crate::shard::entry::ENTRY_BYTES_MAX;
use crate::wire::fields::Fields;
use crate::wire::{VERSION, WireError};

/// The largest entry of a log fits with its envelope; anything larger is sent in pieces.
pub const PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX + (64 << 10);
/// `payload length u32, version u8, kind u8, zero u16, map version u64`.
pub const HEADER_BYTES: usize = 16;
/// Even an empty frame costs memory while it is handled.
const CHARGE_BYTES_MIN: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// For the handler; costs credit on lanes that have it.
    Data,
    /// For whoever asked; costs none, or two nodes that wait for each other's credit would wait
    /// for ever. Its sender was asked for it, and the asker bounds what it asks.
    Answer,
    /// Nothing to say, and alive.
    Heartbeat,
    /// So many more bytes may be sent.
    Credit,
}

/// What stands before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Of the sender's shard map, so that a receiver learns that its own is old.
    pub map_version: u64,
    /// At most [`PAYLOAD_BYTES_MAX`].
    pub payload_bytes: usize,
}

impl Header {
    pub fn encode(self, buffer: &mut BytesMut) {
        let bytes = u32::try_from(self.payload_bytes).unwrap_or(u32::MAX);
        debug_assert!(self.payload_bytes <= PAYLOAD_BYTES_MAX, "senders check the size");
        buffer.put_u32_le(bytes);
        buffer.put_u8(VERSION);
        buffer.put_u8(match self.kind {
            Kind::Data => 0,
            Kind::Answer => 1,
            Kind::Heartbeat => 2,
            Kind::Credit => 3,
        });
        buffer.put_u16_le(0);
        buffer.put_u64_le(self.map_version);
    }

    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, WireError> {
        const WHAT: &str = "a frame's header";
        let mut fields = Fields::of(WHAT, bytes);
        let payload = fields.u32()?;
        let version = fields.u8()?;
        if version != VERSION {
            return Err(WireError::Version { what: WHAT, found: version });
        }
        let kind = match fields.u8()? {
            0 => Kind::Data,
            1 => Kind::Answer,
            2 => Kind::Heartbeat,
            3 => Kind::Credit,
            found => {
                return Err(WireError::Unknown { what: "a frame's kind", found: found.into() });
            }
        };
        let reserved = fields.u16()?;
        if reserved != 0 {
            return Err(WireError::Unknown { what: "a frame's flags", found: reserved.into() });
        }
        let map_version = fields.u64()?;
        let max = match kind {
            Kind::Data | Kind::Answer => PAYLOAD_BYTES_MAX,
            Kind::Heartbeat => 0,
            Kind::Credit => CREDIT_BYTES,
        };
        let payload_bytes = match usize::try_from(payload) {
            Ok(bytes) if bytes <= max => bytes,
            Ok(_) | Err(_) => {
                return Err(WireError::TooLarge { what: "a frame", bytes: payload.into(), max });
            }
        };
        Ok(Self { kind, map_version, payload_bytes })
    }
}

const CREDIT_BYTES: usize = 8;

pub fn encode_credit(bytes: u64, map_version: u64, buffer: &mut BytesMut) {
    Header { kind: Kind::Credit, map_version, payload_bytes: CREDIT_BYTES }.encode(buffer);
    buffer.put_u64_le(bytes);
}

pub fn decode_credit(payload: &[u8]) -> Result<u64, WireError> {
    let mut fields = Fields::of("a grant of credit", payload);
    let bytes = fields.u64()?;
    fields.end()?;
    Ok(bytes)
}

/// What a frame with such a payload costs while it waits or is handled, in bytes.
pub fn charge(payload_bytes: usize) -> u64 {
    let bytes = payload_bytes.saturating_add(HEADER_BYTES).max(CHARGE_BYTES_MIN);
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: Kind, payload_bytes: usize) -> [u8; HEADER_BYTES] {
        let mut buffer = BytesMut::new();
        Header { kind, map_version: 7, payload_bytes }.encode(&mut buffer);
        buffer.as_ref().try_into().expect("a header has a fixed size")
    }

    #[test]
    fn the_layout_of_a_header_never_changes() {
        let golden = [0x03, 0x02, 0x01, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(header(Kind::Data, 0x0001_0203), golden);
    }

    #[test]
    fn a_payload_larger_than_allowed_is_refused_by_its_header() {
        assert!(Header::decode(&header(Kind::Answer, PAYLOAD_BYTES_MAX)).is_ok());
        let mut bytes = header(Kind::Data, 0);
        let over = u32::try_from(PAYLOAD_BYTES_MAX + 1).expect("fits");
        bytes[..4].copy_from_slice(&over.to_le_bytes());
        let error = Header::decode(&bytes).expect_err("one byte too many");
        assert_eq!(error.to_string(), "a frame of 1114113 bytes: at most 1114112 are allowed");
    }

    #[test]
    fn another_layout_and_another_kind_are_refused_by_name() {
        let mut bytes = header(Kind::Data, 0);
        bytes[4] = 9;
        let error = Header::decode(&bytes).expect_err("layout 9");
        assert_eq!(error.to_string(), "a frame's header has layout 9; this program knows 1");
        let mut bytes = header(Kind::Data, 0);
        bytes[5] = 8;
        let error = Header::decode(&bytes).expect_err("kind 8");
        assert_eq!(error.to_string(), "a frame's kind says 8, which means nothing");
    }

    #[test]
    fn a_heartbeat_carries_nothing() {
        let mut bytes = header(Kind::Heartbeat, 0);
        bytes[0] = 1;
        assert!(matches!(Header::decode(&bytes), Err(WireError::TooLarge { max: 0, .. })));
    }
}

//! Values to bytes and back: bincode under one options constant, the envelope of things that lie on
//! disk alone, and block compression.
//!
//! **Invariants:**
//! - every bincode value in the product is written and read with one set of options: fixed-width
//!   little-endian integers, at most [`VALUE_BYTES_MAX`], no bytes left over;
//! - an envelope is read back exactly as it was sealed or refused; one flipped bit is enough;
//! - no decoder here panics, whatever the bytes, and none reserves memory that the input's own
//!   length does not pay for, up to a constant (serde caps each collection's first reservation).
//!
//! A shipped type is never edited: a new shape is a new version. Types decoded here must not hold
//! collections of zero-sized elements, whose claimed length costs the sender nothing.

use std::mem::size_of;

use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest encoded value, in bytes. A log entry and a record are at most half of it.
pub const VALUE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Bytes that an envelope adds to its body.
pub const ENVELOPE_BYTES: usize = 16;

const ENVELOPE_MAGIC: [u8; 4] = *b"OCEV";

/// Why bytes are not a value, or a value has no bytes.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The value's encoding would be longer than a reader accepts.
    #[error("value does not encode within {VALUE_BYTES_MAX} bytes")]
    Encode(#[source] bincode::Error),
    /// The bytes are not exactly one value of the wanted type.
    #[error("{len} bytes do not decode as the wanted type")]
    Decode {
        len: usize,
        #[source]
        source: bincode::Error,
    },
    /// The bytes end inside a fixed-size part.
    #[error("{what} needs {needed} bytes, {found} are there")]
    Truncated { what: &'static str, needed: usize, found: usize },
    /// The bytes were never an envelope, or their beginning is damaged.
    #[error("not an envelope: it begins with {found:02x?}")]
    NotAnEnvelope { found: [u8; 4] },
    /// The envelope's own length differs from the bytes given.
    #[error("envelope claims a body of {claimed} bytes, {found} are there")]
    EnvelopeLength { claimed: u32, found: usize },
    /// The envelope's bytes changed after it was sealed.
    #[error("envelope checksum is {found:08x}, its bytes give {computed:08x}")]
    EnvelopeChecksum { found: u32, computed: u32 },
    /// A compressed block does not expand to the length recorded beside it.
    #[error("block does not expand to {expected} bytes: {reason}")]
    Decompress { expected: usize, reason: String },
}

/// What an envelope holds, borrowed from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// Which kind of thing the body is; numbers are chosen by the owners of the types.
    pub type_id: u16,
    /// The version of the body's format.
    pub version: u16,
    /// The body, verified.
    pub body: &'a [u8],
}

/// The one set of bincode options. Free functions of bincode differ from it and must not be used.
fn options() -> impl Options {
    bincode::DefaultOptions::new()
        .with_fixint_encoding()
        .with_limit(VALUE_BYTES_MAX as u64)
        .reject_trailing_bytes()
}

/// Encodes a value that its owner keeps within [`VALUE_BYTES_MAX`].
///
/// # Panics
/// If the value is longer: storing what no reader accepts would turn a bug into lost data.
/// Whoever cannot bound the value beforehand calls [`try_encode`].
pub fn encode<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    try_encode(value).unwrap_or_else(|error| encoding_failed(&error))
}

/// Encodes a value, or says that it is too long.
pub fn try_encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, CodecError> {
    options().serialize(value).map_err(CodecError::Encode)
}

/// Decodes exactly one value; bytes left over are an error.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    options().deserialize(bytes).map_err(|source| CodecError::Decode { len: bytes.len(), source })
}

/// Encodes a value behind its two-byte version, for places that a checksum already covers.
///
/// # Panics
/// As [`encode`] does.
pub fn encode_versioned<T: Serialize + ?Sized>(version: u16, value: &T) -> Vec<u8> {
    match try_encode_versioned(version, value) {
        Ok(bytes) => bytes,
        Err(error) => encoding_failed(&error),
    }
}

/// [`encode_versioned`] for values that may be too large.
pub fn try_encode_versioned<T: Serialize + ?Sized>(
    version: u16,
    value: &T,
) -> Result<Vec<u8>, CodecError> {
    let mut bytes = version.to_le_bytes().to_vec();
    options().serialize_into(&mut bytes, value).map_err(CodecError::Encode)?;
    Ok(bytes)
}

/// Splits what [`encode_versioned`] made into the version and the value's own bytes.
pub fn split_version(bytes: &[u8]) -> Result<(u16, &[u8]), CodecError> {
    match bytes.split_first_chunk::<2>() {
        Some((version, rest)) => Ok((u16::from_le_bytes(*version), rest)),
        None => {
            Err(CodecError::Truncated { what: "a version prefix", needed: 2, found: bytes.len() })
        }
    }
}

/// Wraps a body so that it can lie on disk alone: magic, type, version, length, CRC-32C, body.
///
/// # Panics
/// If the body is 4 GiB or longer; files of that size have formats of their own.
pub fn seal_envelope(type_id: u16, version: u16, body: &[u8]) -> Vec<u8> {
    let Ok(len) = u32::try_from(body.len()) else {
        panic!("an envelope of type {type_id} cannot hold {} bytes", body.len());
    };
    let mut bytes = Vec::with_capacity(ENVELOPE_BYTES + body.len());
    bytes.extend_from_slice(&ENVELOPE_MAGIC);
    bytes.extend_from_slice(&type_id.to_le_bytes());
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&len.to_le_bytes());
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&bytes), body);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// Verifies an envelope and shows its body.
pub fn open_envelope(bytes: &[u8]) -> Result<Envelope<'_>, CodecError> {
    let truncated =
        CodecError::Truncated { what: "an envelope", needed: ENVELOPE_BYTES, found: bytes.len() };
    let Some((head, body)) = bytes.split_at_checked(ENVELOPE_BYTES) else { return Err(truncated) };
    let mut fields = Fields::new(head);
    let (Some(magic), Some(type_id), Some(version), Some(claimed), Some(found)) =
        (fields.array(), fields.u16(), fields.u16(), fields.u32(), fields.u32())
    else {
        return Err(truncated);
    };
    if magic != ENVELOPE_MAGIC {
        return Err(CodecError::NotAnEnvelope { found: magic });
    }
    if usize::try_from(claimed) != Ok(body.len()) {
        return Err(CodecError::EnvelopeLength { claimed, found: body.len() });
    }
    let covered = head.get(..ENVELOPE_BYTES - size_of::<u32>()).unwrap_or(head);
    let computed = crc32c::crc32c_append(crc32c::crc32c(covered), body);
    if computed != found {
        return Err(CodecError::EnvelopeChecksum { found, computed });
    }
    Ok(Envelope { type_id, version, body })
}

/// Compresses one block (LZ4, no length prefix: the reader keeps the length beside it).
pub fn compress(raw: &[u8]) -> Vec<u8> {
    lz4_flex::block::compress(raw)
}

/// Expands one block to exactly `raw_len` bytes, which the caller has bounded.
pub fn decompress(block: &[u8], raw_len: usize) -> Result<Vec<u8>, CodecError> {
    let mut raw = vec![0; raw_len];
    match lz4_flex::block::decompress_into(block, &mut raw) {
        Ok(len) if len == raw_len => Ok(raw),
        Ok(len) => Err(CodecError::Decompress {
            expected: raw_len,
            reason: format!("it expands to {len}"),
        }),
        Err(error) => Err(CodecError::Decompress { expected: raw_len, reason: error.to_string() }),
    }
}

fn encoding_failed(error: &CodecError) -> ! {
    panic!("a value outgrew its own bounds before it was encoded: {error}")
}

/// Reads little-endian fields off the front of a slice; `None` means that it ended too early.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A `u32` that counts bytes or items in memory.
    pub(crate) fn len(&mut self) -> Option<usize> {
        self.u32().and_then(|len| usize::try_from(len).ok())
    }
}

/// A 64-bit hash that is part of file formats, so it never changes: FNV-1a, then mixed.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    let seed = 0xcbf2_9ce4_8422_2325_u64;
    mix(bytes
        .iter()
        .fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)))
}

/// Spreads every input bit over the whole word (the finaliser of SplitMix64).
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

//! Bytes of the domain: what goes into the log, onto disk and over the wire.
//!
//! Every value is bincode behind a two-byte version. A shipped type is never edited: a changed
//! shape gets the next version and [`latest`] learns to bring the old one up. The golden bytes in
//! the tests fail when a type was edited all the same.
//!
//! **Invariants:** what decodes is as valid as what was constructed: every newtype checks itself on
//! the way in and every record checks its whole; equal values have equal bytes.

/// Gives types their byte form; `of all` gives it to a type for whatever it may hold.
macro_rules! wire {
    (@form [$($of:tt)*] $type:ty, $what:literal) => {
        impl $($of)* Wire for $type {
            fn to_bytes(&self) -> Vec<u8> {
                encode(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                latest($what, bytes)
            }
        }
    };
    (of all $content:ident; $($type:ident: $what:literal),* $(,)?) => {
        $(wire!(@form [<T: $content>] $type<T>, $what);)*
    };
    ($($type:ty: $what:literal),* $(,)?) => {
        $(wire!(@form [] $type, $what);)*
    };
}

pub(crate) mod cart;
pub(crate) mod catalogue;
pub(crate) mod entry;
#[cfg(test)]
mod golden;
pub(crate) mod import;
pub(crate) mod order;
pub(crate) mod order_list;
pub(crate) mod page;
pub(crate) mod payment;
pub(crate) mod sku;

use cluster::entity::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::codec;

const V1: u16 = 1;
const V2: u16 = 2;
const V3: u16 = 3;

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(V1, value)
}

/// Of a type whose shape changed once.
fn encode_second<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(V2, value)
}

/// Of a type whose shape changed twice.
fn encode_third<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(V3, value)
}

/// The value of the latest version. An older one is decoded as its own type and brought up here.
fn latest<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, DecodeError> {
    let unreadable = |error: codec::CodecError| DecodeError { what, why: error.to_string() };
    let (version, body) = codec::split_version(bytes).map_err(unreadable)?;
    match version {
        V1 => codec::decode(body).map_err(unreadable),
        unknown => Err(damaged(what, format!("version {unknown} is not known"))),
    }
}

/// [`latest`] of a type whose shape changed once.
fn latest_of_two<First, T>(what: &'static str, bytes: &[u8]) -> Result<T, DecodeError>
where
    First: DeserializeOwned + Into<T>,
    T: DeserializeOwned,
{
    let unreadable = |error: codec::CodecError| DecodeError { what, why: error.to_string() };
    let (version, body) = codec::split_version(bytes).map_err(unreadable)?;
    match version {
        V1 => codec::decode::<First>(body).map(Into::into).map_err(unreadable),
        V2 => codec::decode(body).map_err(unreadable),
        unknown => Err(damaged(what, format!("version {unknown} is not known"))),
    }
}

/// [`latest`] of a type whose shape changed twice.
fn latest_of_three<First, Second, T>(what: &'static str, bytes: &[u8]) -> Result<T, DecodeError>
where
    First: DeserializeOwned + Into<Second>,
    Second: DeserializeOwned + Into<T>,
    T: DeserializeOwned,
{
    let unreadable = |error: codec::CodecError| DecodeError { what, why: error.to_string() };
    let (version, body) = codec::split_version(bytes).map_err(unreadable)?;
    match version {
        V1 => codec::decode::<First>(body).map(|first| first.into().into()).map_err(unreadable),
        V2 => codec::decode::<Second>(body).map(Into::into).map_err(unreadable),
        V3 => codec::decode(body).map_err(unreadable),
        unknown => Err(damaged(what, format!("version {unknown} is not known"))),
    }
}

/// Of a type that has more at its end in its second version than in its first, where it is something
/// at all: of the first one, `nothing` is its end.
fn latest_with_more<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
    nothing: &impl Serialize,
) -> Result<T, DecodeError> {
    const SOMETHING: u8 = 1;
    let unreadable = |error: codec::CodecError| DecodeError { what, why: error.to_string() };
    let (version, body) = codec::split_version(bytes).map_err(unreadable)?;
    match version {
        V1 if body.first() == Some(&SOMETHING) => {
            let end = codec::encode(nothing);
            codec::decode(&[body, &end].concat()).map_err(unreadable)
        }
        V1 | V2 => codec::decode(body).map_err(unreadable),
        unknown => Err(damaged(what, format!("version {unknown} is not known"))),
    }
}

fn damaged(what: &'static str, why: impl Into<String>) -> DecodeError {
    DecodeError { what, why: why.into() }
}

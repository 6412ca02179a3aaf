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

pub(crate) mod audit;
pub(crate) mod carrier;
pub(crate) mod cart;
pub(crate) mod catalogue;
pub(crate) mod code_uses;
pub(crate) mod entry;
pub(crate) mod fraud;
pub(crate) mod gift_card;
pub(crate) mod gift_card_list;
#[cfg(test)]
mod golden;
pub(crate) mod import;
pub(crate) mod order;
pub(crate) mod order_list;
pub(crate) mod page;
pub(crate) mod payment;
pub(crate) mod published;
pub(crate) mod seller_board;
pub(crate) mod sku;

use cluster::entity::DecodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::codec;

const V1: u16 = 1;
const V2: u16 = 2;

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(V1, value)
}

/// Of a type whose shape changed once.
fn encode_second<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(V2, value)
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

/// A type that got more parts since it shipped: the first shape as long as there are none of them, so
/// that the version before them understands whatever it could have written.
fn encode_with_parts<T: Serialize, P: Serialize>(first: &T, parts: &[P]) -> Vec<u8> {
    if parts.is_empty() { encode(first) } else { encode_second(&(first, parts)) }
}

/// What [`encode_with_parts`] wrote.
fn latest_with_parts<T, P>(what: &'static str, bytes: &[u8]) -> Result<(T, Vec<P>), DecodeError>
where
    T: DeserializeOwned,
    P: DeserializeOwned,
{
    let unreadable = |error: codec::CodecError| DecodeError { what, why: error.to_string() };
    let (version, body) = codec::split_version(bytes).map_err(unreadable)?;
    let (first, parts): (T, Vec<P>) = match version {
        V1 => return codec::decode(body).map(|first| (first, Vec::new())).map_err(unreadable),
        V2 => codec::decode(body).map_err(unreadable)?,
        unknown => return Err(damaged(what, format!("version {unknown} is not known"))),
    };
    // Equal values have equal bytes.
    if parts.is_empty() { Err(damaged(what, "there are no parts")) } else { Ok((first, parts)) }
}

fn damaged(what: &'static str, why: impl Into<String>) -> DecodeError {
    DecodeError { what, why: why.into() }
}

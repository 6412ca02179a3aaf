//! The bytes of the cluster's own entity.

use serde::Serialize;
use serde::de::DeserializeOwned;
use storage::codec;

use crate::entity::{DecodeError, Wire};
use crate::placement::cluster::{Cluster, Command, Event, Query, Rejection, Reply};
use crate::shard::versioned;

const VERSION: u16 = 1;

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    codec::encode_versioned(VERSION, value)
}

pub(crate) fn decode<T: DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    versioned::decode(what, VERSION, bytes)
}

/// Gives a type its one-version byte form.
macro_rules! wire {
    ($($type:ty: $what:literal),* $(,)?) => {
        $(impl Wire for $type {
            fn to_bytes(&self) -> Vec<u8> {
                encode(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                decode($what, bytes)
            }
        })*
    };
}

wire! {
    Cluster: "the cluster",
    Command: "a command to the cluster",
    Event: "an event of the cluster",
    Query: "a question about the cluster",
    Rejection: "a refusal of the cluster",
    Reply: "a reply of the cluster",
}

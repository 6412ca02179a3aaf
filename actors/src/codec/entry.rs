//! The bytes of entries of the catalogue, whatever they hold.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::entry::{Command, Content, Entry, Event, Lookup, Query, Rejection};

/// Gives the types of entries their byte forms.
macro_rules! wire {
    ($($type:ident: $what:literal),* $(,)?) => {
        $(impl<T: Content> Wire for $type<T> {
            fn to_bytes(&self) -> Vec<u8> {
                encode(self)
            }

            fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
                latest($what, bytes)
            }
        })*
    };
}

wire! {
    Command: "an entry's command",
    Event: "an entry's event",
    Lookup: "an entry's view",
}

impl Wire for Rejection {
    fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        latest("an entry's rejection", bytes)
    }
}

impl Wire for Query {
    fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        latest("an entry's query", bytes)
    }
}

pub(crate) fn to_record<T: Content>(entry: &Entry<T>) -> Vec<u8> {
    encode(&entry.content)
}

pub(crate) fn from_record<T: Content>(bytes: &[u8]) -> Result<Entry<T>, DecodeError> {
    latest(T::NAME, bytes).map(|content| Entry { content })
}

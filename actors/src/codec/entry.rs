//! The bytes of entries of the catalogue, whatever they hold.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::entry::{Command, Content, Entry, Event, Lookup, Query, Rejection};

wire! {
    of all Content;
    Command: "an entry's command",
    Event: "an entry's event",
    Lookup: "an entry's view",
}

wire! {
    Rejection: "an entry's rejection",
    Query: "an entry's query",
}

pub(crate) fn to_record<T: Content>(entry: &Entry<T>) -> Vec<u8> {
    encode(&entry.content)
}

pub(crate) fn from_record<T: Content>(bytes: &[u8]) -> Result<Entry<T>, DecodeError> {
    latest(T::NAME, bytes).map(|content| Entry { content })
}

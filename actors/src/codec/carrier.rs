//! The bytes of what carriers are asked and answer.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::carrier::{BookingAnswer, BookingRequest};

wire! {
    BookingRequest: "a request to a carrier",
    BookingAnswer: "an answer of a carrier",
}

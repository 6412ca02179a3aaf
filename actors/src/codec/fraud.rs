//! The bytes of what is asked about fraud, and answered.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::fraud::{Question, Verdict};

wire! {
    Question: "a question about fraud",
    Verdict: "a verdict about fraud",
}

//! What is asked of whoever decides which orders look like fraud, and what it says.

use cluster::entity::Port;
use serde::{Deserialize, Serialize};

use super::contact::Contact;
use super::ids::OrderId;
use super::money::Money;
use super::names::Label;

/// The door to whoever decides.
pub const PORT: Port = Port(4);

/// An order whose pieces are reserved, and whose payment was not asked for anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    pub order: OrderId,
    pub amount: Money,
    pub pieces: u32,
    pub contact: Contact,
}

/// The reasons are for the shop alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Allow,
    /// A person is to decide.
    Review {
        why: Label,
    },
    Deny {
        why: Label,
    },
}

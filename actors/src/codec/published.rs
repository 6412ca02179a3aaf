//! The bytes of what is published.

use cluster::entity::{DecodeError, Wire};

use super::{encode, latest};
use crate::domain::published::{CartFact, OrderFact, PaymentFact, StockFact};

wire! {
    OrderFact: "a fact of an order",
    PaymentFact: "a fact of a payment",
    CartFact: "a fact of a cart",
    StockFact: "a fact of a stock",
}

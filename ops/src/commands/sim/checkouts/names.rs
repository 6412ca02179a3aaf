//! What things are called: everything has a number, and its id follows from that.

use actors::domain::contact::Email;
use actors::{CartId, OrderId, PaymentId};
use cluster::ids::Slot;

/// Told apart from the carts of the shop by the last byte.
fn unique(number: u64) -> [u8; 14] {
    let mut unique = [1; 14];
    for (to, from) in unique.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    unique
}

fn slot(cart: u64) -> Slot {
    let [high, low, ..] = cart.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes();
    Slot::from_bits(u16::from_be_bytes([high, low]))
}

pub(super) fn cart(number: u64) -> CartId {
    CartId::in_slot(slot(number), unique(number))
}

/// Whoever has a cart has no other.
pub(super) fn email(cart: u64) -> Email {
    let email = Email::try_from(format!("shopper-{cart}@shop.example"));
    email.unwrap_or_else(|_| unreachable!("a plain address"))
}

/// An order lives where its cart does, and its payment as well.
pub(super) fn order(number: u64, cart: u64) -> OrderId {
    OrderId::in_slot(slot(cart), unique(number))
}

pub(super) fn payment(number: u64, cart: u64) -> PaymentId {
    PaymentId::in_slot(slot(cart), unique(number))
}

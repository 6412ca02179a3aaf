//! What the tests of every provider ask with.

use actors::domain::payment::{Action, OperationReference, ProviderRequest};
use actors::{Currency, Money, PaymentId};

pub(super) fn reference(number: u32) -> OperationReference {
    let payment = PaymentId::from_bytes([3; 16]);
    OperationReference { payment, number: number.try_into().unwrap() }
}

pub(super) fn request(provider: &str, number: u32, action: Action) -> ProviderRequest {
    let (provider, reference) = (provider.parse().unwrap(), reference(number));
    ProviderRequest { provider, reference, action }
}

pub(super) fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

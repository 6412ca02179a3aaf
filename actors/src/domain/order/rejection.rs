//! Why an order does not do what it is asked for.

use cluster::entity::NoCatalogue;
use serde::{Deserialize, Serialize};

use super::{ReturnNumber, ShipmentNumber};
use crate::domain::ids::SkuCode;
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::NotPriced;
use crate::domain::quantity::Quantity;

/// Which rule a command broke.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("the order does not exist")]
    NotFound,
    #[error("the order exists and is another")]
    AlreadyExists,
    #[error("the order is not confirmed")]
    NotConfirmed,
    #[error("the order came to an end")]
    Over,
    #[error("all of the order is on its way")]
    AlreadyShipped,
    #[error("the order has no line of sku {sku}")]
    LineNotFound { sku: SkuCode },
    #[error("of sku {sku} at most {left} can be taken")]
    TooMany { sku: SkuCode, left: u32 },
    #[error("nothing was named")]
    NothingNamed,
    #[error("number {number} of the order has other contents")]
    NumberDiffers { number: u16 },
    #[error("the next number of the order is {next}")]
    NumberOutOfOrder { next: u16 },
    #[error("the order has no return {}", .number.0)]
    ReturnNotFound { number: ReturnNumber },
    #[error("the order has no shipment {}", .shipment.0)]
    ShipmentNotFound { shipment: ShipmentNumber },
    #[error("at most {left} can be refunded")]
    RefundTooLarge { left: i64 },
    #[error("the refund was asked for with another amount")]
    RefundDiffers,
    #[error("the order is in {currency}")]
    OtherCurrency { currency: Currency },
    #[error("the order has as many shipments, refunds or notes as it may")]
    TooManyEntries,
    #[error("the amount is not positive")]
    NotPositive,
    #[error("the payment of the order was given up")]
    NotPaid,
    #[error("shipment {} of the order needs no carrier", .shipment.0)]
    WithCarrier { shipment: ShipmentNumber },
    #[error("the order waits for nobody's decision")]
    NotOnHold,
    #[error("of sku {sku} {waiting} pieces are on backorder")]
    OnBackorder { sku: SkuCode, waiting: Quantity },
    #[error("the order was priced for another country or region")]
    OtherDestination,
    #[error("the exchange was asked for otherwise")]
    ExchangeDiffers,
    #[error("what is wanted has no price: {0}")]
    NotPriced(NotPriced),
    #[error("{} minor units of {} are left to pay, and no payment was given", .due.minor, .due.currency)]
    PaymentRequired { due: Money },
    /// Not a rule: this node has no catalogue. Retry.
    #[error("the catalogue is not available")]
    CatalogueUnavailable,
    /// Not a rule: this node has no current catalogue. Retry.
    #[error("the catalogue is out of date")]
    CatalogueStale,
}

impl From<NoCatalogue> for Rejection {
    fn from(none: NoCatalogue) -> Self {
        match none {
            NoCatalogue::Absent => Self::CatalogueUnavailable,
            NoCatalogue::Stale => Self::CatalogueStale,
        }
    }
}

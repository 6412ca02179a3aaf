//! What is asked of a carrier, and what it says of parcels.
//!
//! **Invariants:** a parcel has one reference for the life of its order, so that it is booked once
//! however often it is asked for, and each asking has a number of its own; where a parcel is has an order, and whoever reads it goes forward only.

use std::fmt;
use std::str::FromStr;

use cluster::entity::Port;
use serde::{Deserialize, Serialize};

use super::contact::Address;
use super::ids::{OrderId, id_and_number};
use super::names::{Label, ShippingOptionId};
use super::order::ShipmentNumber;
use super::payment::ProviderName;

/// The door to carriers.
pub const PORT: Port = Port(3);

/// Our name of one parcel at its carrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ParcelReference {
    pub order: OrderId,
    pub shipment: ShipmentNumber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the reference of a parcel is an order id, a hyphen and a number from one")]
pub struct InvalidParcelReference;

impl fmt::Display for ParcelReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.order, self.shipment.0)
    }
}

impl FromStr for ParcelReference {
    type Err = InvalidParcelReference;

    fn from_str(text: &str) -> Result<Self, InvalidParcelReference> {
        let (order, number) = id_and_number(text).ok_or(InvalidParcelReference)?;
        let number = u16::try_from(number).map_err(|_| InvalidParcelReference)?;
        Ok(Self { order, shipment: ShipmentNumber(number) })
    }
}

/// One parcel to be fetched and brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingRequest {
    pub carrier: ProviderName,
    pub parcel: ParcelReference,
    /// Counts from one; a carrier that refused is asked anew.
    pub attempt: u16,
    /// What the shopper chose.
    pub option: Option<ShippingOptionId>,
    pub to: Address,
    pub pieces: u32,
}

/// What a booking came to, for good. Whatever is in doubt is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookingAnswer {
    pub parcel: ParcelReference,
    pub attempt: u16,
    pub outcome: BookingOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BookingOutcome {
    Booked(Booking),
    Refused(BookingRefusal),
}

/// What a carrier gives for a parcel that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booking {
    pub tracking: Label,
    /// Where what is to be stuck on the parcel is fetched.
    pub label_url: Label,
}

/// Why a carrier does not take a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum BookingRefusal {
    #[error("the carrier does not go there")]
    NotServed,
    #[error("the carrier does not take the parcel")]
    NotTaken,
}

/// How far a parcel is, the farthest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Whereabouts {
    InTransit,
    OutForDelivery,
    /// Nobody was there to take it; it may be brought again, or fetched.
    NotHandedOver,
    Delivered,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_one_text_form() {
        let order = OrderId::from_bytes([7; 16]);
        let reference = ParcelReference { order, shipment: ShipmentNumber(12) };
        assert_eq!(reference.to_string(), format!("{order}-12"));
        assert_eq!(reference.to_string().parse(), Ok(reference));
        let with = |number: &str| format!("{order}-{number}");
        for bad in ["", "-1", &with(""), &with("0"), &with("+1"), &with("01"), &with("65536")] {
            assert_eq!(bad.parse::<ParcelReference>(), Err(InvalidParcelReference), "{bad}");
        }
    }
}

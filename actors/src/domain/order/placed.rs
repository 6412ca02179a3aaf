//! What was ordered: the cart as it was priced when its shopper checked out.
//!
//! **Invariants:** at least one line and at most as many as a cart has, one a SKU, in order of SKU.

use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Redemption, SellerLines};
use crate::domain::cart::Cart;
use crate::domain::contact::Contact;
use crate::domain::ids::{GiftCardId, OrderId, SkuCode};
use crate::domain::money::Currency;
use crate::domain::payment::PaymentMethod;
use crate::domain::pricing::{Discount, Priced, PricedLine, PricedShipping, Totals};

/// What to do about lines that are out of stock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shortfall {
    /// Nothing is bought.
    FailAll,
    /// What is there is bought.
    DropLines,
}

/// When the money is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CaptureTime {
    AtOnce,
    /// With the first shipment.
    OnFulfilment,
}

/// The terms of an order besides its lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub contact: Contact,
    pub method: PaymentMethod,
    pub shortfall: Shortfall,
    pub capture: CaptureTime,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPlaced")]
pub struct Placed {
    priced: Priced,
    pub terms: Terms,
    /// What everything was priced from.
    pub catalogue_index: u64,
    pub at: Timestamp,
}

#[derive(Deserialize)]
struct RawPlaced {
    priced: Priced,
    terms: Terms,
    catalogue_index: u64,
    at: Timestamp,
}

/// What an order has besides its lines and terms. New ones come last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Extra {
    /// What a promotion took off.
    Discount(Discount),
    /// A use of a discount code that it needs.
    Redemption(Redemption),
    /// Somebody is to be asked whether it looks like fraud, and has so long to decide.
    Screening { held_for: Span },
    /// Lines of one seller.
    Seller(SellerLines),
    /// What it has is taken first.
    GiftCard(GiftCardId),
    /// It is bought with what pieces of another order had cost.
    InPlaceOf(OrderId),
}

impl Extra {
    pub(super) fn heap_bytes(&self) -> usize {
        match self {
            Self::Discount(discount) => discount.heap_bytes(),
            Self::Seller(lines) => lines.heap_bytes(),
            Self::Redemption(_)
            | Self::Screening { .. }
            | Self::GiftCard(_)
            | Self::InPlaceOf(_) => 0,
        }
    }
}

/// Lines that make no order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order has from one line to {} of different skus, in order", Cart::LINES_MAX)]
pub struct InvalidOrder;

impl Placed {
    pub fn new(
        priced: Priced,
        terms: Terms,
        catalogue_index: u64,
        at: Timestamp,
    ) -> Result<Self, InvalidOrder> {
        let is_strict = priced.lines.is_sorted_by(|left, right| left.sku < right.sku);
        if is_strict && (1..=Cart::LINES_MAX).contains(&priced.lines.len()) {
            Ok(Self { priced, terms, catalogue_index, at })
        } else {
            Err(InvalidOrder)
        }
    }

    pub fn lines(&self) -> &[PricedLine] {
        &self.priced.lines
    }

    pub fn shipping(&self) -> Option<&PricedShipping> {
        self.priced.shipping.as_ref()
    }

    pub fn totals(&self) -> Totals {
        self.priced.totals
    }

    pub fn currency(&self) -> Currency {
        self.totals().grand.currency
    }

    pub fn line(&self, sku: &SkuCode) -> Option<&PricedLine> {
        self.lines().get(self.place_of(sku)?)
    }

    pub(super) fn place_of(&self, sku: &SkuCode) -> Option<usize> {
        self.lines().binary_search_by(|line| line.sku.cmp(sku)).ok()
    }

    /// What is left of the totals without some lines: the rest is priced as it was.
    pub(super) fn totals_without(&self, dropped: &[SkuCode]) -> Option<Totals> {
        self.priced.without(dropped).map(|priced| priced.totals)
    }
}

impl TryFrom<RawPlaced> for Placed {
    type Error = InvalidOrder;

    fn try_from(raw: RawPlaced) -> Result<Self, InvalidOrder> {
        let RawPlaced { priced, terms, catalogue_index, at } = raw;
        Self::new(priced, terms, catalogue_index, at)
    }
}

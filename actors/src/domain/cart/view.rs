//! A cart as its readers see it: lines with their totals.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Existing, GivenCard, Line, MergeRefused, Offer, OfferNumber, OfferOutcome, OfferView};
use crate::domain::catalogue::ProductName;
use crate::domain::discount_code::CodeName;
use crate::domain::ids::{CartAccess, CartId, OrderId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::pricing::{Discount, GivenCode, Granted};
use crate::domain::quantity::Quantity;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Cart,
    /// The cart, and what became of that offer to merge it away.
    Offer {
        number: OfferNumber,
    },
}

/// A cart, or nothing where none was ever created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<View>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub id: CartId,
    pub status: Status,
    pub currency: Currency,
    /// For the rim to compare with the token it was shown; never for a shopper.
    pub access: CartAccess,
    pub lines: Vec<LineView>,
    pub totals: Totals,
    /// Why the last attempt to merge this cart away left its lines here.
    pub merge_refused: Option<MergeRefused>,
    /// The offer that was asked for, else the last one; the last 16 are known.
    pub offer: Option<OfferView>,
    pub updated_at: Timestamp,
    /// What promotions take off, in the order in which they were granted. In bytes these come after
    /// the rest, see `codec::cart`.
    #[serde(skip)]
    pub discounts: Vec<Discount>,
    /// In the order in which they were given.
    #[serde(skip)]
    pub codes: Vec<GivenCode>,
    /// As with codes, and they pay in that order.
    #[serde(skip)]
    pub gift_cards: Vec<GivenCard>,
}

impl View {
    /// Codes that take nothing off the cart as it is.
    pub fn idle_codes(&self) -> impl Iterator<Item = &CodeName> {
        let is_idle =
            |given: &&GivenCode| !self.discounts.iter().any(|it| it.promotion == given.promotion);
        self.codes.iter().filter(is_idle).map(|given| &given.code)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Open,
    /// Frozen until the other cart takes the lines or refuses them.
    Merging {
        into: CartId,
    },
    MergedAway {
        into: CartId,
    },
    Deleted,
    /// Frozen until the order is confirmed or comes to nothing.
    CheckingOut {
        order: OrderId,
    },
    Ordered {
        order: OrderId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineView {
    pub sku: SkuCode,
    pub name: ProductName,
    pub quantity: Quantity,
    pub unit_price: Money,
    pub line_total: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// The sum of the lines.
    pub items: Money,
    /// What the shopper would pay.
    pub grand: Money,
}

impl Totals {
    /// What is taken off.
    pub fn discount(&self) -> Money {
        Money { minor: self.items.minor.saturating_sub(self.grand.minor), ..self.items }
    }
}

impl Existing {
    pub(super) fn view(&self, id: CartId) -> View {
        let items = self.lines.total(self.currency);
        let items =
            items.unwrap_or_else(|_| unreachable!("a cart's total was checked on its way in"));
        let offer = self.offers.last().map(Offer::view);
        let merge_refused = offer.as_ref().and_then(|offer| match (&offer.outcome, self.status) {
            (OfferOutcome::Refused(why), Status::Open) => {
                Some(MergeRefused { by: offer.into, why: why.clone() })
            }
            (OfferOutcome::Refused(_) | OfferOutcome::Open | OfferOutcome::Taken, _) => None,
        });
        View {
            id,
            status: self.status,
            currency: self.currency,
            access: self.access,
            lines: self.lines.iter().map(Line::view).collect(),
            totals: Totals { items, grand: self.grand(items) },
            merge_refused,
            offer,
            updated_at: self.updated_at,
            discounts: self.discounts.to_vec(),
            codes: self.codes.to_vec(),
            gift_cards: self.gift_cards.to_vec(),
        }
    }

    fn grand(&self, items: Money) -> Money {
        let off = self.discounts.iter().filter(|it| matches!(it.granted, Granted::OfItems(_)));
        let minor = off.fold(items.minor, |left, it| left.saturating_sub(it.minor()));
        Money { minor, ..items }
    }
}

impl Line {
    fn view(&self) -> LineView {
        LineView {
            sku: self.sku.clone(),
            name: self.name.clone(),
            quantity: self.quantity,
            unit_price: self.unit_price,
            line_total: self
                .total()
                .unwrap_or_else(|_| unreachable!("a line's total is part of the cart's")),
        }
    }
}

//! What pricing gives: a record of what was charged for, and why.
//!
//! **Invariants:** see [`super`]; the fields are public to be read, and a decoded record is refused
//! unless it is what [`Priced::of`] makes of its own lines and shipping.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use crate::domain::catalogue::ProductName;
use crate::domain::ids::SkuCode;
use crate::domain::money::{Currency, Money};
use crate::domain::names::{Label, ShippingOptionId};
use crate::domain::quantity::Quantity;
use crate::domain::shipping::ShippingOption;
use crate::domain::tax::{AppliedRate, Inclusion, round_half_up};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawPriced")]
pub struct Priced {
    pub lines: Vec<PricedLine>,
    pub shipping: Option<PricedShipping>,
    pub totals: Totals,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    pub sku: SkuCode,
    pub name: ProductName,
    pub quantity: Quantity,
    pub unit_price: Money,
    /// The unit price times the quantity.
    pub line_total: Money,
    /// What of the line total is not paid: between zero and all of it.
    pub discount: Money,
    /// In or on the line total less the discount; which of the two, the rate says.
    pub tax: Money,
    /// Without one the line is not taxed.
    pub tax_rate: Option<AppliedRate>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedShipping {
    pub option: ShippingOptionId,
    pub name: Label,
    pub carrier: Label,
    pub price: Money,
    /// In or on the price; which of the two, the rate says.
    pub tax: Money,
    /// Without one shipping is not taxed.
    pub tax_rate: Option<AppliedRate>,
}

/// The sums. `tax` is all of the tax, of lines and shipping alike. Tax that prices include is shown
/// in it but paid with the items already, so `grand` is `items - discount + shipping` and the taxes
/// that come on top, and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub items: Money,
    pub discount: Money,
    pub shipping: Money,
    pub tax: Money,
    pub grand: Money,
}

#[derive(Deserialize)]
struct RawPriced {
    lines: Vec<PricedLine>,
    shipping: Option<PricedShipping>,
    totals: Totals,
}

/// Of bytes that this program did not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the totals are not those of the lines and the shipping")]
pub struct InvalidPriced;

impl Priced {
    /// `None` when a sum is too large.
    pub(super) fn of(
        currency: Currency,
        lines: Vec<PricedLine>,
        shipping: Option<PricedShipping>,
    ) -> Option<Self> {
        let totals = Totals::of(currency, &lines, shipping.as_ref())?;
        Some(Self { lines, shipping, totals })
    }
}

impl Priced {
    /// The rest, priced as it was, without some lines; `None` when that comes to too much, as it
    /// cannot.
    pub fn without(&self, dropped: &[SkuCode]) -> Option<Self> {
        let kept = self.lines.iter().filter(|line| !dropped.contains(&line.sku)).cloned();
        Self::of(self.totals.grand.currency, kept.collect(), self.shipping.clone())
    }
}

impl TryFrom<RawPriced> for Priced {
    type Error = InvalidPriced;

    fn try_from(RawPriced { lines, shipping, totals }: RawPriced) -> Result<Self, InvalidPriced> {
        let is_sound = lines.iter().all(PricedLine::is_sound)
            && shipping.as_ref().is_none_or(PricedShipping::is_sound);
        let priced = Self::of(totals.grand.currency, lines, shipping).ok_or(InvalidPriced)?;
        if is_sound && priced.totals == totals { Ok(priced) } else { Err(InvalidPriced) }
    }
}

impl PricedLine {
    /// A line without a discount; `None` when it comes to too much.
    pub(super) fn of(
        (sku, name): (SkuCode, ProductName),
        quantity: Quantity,
        unit_price: Money,
        tax_rate: Option<AppliedRate>,
    ) -> Option<Self> {
        let line_total = unit_price.times(quantity).ok()?;
        let discount = Money::zero(unit_price.currency);
        let tax = tax_on(tax_rate, line_total)?;
        Some(Self { sku, name, quantity, unit_price, line_total, discount, tax, tax_rate })
    }

    /// What is paid for so many of its pieces, taxes with it: their part of the line, rounded half up, so
    /// that all of them come to the line exactly.
    pub(crate) fn paid_for(&self, pieces: u32) -> Money {
        let on_top = match self.tax_rate.map(|applied| applied.inclusion) {
            Some(Inclusion::Exclusive) => self.tax.minor,
            Some(Inclusion::Inclusive) | None => 0,
        };
        let paid = self.line_total.minor - self.discount.minor + on_top;
        let whole = NonZeroU32::new(self.quantity.get()).unwrap_or(NonZeroU32::MIN);
        let minor = round_half_up(paid, pieces.min(whole.get()), whole).unwrap_or(paid);
        Money { minor, ..self.line_total }
    }

    /// Takes a part of the line total off before its tax; `None` when the tax is out of bounds.
    pub(super) fn take_off(&mut self, minor: i64) -> Option<()> {
        self.discount = Money { minor, ..self.line_total };
        self.tax = tax_on(self.tax_rate, self.line_total.minus(self.discount).ok()?)?;
        Some(())
    }

    fn is_sound(&self) -> bool {
        let Ok(line_total) = self.unit_price.times(self.quantity) else { return false };
        let Ok(left) = line_total.minus(self.discount) else { return false };
        self.unit_price.minor >= 0
            && self.line_total == line_total
            && (0..=line_total.minor).contains(&self.discount.minor)
            && tax_on(self.tax_rate, left) == Some(self.tax)
    }
}

impl PricedShipping {
    /// `None` when its tax is out of bounds.
    pub(super) fn of(
        option: &ShippingOption,
        price: Money,
        tax_rate: Option<AppliedRate>,
    ) -> Option<Self> {
        let tax = tax_on(tax_rate, price)?;
        let (name, carrier) = (option.name.clone(), option.carrier.clone());
        Some(Self { option: option.id.clone(), name, carrier, price, tax, tax_rate })
    }

    fn is_sound(&self) -> bool {
        self.price.minor >= 0 && tax_on(self.tax_rate, self.price) == Some(self.tax)
    }
}

impl Totals {
    /// In minor units: the largest integer that every JSON reader keeps exactly.
    pub const MAX: i64 = (1 << 53) - 1;

    /// `None` when one of them is too large, or the parts are not all in the currency.
    pub(super) fn of(
        currency: Currency,
        lines: &[PricedLine],
        shipping: Option<&PricedShipping>,
    ) -> Option<Self> {
        let zero = Money::zero(currency);
        let mut totals =
            Self { items: zero, discount: zero, shipping: zero, tax: zero, grand: zero };
        for line in lines {
            let left = line.line_total.minus(line.discount).ok()?;
            totals.items = totals.items.plus(line.line_total).ok()?;
            totals.discount = totals.discount.plus(line.discount).ok()?;
            totals.add(left, line.tax, line.tax_rate)?;
        }
        if let Some(shipping) = shipping {
            totals.shipping = shipping.price;
            totals.add(shipping.price, shipping.tax, shipping.tax_rate)?;
        }
        let largest = totals.items.minor.max(totals.tax.minor).max(totals.grand.minor);
        (largest <= Self::MAX).then_some(totals)
    }

    /// Adds what is paid for one part.
    fn add(&mut self, price: Money, tax: Money, tax_rate: Option<AppliedRate>) -> Option<()> {
        self.tax = self.tax.plus(tax).ok()?;
        self.grand = self.grand.plus(price).ok()?;
        match tax_rate.map(|applied| applied.inclusion) {
            Some(Inclusion::Exclusive) => self.grand = self.grand.plus(tax).ok()?,
            Some(Inclusion::Inclusive) | None => {}
        }
        Some(())
    }
}

fn tax_on(tax_rate: Option<AppliedRate>, amount: Money) -> Option<Money> {
    tax_rate.map_or(Some(Money::zero(amount.currency)), |applied| applied.tax_on(amount))
}

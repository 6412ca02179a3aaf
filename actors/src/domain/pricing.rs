//! What a shopper pays: lines, shipping, taxes and their sums.
//!
//! **Invariants:**
//! - the sums are exactly the sums of their parts, in one currency; nothing is rounded but each tax
//!   and each discount, once, with [`round_half_up`](super::tax::round_half_up);
//! - a result depends on the book, the terms and the lines alone, so every node prices alike;
//! - no sum is past [`Totals::MAX`], and what decodes was checked again in whole.
//!
//! Discounts are promotions' to grant, see `discounting`; taxes are taken of what is left after them.

pub(crate) mod discount;
mod discounting;
#[cfg(test)]
pub(crate) mod discounting_tests;
mod priced;
#[cfg(test)]
mod properties;
mod split;
#[cfg(test)]
mod tests;

use cluster::time::Timestamp;
pub use discount::{Discount, Granted, Share, Shares};
pub use discounting::Bought;
pub use priced::{Priced, PricedLine, PricedShipping, Totals};
use serde::{Deserialize, Serialize};

use super::catalogue::{Listing, PriceBook};
use super::discount_code::CodeName;
use super::heap;
use super::ids::SkuCode;
use super::money::{Currency, Money};
use super::names::{CustomerGroup, PromotionId, ShippingOptionId, TaxClass};
use super::price_list::listed_price;
use super::quantity::Quantity;
pub use super::tax::Destination;
use super::tax::{AppliedRate, CountryCode};

/// What a price depends on beside the book.
#[derive(Clone, Copy, Debug)]
pub struct PricingTerms<'a> {
    pub currency: Currency,
    pub group: Option<&'a CustomerGroup>,
    /// Decides which price lists are in force.
    pub at: Timestamp,
    /// Without one nothing is known of taxes and none are taken; nor is it known whether a carrier
    /// goes there.
    pub destination: Option<&'a Destination>,
    pub shipping: Option<&'a ShippingOptionId>,
    /// Codes that were given, with the promotion each stood for then.
    pub codes: &'a [GivenCode],
    /// Whether what only a first order gets may be granted; it is asked later whether it is one.
    pub may_be_first: bool,
}

/// A code that a shopper gave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenCode {
    pub code: CodeName,
    pub promotion: PromotionId,
}

impl GivenCode {
    pub(crate) fn heap_bytes(&self) -> usize {
        heap::allocation(self.code.as_str().len()) + heap::allocation(self.promotion.as_str().len())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum NotPriced {
    #[error("sku {sku} is not for sale")]
    UnknownSku { sku: SkuCode },
    #[error("sku {sku} has no price in {currency}")]
    NoPrice { sku: SkuCode, currency: Currency },
    #[error("there is no shipping option {option}")]
    UnknownShipping { option: ShippingOptionId },
    #[error("shipping option {option} has no price in {currency}")]
    ShippingNotPriced { option: ShippingOptionId, currency: Currency },
    #[error("shipping option {option} does not go to {country}")]
    NotShippedTo { option: ShippingOptionId, country: CountryCode },
    /// Of one line alone.
    #[error("the line of sku {sku} comes to too much")]
    LineTooLarge { sku: SkuCode },
    #[error("the total is too large")]
    TotalTooLarge,
}

impl NotPriced {
    pub const fn is_of_shipping(&self) -> bool {
        match self {
            Self::UnknownShipping { .. }
            | Self::ShippingNotPriced { .. }
            | Self::NotShippedTo { .. } => true,
            Self::UnknownSku { .. }
            | Self::NoPrice { .. }
            | Self::LineTooLarge { .. }
            | Self::TotalTooLarge => false,
        }
    }
}

/// What was priced, and what promotions took off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    pub priced: Priced,
    /// In the order in which they were granted.
    pub discounts: Vec<Discount>,
}

impl PriceBook {
    /// Prices lines as they are given, each for itself, and takes off what promotions grant.
    pub fn quote(
        &self,
        terms: &PricingTerms<'_>,
        lines: &[(SkuCode, Quantity)],
    ) -> Result<Quote, NotPriced> {
        let line = |(sku, quantity): &(SkuCode, Quantity)| self.priced_line(terms, sku, *quantity);
        let mut lines = lines.iter().map(line).collect::<Result<Vec<_>, _>>()?;
        let too_large = NotPriced::TotalTooLarge;
        let mut discounts = self.granted_to(terms, &mut lines).ok_or(too_large.clone())?;
        let items = Totals::of(terms.currency, &lines, None).ok_or(too_large.clone())?;
        let worth = items.items.minus(items.discount).map_err(|_| too_large.clone())?;
        let shipping = terms.shipping.map(|option| {
            let saved = discounts.iter_mut().find_map(Discount::of_shipping);
            self.priced_shipping(terms, option, worth, saved)
        });
        let priced = Priced::of(terms.currency, lines, shipping.transpose()?).ok_or(too_large)?;
        Ok(Quote { priced, discounts })
    }

    /// What promotions grant, taken off the lines; `None` when a tax is out of bounds.
    fn granted_to(
        &self,
        terms: &PricingTerms<'_>,
        lines: &mut [PricedLine],
    ) -> Option<Vec<Discount>> {
        let bought: Vec<_> = lines.iter().map(Bought::of).collect();
        let discounts = self.discounts(terms, &bought);
        let taken = discount::by_line(&discounts, lines.len())?;
        for (line, minor) in lines.iter_mut().zip(taken) {
            if minor > 0 {
                line.take_off(minor)?;
            }
        }
        Some(discounts)
    }

    /// The price of one piece: of the price lists in force, or else the listing's own.
    pub fn unit_price(&self, terms: &PricingTerms<'_>, sku: &SkuCode) -> Result<Money, NotPriced> {
        let Some(listing) = self.listing(sku) else {
            return Err(NotPriced::UnknownSku { sku: sku.clone() });
        };
        self.price_of(terms, listing)
    }

    /// [`Self::unit_price`] of a listing that was found already.
    pub(crate) fn price_of(
        &self,
        terms: &PricingTerms<'_>,
        listing: &Listing,
    ) -> Result<Money, NotPriced> {
        let for_whom = (terms.currency, terms.group, terms.at);
        let price_lists = self.price_lists().map(AsRef::as_ref);
        let listed = listed_price(price_lists, listing.sku(), for_whom);
        listed.or_else(|| listing.price_in(terms.currency)).ok_or_else(|| {
            let (sku, currency) = (listing.sku().clone(), terms.currency);
            NotPriced::NoPrice { sku, currency }
        })
    }

    fn priced_line(
        &self,
        terms: &PricingTerms<'_>,
        sku: &SkuCode,
        quantity: Quantity,
    ) -> Result<PricedLine, NotPriced> {
        let Some(listing) = self.listing(sku) else {
            return Err(NotPriced::UnknownSku { sku: sku.clone() });
        };
        let unit_price = self.price_of(terms, listing)?;
        let line = PricedLine::of(
            (sku.clone(), listing.name().clone()),
            quantity,
            unit_price,
            self.applied_rate(terms, listing.tax_class()),
        );
        line.ok_or_else(|| NotPriced::LineTooLarge { sku: sku.clone() })
    }

    fn priced_shipping(
        &self,
        terms: &PricingTerms<'_>,
        wanted: &ShippingOptionId,
        worth: Money,
        saved: Option<&mut i64>,
    ) -> Result<PricedShipping, NotPriced> {
        let Some(option) = self.shipping_option(wanted) else {
            return Err(NotPriced::UnknownShipping { option: wanted.clone() });
        };
        let country = terms.destination.map(|destination| destination.country);
        if let Some(country) = country.filter(|country| !option.countries.include(*country)) {
            return Err(NotPriced::NotShippedTo { option: wanted.clone(), country });
        }
        let Some(mut price) = option.price_for(worth) else {
            let currency = terms.currency;
            return Err(NotPriced::ShippingNotPriced { option: wanted.clone(), currency });
        };
        if let Some(saved) = saved {
            *saved = std::mem::take(&mut price.minor);
        }
        PricedShipping::of(option, price, self.applied_rate(terms, &option.tax_class))
            .ok_or(NotPriced::TotalTooLarge)
    }

    fn applied_rate(&self, terms: &PricingTerms<'_>, class: &TaxClass) -> Option<AppliedRate> {
        self.tax_rates().applied(class, terms.destination?)
    }
}

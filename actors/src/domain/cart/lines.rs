//! The lines of a cart, compact: a million idle carts are held in memory.
//!
//! **Invariants:** one line a SKU, in order of SKU, without spare capacity.

use cluster::time::Timestamp;

use super::{Cart, Event};
use crate::domain::catalogue::{Listing, ProductName};
use crate::domain::heap;
use crate::domain::ids::SkuCode;
use crate::domain::money::{Currency, Money, MoneyError};
use crate::domain::pricing::Discount;
use crate::domain::pricing::discount::by_line;
use crate::domain::quantity::Quantity;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: SkuCode,
    pub(crate) name: ProductName,
    pub(crate) unit_price: Money,
    pub(crate) quantity: Quantity,
}

impl Line {
    pub(super) fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(self.quantity)
    }

    pub(super) fn into_event(self, catalogue_index: u64, at: Timestamp) -> Event {
        let Self { sku, name, unit_price, quantity } = self;
        Event::QuantitySet { sku, quantity, unit_price, name, catalogue_index, at }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines(Vec<Line>);

impl Lines {
    /// Lines that a cart of this currency could have; the error says why it could not.
    pub(crate) fn restore(lines: Vec<Line>, currency: Currency) -> Result<Self, &'static str> {
        if lines.len() > Cart::LINES_MAX {
            return Err("a cart has too many lines");
        }
        if !lines.is_sorted_by(|left, right| left.sku < right.sku) {
            return Err("the lines of a cart are not in strict order of sku");
        }
        if lines.iter().any(|line| !(0..=Listing::PRICE_MAX).contains(&line.unit_price.minor)) {
            return Err("the price of a line is out of bounds");
        }
        let lines = Self(lines);
        match lines.total(currency) {
            Ok(total) if total.minor <= Cart::TOTAL_MAX => Ok(lines),
            Ok(_) | Err(_) => Err("the lines of a cart have no total in its currency"),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Line> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn quantity(&self, sku: &SkuCode) -> Option<Quantity> {
        let found = self.find(sku).ok()?;
        self.0.get(found).map(|line| line.quantity)
    }

    pub(super) fn has(&self, line: &Line) -> bool {
        self.find(&line.sku).is_ok_and(|found| self.0.get(found) == Some(line))
    }

    pub(super) fn set(&mut self, line: Line) {
        match self.find(&line.sku) {
            Ok(found) => {
                if let Some(held) = self.0.get_mut(found) {
                    *held = line;
                }
            }
            Err(gap) => {
                self.0.reserve_exact(1);
                self.0.insert(gap, line);
            }
        }
    }

    pub(super) fn remove(&mut self, sku: &SkuCode) {
        if let Ok(found) = self.find(sku) {
            self.0.remove(found);
            self.0.shrink_to_fit();
        }
    }

    pub(super) fn total(&self, currency: Currency) -> Result<Money, MoneyError> {
        self.0.iter().try_fold(Money::zero(currency), |sum, line| sum.plus(line.total()?))
    }

    /// Whether no more is taken off a line than it comes to.
    pub(crate) fn bear(&self, discounts: &[Discount]) -> bool {
        let Some(taken) = by_line(discounts, self.0.len()) else { return false };
        let fits = |(line, minor): (&Line, i64)| line.total().is_ok_and(|it| it.minor >= minor);
        self.0.iter().zip(taken).all(fits)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let texts = |line: &Line| {
            heap::allocation(line.sku.as_str().len()) + heap::allocation(line.name.as_str().len())
        };
        heap::allocation(self.0.capacity() * size_of::<Line>())
            + self.0.iter().map(texts).sum::<usize>()
    }

    fn find(&self, sku: &SkuCode) -> Result<usize, usize> {
        self.0.binary_search_by(|line| line.sku.cmp(sku))
    }
}

//! What promotions take off a basket.
//!
//! **Invariants:** nothing is taken that is not there: what all promotions take off a line is at most
//! its total. A result depends on the book, the terms and the lines alone. A sum is rounded once,
//! with [`round_half_up`], before it is split over lines with [`largest_remainder`]; taxes are taken
//! of what is left of each line, as tax offices want it of discounts that are known at the sale.

use std::num::NonZeroU32;

use super::discount::{Discount, Granted, Shares};
use super::split::largest_remainder;
use super::{PricedLine, PricingTerms};
use crate::domain::catalogue::PriceBook;
use crate::domain::ids::SkuCode;
use crate::domain::money::Money;
use crate::domain::promotion::{Benefit, Promotion, Rebate, Scope, Shoppers, Stacking, in_order};
use crate::domain::quantity::Quantity;
use crate::domain::tax::round_half_up;

/// A line as promotions see it.
#[derive(Clone, Copy, Debug)]
pub struct Bought<'a> {
    pub sku: &'a SkuCode,
    pub quantity: Quantity,
    /// In the currency of the terms.
    pub unit_price: Money,
}

impl<'a> Bought<'a> {
    pub(super) fn of(line: &'a PricedLine) -> Self {
        Self { sku: &line.sku, quantity: line.quantity, unit_price: line.unit_price }
    }
}

impl PriceBook {
    /// What promotions take off, in the order in which they were granted.
    pub fn discounts(&self, terms: &PricingTerms<'_>, lines: &[Bought<'_>]) -> Vec<Discount> {
        let mut basket = Basket::new(self, lines);
        let mut discounts: Vec<Discount> = Vec::new();
        for promotion in self.promoted(terms) {
            if discounts.len() >= Discount::COUNT_MAX {
                break;
            }
            let is_alone = promotion.stacking == Stacking::Exclusive;
            if is_alone && !discounts.is_empty() {
                continue;
            }
            let Some(granted) = basket.grant(promotion, terms) else { continue };
            let (id, name) = (promotion.id.clone(), promotion.name.clone());
            discounts.push(Discount { promotion: id, name, granted });
            if is_alone {
                break;
            }
        }
        discounts
    }
}

struct Basket<'a> {
    book: &'a PriceBook,
    lines: &'a [Bought<'a>],
    /// What each line comes to, in minor units.
    totals: Vec<i64>,
    /// What is left of that.
    left: Vec<i64>,
}

impl<'a> Basket<'a> {
    fn new(book: &'a PriceBook, lines: &'a [Bought<'a>]) -> Self {
        // Lines that come to too much were refused before, so none is taken for nothing here.
        let total =
            |line: &Bought<'_>| line.unit_price.times(line.quantity).map_or(0, |it| it.minor);
        let totals: Vec<_> = lines.iter().map(total).collect();
        Self { book, lines, left: totals.clone(), totals }
    }

    /// What a promotion gives, taken off what is left; `None` where it gives nothing.
    fn grant(&mut self, promotion: &Promotion, terms: &PricingTerms<'_>) -> Option<Granted> {
        let is_for = match &promotion.shoppers {
            Shoppers::Everyone => true,
            Shoppers::FirstOrder => terms.may_be_first,
            Shoppers::Group(group) => terms.group == Some(group),
        };
        if !is_for || !promotion.validity.holds_at(terms.at) {
            return None;
        }
        let within = self.within(&promotion.scope);
        if !within.contains(&true) || !self.is_enough(promotion, terms, &within) {
            return None;
        }
        let taken = match &promotion.benefit {
            Benefit::FreeShipping => return Some(Granted::OfShipping { minor: 0 }),
            Benefit::Percentage { off } => {
                let parts = self.left_of(&within);
                largest_remainder(part_of(sum(&parts)?, *off)?, &parts)
            }
            Benefit::Amount { off } => {
                let parts = self.left_of(&within);
                let off = off.price_in(terms.currency)?.minor;
                largest_remainder(off.min(sum(&parts)?), &parts)
            }
            Benefit::BuyGet { buy, get, from, off } => {
                self.for_pieces(&within, (*buy, *get), from.as_ref(), *off)?
            }
        };
        for (left, taken) in self.left.iter_mut().zip(&taken) {
            *left -= taken;
        }
        taken.iter().any(|minor| *minor > 0).then(|| Granted::OfItems(Shares::of(&taken)))
    }

    fn within(&self, scope: &Scope) -> Vec<bool> {
        self.lines.iter().map(|line| self.book.is_within(scope, line.sku)).collect()
    }

    fn is_enough(&self, promotion: &Promotion, terms: &PricingTerms<'_>, within: &[bool]) -> bool {
        if promotion.minimum.iter().len() == 0 {
            return true;
        }
        let Some(minimum) = promotion.minimum.price_in(terms.currency) else { return false };
        let worth = self.totals.iter().zip(within).filter(|(_, is_in)| **is_in);
        let worth: i128 = worth.map(|(total, _)| i128::from(*total)).sum();
        worth >= i128::from(minimum.minor)
    }

    /// What is left of each line; zero of those it is not about.
    fn left_of(&self, within: &[bool]) -> Vec<i64> {
        let lines = self.left.iter().zip(within);
        lines.map(|(left, is_in)| if *is_in { *left } else { 0 }).collect()
    }

    /// What is taken off the cheapest pieces; of equal ones those of the first lines.
    fn for_pieces(
        &self,
        within: &[bool],
        (buy, get): (Quantity, Quantity),
        from: Option<&Scope>,
        off: Rebate,
    ) -> Option<Vec<i64>> {
        let (buy, get) = (u64::from(buy.get()), u64::from(get.get()));
        let (sets, pool) = match from {
            None => (self.pieces(within) / (buy + get), within.to_vec()),
            Some(scope) => {
                let pool = self.within(scope);
                let bought = within.iter().zip(&pool).map(|(is_in, is_given)| *is_in && !is_given);
                (self.pieces(&bought.collect::<Vec<_>>()) / buy, pool)
            }
        };
        let mut cheapest: Vec<_> = (0..self.lines.len()).zip(self.lines).zip(&pool).collect();
        cheapest.retain(|(_, is_in)| **is_in);
        cheapest.sort_by_key(|((_, line), _)| line.unit_price.minor);
        let mut wanted = sets * get;
        let mut worth = vec![0; self.lines.len()];
        for ((at, line), _) in cheapest {
            let pieces = wanted.min(u64::from(line.quantity.get()));
            wanted -= pieces;
            let (Some(worth), Some(left)) = (worth.get_mut(at), self.left.get(at)) else { break };
            // Of what promotions before this one left of the line, as much as these pieces are of it.
            let pieces = u32::try_from(pieces).ok()?;
            *worth = round_half_up(*left, pieces, NonZeroU32::new(line.quantity.get())?)?;
        }
        Some(largest_remainder(part_of(sum(&worth)?, off)?, &worth))
    }

    fn pieces(&self, within: &[bool]) -> u64 {
        let lines = self.lines.iter().zip(within).filter(|(_, is_in)| **is_in);
        lines.map(|(line, _)| u64::from(line.quantity.get())).sum()
    }
}

impl PriceBook {
    /// What is granted if its conditions hold, in order of evaluation.
    fn promoted(&self, terms: &PricingTerms<'_>) -> Vec<&Promotion> {
        let mut promoted: Vec<_> = self.promotions().automatic().collect();
        let n_automatic = promoted.len();
        for given in terms.codes {
            // It may stand for another promotion by now, or for none.
            let code = self.discount_code(&given.code);
            let code = code.filter(|code| code.promotion == given.promotion);
            let promotion = code.and_then(|code| self.promotions().promotion(&code.promotion));
            let promotion = promotion.filter(|promotion| promotion.requires_code());
            promoted.extend(promotion.filter(|it| !promoted.iter().any(|known| known.id == it.id)));
        }
        if promoted.len() > n_automatic {
            in_order(&mut promoted);
        }
        promoted
    }

    fn is_within(&self, scope: &Scope, sku: &SkuCode) -> bool {
        match scope {
            Scope::Everything => true,
            Scope::Skus(skus) => skus.include(sku),
            Scope::Categories(ids) => {
                let page = self.any_listing(sku).and_then(|listing| listing.page());
                let page = page.and_then(|slug| self.any_page(slug));
                page.is_some_and(|page| {
                    let path = |id| self.categories().path(id);
                    page.categories.iter().flat_map(path).any(|above| ids.include(&above.id))
                })
            }
        }
    }
}

fn sum(parts: &[i64]) -> Option<i64> {
    parts.iter().try_fold(0_i64, |sum, part| sum.checked_add(*part))
}

fn part_of(minor: i64, off: Rebate) -> Option<i64> {
    round_half_up(minor, off.millionths(), NonZeroU32::new(Rebate::MILLIONTHS_MAX)?)
}

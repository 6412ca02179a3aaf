//! A promotion: what takes a part off what shoppers pay, from when to when, of what and for whom.
//!
//! **Invariants:** a promotion takes something off; what it names it names once, in order.
//!
//! **Order of evaluation:** the highest priority first, among equals by id. Each is computed on what
//! those before it have left. One that is [`Stacking::Exclusive`] is granted only where none was
//! before it, and none is after it. So the merchant's order decides, not a search for the best sum:
//! anybody can follow it by hand.
//!
//! What it comes to is `pricing`'s to say.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::entity::Context;
use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::{Content, Rejection, book};
use super::ids::SkuCode;
use super::names::{CategoryId, CustomerGroup, Label, PromotionId};
use super::price_list::Validity;
use super::prices::Prices;
use super::quantity::{OutOfBounds, Quantity};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promotion {
    pub id: PromotionId,
    /// As shoppers read it.
    pub name: Label,
    pub benefit: Benefit,
    /// The lines that it is about: they are counted, and from them it is taken.
    pub scope: Scope,
    /// What the lines that it is about must be worth at least, before anything is taken off. With
    /// none it asks for nothing; with some it is for these currencies only.
    pub minimum: Prices,
    pub shoppers: Shoppers,
    pub validity: Validity,
    pub trigger: Trigger,
    pub priority: u16,
    pub stacking: Stacking,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Benefit {
    /// A part of what the lines cost together.
    Percentage {
        off: Rebate,
    },
    /// A sum, or all that the lines cost where that is less. For these currencies only.
    Amount {
        off: Prices,
    },
    /// Who buys so many pieces gets so many of the cheapest for less, again and again.
    BuyGet {
        buy: Quantity,
        get: Quantity,
        /// Where these pieces are from; without it from the lines that are counted. A piece from
        /// here is not counted as bought.
        from: Option<Scope>,
        off: Rebate,
    },
    FreeShipping,
}

/// A part of a price that is not paid, in millionths: more than nothing, at most all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub struct Rebate(u32);

impl Rebate {
    pub const MILLIONTHS_MAX: u32 = 1_000_000;

    pub const fn millionths(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Rebate {
    type Error = OutOfBounds;

    fn try_from(millionths: u32) -> Result<Self, OutOfBounds> {
        match millionths {
            1..=Self::MILLIONTHS_MAX => Ok(Self(millionths)),
            _ => {
                let max = i64::from(Self::MILLIONTHS_MAX);
                Err(OutOfBounds { what: "a rebate in millionths", min: 1, max })
            }
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    Everything,
    Skus(Chosen<SkuCode>),
    /// What is in one of them, or in one below.
    Categories(Chosen<CategoryId>),
}

/// At least one of something, each once, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<T>", bound(deserialize = "T: Ord + Deserialize<'de>"))]
pub struct Chosen<T>(Box<[T]>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("from 1 to {CHOSEN_MAX} can be named, each once")]
pub struct InvalidChoice;

/// With it a record with the longest names is 64 KiB at most.
pub const CHOSEN_MAX: usize = 400;

impl<T: Ord> Chosen<T> {
    /// In any order, repeats and all.
    pub fn of(things: impl IntoIterator<Item = T>) -> Result<Self, InvalidChoice> {
        let mut things: Vec<_> = things.into_iter().collect();
        things.sort_unstable();
        things.dedup();
        things.try_into()
    }

    pub fn include(&self, thing: &T) -> bool {
        self.0.binary_search(thing).is_ok()
    }

    /// In order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &T> {
        self.0.iter()
    }
}

impl<T: Ord> TryFrom<Vec<T>> for Chosen<T> {
    type Error = InvalidChoice;

    fn try_from(things: Vec<T>) -> Result<Self, InvalidChoice> {
        let fits = (1..=CHOSEN_MAX).contains(&things.len());
        if fits && things.is_sorted_by(|left, right| left < right) {
            Ok(Self(things.into_boxed_slice()))
        } else {
            Err(InvalidChoice)
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shoppers {
    Everyone,
    Group(CustomerGroup),
    /// Whoever has bought nothing yet. A cart does not know whose it is and is priced as if it were so:
    /// the checkout finds out.
    FirstOrder,
}

/// What a shopper does for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    Nothing,
    /// It is granted to carts with a code of it.
    Code,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stacking {
    Combinable,
    Exclusive,
}

impl Promotion {
    /// How many a shop has that need no code. Every cart is priced with each of them.
    pub const AUTOMATIC_MAX: usize = 100;

    fn is_automatic(&self) -> bool {
        self.trigger == Trigger::Nothing
    }

    /// Whether it was granted for lines that the shopper may yet do without.
    pub fn depends_on_lines(&self) -> bool {
        let is_set = matches!(self.benefit, Benefit::BuyGet { .. });
        is_set || self.minimum.iter().len() > 0
    }

    pub fn requires_code(&self) -> bool {
        self.trigger == Trigger::Code
    }

    pub fn is_for_first_orders(&self) -> bool {
        self.shoppers == Shoppers::FirstOrder
    }
}

impl Scope {
    fn heap_bytes(&self) -> usize {
        match self {
            Self::Everything => 0,
            Self::Skus(skus) => chosen_bytes(&skus.0, |sku| sku.as_str().len()),
            Self::Categories(ids) => chosen_bytes(&ids.0, |id| id.as_str().len()),
        }
    }
}

fn chosen_bytes<T>(things: &[T], text: impl Fn(&T) -> usize) -> usize {
    size_of_val(things) + things.iter().map(text).sum::<usize>()
}

impl Content for Promotion {
    const KIND: EntityKind = EntityKind(40);
    const NAME: &'static str = "promotion";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        let of_benefit = match &self.benefit {
            Benefit::Amount { off } => off.heap_bytes(),
            Benefit::BuyGet { from, .. } => from.as_ref().map_or(0, Scope::heap_bytes),
            Benefit::Percentage { .. } | Benefit::FreeShipping => 0,
        };
        let of_group = match &self.shoppers {
            Shoppers::Everyone | Shoppers::FirstOrder => 0,
            Shoppers::Group(group) => group.as_str().len(),
        };
        let texts = self.id.as_str().len() + self.name.as_str().len() + of_group;
        texts + of_benefit + self.scope.heap_bytes() + self.minimum.heap_bytes()
    }

    fn check(&self, ctx: &Context<'_>) -> Result<(), Rejection> {
        if !self.is_automatic() {
            return Ok(());
        }
        let others = book(ctx)?.promotions().automatic().filter(|other| other.id != self.id);
        if others.count() < Self::AUTOMATIC_MAX { Ok(()) } else { Err(Rejection::TooManyAutomatic) }
    }
}

/// Every promotion of a shop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Promotions {
    by_id: BTreeMap<PromotionId, Arc<Promotion>>,
    /// Those that need no code, in order of evaluation: sorted once, not for every cart.
    automatic: Vec<Arc<Promotion>>,
}

impl Promotions {
    pub fn promotion(&self, id: &PromotionId) -> Option<&Promotion> {
        self.by_id.get(id).map(AsRef::as_ref)
    }

    /// In order of id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Promotion>> {
        self.by_id.values()
    }

    /// Those that need no code, in order of evaluation.
    pub fn automatic(&self) -> impl Iterator<Item = &Promotion> {
        self.automatic.iter().map(AsRef::as_ref)
    }
}

impl FromIterator<Arc<Promotion>> for Promotions {
    /// The later of two of one id counts.
    fn from_iter<I: IntoIterator<Item = Arc<Promotion>>>(promotions: I) -> Self {
        let by_id: BTreeMap<_, _> =
            promotions.into_iter().map(|promotion| (promotion.id.clone(), promotion)).collect();
        let automatic = by_id.values().filter(|promotion| promotion.is_automatic());
        let mut automatic: Vec<_> = automatic.cloned().collect();
        in_order(&mut automatic);
        // Two that were written at once may have passed by the check of both.
        automatic.truncate(Promotion::AUTOMATIC_MAX);
        Self { by_id, automatic }
    }
}

/// Puts promotions in the order in which they are evaluated.
pub(crate) fn in_order<P: Borrow<Promotion>>(promotions: &mut [P]) {
    promotions.sort_by(|left, right| {
        let (left, right) = (left.borrow(), right.borrow());
        right.priority.cmp(&left.priority).then_with(|| left.id.cmp(&right.id))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_chosen_is_named_once_in_order() {
        let skus = |names: &[&str]| -> Vec<SkuCode> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let chosen = Chosen::of(skus(&["tea", "cup", "tea"])).unwrap();
        assert!(chosen.iter().eq(&skus(&["cup", "tea"])));
        assert!(
            chosen.include(&"cup".parse().unwrap()) && !chosen.include(&"pot".parse().unwrap())
        );
        assert_eq!(Chosen::<SkuCode>::of([]), Err(InvalidChoice));
        assert_eq!(Chosen::try_from(skus(&["tea", "cup"])), Err(InvalidChoice));
        let many = (0..=CHOSEN_MAX).map(|nth| format!("sku-{nth}").parse::<SkuCode>().unwrap());
        assert_eq!(Chosen::of(many), Err(InvalidChoice));
    }

    #[test]
    fn a_rebate_is_more_than_nothing_and_at_most_all() {
        for bad in [0, Rebate::MILLIONTHS_MAX + 1] {
            assert!(Rebate::try_from(bad).is_err());
        }
        assert_eq!(Rebate::try_from(250_000).unwrap().millionths(), 250_000);
    }
}

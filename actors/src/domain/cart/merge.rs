//! Merging one cart into another: a saga of two carts and two Tells.
//!
//! The cart that gives up its lines freezes and offers them; the other takes all of them or none
//! and says so; then the first is merged away, or open again with its lines. No line is ever in
//! both carts to be bought twice, or in neither.
//!
//! **Invariants:** an offer is always answered, a refusal too, for a refused Tell goes unheard and
//! would leave the first cart frozen; an offer that comes twice is taken once.

use std::collections::BTreeMap;

use cluster::entity::{Context, Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cart, Command, Event, Existing, Rejection, Status};
use crate::domain::heap;
use crate::domain::ids::{CartId, SkuCode};
use crate::domain::money::Currency;
use crate::domain::quantity::Quantity;

/// What happens to a SKU that is in both carts. A SKU in one of them only is always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MergeStrategy {
    /// The quantities are added.
    Sum,
    /// The cart that is merged into keeps its quantity.
    Keep,
    /// The quantity of the cart that is merged away is taken over.
    Replace,
}

/// Who would not take the lines, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeRefused {
    pub by: CartId,
    pub why: Rejection,
}

impl MergeRefused {
    pub(super) fn heap_bytes(&self) -> usize {
        let text = match &self.why {
            Rejection::LineNotFound { sku }
            | Rejection::QuantityTooLarge { sku }
            | Rejection::UnknownSku { sku }
            | Rejection::NotPriced { sku, .. } => sku.as_str().len(),
            Rejection::NotFound
            | Rejection::AlreadyExists
            | Rejection::Deleted
            | Rejection::Merging { .. }
            | Rejection::MergedAway { .. }
            | Rejection::MergeIntoItself
            | Rejection::CurrencyMismatch { .. }
            | Rejection::TooManyLines
            | Rejection::TotalTooLarge
            | Rejection::CatalogueUnavailable => 0,
        };
        heap::allocation(size_of::<Self>()) + heap::allocation(text)
    }
}

impl Cart {
    /// How many merged carts are remembered. Part of `apply`, so a change needs a new event.
    pub(crate) const MERGED_FROM_MAX: usize = 16;

    pub(super) fn give_up_lines(
        &self,
        me: CartId,
        to: CartId,
        strategy: MergeStrategy,
        at: Timestamp,
    ) -> Result<(Vec<Event>, Vec<Effect>), Rejection> {
        if to == me {
            return Err(Rejection::MergeIntoItself);
        }
        let cart = match self.open() {
            Ok(cart) => cart,
            Err(Rejection::Merging { into } | Rejection::MergedAway { into }) if into == to => {
                return Ok((vec![], vec![]));
            }
            Err(other) => return Err(other),
        };
        let lines = cart.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        let offer = Command::Merge { from: me, currency: cart.currency, lines, strategy };
        Ok((vec![Event::LinesOffered { into: to, at }], vec![tell(to, &offer)]))
    }

    /// The lines on offer as events of this cart; none when they were taken before.
    pub(super) fn take_lines(
        &self,
        from: CartId,
        currency: Currency,
        lines: Vec<(SkuCode, Quantity)>,
        strategy: MergeStrategy,
        ctx: &Context<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        if self.found()?.merged_from.contains(&from) {
            return Ok(vec![]);
        }
        let cart = self.open()?;
        if currency != cart.currency {
            return Err(Rejection::CurrencyMismatch { from: currency, into: cart.currency });
        }
        let mut wanted = BTreeMap::new();
        for (sku, offered) in lines {
            let quantity = match (cart.lines.quantity(&sku), strategy) {
                (Some(_), MergeStrategy::Keep) => continue,
                (Some(held), MergeStrategy::Sum) => match held.plus(offered) {
                    Some(sum) => sum,
                    None => return Err(Rejection::QuantityTooLarge { sku }),
                },
                (Some(_), MergeStrategy::Replace) | (None, _) => offered,
            };
            wanted.insert(sku, quantity);
        }
        // Nothing to price needs no catalogue.
        let mut events = if wanted.is_empty() { vec![] } else { cart.set_quantities(wanted, ctx)? };
        events.push(Event::LinesTaken { from, at: ctx.now });
        Ok(events)
    }

    pub(super) fn answer_offer(
        me: CartId,
        from: CartId,
        taken: Result<Vec<Event>, Rejection>,
    ) -> (Vec<Event>, Vec<Effect>) {
        match taken {
            Ok(events) => (events, vec![tell(from, &Command::ConfirmMerge { into: me })]),
            Err(why) => {
                let refused = MergeRefused { by: me, why };
                (vec![], vec![tell(from, &Command::TakeLinesBack { refused })])
            }
        }
    }

    pub(super) fn confirm_merge(&self, into: CartId, at: Timestamp) -> Vec<Event> {
        if self.is_merging_into(into) { vec![Event::MergedAway { into, at }] } else { vec![] }
    }

    pub(super) fn take_lines_back(&self, refused: MergeRefused, at: Timestamp) -> Vec<Event> {
        if self.is_merging_into(refused.by) {
            vec![Event::LinesReturned { refused, at }]
        } else {
            vec![]
        }
    }

    fn is_merging_into(&self, into: CartId) -> bool {
        self.existing.as_ref().is_some_and(|cart| cart.status == Status::Merging { into })
    }
}

impl Existing {
    pub(super) fn remember_merged(&mut self, from: CartId) {
        if self.merged_from.len() >= Cart::MERGED_FROM_MAX {
            self.merged_from.remove(0);
        }
        self.merged_from.reserve_exact(1);
        self.merged_from.push(from);
    }
}

fn tell(to: CartId, command: &Command) -> Effect {
    Effect::Tell { to: Cart::address(to), command: command.to_bytes() }
}

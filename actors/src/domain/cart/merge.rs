//! Merging one cart into another: a saga of two carts and two Tells.
//!
//! The cart that gives up its lines freezes and offers them; the other takes all of them or none
//! and says so; then the first is merged away, or open again with its lines. No line is ever in
//! both carts to be bought twice, or in neither.
//!
//! **Invariants:** an offer is always answered, a refusal too, for a refused Tell goes unheard and
//! would leave the first cart frozen; a timer repeats an offer whose answer does not come, each time
//! as another attempt. Whichever attempt was taken, the lines are gone, and a cart whose lines were
//! taken is known to the other, as long as it is among the last [`Cart::MERGED_FROM_MAX`]; but only
//! the refusal of the latest attempt gives the lines back, for a later one may yet be taken.

use std::collections::BTreeMap;

use cluster::entity::{Context, Decision, Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, Cart, Command, Event, Existing, Lookup, OfferNumber, OfferState, Rejection};
use crate::domain::ids::{CartId, SkuCode};
use crate::domain::money::Currency;
use crate::domain::quantity::Quantity;
use crate::mutants::Mutant;

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

impl Cart {
    /// How many merged carts are remembered. Part of `apply`, so a change needs a new event.
    pub(crate) const MERGED_FROM_MAX: usize = 64;

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
        let offer = cart.offers.next_number();
        let event = Event::LinesOffered { offer, into: to, strategy, at };
        Ok((vec![event], cart.offer(me, to, offer, Attempt::FIRST, strategy, at)))
    }

    pub(super) fn repeat_offer(&self, me: CartId, at: Timestamp) -> (Vec<Event>, Vec<Effect>) {
        let Some((cart, open)) = self.open_offer() else { return (vec![], vec![]) };
        let OpenOffer { number, into, strategy, attempt } = open;
        let attempt = attempt.next();
        let event = Event::OfferRepeated { attempt, at };
        (vec![event], cart.offer(me, into, number, attempt, strategy, at))
    }

    pub(super) fn expect_offer(
        &self,
        me: CartId,
        from: CartId,
    ) -> Result<Decision<Self>, Rejection> {
        if from == me {
            return Err(Rejection::MergeIntoItself);
        }
        self.open()?;
        // Nobody reads this reply, but it is kept under the key.
        Ok(Decision { events: vec![], effects: vec![], reply: Lookup(None) })
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
        let is_known = self.found()?.merged_from.contains(&from);
        if is_known && !Mutant::LinesTakenTwice.is_planted() {
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
        offer: OfferNumber,
        attempt: Attempt,
        taken: Result<Vec<Event>, Rejection>,
    ) -> (Vec<Event>, Vec<Effect>) {
        match taken {
            Ok(events) => (events, vec![tell(from, &Command::ConfirmMerge { offer, into: me })]),
            Err(why) => {
                // The other cart keeps the reason; to it the two are one.
                let is_stale = why == Rejection::CatalogueStale;
                let why = if is_stale { Rejection::CatalogueUnavailable } else { why };
                let refused = MergeRefused { by: me, why };
                let back = Command::TakeLinesBack { offer, attempt, refused };
                (vec![], vec![tell(from, &back)])
            }
        }
    }

    pub(super) fn confirm_merge(
        &self,
        offer: OfferNumber,
        into: CartId,
        at: Timestamp,
    ) -> (Vec<Event>, Vec<Effect>) {
        match self.open_offer() {
            Some((_, open)) if (open.number, open.into) == (offer, into) => {
                answered(Event::MergedAway { into, at })
            }
            Some(_) | None => (vec![], vec![]),
        }
    }

    pub(super) fn take_lines_back(
        &self,
        offer: OfferNumber,
        attempt: Attempt,
        refused: MergeRefused,
        at: Timestamp,
    ) -> (Vec<Event>, Vec<Effect>) {
        let answer = (offer, attempt, refused.by);
        match self.open_offer() {
            Some((_, open)) if (open.number, open.attempt, open.into) == answer => {
                answered(Event::LinesReturned { refused, at })
            }
            Some(_) | None => (vec![], vec![]),
        }
    }

    fn open_offer(&self) -> Option<(&Existing, OpenOffer)> {
        let cart = self.existing.as_ref()?;
        let last = cart.offers.last()?;
        let OfferState::Open { strategy, attempt } = last.state else { return None };
        Some((cart, OpenOffer { number: last.number, into: last.into, strategy, attempt }))
    }
}

/// An offer that was not answered yet.
struct OpenOffer {
    number: OfferNumber,
    into: CartId,
    strategy: MergeStrategy,
    attempt: Attempt,
}

impl Existing {
    pub(super) fn remember_merged(&mut self, from: CartId) {
        if self.merged_from.len() >= Cart::MERGED_FROM_MAX {
            self.merged_from.remove(0);
        }
        self.merged_from.reserve_exact(1);
        self.merged_from.push(from);
    }
    /// Offers the lines, and comes back to it should no answer come.
    fn offer(
        &self,
        me: CartId,
        to: CartId,
        offer: OfferNumber,
        attempt: Attempt,
        strategy: MergeStrategy,
        at: Timestamp,
    ) -> Vec<Effect> {
        let lines = self.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        let currency = self.currency;
        let merge = Command::Merge { from: me, offer, attempt, currency, lines, strategy };
        let name = Cart::UNANSWERED;
        vec![tell(to, &merge), Effect::SetTimer { name, at: at.plus(attempt.pause()) }]
    }
}

fn answered(event: Event) -> (Vec<Event>, Vec<Effect>) {
    (vec![event], vec![Effect::CancelTimer { name: Cart::UNANSWERED }])
}

fn tell(to: CartId, command: &Command) -> Effect {
    Effect::Tell { to: Cart::address(to), command: command.to_bytes() }
}

//! A cart becomes an order.
//!
//! **Invariants:** what is ordered is priced from one catalogue, and at the prices that the shopper saw;
//! the order alone says how the checkout ended.

use std::collections::BTreeMap;

use cluster::entity::{Context, Effect, Wire};
use cluster::time::Timestamp;

use super::codes::redemptions;
use super::first_order::{FirstOrder, first_order};
use super::{Cart, Event, Existing, Means, Rejection, Status};
use crate::domain::catalogue::PriceBook;
use crate::domain::ids::{CartId, OrderId, PaymentId};
use crate::domain::names::ShippingOptionId;
use crate::domain::order::{self, Extra, Order, Placed, SellerLines, Shortfall, Terms};
use crate::domain::pricing::{Discount, PricingTerms, Quote};
use crate::domain::promotion::Promotion;
use crate::mutants::Mutant;

impl Cart {
    pub(super) fn check_out(
        &self,
        me: CartId,
        (order, payment): (OrderId, PaymentId),
        mut terms: Terms,
        shipping: Option<&ShippingOptionId>,
        means: &[Means],
        ctx: &Context<'_>,
    ) -> Result<(Vec<Event>, Vec<Effect>), Rejection> {
        let cart = match self.open() {
            Ok(cart) => cart,
            // A repeat: the order is on its way, or there.
            Err(Rejection::CheckingOut { order: begun } | Rejection::Ordered { order: begun })
                if begun == order =>
            {
                return Ok((vec![], vec![]));
            }
            Err(Rejection::CheckingOut { .. }) if Mutant::TwoOrdersOfOneCart.is_planted() => {
                self.found()?
            }
            Err(other) => return Err(other),
        };
        if cart.lines.is_empty() {
            return Err(Rejection::Empty);
        }
        let repriced = cart.repriced(ctx)?;
        if !repriced.is_empty() {
            return Ok((repriced, vec![]));
        }
        let (book, index) = PriceBook::of(ctx)?;
        // A shop without any option sends everything for nothing, or has nothing to send.
        if shipping.is_none() && book.shipping_options().len() > 0 {
            return Err(Rejection::ShippingOptionRequired);
        }
        let destination = terms.contact.shipping.destination();
        let pricing =
            PricingTerms { destination: Some(&destination), shipping, ..cart.terms(ctx.now) };
        let lines: Vec<_> =
            cart.lines.iter().map(|line| (line.sku.clone(), line.quantity)).collect();
        let Quote { priced, discounts } =
            book.quote(&pricing, &lines).map_err(Rejection::NotPricedForOrder)?;
        // Like another price: the shopper has not seen it.
        let seen = discounts.iter().cloned().map(Discount::before_shipping).collect();
        if let Some(event) = cart.discounts_become(seen, index, ctx.now) {
            return Ok((vec![event], vec![]));
        }
        // What was granted for certain lines is not kept without them.
        let is_bound = |it: &Discount| {
            let promotion = book.promotions().promotion(&it.promotion);
            promotion.is_some_and(Promotion::depends_on_lines)
        };
        if discounts.iter().any(is_bound) {
            terms.shortfall = Shortfall::FailAll;
        }
        let mut redemptions = redemptions(&cart.codes, &discounts, means, book)?;
        match first_order(&discounts, means, book)? {
            FirstOrder::NotWanted => {}
            FirstOrder::Wanted(redemption) => redemptions.push(redemption),
            // The discount is newer than the checkout: whoever asked for it did not know of it.
            FirstOrder::NotLookedUp => return Ok((vec![], vec![])),
        }
        let placed = Placed::new(priced, terms, index, ctx.now);
        let placed = placed.unwrap_or_else(|_| unreachable!("a cart's lines are in order"));
        let (access, placed) = (cart.access, Box::new(placed));
        let extras = discounts.into_iter().map(Extra::Discount);
        let extras = extras.chain(redemptions.into_iter().map(Extra::Redemption));
        let cards = cart.gift_cards_with(means)?.into_iter().map(Extra::GiftCard);
        let extras = extras.chain(means.iter().filter_map(screening)).chain(cards);
        let extras =
            extras.chain(SellerLines::all_of(placed.lines(), book).map(Extra::Seller)).collect();
        let place = order::Command::placing((me, access), payment, placed, extras);
        let tell = Effect::Tell { to: Order::address(order), command: place.to_bytes() };
        Ok((vec![Event::CheckoutBegun { order, at: ctx.now }], vec![tell]))
    }

    pub(super) fn finish_checkout(&self, order: OrderId, at: Timestamp) -> Vec<Event> {
        let begun = self.is_checking_out(order);
        begun.then_some(Event::Ordered { order, at }).into_iter().collect()
    }

    pub(super) fn reopen_after(&self, order: OrderId, at: Timestamp) -> Vec<Event> {
        let begun = self.is_checking_out(order);
        begun.then_some(Event::Reopened { order, at }).into_iter().collect()
    }

    fn is_checking_out(&self, order: OrderId) -> bool {
        let status = self.existing.as_ref().map(|cart| cart.status);
        status == Some(Status::CheckingOut { order })
    }
}

impl Existing {
    /// Lines whose price or name is another by now.
    fn repriced(&self, ctx: &Context<'_>) -> Result<Vec<Event>, Rejection> {
        let lines = self.lines.iter().map(|line| (line.sku.clone(), line.quantity));
        self.set_quantities(lines.collect::<BTreeMap<_, _>>(), ctx)
    }
}

fn screening(means: &Means) -> Option<Extra> {
    match means {
        Means::Customer(_) | Means::Earlier(_) | Means::GiftCard(_) => None,
        Means::Screening { held_for } => Some(Extra::Screening { held_for: *held_for }),
    }
}

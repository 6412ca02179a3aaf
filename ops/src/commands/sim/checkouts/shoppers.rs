//! Who checks out, and what each of them does next.
//!
//! **Invariants:** a shopper acts on what was seen by anybody; nothing is known of the rest.

use std::ops::Range;

use actors::domain::order::{Failure, Settlement, Status, View};
use storage::sim_disk::SplitMix64;

use super::after_sale;
use super::carts::{Carts, Deed as CartDeed};
use super::judge::is_still_bought;
use super::orders::{Deed as OrderDeed, Orders};

const SHOPPERS: usize = 10;

#[derive(Clone, Copy)]
struct Shopper {
    cart: u64,
    order: Option<u64>,
}

pub(super) struct Shoppers {
    all: [Shopper; SHOPPERS],
    next_cart: u64,
}

impl Default for Shoppers {
    fn default() -> Self {
        let mut next_cart = 0;
        let all = [(); SHOPPERS].map(|()| {
            next_cart += 1;
            Shopper { cart: next_cart - 1, order: None }
        });
        Self { all, next_cart }
    }
}

/// What is asked for.
pub(super) enum Next {
    Cart {
        cart: u64,
        deed: CartDeed,
    },
    /// Whatever the key was, it is forgotten.
    Again {
        cart: u64,
        deed: CartDeed,
    },
    Order {
        order: u64,
        deed: OrderDeed,
    },
}

impl Shoppers {
    /// Every cart that was ever in use.
    pub(super) fn carts(&self) -> Range<u64> {
        0..self.next_cart
    }

    pub(super) fn draw(
        &mut self,
        carts: &mut Carts,
        orders: &mut Orders,
        random: &mut SplitMix64,
    ) -> Next {
        let nth = usize::try_from(random.below(10)).unwrap_or(0) % SHOPPERS;
        let Some(shopper) = self.all.get_mut(nth) else { unreachable!("one of those there are") };
        if let Some(deed) = carts.next_step(shopper.cart, orders, random) {
            return Next::Cart { cart: shopper.cart, deed };
        }
        let Some(order) = shopper.order else { return shopper.check_out(orders) };
        let (cart, seen) = (shopper.cart, orders.latest(order));
        let again = Next::Again { cart, deed: CartDeed::CheckOut { order } };
        let look = Next::Order { order, deed: OrderDeed::Look };
        let is_over = |view: &View| {
            let has_failed = |told: &Settlement| told.failure.is_some();
            view.settlement.as_ref().is_some_and(has_failed) && !is_still_bought(view)
        };
        // Of some nobody takes notice.
        if seen.is_some_and(|view| view.status == Status::OnHold) && random.one_in(6) {
            let deed = if random.one_in(3) { OrderDeed::Reject } else { OrderDeed::Approve };
            return Next::Order { order, deed };
        }
        let refused = seen.and_then(|view| {
            let failure = view.settlement.as_ref()?.failure.as_ref()?;
            if let Failure::GiftCardRefused { card, .. } = failure { Some(*card) } else { None }
        });
        if let Some(deed) = refused.and_then(|card| carts.take_away(cart, card))
            && random.one_in(3)
        {
            return Next::Cart { cart, deed };
        }
        match (seen, random.below(24)) {
            // Perhaps it is not there: its checkout has had no answer.
            (None, 0..3) => again,
            (None, 3..5) => shopper.check_out(orders),
            (None, 5) => Next::Order { order, deed: OrderDeed::Cancel },
            (Some(view), 0..2) if view.settlement.is_none() => {
                Next::Order { order, deed: OrderDeed::Cancel }
            }
            (Some(view), 2..4) if view.settlement.is_none() => shopper.check_out(orders),
            (Some(view), 5) if view.settlement.is_none() => again,
            (Some(view), 0..8) if is_over(view) => shopper.check_out(orders),
            (Some(view), 8..11) if is_over(view) => again,
            // The order is left to itself.
            (Some(_), 20..24) | (None, 23) => {
                *shopper = Shopper { cart: self.next_cart, order: None };
                self.next_cart += 1;
                Next::Cart { cart: shopper.cart, deed: CartDeed::Create }
            }
            (Some(view), _) if view.settlement.is_some() && !is_over(view) => {
                let deed = after_sale::draw(view, order, random);
                Next::Order { order, deed }
            }
            (Some(_) | None, _) => look,
        }
    }
}

impl Shopper {
    fn check_out(&mut self, orders: &mut Orders) -> Next {
        let order = orders.add(self.cart);
        self.order = Some(order);
        Next::Cart { cart: self.cart, deed: CartDeed::CheckOut { order } }
    }
}

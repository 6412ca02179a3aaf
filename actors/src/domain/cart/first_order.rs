//! What only a customer's first order gets.
//!
//! **Invariants:** one customer has at most one order with it that did not fail and was not cancelled,
//! however many carts are checked out at once: it is one use of a counter, as of a code that is used
//! once.
//!
//! Orders without it are not counted. Whether there is one, the rim finds out before the checkout, in
//! the customer's list of orders; a cart that nobody did that for is not ordered.

use std::num::NonZeroU32;

use super::codes::customer_of;
use super::{EarlierOrders, Means, Rejection};
use crate::domain::catalogue::PriceBook;
use crate::domain::code_uses::Counted;
use crate::domain::order::Redemption;
use crate::domain::pricing::Discount;
use crate::domain::promotion::Promotion;

/// What an order has to do with that.
pub(super) enum FirstOrder {
    NotWanted,
    Wanted(Redemption),
    /// It has some, and nobody asked what its customer ordered before.
    NotLookedUp,
}

pub(super) fn first_order(
    discounts: &[Discount],
    means: &[Means],
    book: &PriceBook,
) -> Result<FirstOrder, Rejection> {
    let is_for_first = |it: &&Discount| {
        let promotion = book.promotions().promotion(&it.promotion);
        it.minor() > 0 && promotion.is_some_and(Promotion::is_for_first_orders)
    };
    let Some(discount) = discounts.iter().find(is_for_first) else {
        return Ok(FirstOrder::NotWanted);
    };
    let promotion = discount.promotion.clone();
    let Some(customer) = customer_of(means) else {
        return Err(Rejection::FirstOrderOfNobody { promotion });
    };
    match earlier_orders(means) {
        Some(EarlierOrders::OneStands) => Err(Rejection::NotFirstOrder { promotion }),
        Some(EarlierOrders::NoneStands) => {
            let (counted, limit) = (Counted::first_order_of(customer), Some(NonZeroU32::MIN));
            Ok(FirstOrder::Wanted(Redemption { counted, promotion, limit }))
        }
        None => Ok(FirstOrder::NotLookedUp),
    }
}

fn earlier_orders(means: &[Means]) -> Option<EarlierOrders> {
    means.iter().find_map(|means| match means {
        Means::Earlier(orders) => Some(*orders),
        Means::Customer(_) | Means::Screening { .. } | Means::GiftCard(_) => None,
    })
}

//! Whether a customer has ordered before, of whom a cart has what only a first order gets.
//!
//! **Invariants:** whoever has an order that did not fail and was not cancelled does not get it, once that
//! order is in the customer's list. A repeat is answered as it was first: what the cart decided then
//! it remembers, whatever is found here by now, such as the very order that it became.
//!
//! An order is in the list as soon as it has its number and the list has been told, which is another
//! shard's mostly: a moment after it was placed, or when that shard has a leader again. One without
//! the discount that was placed in that moment is not seen here, and the next order gets it all the
//! same. Of two with the discount at most one comes about: these ask a counter, and wait for it.

use actors::PriceBook;
use actors::domain::cart::{EarlierOrders, Status};
use actors::domain::contact::Email;
use actors::domain::pricing::Discount;
use actors::domain::promotion::Promotion;
use cluster::entity::Catalogue;

use super::super::order_lists;
use super::as_it_is;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::http::extract::{GuestCart, ReadTerms, Terms};

/// What the cart has to be told of that: nothing where it has no such discount, or nobody says whose
/// it is.
pub(super) async fn earlier_orders(
    app: &App,
    terms: &Terms,
    cart: &GuestCart,
    customer: Option<&Email>,
) -> Result<Option<EarlierOrders>, ApiError> {
    let catalogue = app.fabric.catalogue();
    let book: Option<&PriceBook> = catalogue.as_ref().and_then(Catalogue::content);
    let promotions = book.map(PriceBook::promotions);
    let (Some(promotions), Some(customer)) = (promotions, customer) else { return Ok(None) };
    if !promotions.iter().any(|promotion| promotion.is_for_first_orders()) {
        return Ok(None);
    }
    let view = as_it_is(app, terms, cart).await?;
    // One that this node does not know yet may be for first orders.
    let may_be_for_first = |discount: &Discount| {
        let promotion = promotions.promotion(&discount.promotion);
        promotion.is_none_or(Promotion::is_for_first_orders)
    };
    // A cart that is not open is a repeat, or refuses whatever is found.
    if view.status != Status::Open || !view.discounts.iter().any(may_be_for_first) {
        return Ok(None);
    }
    let read = ReadTerms::until(terms.deadline);
    let stands = order_lists::one_stands(app, &read, customer).await?;
    Ok(Some(if stands { EarlierOrders::OneStands } else { EarlierOrders::NoneStands }))
}

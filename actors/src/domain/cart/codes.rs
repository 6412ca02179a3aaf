//! The discount codes of a cart.
//!
//! **Invariants:** a cart has a code once; one that gives nothing at the moment stays, for it may give
//! something when the lines are others. How often a code is used, only the checkout asks.

use cluster::entity::Context;
use cluster::time::Timestamp;

use super::{Cart, Event, Means, Rejection};
use crate::domain::catalogue::PriceBook;
use crate::domain::code_uses::{Counted, CustomerKey};
use crate::domain::discount_code::CodeName;
use crate::domain::order::Redemption;
use crate::domain::pricing::{Discount, GivenCode};

impl Cart {
    pub(super) fn add_code(
        &self,
        code: CodeName,
        ctx: &Context<'_>,
    ) -> Result<Vec<Event>, Rejection> {
        let cart = self.open()?;
        let (book, _) = PriceBook::of(ctx)?;
        let Some(known) = book.discount_code(&code) else {
            return Err(Rejection::UnknownCode { code });
        };
        let promotion = book.promotions().promotion(&known.promotion);
        if !promotion.is_some_and(|it| it.requires_code() && it.validity.holds_at(ctx.now)) {
            return Err(Rejection::CodeNotInForce { code });
        }
        let given = GivenCode { code, promotion: known.promotion.clone() };
        if cart.codes.contains(&given) {
            return Ok(vec![]);
        }
        let is_there = cart.codes.iter().any(|there| there.code == given.code);
        if !is_there && cart.codes.len() >= Self::CODES_MAX {
            return Err(Rejection::TooManyCodes);
        }
        Ok(vec![Event::CodeAdded { given, at: ctx.now }])
    }

    pub(super) fn remove_code(
        &self,
        code: CodeName,
        at: Timestamp,
    ) -> Result<Vec<Event>, Rejection> {
        if self.open()?.codes.iter().any(|given| given.code == code) {
            Ok(vec![Event::CodeRemoved { code, at }])
        } else {
            Err(Rejection::CodeNotFound { code })
        }
    }
}

pub(super) fn customer_of(means: &[Means]) -> Option<CustomerKey> {
    means.iter().find_map(|means| match means {
        Means::Customer(key) => Some(*key),
        Means::Screening { .. } | Means::GiftCard(_) | Means::Earlier(_) => None,
    })
}

/// The uses that an order needs: of each code that gave it something, by all customers together and,
/// where that is limited, by its own.
pub(super) fn redemptions(
    codes: &[GivenCode],
    discounts: &[Discount],
    means: &[Means],
    book: &PriceBook,
) -> Result<Vec<Redemption>, Rejection> {
    let customer = customer_of(means);
    let mut redemptions = Vec::new();
    for given in codes {
        let gave = discounts.iter().any(|it| it.promotion == given.promotion && it.minor() > 0);
        let twin = redemptions.iter().any(|it: &Redemption| it.promotion == given.promotion);
        let Some(code) = book.discount_code(&given.code).filter(|_| gave && !twin) else {
            continue;
        };
        let mut redeem = |customer: Option<CustomerKey>, limit| {
            let counted = Counted { code: given.code.clone(), customer };
            redemptions.push(Redemption { counted, promotion: given.promotion.clone(), limit });
        };
        redeem(None, code.limit);
        if code.limit_per_customer.is_some() {
            let Some(customer) = customer else {
                return Err(Rejection::CustomerRequired { code: given.code.clone() });
            };
            redeem(Some(customer), code.limit_per_customer);
        }
    }
    Ok(redemptions)
}

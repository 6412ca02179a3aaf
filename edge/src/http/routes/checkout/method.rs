//! What a checkout is paid with, and who takes the payment where the shopper names nobody.
//!
//! **Invariants:** rules go by what gift cards leave to pay, those of the cart and those that are brought;
//! where that is nothing, or the cards do not answer, they go by all that the order comes to. A repeat
//! is never refused for a rule: what the cart was checked out with before stays as it is, whatever its
//! cards have by now.
//!
//! What cards have may change before the order holds it: the order asks the payment for what is left then.

use actors::domain::cart::{Status, View};
use actors::domain::order::{Lookup, Query};
use actors::domain::payment::{PaymentMethod, ProviderName, ProviderToken};
use actors::domain::tax::CountryCode;
use actors::{GiftCardId, Money, Order, OrderId, PaymentId};

use super::super::cart_gift_cards;
use super::as_it_is;
use super::document::GivenMethod;
use crate::http::app::App;
use crate::http::code::Code;
use crate::http::error::ApiError;
use crate::http::extract::{GuestCart, Terms};
use crate::providers::payment::routing::Subject;

/// A checkout for which somebody is to take the payment.
pub(super) struct Paying<'a> {
    pub(super) app: &'a App,
    pub(super) terms: &'a Terms,
    pub(super) cart: &'a GuestCart,
    pub(super) order: OrderId,
    pub(super) payment: PaymentId,
    pub(super) country: CountryCode,
    /// Gift cards besides those of the cart.
    pub(super) brought: &'a [GiftCardId],
}

/// With a provider that the shop has.
pub(in crate::http::routes) fn known_method(
    app: &App,
    provider: ProviderName,
    token: ProviderToken,
) -> Result<PaymentMethod, ApiError> {
    let providers = app.settings.payment_providers.as_ref();
    if !providers.is_some_and(|providers| providers.has(&provider)) {
        let detail = format!("there is no payment provider {provider}");
        return Err(ApiError::new(Code::PROVIDER_UNKNOWN, detail).about("payment"));
    }
    Ok(PaymentMethod { provider, token })
}

impl Paying<'_> {
    /// What the shopper pays with, where there is somebody to take it.
    pub(super) async fn method(&self, given: GivenMethod) -> Result<PaymentMethod, ApiError> {
        let GivenMethod { provider, token } = given;
        let provider = match provider {
            Some(named) => named,
            None => self.routed().await?,
        };
        known_method(self.app, provider, token)
    }

    /// The provider that the rules choose. The payment's own id is the draw, so that a retry is chosen
    /// alike.
    async fn routed(&self) -> Result<ProviderName, ApiError> {
        let required = || {
            let detail = "payment.provider is required: the shop has no rule for it";
            ApiError::new(Code::PROVIDER_UNKNOWN, detail).about("payment")
        };
        let settings = &self.app.settings;
        let providers = settings.payment_providers.as_ref();
        let (routing, providers) =
            settings.payment_routing.as_ref().zip(providers).ok_or_else(required)?;
        let view = as_it_is(self.app, self.terms, self.cart).await?;
        let subject = Subject { amount: self.at_stake(&view).await, country: self.country };
        let [.., a, b, c, d, e, f, g, h] = *self.payment.as_bytes();
        let draw = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        match routing.choose(subject, draw, |name| providers.rests(name)) {
            Some(chosen) => Ok(chosen.clone()),
            None if self.is_repeat(&view).await? => {
                routing.providers().next().cloned().ok_or_else(required)
            }
            None => Err(required()),
        }
    }

    /// What the payment is about to take.
    async fn at_stake(&self, view: &View) -> Money {
        let grand = view.totals.grand;
        let own = view.gift_cards.iter().map(|given| given.card);
        let is_own = |card: &&GiftCardId| view.gift_cards.iter().any(|it| it.card == **card);
        let brought = self.brought.iter().filter(|card| !is_own(card)).copied();
        let cards = own.chain(brought).collect();
        let deadline = self.terms.deadline;
        let on_cards = cart_gift_cards::on_cards(self.app, cards, view, deadline).await;
        let pays = |it: Money| if it.currency == grand.currency { it.minor.max(0) } else { 0 };
        let by_cards = on_cards.into_iter().flatten().map(pays).fold(0, i64::saturating_add);
        match grand.minor.saturating_sub(by_cards) {
            ..=0 => grand,
            minor => Money { minor, ..grand },
        }
    }

    /// Whether the cart refuses this checkout or was checked out so before, so that whoever is chosen
    /// here is never asked for anything.
    async fn is_repeat(&self, view: &View) -> Result<bool, ApiError> {
        match view.status {
            Status::CheckingOut { .. }
            | Status::Ordered { .. }
            | Status::MergedAway { .. }
            | Status::Deleted => Ok(true),
            // After a checkout that came to nothing.
            Status::Open | Status::Merging { .. } => {
                let (key, query) = (self.order.key(), Query::Order);
                let deadline = self.terms.deadline;
                let query = self.app.fabric.query::<Order>(key, &[], deadline, query);
                let Lookup(order) = query.await?.view;
                Ok(order.is_some())
            }
        }
    }
}

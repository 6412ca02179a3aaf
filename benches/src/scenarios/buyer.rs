//! A shopper who fills a cart, untimed, and then checks it out.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context as _;
use hyper::StatusCode;

use crate::load::User;
use crate::load::client::{Answer, Caller};
use crate::peers::omnicart::{self, CartHandle};
use crate::shop::PRODUCTS;

/// What lies in each cart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Basket {
    /// The first of the shop's products, one line more with every cart.
    OneToFive,
    Only(&'static str),
}

pub(super) struct Buyer {
    caller: Caller,
    /// Numbers the carts of all buyers.
    next: Arc<AtomicU64>,
    basket: Basket,
    cart: Option<(CartHandle, u64)>,
    orders: u64,
}

impl Buyer {
    pub(super) fn new(address: SocketAddr, next: &Arc<AtomicU64>, basket: Basket) -> Self {
        let (caller, next) = (Caller::new(address), Arc::clone(next));
        Self { caller, next, basket, cart: None, orders: 0 }
    }

    pub(super) async fn check_out(&mut self) -> anyhow::Result<Answer> {
        let (cart, nth) = self.cart.take().context("there is a cart before each checkout")?;
        let call = omnicart::keyed(cart.check_out()?, &format!("checkout-{nth}"))?;
        let answer = self.caller.send(&call).await?.expect(StatusCode::CREATED)?;
        self.orders += 1;
        Ok(answer)
    }

    /// How many orders were acknowledged.
    pub(super) fn orders(&self) -> u64 {
        self.orders
    }
}

impl User for Buyer {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let nth = self.next.fetch_add(1, Ordering::Relaxed);
        let created = self.caller.send(&omnicart::create_cart()).await?;
        let cart = CartHandle::from_answer(created)?;
        let filling = match self.basket {
            Basket::OneToFive => {
                let lines = usize::try_from(nth)? % PRODUCTS.len() + 1;
                cart.add_all(PRODUCTS.iter().take(lines).map(|(sku, ..)| *sku))?
            }
            Basket::Only(sku) => cart.add(sku, 1)?,
        };
        self.caller.send(&filling).await?.expect(StatusCode::OK)?;
        self.cart = Some((cart, nth));
        Ok(())
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        self.check_out().await.map(drop)
    }
}

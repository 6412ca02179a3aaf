//! A shopper: one cart after another, each change under a key of its own.
//!
//! **Invariants:** `pieces` of a cart is what acknowledged requests put there and nothing else.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use hyper::StatusCode;
use serde::Deserialize;

use super::line::{Asked, Line, code_of};
use super::{Client, Findings, Scope, Step};
use crate::load::client::{Answer, Call};
use crate::peers::omnicart::{self, CartHandle};
use crate::scenarios::random::Random;
use crate::shop::PRODUCTS;

/// A resource remembers 256 keys.
const CHANGES_PER_CART: u64 = 100;
/// One change in so many asks for as many pieces as a line can hold, which most lines refuse.
const REFUSED_ONE_IN: u64 = 12;
const LINE_FULL: u32 = 9_999;
/// Carts looked at after every restart; at the end all are.
const RECENT_CARTS: usize = 3;

pub(super) struct Shopper {
    name: String,
    line: Line,
    random: Random,
    n_keys: u64,
    carts: Vec<Cart>,
    open: Option<Open>,
}

struct Cart {
    handle: CartHandle,
    pieces: BTreeMap<String, u64>,
    changes: u64,
}

/// A request that is not answered yet.
struct Open {
    call: Call,
    change: Change,
}

enum Change {
    NewCart,
    Add { sku: &'static str, quantity: u32 },
}

#[derive(Deserialize)]
struct CartView {
    items: Vec<LineView>,
}

#[derive(Deserialize)]
struct LineView {
    sku: String,
    quantity: u64,
}

impl Shopper {
    pub(super) fn new(nth: u16, address: SocketAddr, mut random: Random) -> Self {
        // Unlike keys of other runs, and long enough to be the secret that a creation asks for.
        let name = format!("shopper-{nth}-{:016x}{:016x}", random.number(), random.number());
        let line = Line::new(address);
        Self { name, line, random, n_keys: 0, carts: Vec::new(), open: None }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.line.acknowledged
    }

    fn draw(&mut self) -> anyhow::Result<Open> {
        self.n_keys += 1;
        let key = format!("{}-{}", self.name, self.n_keys);
        let Some(cart) = self.carts.last_mut().filter(|cart| cart.changes < CHANGES_PER_CART)
        else {
            let call = omnicart::keyed(omnicart::create_cart(), &key)?;
            return Ok(Open { call, change: Change::NewCart });
        };
        cart.changes += 1;
        let nth = usize::try_from(self.random.within(0..PRODUCTS.len() as u64))?;
        let Some((sku, ..)) = PRODUCTS.get(nth) else {
            unreachable!("the number was drawn within the products")
        };
        let is_large = self.random.one_in(REFUSED_ONE_IN);
        let few = u32::try_from(self.random.within(1..4))?;
        let quantity = if is_large { LINE_FULL } else { few };
        let call = omnicart::keyed(cart.handle.add(sku, quantity)?, &key)?;
        Ok(Open { call, change: Change::Add { sku, quantity } })
    }

    fn take(&mut self, change: &Change, answer: Answer) -> anyhow::Result<()> {
        match change {
            Change::NewCart => {
                let handle = CartHandle::from_answer(answer)?;
                self.carts.push(Cart { handle, pieces: BTreeMap::new(), changes: 0 });
            }
            Change::Add { sku, quantity } => {
                let is_refusal = answer.status == StatusCode::UNPROCESSABLE_ENTITY
                    && code_of(&answer).as_deref() == Some("quantity_too_large");
                if is_refusal {
                    return Ok(());
                }
                answer.expect(StatusCode::OK)?;
                let Some(cart) = self.carts.last_mut() else {
                    unreachable!("only a cart is added to")
                };
                *cart.pieces.entry((*sku).to_owned()).or_default() += u64::from(*quantity);
            }
        }
        Ok(())
    }
}

impl Client for Shopper {
    async fn step(&mut self) -> anyhow::Result<Step> {
        let open = match self.open.take() {
            Some(open) => open,
            None => self.draw()?,
        };
        match self.line.ask(&open.call, &mut self.random).await {
            Asked::Answered(answer) => self.take(&open.change, answer).map(|()| Step::Answered),
            Asked::Unknown => {
                self.open = Some(open);
                Ok(Step::Unknown)
            }
        }
    }

    fn has_open_request(&self) -> bool {
        self.open.is_some()
    }

    fn reconnect(&mut self, address: SocketAddr) {
        self.line.reconnect(address);
    }

    async fn repeat(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        self.line.repeat(findings).await
    }

    async fn compare(&mut self, scope: Scope, findings: &mut Findings) -> anyhow::Result<()> {
        let skipped = match scope {
            Scope::All => 0,
            Scope::Recent => self.carts.len().saturating_sub(RECENT_CARTS),
        };
        for cart in self.carts.iter().skip(skipped) {
            let answer = self.line.caller().send(&cart.handle.read()?).await?;
            let found = match answer.status {
                StatusCode::NOT_FOUND => None,
                _ => Some(answer.expect(StatusCode::OK)?.json::<CartView>()?),
            };
            cart.compare(found, findings);
        }
        Ok(())
    }
}

impl Cart {
    fn compare(&self, found: Option<CartView>, findings: &mut Findings) {
        let Some(found) = found else {
            findings.lost += 1 + self.pieces.values().sum::<u64>();
            findings.violated(|| format!("{} is gone", self.handle.id));
            return;
        };
        let mut there: BTreeMap<_, _> =
            found.items.into_iter().map(|line| (line.sku, line.quantity)).collect();
        for (sku, promised) in &self.pieces {
            let held = there.remove(sku).unwrap_or(0);
            self.differ(sku, *promised, held, findings);
        }
        for (sku, held) in &there {
            self.differ(sku, 0, *held, findings);
        }
    }

    fn differ(&self, sku: &str, promised: u64, held: u64, findings: &mut Findings) {
        findings.lost += promised.saturating_sub(held);
        findings.doubled += held.saturating_sub(promised);
        if promised != held {
            let id = &self.handle.id;
            findings.violated(|| format!("{id} holds {held} of {sku} instead of {promised}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(items: &[(&str, u64)]) -> CartView {
        let line = |(sku, quantity): &(&str, u64)| LineView {
            sku: (*sku).to_owned(),
            quantity: *quantity,
        };
        CartView { items: items.iter().map(line).collect() }
    }

    #[track_caller]
    fn check(found: Option<CartView>, lost: u64, doubled: u64) {
        let pieces = [("tea", 5), ("cup", 2)].map(|(sku, pieces)| (sku.to_owned(), pieces));
        let handle = CartHandle { id: "cart_1".to_owned(), token: String::new() };
        let cart = Cart { handle, pieces: BTreeMap::from(pieces), changes: 0 };
        let mut findings = Findings::default();
        cart.compare(found, &mut findings);
        assert_eq!((findings.lost, findings.doubled), (lost, doubled));
        assert_eq!(findings.is_clean(), lost + doubled == 0);
        assert_eq!(findings.first_violation.is_none(), findings.is_clean());
    }

    #[test]
    fn a_cart_is_compared_piece_by_piece() {
        check(Some(view(&[("tea", 5), ("cup", 2)])), 0, 0);
        check(Some(view(&[("tea", 4), ("cup", 2)])), 1, 0);
        check(Some(view(&[("tea", 5)])), 2, 0);
        check(Some(view(&[("tea", 5), ("cup", 4)])), 0, 2);
        check(Some(view(&[("tea", 5), ("cup", 2), ("pot", 1)])), 0, 1);
        check(None, 8, 0);
    }

    #[test]
    fn requests_are_drawn_from_the_seed_under_new_keys() {
        let draw = |seed| {
            let address = "127.0.0.1:1".parse().unwrap();
            let mut shopper = Shopper::new(1, address, Random::seeded(seed));
            let first = shopper.draw().unwrap().call;
            let handle = CartHandle { id: "cart_1".to_owned(), token: "t".to_owned() };
            shopper.carts.push(Cart { handle, pieces: BTreeMap::new(), changes: 0 });
            let calls = (0..40).map(|_| shopper.draw().unwrap().call);
            [first].into_iter().chain(calls).map(|call| format!("{call:?}")).collect::<Vec<_>>()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let distinct: std::collections::BTreeSet<_> = draw(1).into_iter().collect();
        assert_eq!(distinct.len(), 41);
    }
}

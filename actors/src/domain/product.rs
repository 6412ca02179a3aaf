//! A product: what is sold under one SKU, and for how much.
//!
//! Lives in the `catalogue` group, so that every node has all of them at hand.
//!
//! **Invariants:** a product lists its own SKU or nothing, and is on one page at most: it goes to
//! another only after it left the one it is on. Listing what is listed already and
//! withdrawing what is not are no events, so whoever publishes may say everything again.

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Home, Port, TimerName};
use cluster::ids::{EntityKind, ShardId};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::catalogue::Listing;
use super::ids::SkuCode;
use super::names::Slug;
use crate::codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    pub(crate) listing: Option<Listing>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    List {
        listing: Listing,
    },
    Withdraw,
    /// Unless it is on another page, or on none.
    WithdrawFrom {
        page: Slug,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Listed { listing: Listing, at: Timestamp },
    Withdrawn { at: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Rejection {
    #[error("sku {sku} is not the product's own")]
    OtherSku { sku: SkuCode },
    #[error("sku {sku} is on the page {page}")]
    OnAnotherPage { sku: SkuCode, page: Slug },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Listing,
}

/// How a product is listed, if it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<Listing>);

impl Entity for Product {
    const KIND: EntityKind = EntityKind(3);
    const NAME: &'static str = "product";
    const HOME: Home = Home::Everywhere(ShardId::CATALOGUE);
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let after = match command {
            Command::List { listing } if listing.sku().key() != ctx.me.key => {
                return Err(Rejection::OtherSku { sku: listing.sku().clone() });
            }
            Command::List { listing } => {
                if let (Some(own), Some(new)) = (self.page(), listing.page())
                    && own != new
                {
                    let (sku, page) = (listing.sku().clone(), own.clone());
                    return Err(Rejection::OnAnotherPage { sku, page });
                }
                Some(listing)
            }
            Command::Withdraw => None,
            Command::WithdrawFrom { page } if self.page() == Some(&page) => None,
            Command::WithdrawFrom { page: _ } => self.listing.clone(),
        };
        let changed = after != self.listing;
        let event = match after.clone() {
            Some(listing) => Event::Listed { listing, at: ctx.now },
            None => Event::Withdrawn { at: ctx.now },
        };
        let events = changed.then_some(event).into_iter().collect();
        Ok(Decision { events, effects: Vec::new(), reply: Lookup(after) })
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        match rejection {
            Rejection::OtherSku { .. } | Rejection::OnAnotherPage { .. } => false,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Listed { listing, at: _ } => self.listing = Some(listing.clone()),
            Event::Withdrawn { at: _ } => self.listing = None,
        }
    }

    fn view(&self, Query::Listing: Query, _: &Context<'_>) -> Lookup {
        Lookup(self.listing.clone())
    }

    fn exists(&self) -> bool {
        self.listing.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::catalogue::product_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::catalogue::product_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.listing.as_ref().map_or(0, Listing::heap_bytes)
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl Product {
    fn page(&self) -> Option<&Slug> {
        self.listing.as_ref().and_then(Listing::page)
    }
}

#[cfg(test)]
mod tests {
    use cluster::entity::NoCatalogue;
    use cluster::ids::EntityRef;

    use super::*;
    use crate::domain::catalogue::ProductName;
    use crate::domain::money::{Currency, Money};

    const NOON: Timestamp = Timestamp::from_micros(1);

    fn listing(sku: &str, minor: i64) -> Listing {
        let name = ProductName::try_from("Tea".to_owned()).unwrap();
        let price = Money { minor, currency: Currency::EURO };
        Listing::new(sku.parse().unwrap(), name, vec![price]).unwrap()
    }

    fn list(sku: &str, minor: i64) -> Command {
        Command::List { listing: listing(sku, minor) }
    }

    fn listed(minor: i64) -> Event {
        Event::Listed { listing: listing("tea", minor), at: NOON }
    }

    #[track_caller]
    fn check(given: &[Event], when: Command, then: Result<&[Event], Rejection>) {
        let mut product = Product::default();
        for event in given {
            product.apply(event);
        }
        let key = "tea".parse::<SkuCode>().unwrap().key();
        let me = EntityRef { kind: Product::KIND, key };
        let catalogue = Err(NoCatalogue::Absent);
        let ctx = Context { now: NOON, me: &me, entropy: [0; 32], catalogue };
        let decided = product.decide(when, &ctx).map(|decision| decision.events);
        assert_eq!(decided, then.map(<[_]>::to_vec));
    }

    #[test]
    fn a_product_is_listed_priced_anew_and_withdrawn() {
        check(&[], list("tea", 450), Ok(&[listed(450)]));
        check(&[listed(450)], list("tea", 500), Ok(&[listed(500)]));
        let withdrawn = Event::Withdrawn { at: NOON };
        check(&[listed(450)], Command::Withdraw, Ok(std::slice::from_ref(&withdrawn)));
        check(&[listed(450), withdrawn], list("tea", 450), Ok(&[listed(450)]));
    }

    #[test]
    fn saying_what_is_so_already_is_no_event() {
        check(&[listed(450)], list("tea", 450), Ok(&[]));
        check(&[], Command::Withdraw, Ok(&[]));
    }

    #[test]
    fn a_product_leaves_its_page_before_it_goes_to_another() {
        let on = |page: Option<&str>| {
            listing("tea", 450).on_page(page.map(|page| page.parse().unwrap()))
        };
        let list = |page| Command::List { listing: on(page) };
        let listed = |page| Event::Listed { listing: on(page), at: NOON };
        let page = || "teas".parse().unwrap();
        let taken = Rejection::OnAnotherPage { sku: "tea".parse().unwrap(), page: page() };
        check(&[listed(Some("teas"))], list(Some("pots")), Err(taken));
        check(&[listed(Some("teas"))], list(None), Ok(&[listed(None)]));
        check(&[listed(None)], list(Some("pots")), Ok(&[listed(Some("pots"))]));
        let leave = || Command::WithdrawFrom { page: page() };
        check(&[listed(Some("teas"))], leave(), Ok(&[Event::Withdrawn { at: NOON }]));
        check(&[listed(Some("pots"))], leave(), Ok(&[]));
        check(&[listed(None)], leave(), Ok(&[]));
        check(&[], leave(), Ok(&[]));
    }

    #[test]
    fn a_product_lists_no_other_sku() {
        let sku = "cup".parse().unwrap();
        check(&[], list("cup", 450), Err(Rejection::OtherSku { sku }));
    }
}

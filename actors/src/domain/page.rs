//! A product's page: what shoppers read about some SKUs that are variants of one thing.
//!
//! Lives in the `catalogue` group, beside the SKUs' own entities, which it tells how they are listed.
//!
//! **Invariants:** a page has the slug of its own key; it names each of its variants, categories and
//! attributes once; a page that goes, or lets a variant go, has that SKU withdrawn.
//!
//! A SKU is on one page, and which one it is, its own entity decides: a page looks at the book before
//! it takes a SKU, but of two pages at once the one that is told first has it. The other still names
//! the SKU; readers do not show it there, since the SKU names another page.

mod content;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Home, Port, TimerName, Wire,
};
use cluster::ids::{EntityKind, EntityRef, ShardId};
use cluster::time::Timestamp;
pub use content::{
    Attribute, Content, InvalidMediaUrl, Media, MediaUrl, Page, PageError, Status, Visibility,
};
use serde::{Deserialize, Serialize};

use super::catalogue::{Listing, PriceBook};
use super::ids::SkuCode;
use super::names::Slug;
use super::product::{self, Product};
use crate::codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductPage {
    pub(crate) page: Option<Page>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// `variants` says how some of the page's SKUs are listed; the others stay as they are.
    Put {
        page: Box<Page>,
        variants: Vec<Listing>,
    },
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// Also when only a variant changed, so that the page's sequence shows it.
    Written {
        page: Box<Page>,
        at: Timestamp,
    },
    Removed {
        at: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Rejection {
    #[error("the page is that of another slug")]
    OtherSlug,
    #[error("sku {sku} is listed with the page and not one of its variants")]
    ForeignVariant { sku: SkuCode },
    #[error("nothing says how sku {sku} is listed")]
    UnlistedVariant { sku: SkuCode },
    #[error("sku {sku} is on the page {page}")]
    OnAnotherPage { sku: SkuCode, page: Slug },
    #[error("the catalogue is not at hand")]
    CatalogueUnavailable,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Page,
}

/// What a page says, if there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup(pub Option<Page>);

impl Entity for ProductPage {
    const KIND: EntityKind = EntityKind(10);
    const NAME: &'static str = "product page";
    const HOME: Home = Home::Everywhere(ShardId::CATALOGUE);
    type Command = Command;
    type Event = Event;
    type Reply = Lookup;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        match command {
            Command::Put { page, .. } if page.slug.key() != ctx.me.key => Err(Rejection::OtherSlug),
            Command::Put { page, variants } => self.put(page, variants, ctx),
            Command::Remove => Ok(self.remove(ctx)),
        }
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        match rejection {
            Rejection::CatalogueUnavailable => true,
            Rejection::OtherSlug
            | Rejection::ForeignVariant { .. }
            | Rejection::UnlistedVariant { .. }
            | Rejection::OnAnotherPage { .. } => false,
        }
    }

    fn apply(&mut self, event: &Event) {
        match event {
            Event::Written { page, at: _ } => self.page = Some((**page).clone()),
            Event::Removed { at: _ } => self.page = None,
        }
    }

    fn view(&self, Query::Page: Query, _: &Context<'_>) -> Lookup {
        Lookup(self.page.clone())
    }

    fn exists(&self) -> bool {
        self.page.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::page::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::page::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.page.as_ref().map_or(0, Page::heap_bytes)
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl ProductPage {
    fn put(
        &self,
        page: Box<Page>,
        variants: Vec<Listing>,
        ctx: &Context<'_>,
    ) -> Result<Decision<Self>, Rejection> {
        let catalogue = ctx.catalogue.map_err(|_| Rejection::CatalogueUnavailable)?;
        let book: &PriceBook = catalogue.content().ok_or(Rejection::CatalogueUnavailable)?;
        for listing in &variants {
            let sku = listing.sku();
            if listing.page() != Some(&page.slug) || !page.variants.contains(sku) {
                return Err(Rejection::ForeignVariant { sku: sku.clone() });
            }
        }
        for sku in &page.variants {
            let is_given = variants.iter().any(|listing| listing.sku() == sku);
            if !is_given && !self.variants().contains(sku) {
                return Err(Rejection::UnlistedVariant { sku: sku.clone() });
            }
            if let Some(other) = book.any_listing(sku).and_then(Listing::page)
                && *other != page.slug
            {
                return Err(Rejection::OnAnotherPage { sku: sku.clone(), page: other.clone() });
            }
        }
        // What is told is never compared with the book: it may be about to change.
        if self.page.as_ref() == Some(&*page) && variants.is_empty() {
            return Ok(Decision { events: vec![], effects: vec![], reply: Lookup(Some(*page)) });
        }
        let gone = self.variants().iter().filter(|sku| !page.variants.contains(sku));
        let mut effects: Vec<_> = gone.map(|sku| withdraw(sku, &page.slug)).collect();
        effects.extend(variants.into_iter().map(list));
        let events = vec![Event::Written { page: page.clone(), at: ctx.now }];
        Ok(Decision { events, effects, reply: Lookup(Some(*page)) })
    }

    fn remove(&self, ctx: &Context<'_>) -> Decision<Self> {
        let gone = self.page.as_ref();
        let effects = gone.map_or_else(Vec::new, |page| {
            page.variants.iter().map(|sku| withdraw(sku, &page.slug)).collect()
        });
        let events = gone.map(|_| Event::Removed { at: ctx.now }).into_iter().collect();
        Decision { events, effects, reply: Lookup(None) }
    }

    fn variants(&self) -> &[SkuCode] {
        self.page.as_ref().map_or(&[], |page| &page.variants)
    }
}

fn list(listing: Listing) -> Effect {
    let to = EntityRef { kind: Product::KIND, key: listing.sku().key() };
    Effect::Tell { to, command: product::Command::List { listing }.to_bytes() }
}

/// Unless it went to another page meanwhile.
fn withdraw(sku: &SkuCode, page: &Slug) -> Effect {
    let to = EntityRef { kind: Product::KIND, key: sku.key() };
    let command = product::Command::WithdrawFrom { page: page.clone() };
    Effect::Tell { to, command: command.to_bytes() }
}

#[cfg(test)]
mod tests;

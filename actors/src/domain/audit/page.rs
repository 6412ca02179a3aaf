//! Links that left their chain's own memory.
//!
//! **Invariant:** a page is empty or full, and what is on it never changes.

use std::marker::PhantomData;

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Home, Port, TimerName};
use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::{Keeping, Link, Reply};
use crate::codec;
use crate::domain::heap::allocation;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage<K> {
    pub(crate) links: Vec<Link>,
    kept: PhantomData<K>,
}

/// Told by the chain, once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageCommand {
    Keep { links: Vec<Link> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageEvent {
    Kept { links: Vec<Link> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PageRejection {
    #[error("the page is full already, or these do not fill it")]
    Unfit,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageQuery {
    Links,
}

/// In order of place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView(pub Vec<Link>);

impl<K: Keeping> Entity for AuditPage<K> {
    const KIND: EntityKind = K::PAGE;
    const NAME: &'static str = K::PAGE_NAME;
    const HOME: Home = K::HOME;
    type Command = PageCommand;
    type Event = PageEvent;
    type Reply = Reply;
    type Rejection = PageRejection;
    type Query = PageQuery;
    type View = PageView;

    fn decide(
        &self,
        PageCommand::Keep { links }: PageCommand,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, PageRejection> {
        if !self.links.is_empty() || links.len() != Self::LINKS {
            return Err(PageRejection::Unfit);
        }
        let events = vec![PageEvent::Kept { links }];
        Ok(Decision { events, effects: Vec::new(), reply: Reply })
    }

    fn is_momentary(PageRejection::Unfit: &PageRejection) -> bool {
        false
    }

    fn apply(&mut self, PageEvent::Kept { links }: &PageEvent) {
        self.links.clone_from(links);
    }

    fn view(&self, PageQuery::Links: PageQuery, _: &Context<'_>) -> PageView {
        PageView(self.links.clone())
    }

    fn exists(&self) -> bool {
        !self.links.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::audit::page_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::audit::page_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
            + self.links.iter().map(Link::heap_bytes).sum::<usize>()
    }

    fn on_timer(_: TimerName) -> Option<PageCommand> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<PageCommand> {
        None
    }
}

impl<K> AuditPage<K> {
    /// Small enough that a chain of twice as many is copied at every act.
    pub const LINKS: usize = 32;
    pub const LINKS_MAX: u64 = Self::LINKS as u64;

    pub(crate) fn of(links: Vec<Link>) -> Self {
        Self { links, kept: PhantomData }
    }
}

impl Link {
    pub(super) fn heap_bytes(&self) -> usize {
        let name = match &self.act.entity.key {
            EntityKey::Number(_) => 0,
            EntityKey::Name(name) => name.len(),
        };
        let by = &self.act.by;
        let texts = [by.actor.as_str(), by.operation.as_str(), by.path.as_str()];
        allocation(name) + texts.iter().map(|text| allocation(text.len())).sum::<usize>()
    }
}

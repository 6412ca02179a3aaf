//! A chain of acts: what it comes to, and its newest links.
//!
//! **Invariants:** an act gets the next place, whatever it is, and keeps it; links leave for their page
//! when it is full, and the chain forgets them only when the next one is full too, so that whoever reads
//! finds every link here or there, also while a page is on its way.

use std::marker::PhantomData;

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Home, Port, TimerName, Wire,
};
use cluster::ids::EntityKind;
use serde::{Deserialize, Serialize};

use super::{Act, AuditPage, ChainId, Digest, Keeping, Link, PageCommand};
use crate::codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditChain<K> {
    pub(crate) n_links: u64,
    /// In order of place; the last ones. What the chain comes to is the hash of the very last.
    pub(crate) tail: Vec<Link>,
    kept: PhantomData<K>,
}

/// Told in the outcome of what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    Add { act: Act },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Added { place: u64, link: Link },
}

/// Nobody waits for one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Rejection {
    #[error("there is no such chain")]
    NoChain,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    /// What it comes to, alone.
    Head,
    /// With its newest links.
    Tail,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    pub n_links: u64,
    pub head: Digest,
    /// The newest ones, oldest first.
    pub tail: Vec<Link>,
}

impl<K: Keeping> Entity for AuditChain<K> {
    const KIND: EntityKind = K::CHAIN;
    const NAME: &'static str = K::CHAIN_NAME;
    const HOME: Home = K::HOME;
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;
    type Query = Query;
    type View = View;

    fn decide(&self, command: Command, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let Command::Add { act } = command;
        let chain = ChainId::of_chain(ctx.me).ok_or(Rejection::NoChain)?;
        let hash = self.head(chain).and(&act);
        let (place, link) = (self.n_links, Link { act, hash });
        let mut effects = Vec::new();
        if (place + 1).is_multiple_of(AuditPage::<K>::LINKS_MAX) {
            let page = u32::try_from(place / AuditPage::<K>::LINKS_MAX).unwrap_or(u32::MAX);
            let first = self.tail.len().saturating_sub(AuditPage::<K>::LINKS - 1);
            let links = self.tail.iter().skip(first).chain([&link]).cloned().collect();
            let command = PageCommand::Keep { links }.to_bytes();
            effects.push(Effect::Tell { to: chain.page_address(page), command });
        }
        Ok(Decision { events: vec![Event::Added { place, link }], effects, reply: Reply })
    }

    fn is_momentary(_: &Rejection) -> bool {
        false
    }

    fn apply(&mut self, Event::Added { place, link }: &Event) {
        self.n_links = place.saturating_add(1);
        self.tail.push(link.clone());
        if self.tail.len() >= 2 * AuditPage::<K>::LINKS {
            self.tail.drain(..AuditPage::<K>::LINKS);
        }
    }

    fn view(&self, query: Query, ctx: &Context<'_>) -> View {
        let head = ChainId::of_chain(ctx.me).map_or(Digest([0; 32]), |chain| self.head(chain));
        let tail = match query {
            Query::Head => Vec::new(),
            Query::Tail => self.tail.clone(),
        };
        View { n_links: self.n_links, head, tail }
    }

    fn exists(&self) -> bool {
        self.n_links > 0
    }

    fn to_record(&self) -> Vec<u8> {
        codec::audit::chain_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::audit::chain_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.tail.capacity() * size_of::<Link>()
            + self.tail.iter().map(Link::heap_bytes).sum::<usize>()
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl<K: Keeping> AuditChain<K> {
    pub(crate) fn of(n_links: u64, tail: Vec<Link>) -> Self {
        Self { n_links, tail, kept: PhantomData }
    }

    fn head(&self, chain: ChainId) -> Digest {
        self.tail.last().map_or_else(|| chain.origin(), |link| link.hash)
    }
}

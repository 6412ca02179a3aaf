//! A page of a list of orders.
//!
//! **Invariants:** it fills from its first line on, without a gap; a line belongs to one order, for ever,
//! and shows what that order told last.

use cluster::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Port, TimerName, Wire,
};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use serde::{Deserialize, Serialize};

use super::{ListId, Listed, Place};
use crate::codec;
use crate::domain::order::{self, Order};

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderPage {
    pub(crate) entries: Vec<Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageCommand {
    /// Told by the list. The order is told its place only when its line is there, so that nothing that
    /// it says of itself comes too early.
    Open { place: Place, entry: Listed },
    /// Told by the order.
    Put { place: Place, entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageEvent {
    Put { place: Place, entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PageRejection {
    #[error("the place is another order's, or comes too early")]
    OtherPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageQuery {
    Entries,
}

/// In order of place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView(pub Vec<Listed>);

impl Entity for OrderPage {
    const KIND: EntityKind = EntityKind(31);
    const NAME: &'static str = "order_page";
    type Command = PageCommand;
    type Event = PageEvent;
    /// Nobody waits for one.
    type Reply = PageView;
    type Rejection = PageRejection;
    type Query = PageQuery;
    type View = PageView;

    fn decide(
        &self,
        command: PageCommand,
        ctx: &Context<'_>,
    ) -> Result<Decision<Self>, PageRejection> {
        let (place, entry, effects) = match command {
            PageCommand::Open { place, entry } => {
                let is_next = line_of(place) == self.entries.len();
                let list = ListId::of_key(&ctx.me.key).filter(|_| is_next);
                let list = list.ok_or(PageRejection::OtherPlace)?;
                let command = order::Command::TakePlace { list, place }.to_bytes();
                let to = Order::address(entry.order);
                (place, entry, vec![Effect::Tell { to, command }])
            }
            PageCommand::Put { place, entry } => {
                let known = self.entries.get(line_of(place));
                if known.is_none_or(|known| known.order != entry.order) {
                    return Err(PageRejection::OtherPlace);
                }
                (place, entry, Vec::new())
            }
        };
        let is_news = self.entries.get(line_of(place)) != Some(&entry);
        let events = is_news.then_some(PageEvent::Put { place, entry }).into_iter().collect();
        Ok(Decision { events, effects, reply: PageView(Vec::new()) })
    }

    fn is_momentary(PageRejection::OtherPlace: &PageRejection) -> bool {
        false
    }

    fn apply(&mut self, PageEvent::Put { place, entry }: &PageEvent) {
        match self.entries.get_mut(line_of(*place)) {
            Some(known) => *known = entry.clone(),
            None => self.entries.push(entry.clone()),
        }
    }

    fn view(&self, PageQuery::Entries: PageQuery, _: &Context<'_>) -> PageView {
        PageView(self.entries.clone())
    }

    fn exists(&self) -> bool {
        !self.entries.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::order_list::page_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::order_list::page_from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Listed>()
    }

    fn on_timer(_: TimerName) -> Option<PageCommand> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<PageCommand> {
        None
    }
}

impl OrderPage {
    pub const ENTRIES_MAX: u32 = 64;

    pub fn key(list: ListId, page: u32) -> EntityKey {
        list.key(page)
    }

    pub fn address(list: ListId, page: u32) -> EntityRef {
        EntityRef { kind: Self::KIND, key: Self::key(list, page) }
    }
}

fn line_of(place: Place) -> usize {
    usize::try_from(place.line()).unwrap_or(usize::MAX)
}

//! A page of a list of gift cards.
//!
//! **Invariants:** it fills from its first line on, without a gap; a line never changes.

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Port, TimerName};
use cluster::ids::{EntityKey, EntityKind, EntityRef};
use serde::{Deserialize, Serialize};

use super::{ListId, Listed, Place};
use crate::codec;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GiftCardPage {
    pub(crate) entries: Vec<Listed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageCommand {
    /// Told by the list.
    Add { place: Place, entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageEvent {
    Added { entry: Listed },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PageRejection {
    #[error("the place is another gift card's, or comes too early")]
    OtherPlace,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PageQuery {
    Entries,
}

/// In order of place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageView(pub Vec<Listed>);

impl Entity for GiftCardPage {
    const KIND: EntityKind = EntityKind(73);
    const NAME: &'static str = "gift card page";
    type Command = PageCommand;
    type Event = PageEvent;
    /// Nobody waits for one.
    type Reply = PageView;
    type Rejection = PageRejection;
    type Query = PageQuery;
    type View = PageView;

    fn decide(
        &self,
        PageCommand::Add { place, entry }: PageCommand,
        _: &Context<'_>,
    ) -> Result<Decision<Self>, PageRejection> {
        if usize::try_from(place.line()).ok() != Some(self.entries.len()) {
            return Err(PageRejection::OtherPlace);
        }
        let events = vec![PageEvent::Added { entry }];
        Ok(Decision { events, effects: Vec::new(), reply: PageView(Vec::new()) })
    }

    fn is_momentary(PageRejection::OtherPlace: &PageRejection) -> bool {
        false
    }

    fn apply(&mut self, PageEvent::Added { entry }: &PageEvent) {
        self.entries.push(*entry);
    }

    fn view(&self, PageQuery::Entries: PageQuery, _: &Context<'_>) -> PageView {
        PageView(self.entries.clone())
    }

    fn exists(&self) -> bool {
        !self.entries.is_empty()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::gift_card_list::page_to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::gift_card_list::page_from_record(bytes)
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

impl GiftCardPage {
    pub const ENTRIES_MAX: u32 = 64;

    pub fn key(list: ListId, page: u32) -> EntityKey {
        list.key(page)
    }

    pub(super) fn address(list: ListId, page: u32) -> EntityRef {
        EntityRef { kind: Self::KIND, key: Self::key(list, page) }
    }
}

//! An entry of the catalogue: one thing that the merchant writes down, replaces and removes.
//!
//! Categories, tax rates, price lists, promotions, discount codes, shipping options and sellers are
//! entries; each lives in the
//! `catalogue` group under its own key, so that every node has all of them at hand.
//!
//! **Invariants:** an entry holds the content of its own key or none; writing what is written
//! already and removing what is not there are no events.
//!
//! Rules that concern other entries look at the group's book, which may lag: [`Content`] says what
//! two changes at once can come to, and the book's reader copes with it.

use std::fmt::Debug;

use cluster::entity::{Answer, Context, Decision, DecodeError, Entity, Home, Port, TimerName};
use cluster::ids::{EntityKey, EntityKind, ShardId};
use cluster::time::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::catalogue::PriceBook;
use super::names::{CategoryId, PromotionId};
use super::promotion::Promotion;
use crate::codec;

/// What entries of one kind hold.
pub trait Content:
    Clone + Debug + PartialEq + Eq + Serialize + DeserializeOwned + Send + 'static
{
    const KIND: EntityKind;
    const NAME: &'static str;

    fn key(&self) -> EntityKey;

    /// Bytes on the heap.
    fn heap_bytes(&self) -> usize;

    /// Whether other entries allow it.
    fn check(&self, _: &Context<'_>) -> Result<(), Rejection> {
        Ok(())
    }

    /// Whether other entries do without it.
    fn check_removal(&self, _: &Context<'_>) -> Result<(), Rejection> {
        Ok(())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<T> {
    pub(crate) content: Option<T>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command<T> {
    Put { content: T },
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event<T> {
    Written { content: T, at: Timestamp },
    Removed { at: Timestamp },
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Rejection {
    #[error("the content is that of another entry")]
    OtherKey,
    #[error("the catalogue is not at hand")]
    CatalogueUnavailable,
    #[error("there is no category {parent}")]
    UnknownParent { parent: CategoryId },
    #[error("a category cannot lie below itself")]
    BelowItself,
    #[error("the category has others below it, such as {child}")]
    HasChildren { child: CategoryId },
    #[error("a shop has at most {} promotions that need no code", Promotion::AUTOMATIC_MAX)]
    TooManyAutomatic,
    #[error("there is no promotion {promotion} that requires a code")]
    NoPromotionWithCode { promotion: PromotionId },
}

impl Rejection {
    /// Whether another entry would have to be there: the book may have it a moment later.
    pub fn is_of_what_is_missing(&self) -> bool {
        match self {
            Self::UnknownParent { .. } | Self::NoPromotionWithCode { .. } => true,
            Self::OtherKey
            | Self::CatalogueUnavailable
            | Self::BelowItself
            | Self::HasChildren { .. }
            | Self::TooManyAutomatic => false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Content,
}

/// What an entry holds, if it holds anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup<T>(pub Option<T>);

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { content: None }
    }
}

impl<T: Content> Entity for Entry<T> {
    const KIND: EntityKind = T::KIND;
    const NAME: &'static str = T::NAME;
    const HOME: Home = Home::Everywhere(ShardId::CATALOGUE);
    type Command = Command<T>;
    type Event = Event<T>;
    type Reply = Lookup<T>;
    type Rejection = Rejection;
    type Query = Query;
    type View = Lookup<T>;

    fn decide(&self, command: Command<T>, ctx: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let after = match command {
            Command::Put { content } if content.key() != ctx.me.key => {
                return Err(Rejection::OtherKey);
            }
            Command::Put { content } => Some(content),
            Command::Remove => None,
        };
        let mut events = Vec::new();
        if after != self.content {
            events.push(match (&self.content, &after) {
                (_, Some(content)) => {
                    content.check(ctx)?;
                    Event::Written { content: content.clone(), at: ctx.now }
                }
                (before, None) => {
                    before.as_ref().map_or(Ok(()), |content| content.check_removal(ctx))?;
                    Event::Removed { at: ctx.now }
                }
            });
        }
        Ok(Decision { events, effects: Vec::new(), reply: Lookup(after) })
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        *rejection == Rejection::CatalogueUnavailable || rejection.is_of_what_is_missing()
    }

    fn apply(&mut self, event: &Event<T>) {
        self.content = match event {
            Event::Written { content, at: _ } => Some(content.clone()),
            Event::Removed { at: _ } => None,
        };
    }

    fn view(&self, Query::Content: Query, _: &Context<'_>) -> Lookup<T> {
        Lookup(self.content.clone())
    }

    fn exists(&self) -> bool {
        self.content.is_some()
    }

    fn to_record(&self) -> Vec<u8> {
        codec::entry::to_record(self)
    }

    fn from_record(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::entry::from_record(bytes)
    }

    fn heap_bytes(&self) -> usize {
        self.content.as_ref().map_or(0, T::heap_bytes)
    }

    fn on_timer(_: TimerName) -> Option<Command<T>> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command<T>> {
        None
    }
}

/// The book that rules about other entries look at.
pub(crate) fn book<'a>(ctx: &Context<'a>) -> Result<&'a PriceBook, Rejection> {
    let catalogue = ctx.catalogue.map_err(|_| Rejection::CatalogueUnavailable)?;
    catalogue.content().ok_or(Rejection::CatalogueUnavailable)
}

#[cfg(test)]
mod tests {
    use cluster::entity::{NoCatalogue, Wire};
    use cluster::ids::EntityRef;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::names::Label;
    use crate::domain::seller::{Seller, Standing};

    const NOON: Timestamp = Timestamp::from_micros(1);

    fn ann(name: &str) -> Seller {
        let name = Label::try_from(name.to_owned()).unwrap();
        Seller { id: "ann".parse().unwrap(), name, standing: Standing::Active }
    }

    fn decide(
        entry: &Entry<Seller>,
        key: &str,
        command: Command<Seller>,
    ) -> Result<Decision<Entry<Seller>>, Rejection> {
        let me = EntityRef { kind: Seller::KIND, key: EntityKey::Name(key.into()) };
        let catalogue = Err(NoCatalogue::Absent);
        entry.decide(command, &Context { now: NOON, me: &me, entropy: [0; 32], catalogue })
    }

    #[track_caller]
    fn check(
        given: &[Event<Seller>],
        when: Command<Seller>,
        then: Result<&[Event<Seller>], Rejection>,
    ) {
        let mut entry = Entry::default();
        given.iter().for_each(|event| entry.apply(event));
        let decided = decide(&entry, "ann", when).map(|decision| decision.events);
        assert_eq!(decided, then.map(<[_]>::to_vec));
    }

    fn put(name: &str) -> Command<Seller> {
        Command::Put { content: ann(name) }
    }

    fn written(name: &str) -> Event<Seller> {
        Event::Written { content: ann(name), at: NOON }
    }

    #[test]
    fn an_entry_is_written_replaced_and_removed() {
        check(&[], put("Ann"), Ok(&[written("Ann")]));
        check(&[written("Ann")], put("Anne"), Ok(&[written("Anne")]));
        check(&[written("Ann")], put("Ann"), Ok(&[]));
        let removed = Event::Removed { at: NOON };
        check(&[written("Ann")], Command::Remove, Ok(std::slice::from_ref(&removed)));
        check(&[written("Ann"), removed], Command::Remove, Ok(&[]));
    }

    #[test]
    fn an_entry_holds_the_content_of_its_own_key() {
        let decided = decide(&Entry::default(), "bob", put("Ann"));
        assert_eq!(decided.map(|decision| decision.events), Err(Rejection::OtherKey));
    }

    proptest! {
        #[test]
        fn a_replica_holds_what_the_entry_does(
            commands in prop::collection::vec(prop::option::of(0..3_u8), 0..20),
        ) {
            let (mut entry, mut replica) = (Entry::<Seller>::default(), Entry::default());
            for command in commands {
                let wanted = command.map(|number| ann(&format!("Ann {number}")));
                let command = match wanted.clone() {
                    Some(content) => Command::Put { content },
                    None => Command::Remove,
                };
                let sent = Command::from_bytes(&command.to_bytes()).unwrap();
                let decision = decide(&entry, "ann", sent).unwrap();
                for event in &decision.events {
                    entry.apply(event);
                    replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
                }
                prop_assert_eq!(&entry.content, &wanted);
                prop_assert_eq!(decision.reply, Lookup(wanted));
                prop_assert_eq!(&replica, &entry);
                prop_assert_eq!(Entry::from_record(&entry.to_record()), Ok(entry.clone()));
                prop_assert_eq!(decide(&entry, "ann", command).unwrap().events, vec![]);
            }
        }
    }
}

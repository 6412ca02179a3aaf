//! Entities with their types erased: the shard works on bytes, so one log, one mailbox and one
//! wire serve every kind.
//!
//! **Invariants:** a kind is registered once per number; what `decide` returns for bytes is exactly
//! what the typed entity returned, encoded.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::entity::{
    Answer, Context, Decision, DecodeError, Effect, Entity, Home, Port, TimerName, Wire,
};
use crate::ids::EntityKind;

/// Every kind of entity this program knows.
#[derive(Clone, Default)]
pub struct Kinds {
    by_number: BTreeMap<EntityKind, Arc<dyn Kind>>,
}

impl Kinds {
    /// Adds a kind. Two kinds under one number would read each other's records, so the first stays.
    #[must_use]
    pub fn with<E: Entity>(mut self) -> Self {
        let kind: Arc<dyn Kind> = Arc::new(KindOf::<E>(PhantomData));
        self.by_number.entry(E::KIND).or_insert(kind);
        self
    }

    pub(crate) fn find(&self, kind: EntityKind) -> Option<&dyn Kind> {
        self.by_number.get(&kind).map(AsRef::as_ref)
    }

    /// Where the entities of a kind live; of one that is not known, where most do.
    pub(crate) fn home(&self, kind: EntityKind) -> Home {
        self.find(kind).map_or(Home::Shard, Kind::home)
    }

    /// The name of a kind for logs and operators.
    pub fn name(&self, kind: EntityKind) -> &'static str {
        self.find(kind).map_or("unknown", Kind::name)
    }
}

/// What a kind can do before there is an instance.
pub(crate) trait Kind: Send + Sync {
    fn name(&self) -> &'static str;
    fn home(&self) -> Home;
    fn blank(&self) -> Box<dyn Instance>;
    fn restore(&self, record: &[u8]) -> Result<Box<dyn Instance>, DecodeError>;
    fn timer_command(&self, name: TimerName) -> Option<Vec<u8>>;
    fn answer_command(&self, port: Port, answer: &Answer) -> Option<Vec<u8>>;
}

/// The state of one entity.
pub(crate) trait Instance: Send {
    fn decide(&self, command: &[u8], ctx: &Context<'_>) -> Result<Resolved, Refused>;
    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError>;
    fn view(&self, query: &[u8], ctx: &Context<'_>) -> Result<Vec<u8>, DecodeError>;
    fn exists(&self) -> bool;
    fn to_record(&self) -> Vec<u8>;
    fn duplicate(&self) -> Box<dyn Instance>;
    /// Bytes held by this state, its own struct included.
    fn footprint(&self) -> usize;
}

/// A [`Decision`] in bytes.
#[derive(PartialEq)]
pub(crate) struct Resolved {
    pub(crate) events: Vec<Vec<u8>>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) reply: Vec<u8>,
}

pub(crate) enum Refused {
    Rejected(Vec<u8>),
    /// Refused for now: the same command may pass later.
    NotNow(Vec<u8>),
    Malformed(DecodeError),
}

struct KindOf<E>(PhantomData<fn() -> E>);

impl<E: Entity> Kind for KindOf<E> {
    fn name(&self) -> &'static str {
        E::NAME
    }

    fn home(&self) -> Home {
        E::HOME
    }

    fn blank(&self) -> Box<dyn Instance> {
        Box::new(InstanceOf(E::default()))
    }

    fn restore(&self, record: &[u8]) -> Result<Box<dyn Instance>, DecodeError> {
        Ok(Box::new(InstanceOf(E::from_record(record)?)))
    }

    fn timer_command(&self, name: TimerName) -> Option<Vec<u8>> {
        E::on_timer(name).map(|command| command.to_bytes())
    }

    fn answer_command(&self, port: Port, answer: &Answer) -> Option<Vec<u8>> {
        E::on_answer(port, answer).map(|command| command.to_bytes())
    }
}

fn refused<E: Entity>(rejection: &E::Rejection) -> Refused {
    let bytes = rejection.to_bytes();
    if E::is_momentary(rejection) { Refused::NotNow(bytes) } else { Refused::Rejected(bytes) }
}

struct InstanceOf<E>(E);

impl<E: Entity> Instance for InstanceOf<E> {
    fn decide(&self, command: &[u8], ctx: &Context<'_>) -> Result<Resolved, Refused> {
        let command = E::Command::from_bytes(command).map_err(Refused::Malformed)?;
        let Decision { events, effects, reply } =
            self.0.decide(command, ctx).map_err(|rejection| refused::<E>(&rejection))?;
        let events = events.iter().map(Wire::to_bytes).collect();
        Ok(Resolved { events, effects, reply: reply.to_bytes() })
    }

    fn apply(&mut self, event: &[u8]) -> Result<(), DecodeError> {
        self.0.apply(&E::Event::from_bytes(event)?);
        Ok(())
    }

    fn view(&self, query: &[u8], ctx: &Context<'_>) -> Result<Vec<u8>, DecodeError> {
        Ok(self.0.view(E::Query::from_bytes(query)?, ctx).to_bytes())
    }

    fn exists(&self) -> bool {
        self.0.exists()
    }

    fn to_record(&self) -> Vec<u8> {
        self.0.to_record()
    }

    fn duplicate(&self) -> Box<dyn Instance> {
        Box::new(Self(self.0.clone()))
    }

    fn footprint(&self) -> usize {
        size_of::<Self>() + self.0.heap_bytes()
    }
}

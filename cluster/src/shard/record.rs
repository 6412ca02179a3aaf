//! An entity's record: its state and everything the fabric keeps for it, as one unit with one
//! position.
//!
//! **Invariants:** applying an outcome touches this record from the outcome's own bytes only, so it
//! gives the same record on every replica; an outcome at or before `position` is already in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::codec;

use crate::entity::{DecodeError, Effect, Port, TimerName};
use crate::ids::EntityRef;
use crate::mutants::Mutant;
use crate::shard::dedupe::{KeyedAnswer, KeyedOutcome, KeyedOutcomes};
use crate::shard::entry::{Bytes, Cause, Cursor, Outcome, Verdict};
use crate::shard::kind::{Instance, Kind};
use crate::shard::versioned;
use crate::time::Timestamp;

/// A record never grows past this: the command that would do it is refused.
pub(crate) const RECORD_BYTES_MAX: usize = 1 << 20;

const VERSION: u16 = 1;

pub(crate) struct Record {
    /// The log index this record was last changed at.
    pub(crate) position: u64,
    /// Commands that took effect so far: the entity's version.
    pub(crate) seq: u64,
    pub(crate) state: Box<dyn Instance>,
    /// Boxed and mostly absent: a million idle carts have no timer and no open invocation.
    pub(crate) extra: Option<Box<Extra>>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Extra {
    pub(crate) keyed: KeyedOutcomes,
    pub(crate) timers: BTreeMap<TimerName, Timer>,
    pub(crate) invocations: BTreeMap<Cursor, OpenInvocation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    pub(crate) at: Timestamp,
    /// Tells this setting from one it replaced.
    pub(crate) set_at: Cursor,
}

/// A request to a port that has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OpenInvocation {
    pub(crate) port: Port,
    pub(crate) asked_at: Timestamp,
    #[serde(with = "crate::blob")]
    pub(crate) request: Vec<u8>,
}

/// Where an outcome stands in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) index: u64,
    /// The ordinal of the outcome's first effect within the entry.
    pub(crate) first_effect: u32,
    pub(crate) time: Timestamp,
}

impl Place {
    pub(crate) fn effect(&self, nth: usize) -> Cursor {
        let nth = u32::try_from(nth).unwrap_or(u32::MAX);
        Cursor { index: self.index, ordinal: self.first_effect.saturating_add(nth) }
    }
}

impl Record {
    pub(crate) fn blank(kind: &dyn Kind) -> Self {
        Self { position: 0, seq: 0, state: kind.blank(), extra: None }
    }

    pub(crate) fn duplicate(&self) -> Self {
        Self {
            position: self.position,
            seq: self.seq,
            state: self.state.duplicate(),
            extra: self.extra.clone(),
        }
    }

    /// Takes one outcome into the record. The caller has checked that it is not in it yet.
    pub(crate) fn apply(&mut self, outcome: &Outcome, place: Place) -> Result<(), DecodeError> {
        self.position = place.index;
        match &outcome.cause {
            Cause::TimerFired { name, .. } if !Mutant::TimerNotUsedUp.is_planted() => {
                self.extra_mut().timers.remove(name);
            }
            Cause::Answered { invocation } if !Mutant::AnswerTakenTwice.is_planted() => {
                self.extra_mut().invocations.remove(invocation);
            }
            Cause::Routed(_)
            | Cause::Keyed { .. }
            | Cause::Told { .. }
            | Cause::Nested
            | Cause::TimerFired { .. }
            | Cause::Answered { .. } => {}
        }
        if let Verdict::Accepted { events, effects, .. } = &outcome.verdict {
            for event in events {
                self.state.apply(&event.0)?;
            }
            self.seq += u64::from(!events.is_empty());
            for (nth, effect) in effects.iter().enumerate() {
                self.apply_effect(effect, place.effect(nth), place.time);
            }
        }
        if let Cause::Keyed { key, .. } = &outcome.cause
            && !Mutant::KeyedOutcomeSkipped.is_planted()
        {
            let answer = keyed_answer(&outcome.verdict);
            let kept = KeyedOutcome { key: *key, index: place.index, seq: self.seq, answer };
            self.extra_mut().keyed.record(kept, place.time);
        }
        if self.extra.as_deref().is_some_and(|extra| *extra == Extra::default()) {
            self.extra = None;
        }
        Ok(())
    }

    fn apply_effect(&mut self, effect: &Effect, at: Cursor, time: Timestamp) {
        match effect {
            Effect::SetTimer { name, at: due } => {
                let timer = Timer { at: *due, set_at: at };
                self.extra_mut().timers.insert(*name, timer);
            }
            Effect::CancelTimer { name } => {
                if let Some(extra) = &mut self.extra {
                    extra.timers.remove(name);
                }
            }
            Effect::Invoke { port, request } => {
                let (port, request) = (*port, request.clone());
                let open = OpenInvocation { port, asked_at: time, request };
                self.extra_mut().invocations.insert(at, open);
            }
            Effect::Tell { .. } | Effect::Publish { .. } => {}
        }
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    pub(crate) fn timer(&self, name: TimerName) -> Option<&Timer> {
        self.extra.as_ref()?.timers.get(&name)
    }

    pub(crate) fn timers(&self) -> Vec<(TimerName, Timer)> {
        let timers = self.extra.as_ref().map(|extra| &extra.timers);
        timers.into_iter().flatten().map(|(name, timer)| (*name, *timer)).collect()
    }

    pub(crate) fn invocation(&self, at: Cursor) -> Option<&OpenInvocation> {
        self.extra.as_ref()?.invocations.get(&at)
    }

    /// Bytes held in memory.
    pub(crate) fn footprint(&self) -> usize {
        let extra = self.extra.as_deref().map_or(0, |extra| {
            let requests = extra.invocations.values().map(|open| open.request.len() + 64);
            size_of::<Extra>()
                + extra.keyed.footprint()
                + extra.timers.len() * 48
                + requests.sum::<usize>()
        });
        size_of::<Self>() + self.state.footprint() + extra
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let stored = Stored {
            position: self.position,
            seq: self.seq,
            extra: self.extra.as_deref().cloned(),
            state: Bytes(self.state.to_record()),
        };
        codec::encode_versioned(VERSION, &stored)
    }

    pub(crate) fn decode(bytes: &[u8], kind: &dyn Kind) -> Result<Self, DecodeError> {
        let stored = Stored::decode(bytes)?;
        Ok(Self {
            position: stored.position,
            seq: stored.seq,
            state: kind.restore(&stored.state.0)?,
            extra: stored.extra.map(Box::new),
        })
    }
}

fn keyed_answer(verdict: &Verdict) -> KeyedAnswer {
    match verdict {
        Verdict::Accepted { reply: Some(reply), .. } => KeyedAnswer::Accepted(reply.clone()),
        Verdict::Accepted { reply: None, .. } | Verdict::Quarantined => KeyedAnswer::Dropped,
        Verdict::Rejected(rejection) => KeyedAnswer::Rejected(rejection.clone()),
        Verdict::PreconditionFailed => KeyedAnswer::PreconditionFailed,
    }
}

#[derive(Serialize, Deserialize)]
struct Stored {
    position: u64,
    seq: u64,
    extra: Option<Extra>,
    state: Bytes,
}

impl Stored {
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        versioned::decode("entity record", VERSION, bytes)
    }
}

/// What a shard must know of a record that is not in memory.
pub(crate) struct Outline {
    pub(crate) timers: Vec<(TimerName, Timer)>,
    pub(crate) invocations: Vec<Cursor>,
}

/// Reads the outline of a stored record without building its state.
pub(crate) fn outline(bytes: &[u8]) -> Result<Outline, DecodeError> {
    let extra = Stored::decode(bytes)?.extra.unwrap_or_default();
    Ok(Outline {
        timers: extra.timers.into_iter().collect(),
        invocations: extra.invocations.into_keys().collect(),
    })
}

/// The state in a stored record, as its entity wrote it.
pub(crate) fn state_bytes(bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(Stored::decode(bytes)?.state.0)
}

/// The key of the shard's own record in the state index and in snapshots. No encoded address
/// begins like it.
pub(crate) const HEADER_KEY: &[u8] = b"header";

/// The address of an entity as a key of the state index and of snapshots.
pub(crate) fn encode_ref(entity: &EntityRef) -> Vec<u8> {
    codec::encode(entity)
}

pub(crate) fn decode_ref(bytes: &[u8]) -> Result<EntityRef, DecodeError> {
    codec::decode(bytes)
        .map_err(|error| DecodeError { what: "entity address", why: error.to_string() })
}

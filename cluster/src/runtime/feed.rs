//! The feed: every published event, in order per shard, to consumers in this process.
//!
//! **Invariants:** a consumer's cursor moves only after it kept what came before, and is replicated,
//! so a new leader goes on from there; what a crash leaves between the two is delivered again under
//! the same id. A slow consumer costs disk, never memory: events are read from the log, from history
//! where the log let go of them, and from other nodes where this one was not there yet. What is
//! nowhere to be had is waited for: an event is late, never left out.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use storage::clock;
use tokio::sync::{Notify, oneshot};

use crate::entity::{Effect, Topic};
use crate::ids::{EntityRef, Incarnation, ShardId};
use crate::runtime::asking::{ask, finished};
use crate::runtime::postponed::{Postponed, explained};
use crate::runtime::services::Services;
use crate::runtime::shard_actor::ShardMessage;
use crate::shard::entry::{Cursor, Entry, Verdict};
use crate::shard::io::Input;
use crate::shard::turn::outcomes;
use crate::time::Timestamp;

/// Entries without events after which the cursor moves all the same.
const QUIET_STRETCH: u64 = 1_000;
/// After a consumer failed.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Between reminders that what comes next is on no node that answers.
const MISSED_TOLD_EVERY: Duration = Duration::from_secs(60);

/// The id of a published event: the same on every delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    pub incarnation: Incarnation,
    pub shard: ShardId,
    pub at: Cursor,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { incarnation, shard, at } = self;
        write!(f, "{}-{shard}-{}-{}", incarnation.0, at.index, at.ordinal)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedEvent {
    pub id: EventId,
    pub time: Timestamp,
    pub topic: Topic,
    pub entity: EntityRef,
    pub body: Vec<u8>,
}

/// The consumer could not keep the events; they are offered again.
#[derive(Debug, thiserror::Error)]
#[error("a consumer put events off: {0}")]
pub struct NotConsumed(pub String);

/// Someone who keeps published events. Must recognise an id it has seen.
pub trait FeedConsumer: Send + Sync + 'static {
    /// Names its cursor on disk: never reuse one.
    fn number(&self) -> u8;
    fn consume(
        &self,
        events: Vec<PublishedEvent>,
    ) -> Pin<Box<dyn Future<Output = Result<(), NotConsumed>> + Send + '_>>;
}

/// How far each led shard has published, for whoever follows it.
#[derive(Default)]
pub(crate) struct FeedSignals {
    published: Mutex<BTreeMap<ShardId, u64>>,
    changed: Notify,
}

impl FeedSignals {
    pub(crate) fn published(&self, shard: ShardId, index: u64) {
        let mut published = self.published.lock().unwrap_or_else(PoisonError::into_inner);
        published.insert(shard, index);
        drop(published);
        self.changed.notify_waiters();
    }

    /// This node does not lead the shard any more: whoever does, goes on from the cursor.
    pub(crate) fn ended(&self, shard: ShardId) {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).remove(&shard);
    }

    fn all(&self) -> BTreeMap<ShardId, u64> {
        self.published.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Follows the feed of all shards for one consumer.
pub(crate) struct Follower {
    services: Arc<Services>,
    incarnation: Incarnation,
    consumer: Arc<dyn FeedConsumer>,
    /// The last entry each shard's events were consumed of.
    consumed: BTreeMap<ShardId, u64>,
    /// When it was last said that what comes next is nowhere to be had.
    missed_was_told: Option<Instant>,
}

/// The published events of some entries, and how far they reach.
struct Batch {
    events: Vec<PublishedEvent>,
    to: u64,
}

impl Follower {
    pub(crate) fn new(
        services: &Arc<Services>,
        incarnation: Incarnation,
        consumer: Arc<dyn FeedConsumer>,
    ) -> Self {
        let (services, consumed) = (Arc::clone(services), BTreeMap::new());
        Self { services, incarnation, consumer, consumed, missed_was_told: None }
    }

    pub(crate) async fn run(mut self) {
        let services = Arc::clone(&self.services);
        loop {
            let changed = services.feed.changed.notified();
            tokio::pin!(changed);
            // Registered before looking, so that nothing published meanwhile is missed.
            changed.as_mut().enable();
            match self.catch_up().await {
                Ok(()) => changed.await,
                Err(Postponed::Stopping) => return,
                Err(error) => {
                    self.tell(&error);
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Says what holds the feed up, but for what may last, seldom.
    fn tell(&mut self, error: &Postponed) {
        if let Postponed::Elsewhere { .. } = error {
            let told = self.missed_was_told.is_some_and(|at| at.elapsed() < MISSED_TOLD_EVERY);
            if told {
                return;
            }
            self.missed_was_told = Some(clock::monotonic());
        }
        tracing::warn!(error = %explained(error), "the feed is behind");
    }

    /// Follows every shard as far as it goes. What holds one up holds up no other.
    async fn catch_up(&mut self) -> Result<(), Postponed> {
        let mut held_up = Ok(());
        let led = self.services.feed.all();
        // Another leader may have moved the cursor of a shard that is led here again.
        self.consumed.retain(|shard, _| led.contains_key(shard));
        for (shard, published) in led {
            if let Err(error) = self.follow(shard, published).await {
                held_up = Err(error);
            }
        }
        held_up
    }

    async fn follow(&mut self, shard: ShardId, published: u64) -> Result<(), Postponed> {
        let mut after = self.consumed_of(shard).await?;
        while after < published {
            let batch = self.read(shard, after, published).await?;
            let last = batch.events.last().map(|event| event.id.at);
            if !batch.events.is_empty() {
                self.consumer.consume(batch.events).await?;
            }
            // Long stretches without events are noted too, or every start would read them again.
            let stretch = Cursor { index: batch.to, ordinal: u32::MAX };
            let noted = last.or((batch.to >= after + QUIET_STRETCH).then_some(stretch));
            if let Some(cursor) = noted {
                let moved = Input::CursorMoved { consumer: self.consumer.number(), cursor };
                self.services.shards.send(shard, moved);
            }
            after = batch.to;
            self.consumed.insert(shard, after);
        }
        Ok(())
    }

    async fn consumed_of(&self, shard: ShardId) -> Result<u64, Postponed> {
        if let Some(consumed) = self.consumed.get(&shard) {
            return Ok(*consumed);
        }
        let actor = self.services.shards.get(shard).ok_or(Postponed::Stopping)?;
        let (reply, cursor) = oneshot::channel();
        ask(actor, ShardMessage::Cursor { consumer: self.consumer.number(), reply })?;
        // Events of one entry are consumed together, so the cursor's entry is done with.
        Ok(finished(cursor).await?.index)
    }

    /// What happened next, from wherever it is kept: never something later.
    async fn read(&self, shard: ShardId, after: u64, to: u64) -> Result<Batch, Postponed> {
        let past = self.services.past(shard, (after, to), None).await?;
        let mut batch = Batch { events: Vec::new(), to: past.to };
        for (index, _, entry) in &past.entries {
            batch.events.extend(published_in(self.incarnation, shard, *index, entry));
        }
        Ok(batch)
    }
}

/// What an entry publishes, in order.
pub(crate) fn published_in(
    incarnation: Incarnation,
    shard: ShardId,
    index: u64,
    entry: &Entry,
) -> impl Iterator<Item = PublishedEvent> {
    outcomes(&entry.items).flat_map(move |(outcome, first_effect)| {
        let effects = match &outcome.verdict {
            Verdict::Accepted { effects, .. } => effects.as_slice(),
            Verdict::Rejected(_) | Verdict::PreconditionFailed | Verdict::Quarantined => &[],
        };
        (first_effect..).zip(effects).filter_map(move |(ordinal, effect)| {
            let Effect::Publish { topic, event } = effect else { return None };
            let at = Cursor { index, ordinal };
            Some(PublishedEvent {
                id: EventId { incarnation, shard, at },
                time: entry.time,
                topic: *topic,
                entity: outcome.entity.clone(),
                body: event.clone(),
            })
        })
    })
}

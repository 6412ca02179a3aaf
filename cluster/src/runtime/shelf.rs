//! The node's copy of the catalogue, for all its shards: filled by `cataloguing`, looked at before
//! every turn.
//!
//! **Invariants:** what a shard gets here is of use at the very moment it asks; a new version is
//! seen by every later look.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use storage::clock;
use tokio::sync::watch;

use crate::catalogue::Confirmed;
use crate::entity::{Catalogue, NoCatalogue};
use crate::time::Timestamp;

pub(crate) struct Shelf {
    origin: Origin,
    began: Instant,
    /// The copy, and the index of the group up to which it has everything.
    copy: watch::Sender<Kept>,
    /// What the group's replica here has applied.
    applied: watch::Sender<u64>,
    confirmed: watch::Sender<Confirmed>,
    /// Counts the copies made.
    made: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// Given at the start, and right for ever.
    Given,
    Group,
}

#[derive(Clone, Default)]
struct Kept {
    catalogue: Option<Catalogue>,
    to: u64,
}

/// Tells whether a shard's catalogue is still the one to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    made: u64,
    is_of_use: bool,
}

impl Shelf {
    /// A catalogue that is as it is.
    pub(crate) fn given(catalogue: Option<Catalogue>) -> Self {
        let made = u64::from(catalogue.is_some());
        Self::new(Origin::Given, Kept { catalogue, to: 0 }, made)
    }

    /// To be filled from the group.
    pub(crate) fn of_group() -> Self {
        Self::new(Origin::Group, Kept::default(), 0)
    }

    fn new(origin: Origin, copy: Kept, made: u64) -> Self {
        Self {
            origin,
            began: clock::monotonic(),
            copy: watch::Sender::new(copy),
            applied: watch::Sender::new(0),
            confirmed: watch::Sender::default(),
            made: AtomicU64::new(made),
        }
    }

    /// What is to be used at this moment, unless `last` found the same.
    pub(crate) fn look(&self, last: Look) -> Option<(Look, Result<Catalogue, NoCatalogue>)> {
        let made = self.made.load(Ordering::Acquire);
        let is_of_use = self.origin == Origin::Given || self.confirmed().is_of_use(self.now());
        let look = Look { made, is_of_use };
        if look == last {
            return None;
        }
        let catalogue = match self.newest() {
            None => Err(NoCatalogue::Absent),
            Some(_) if !is_of_use => Err(NoCatalogue::Stale),
            Some(catalogue) => Ok(catalogue),
        };
        Some((look, catalogue))
    }

    /// The newest copy, of use or not.
    pub(crate) fn newest(&self) -> Option<Catalogue> {
        self.copy.borrow().catalogue.clone()
    }

    /// The copy once it has everything up to an index of the group.
    pub(crate) async fn at_least(&self, index: u64) -> Option<Catalogue> {
        let mut copy = self.copy.subscribe();
        let is_there = |copy: &Kept| self.origin == Origin::Given || copy.to >= index;
        // The sender is here.
        copy.wait_for(is_there).await.ok()?.catalogue.clone()
    }

    /// Whether commands can be priced, now that a node begins to serve.
    pub(crate) fn is_settled(&self) -> bool {
        self.origin == Origin::Given || self.confirmed() != Confirmed::default()
    }

    /// Resolves once they can.
    pub(crate) async fn settled(&self) {
        let mut confirmed = self.confirmed.subscribe();
        // The sender is here.
        confirmed.wait_for(|_| self.is_settled()).await.ok();
    }

    pub(crate) fn put(&self, catalogue: Option<Catalogue>, to: u64) {
        let is_new = catalogue.is_some();
        self.copy.send_modify(|copy| {
            copy.to = to;
            if is_new {
                copy.catalogue = catalogue;
                // Before anybody hears of it: who was told to go on is priced by it.
                self.made.fetch_add(1, Ordering::Release);
            }
        });
    }

    pub(crate) fn replica_applied(&self, index: u64) {
        self.applied.send_if_modified(|applied| std::mem::replace(applied, index) != index);
    }

    pub(crate) fn applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    /// The copy has what the group had committed at that moment.
    pub(crate) fn confirm(&self, asked: Timestamp) {
        self.confirmed.send_replace(Confirmed::at(asked));
    }

    fn confirmed(&self) -> Confirmed {
        *self.confirmed.borrow()
    }

    /// The node's own time, from the moment it began.
    pub(crate) fn now(&self) -> Timestamp {
        let micros = clock::monotonic().saturating_duration_since(self.began).as_micros();
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// Says how old the copy is, at the moment somebody asks.
pub(crate) struct CatalogueAge(pub(crate) Arc<Shelf>);

impl std::fmt::Debug for CatalogueAge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CatalogueAge")
    }
}

impl Collector for CatalogueAge {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let age = self.0.confirmed().age(self.0.now());
        let seconds = std::time::Duration::from_micros(age.as_micros()).as_secs_f64();
        let gauge = ConstGauge::new(seconds);
        let metric = encoder.encode_descriptor(
            "omnicart_cluster_catalogue_age",
            "How long ago the node's copy of the catalogue was known to be complete",
            Some(&Unit::Seconds),
            gauge.metric_type(),
        )?;
        gauge.encode(metric)
    }
}

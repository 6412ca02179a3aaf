//! Applying imports: the port that an import asks, one step after the other.
//!
//! A step takes the rows from a place on, as many as one answer is to be about, writes what the
//! catalogue does not say already, many at a time, and tells how far it came. Rows of one step are
//! of different products and SKUs, so their order does not matter; the next step begins when all of
//! them are in this node's own book, so it sees what they did.
//!
//! **Invariants:**
//! - a step holds a bounded number of rows and bytes, whatever the import is; a node takes
//!   `AT_ONCE_MAX` steps at a time;
//! - what cannot be written at the moment is tried again; a row is refused only by a rule;
//! - a step that was overtaken applies nothing, see `turn`;
//! - rows before a place that cannot be read are applied, but for those of the product that may go on
//!   there.

mod columns;
pub(in crate::http) mod csv;
mod lines;
mod row;
mod shopify;
mod source;
mod step;
mod table;
mod turn;
mod writing;

use std::fmt;
use std::sync::Arc;

use actors::domain::import::{PORT, Step};
use cluster::entity::{Answer, Port, Wire};
use cluster::fabric::Fabric;
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};
use cluster::time::Span;
use tokio::sync::{Semaphore, watch};

pub(in crate::http) use columns::own_names;
pub(in crate::http) use source::{PIECE_MAX, packed, part};

use crate::metrics::ImportMetrics;

const AT_ONCE_MAX: usize = 2;

/// Answers the port of imports. Cheap to clone.
#[derive(Clone)]
pub struct Importer(Arc<Shared>);

struct Shared {
    /// None before the node has started and once it stops.
    fabric: watch::Sender<Option<Fabric>>,
    at_once: Semaphore,
    metrics: ImportMetrics,
}

impl fmt::Debug for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Importer").finish_non_exhaustive()
    }
}

impl Importer {
    pub fn new(metrics: ImportMetrics) -> Self {
        let (fabric, at_once) = (watch::Sender::default(), Semaphore::new(AT_ONCE_MAX));
        Self(Arc::new(Shared { fabric, at_once, metrics }))
    }

    /// From here on steps are taken.
    pub fn attach(&self, fabric: Fabric) {
        self.0.fabric.send_replace(Some(fabric));
    }

    /// No more steps are begun. A node that stops is let go of, or it would never be gone.
    pub fn detach(&self) {
        self.0.fabric.send_replace(None);
    }

    /// A step that is open when its node starts waits here, and goes on at once.
    async fn fabric(&self) -> Result<Fabric, InDoubt> {
        let mut fabric = self.0.fabric.subscribe();
        let there = fabric.wait_for(Option::is_some).await;
        let there = there.ok().and_then(|fabric| fabric.clone());
        there.ok_or_else(|| InDoubt("the node takes no steps of imports".to_owned()))
    }
}

impl PortAdapter for Importer {
    fn port(&self) -> Port {
        PORT
    }

    /// A step that was taken finds everything as it would make it.
    fn retry_rule(&self) -> RetryRule {
        const FOR_EVER: Span = Span::from_micros(u64::MAX);
        RetryRule::Idempotent { horizon: FOR_EVER }
    }

    fn invoke(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        let importer = self.clone();
        Box::pin(async move {
            let step = Step::from_bytes(&request).map_err(|error| InDoubt(error.to_string()))?;
            let closed = |_| InDoubt("no more steps are taken".to_owned());
            let metrics = &importer.0.metrics;
            let _running = metrics.begin();
            let fabric = importer.fabric().await?;
            let _turn = importer.0.at_once.acquire().await.map_err(closed)?;
            let answer = step::take(&fabric, &step).await?;
            metrics.stepped(&step, &answer.outcome);
            Ok(Answer::Done(answer.to_bytes()))
        })
    }

    fn ask(&self, _: InvocationId, _: Vec<u8>) -> PortFuture<Option<Answer>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

//! All of one sort that a shop asks, by their names, behind one port.
//!
//! **Invariants:** a request goes to whom it names, and to nobody else; what names somebody who is not
//! configured any more stays in doubt.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use actors::domain::payment::ProviderName;
use cluster::entity::{Answer, Port, Wire};
use cluster::runtime::ports::{InDoubt, InvocationId, PortAdapter, PortFuture, RetryRule};

use super::door::{Door, HORIZON, ProviderFuture};
use crate::metrics::{NoticeOutcome, ProviderMetrics};

/// One of them, as the port asks.
pub(crate) trait Outside: Send + Sync + 'static {
    type Request: Wire + Send;
    type Answer: Send;
    const PORT: Port;
    /// What they are to whoever configures them.
    const SORT: &'static str;

    fn addressee(request: &Self::Request) -> &ProviderName;
    /// Once for each key however often it is sent.
    fn attempt(&self, key: String, request: Self::Request) -> ProviderFuture<Self::Answer>;
    /// What became of a request; `None` when it never arrived.
    fn find(&self, request: Self::Request) -> ProviderFuture<Option<Self::Answer>>;
    fn told(answer: &Self::Answer) -> Answer;
}

pub struct Doors<P: ?Sized> {
    doors: Arc<BTreeMap<ProviderName, Door<Arc<P>>>>,
    metrics: ProviderMetrics,
}

impl<P: ?Sized> Clone for Doors<P> {
    fn clone(&self) -> Self {
        Self { doors: Arc::clone(&self.doors), metrics: self.metrics.clone() }
    }
}

impl<P: ?Sized> fmt::Debug for Doors<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.doors.keys()).finish()
    }
}

impl<P: ?Sized> Doors<P> {
    pub fn new(all: BTreeMap<ProviderName, Arc<P>>, metrics: ProviderMetrics) -> Self {
        let door = |one| Door::new(one, metrics.clone());
        let doors = all.into_iter().map(|(name, one)| (name, door(one)));
        Self { doors: Arc::new(doors.collect()), metrics }
    }

    pub fn find(&self, name: &ProviderName) -> Option<&P> {
        self.doors.get(name).map(|door| door.provider.as_ref())
    }

    /// Whether this node knows one of that name.
    pub fn has(&self, name: &ProviderName) -> bool {
        self.doors.contains_key(name)
    }

    /// Whether somebody did not answer of late, or is not known here.
    pub(crate) fn rests(&self, name: &ProviderName) -> bool {
        self.doors.get(name).is_none_or(Door::rests)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&ProviderName, &Arc<P>)> {
        self.doors.iter().map(|(name, door)| (name, &door.provider))
    }

    pub(crate) fn noticed(&self, outcome: NoticeOutcome) {
        self.metrics.noticed(outcome);
    }
}

impl<P: Outside + ?Sized> PortAdapter for Doors<P> {
    fn port(&self) -> Port {
        P::PORT
    }

    fn retry_rule(&self) -> RetryRule {
        RetryRule::Idempotent { horizon: HORIZON }
    }

    fn invoke(&self, id: InvocationId, request: Vec<u8>) -> PortFuture<Answer> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read::<P>(&request)?;
            let name = P::addressee(&request);
            // Another node, which has them, may have asked before: an operator is to configure them
            // here as well. Checkouts with a name that nobody knows are refused at the rim.
            let nobody = || InDoubt(format!("{} {name} is not configured", P::SORT));
            let door = doors.get(name).ok_or_else(nobody)?;
            let attempt = door.provider.attempt(id.to_string(), request);
            Ok(P::told(&door.attempt(attempt).await?))
        })
    }

    fn ask(&self, _: InvocationId, request: Vec<u8>) -> PortFuture<Option<Answer>> {
        let doors = Arc::clone(&self.doors);
        Box::pin(async move {
            let request = read::<P>(&request)?;
            // Sending it is refused, or stays in doubt, in the same way.
            let Some(door) = doors.get(P::addressee(&request)) else { return Ok(None) };
            let attempt = door.provider.find(request);
            Ok(door.attempt(attempt).await?.as_ref().map(P::told))
        })
    }
}

fn read<P: Outside + ?Sized>(request: &[u8]) -> Result<P::Request, InDoubt> {
    P::Request::from_bytes(request).map_err(|error| InDoubt(error.to_string()))
}

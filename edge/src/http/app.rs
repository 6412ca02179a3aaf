//! What every request shares. Cheap to clone.

use std::num::NonZeroU32;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use actors::domain::order::CaptureTime;
use actors::{Currency, PriceBook};
use cluster::entity::Catalogue;
use cluster::fabric::Fabric;
use cluster::runtime::operations::Operations;
use cluster::time::{Span, Timestamp};
use prometheus_client::registry::Registry;
use storage::clock;
use tokio::sync::Semaphore;

use super::credentials::Secrets;
pub use super::credentials::{InvalidOperatorToken, OperatorToken};
use super::middleware::request_id::RequestIds;
use super::rate_limit::RateLimit;
use super::routes::cart_stream::STREAMS_MAX;
use crate::metrics::EdgeMetrics;
use crate::providers::carrier::Carriers;
use crate::providers::fraud::Fraud;
use crate::providers::payment::Providers;
use crate::providers::payment::routing::Routing;

/// Whether the routes of the Online Marketplace benchmark are there; they ask for no credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BenchOm {
    #[default]
    Absent,
    Mounted,
}

/// What an operator may choose.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Of carts whose shopper did not choose one, while the node has no catalogue that does.
    pub default_currency: Currency,
    /// Opens `/admin`; without it nothing does.
    pub operator_token: Option<OperatorToken>,
    /// How long a request waits for its answer.
    pub request_timeout: Span,
    /// How long a client may take to send a body.
    pub body_timeout: Duration,
    /// Requests that may be under way at once; below it, the less valuable ones are refused first.
    /// One that waits for its body does not count.
    pub concurrency_max: usize,
    /// Requests that may wait for their bodies at once; several times what one peer may open.
    pub bodies_awaited_max: usize,
    /// How long a merge waits for the two carts to agree.
    pub merge_wait_max: Span,
    /// How long a checkout waits for its end; a client may want less.
    pub checkout_wait: Span,
    /// When the money of an order is taken.
    pub capture: CaptureTime,
    /// How long a cart waits for prices that may be out of date, as while the nodes elect who leads
    /// the catalogue.
    pub prices_wait_max: Span,
    /// Carts that one address, or one IPv6 network, may create, ten seconds' worth at once; `None`
    /// is no limit.
    pub carts_per_second_max: Option<NonZeroU32>,
    /// The largest import, in bytes.
    pub import_bytes_max: u64,
    /// The longest import, in rows.
    pub import_rows_max: u64,
    /// Whose notices are taken; `None` takes none.
    pub payment_providers: Option<Providers>,
    /// Who brings parcels; `None` where the shop says itself who does.
    pub carriers: Option<Carriers>,
    /// Who decides which orders look like fraud; `None` allows all.
    pub fraud: Option<Fraud>,
    /// How long an order that may look like fraud is held for somebody to decide.
    pub hold_max: Span,
    /// Who takes a payment whose shopper names nobody; `None` where somebody is always named.
    pub payment_routing: Option<Routing>,
    pub bench_om: BenchOm,
}

impl Settings {
    /// The defaults for a shop that sells in this currency.
    pub const fn new(default_currency: Currency) -> Self {
        Self {
            default_currency,
            operator_token: None,
            request_timeout: Span::from_secs(10),
            body_timeout: Duration::from_secs(10),
            concurrency_max: 8_192,
            bodies_awaited_max: 4_096,
            merge_wait_max: Span::from_secs(2),
            checkout_wait: Span::from_secs(5),
            capture: CaptureTime::AtOnce,
            prices_wait_max: Span::from_secs(2),
            carts_per_second_max: NonZeroU32::new(100),
            import_bytes_max: 1 << 30,
            import_rows_max: 5_000_000,
            payment_providers: None,
            carriers: None,
            fraud: None,
            hold_max: Span::from_secs(48 * 60 * 60),
            payment_routing: None,
            bench_om: BenchOm::Absent,
        }
    }
}

/// What the rim wants to know of the node it fronts, at any moment.
pub struct Signals {
    /// Whether the node serves.
    pub is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// How full the node's fullest queue is, in percent.
    pub pressure_percent: Box<dyn Fn() -> usize + Send + Sync>,
}

/// The state behind every handler.
#[derive(Clone)]
pub struct App(Arc<Shared>);

pub struct Shared {
    pub(crate) fabric: Fabric,
    pub(crate) operations: Operations,
    pub(crate) settings: Settings,
    pub(crate) signals: Signals,
    pub(crate) metrics: EdgeMetrics,
    pub(crate) registry: Arc<Registry>,
    pub(super) secrets: Secrets,
    pub(super) request_ids: RequestIds,
    pub(super) cart_creations: Option<RateLimit>,
    /// Places for carts that are shown live.
    pub(super) cart_streams: Arc<Semaphore>,
}

impl App {
    /// `registry` holds `metrics` and whatever else `/metrics` shows.
    pub fn new(
        fabric: Fabric,
        operations: Operations,
        settings: Settings,
        signals: Signals,
        metrics: EdgeMetrics,
        registry: Arc<Registry>,
    ) -> Self {
        let secrets = Secrets::new(fabric.cluster_secret());
        let request_ids = RequestIds::new();
        let cart_creations = settings.carts_per_second_max.map(RateLimit::new);
        Self(Arc::new(Shared {
            fabric,
            operations,
            settings,
            signals,
            metrics,
            registry,
            secrets,
            request_ids,
            cart_creations,
            cart_streams: Arc::new(Semaphore::new(STREAMS_MAX)),
        }))
    }
}

impl Shared {
    /// What nodes that do not answer may use up of a request.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_micros(self.settings.request_timeout.as_micros() / 2)
    }

    /// How long a look at the whole cluster waits for nodes that do not answer.
    pub(super) fn survey_time(&self) -> Duration {
        const SURVEY_MAX: Duration = Duration::from_secs(2);
        self.patience().min(SURVEY_MAX)
    }

    /// Of carts whose shopper did not choose one.
    pub(super) fn default_currency(&self) -> Currency {
        let catalogue = self.fabric.catalogue();
        let book: Option<&PriceBook> = catalogue.as_ref().and_then(Catalogue::content);
        book.map_or(self.settings.default_currency, PriceBook::default_currency)
    }
}

impl Deref for App {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    Timestamp::from_micros(clock::wall_micros())
}

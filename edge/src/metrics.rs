//! What the rim counts, for Prometheus. Labels are routes, methods and classes: never ids.

use std::sync::OnceLock;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use actors::domain::fraud::Verdict;
use actors::domain::import::{Counts, End, Step, StepOutcome};
use axum::http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::http::{Class, Endpoint, Verb};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: &'static str,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: &'static str,
    method: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClassLabels {
    class: &'static str,
}

/// All metrics of this crate. Cheap to clone.
#[derive(Clone)]
pub struct EdgeMetrics {
    duration: Family<RouteLabels, Histogram, fn() -> Histogram>,
    requests: Family<RequestLabels, Counter>,
    in_flight: Gauge<i64, AtomicI64>,
    bodies_awaited: Gauge<i64, AtomicI64>,
    shed: Family<ClassLabels, Counter>,
    rate_limited: Counter,
    connections: Gauge<i64, AtomicI64>,
    connections_refused: Counter,
}

impl EdgeMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            duration: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.000_25, 2.0, 16))
            }),
            requests: Family::default(),
            in_flight: Gauge::default(),
            bodies_awaited: Gauge::default(),
            shed: Family::default(),
            rate_limited: Counter::default(),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
        };
        registry.register(
            "omnicart_edge_request_duration_seconds",
            "Time from the head of a request to its answer",
            metrics.duration.clone(),
        );
        registry.register(
            "omnicart_edge_requests",
            "Requests answered, by class of status",
            metrics.requests.clone(),
        );
        registry.register(
            "omnicart_edge_requests_in_flight",
            "Requests under way, those included that wait for their bodies",
            metrics.in_flight.clone(),
        );
        registry.register(
            "omnicart_edge_bodies_awaited",
            "Requests that wait for their bodies",
            metrics.bodies_awaited.clone(),
        );
        registry.register(
            "omnicart_edge_shed",
            "Requests refused under load, by what they are worth",
            metrics.shed.clone(),
        );
        registry.register(
            "omnicart_edge_rate_limited",
            "Carts not created because their peer created too many",
            metrics.rate_limited.clone(),
        );
        registry.register(
            "omnicart_edge_connections",
            "Connections open",
            metrics.connections.clone(),
        );
        registry.register(
            "omnicart_edge_connections_refused",
            "Connections closed at once because their peer has its share",
            metrics.connections_refused.clone(),
        );
        metrics
    }

    pub(crate) fn of(&self, endpoint: Endpoint) -> EndpointMetrics {
        EndpointMetrics { all: self.clone(), endpoint, by_verb: Default::default() }
    }

    pub(crate) fn enter(&self) {
        self.in_flight.inc();
    }

    pub(crate) fn leave(&self) {
        self.in_flight.dec();
    }

    /// Counts a body that is waited for; tells how many were before it.
    pub(crate) fn await_body(&self) -> usize {
        usize::try_from(self.bodies_awaited.inc()).unwrap_or(0)
    }

    pub(crate) fn body_ended(&self) {
        self.bodies_awaited.dec();
    }

    /// Requests under way that do not wait for their bodies.
    pub(crate) fn crowd(&self) -> usize {
        usize::try_from(self.in_flight.get() - self.bodies_awaited.get()).unwrap_or(0)
    }

    pub(crate) fn shed(&self, class: Class) {
        self.shed.get_or_create(&ClassLabels { class: class.name() }).inc();
    }

    pub(crate) fn rate_limited(&self) {
        self.rate_limited.inc();
    }

    pub(crate) fn connected(&self) {
        self.connections.inc();
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    pub(crate) fn disconnected(&self) {
        self.connections.dec();
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    outcome: &'static str,
}

/// What becomes of one attempt at a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttemptOutcome {
    Answered,
    InDoubt,
    /// Not made, because the provider did not answer of late.
    HeldBack,
}

/// What becomes of one notice of a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeOutcome {
    Taken,
    /// About nothing that is here.
    PassedOver,
    /// Not signed, or not readable.
    Refused,
    /// It is to be sent again.
    Failed,
}

/// What is counted about providers of one sort. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ProviderMetrics {
    attempts: Family<OutcomeLabels, Counter>,
    notices: Family<OutcomeLabels, Counter>,
}

impl ProviderMetrics {
    pub fn of_payments(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "omnicart_edge_payment_attempts",
            "Attempts at payment providers, by what became of them",
            metrics.attempts.clone(),
        );
        registry.register(
            "omnicart_edge_payment_notices",
            "Notices of payment providers, by what became of them",
            metrics.notices.clone(),
        );
        metrics
    }

    pub fn of_carriers(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "omnicart_edge_carrier_attempts",
            "Attempts at carriers, by what became of them",
            metrics.attempts.clone(),
        );
        registry.register(
            "omnicart_edge_carrier_notices",
            "Notices of carriers, by what became of them",
            metrics.notices.clone(),
        );
        metrics
    }

    pub(crate) fn attempted(&self, outcome: AttemptOutcome) {
        let outcome = match outcome {
            AttemptOutcome::Answered => "answered",
            AttemptOutcome::InDoubt => "in_doubt",
            AttemptOutcome::HeldBack => "held_back",
        };
        self.attempts.get_or_create(&OutcomeLabels { outcome }).inc();
    }

    pub(crate) fn noticed(&self, outcome: NoticeOutcome) {
        let outcome = match outcome {
            NoticeOutcome::Taken => "taken",
            NoticeOutcome::PassedOver => "passed_over",
            NoticeOutcome::Refused => "refused",
            NoticeOutcome::Failed => "failed",
        };
        self.notices.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

/// What is counted of decisions about fraud. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct VerdictMetrics {
    verdicts: Family<OutcomeLabels, Counter>,
}

impl VerdictMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "omnicart_edge_fraud_verdicts",
            "Orders that were looked at before their payment, by what was decided",
            metrics.verdicts.clone(),
        );
        metrics
    }

    pub(crate) fn judged(&self, verdict: &Verdict) {
        let outcome = match verdict {
            Verdict::Allow => "allowed",
            Verdict::Review { .. } => "held",
            Verdict::Deny { .. } => "denied",
        };
        self.verdicts.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

/// What is counted of imports: by each node what it does for them, so that the sum over all nodes is what
/// became of all. A step that is taken again, after a crash, counts again. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct ImportMetrics {
    running: Gauge<i64, AtomicI64>,
    rows: Counter,
    products: Family<OutcomeLabels, Counter>,
    ended: Family<OutcomeLabels, Counter>,
}

impl ImportMetrics {
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "omnicart_edge_imports_running",
            "Imports that this node applies, those included that wait for their turn",
            metrics.running.clone(),
        );
        registry.register(
            "omnicart_edge_import_rows",
            "Rows of imports that are done with, counting every line",
            metrics.rows.clone(),
        );
        registry.register(
            "omnicart_edge_import_products",
            "Products of imports, by what became of them",
            metrics.products.clone(),
        );
        registry.register(
            "omnicart_edge_imports_ended",
            "Imports whose last step this node took, by how they ended",
            metrics.ended.clone(),
        );
        metrics
    }

    pub(crate) fn begin(&self) -> RunningImport {
        self.running.inc();
        RunningImport(self.running.clone())
    }

    /// A step was taken.
    pub(crate) fn stepped(&self, step: &Step, outcome: &StepOutcome) {
        if let StepOutcome::Advanced { to, counts, .. } = outcome {
            let Counts { written, unchanged, refused } = *counts;
            self.rows.inc_by(to.rows.saturating_sub(step.from.rows));
            for (outcome, n) in
                [("written", written), ("unchanged", unchanged), ("refused", refused)]
            {
                self.products.get_or_create(&OutcomeLabels { outcome }).inc_by(n);
            }
        }
        let outcome = match outcome.end(&step.terms) {
            Some(End::Done) => "done",
            Some(End::Failed(_)) => "failed",
            // No step ends one so.
            Some(End::Cancelled | End::Abandoned) | None => return,
        };
        self.ended.get_or_create(&OutcomeLabels { outcome }).inc();
    }
}

/// An import that is running until this is dropped.
pub(crate) struct RunningImport(Gauge<i64, AtomicI64>);

impl Drop for RunningImport {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The metrics of one route, each looked up once.
pub(crate) struct EndpointMetrics {
    all: EdgeMetrics,
    endpoint: Endpoint,
    by_verb: [OnceLock<VerbMetrics>; Verb::COUNT],
}

struct VerbMetrics {
    duration: Histogram,
    by_status: [OnceLock<Counter>; StatusClass::COUNT],
}

impl EndpointMetrics {
    pub(crate) fn answered(&self, verb: Verb, status: StatusCode, took: Duration) {
        let Some(slot) = self.by_verb.get(verb.index()) else { return };
        let (route, method) = (self.endpoint.path(), verb.name());
        let metrics = slot.get_or_init(|| VerbMetrics {
            duration: self.all.duration.get_or_create_owned(&RouteLabels { route, method }),
            by_status: Default::default(),
        });
        metrics.duration.observe(took.as_secs_f64());
        let class = StatusClass::of(status);
        let Some(slot) = metrics.by_status.get(class as usize) else { return };
        let labels = || RequestLabels { route, method, status: class.name() };
        slot.get_or_init(|| self.all.requests.get_or_create_owned(&labels())).inc();
    }
}

#[derive(Clone, Copy)]
enum StatusClass {
    Done,
    NotModified,
    ClientError,
    ServerError,
}

impl StatusClass {
    const COUNT: usize = 4;

    fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..300 => Self::Done,
            300..400 => Self::NotModified,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Done => "2xx",
            Self::NotModified => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}

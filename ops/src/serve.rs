//! `omnicart serve`: puts the pieces together, and takes them apart again in order.
//!
//! **Invariants:**
//! - the address is taken before the data folder is touched; until every shard is recovered and led,
//!   all that is answered is that the node lives and is not ready;
//! - stopping goes from the outside in: no new connections, then the requests under way, then the
//!   node; whatever was acknowledged is on disk before the process ends with 0.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actors::{BookReader, Currency, PriceBook};
use anyhow::Context;
use cluster::entity::Catalogue;
use cluster::fabric::Fabric;
use cluster::runtime::membership::ClusterHandle;
use cluster::runtime::mesh::credentials::Rotation;
use cluster::runtime::node::{Node, NodeConfig, StartError};
use cluster::runtime::ports::PortAdapter;
use cluster::time::Span;
use edge::http::app::{App, BenchOm, OperatorToken, Settings, Signals};
use edge::http::imports::Importer;
use edge::http::router::router;
use edge::http::starting;
use edge::metrics::{EdgeMetrics, ImportMetrics, ProviderMetrics, VerdictMetrics};
use edge::providers::carrier::Carriers;
use edge::providers::fraud::Fraud;
use edge::providers::payment::Providers;
use edge::publishing;
use edge::server::{Connections, Limits};
use prometheus_client::registry::Registry;
use storage::clock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Notify, oneshot};

use crate::config::{Config, Products};
use crate::failure::{Exit, Failure};
use crate::{carriers, catalogue, demo, folder, fraud, metrics, payments, telemetry};

/// How long threads of the runtime may take to end.
const RUNTIME_END_MAX: Duration = Duration::from_secs(5);
/// After a catalogue could not be published.
const PUBLISH_AGAIN: Duration = Duration::from_secs(5);

/// Serves until a signal says stop.
pub fn run(config: &Config) -> Result<(), Failure> {
    let failed = |error| Failure::new(Exit::Failed, error);
    telemetry::start(config).map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(failed)?;
    let served = runtime.block_on(serve(config));
    // What still runs has nobody to tell.
    runtime.shutdown_timeout(RUNTIME_END_MAX);
    served
}

async fn serve(config: &Config) -> Result<(), Failure> {
    let started = clock::monotonic();
    let mut stop = Stop::listen(config.stops_with_stdin)?;
    let listener = bind(config.listen).await?;
    let address = listener
        .local_addr()
        .context("cannot read the address")
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let book = price_book(&config.products)?;
    let operator_token = operator_token(config)?;
    tracing::info!(
        http.address = %address,
        data.folder = %config.data.display(),
        encrypted = config.key_file.is_some(),
        "starting"
    );

    let mut registry = Registry::default();
    metrics::register(&mut registry, clock::wall_micros());
    let edge_metrics = EdgeMetrics::register(&mut registry);
    let payments = payments::providers(config, ProviderMetrics::of_payments(&mut registry))?;
    let carriers =
        carriers::carriers(config, address, ProviderMetrics::of_carriers(&mut registry))?;
    let verdicts = VerdictMetrics::register(&mut registry);
    let fraud = fraud::rules(config, verdicts.clone())?;
    let limits = Limits { grace: config.shutdown_grace, ..Limits::default() };
    let connections = Connections::new(starting::router(), &limits, edge_metrics.clone());
    let stopping = Arc::new(Notify::new());
    let stopped = Arc::clone(&stopping);
    let serving = edge::server::serve(listener, connections.clone(), limits, async move {
        stopped.notified().await;
    });
    let serving = tokio::spawn(serving);
    let importer = Importer::new(ImportMetrics::register(&mut registry));
    let judge = Arc::new(fraud::port(fraud.as_ref(), verdicts));
    let mut ports: Vec<Arc<dyn PortAdapter>> = vec![judge, Arc::new(importer.clone())];
    ports.extend([Arc::new(payments.clone()) as Arc<dyn PortAdapter>, Arc::new(carriers.clone())]);
    let node = tokio::select! {
        started = start_node(config, ports, &mut registry) => started?,
        () = stop.asked() => return Ok(()),
    };
    let rereading = tokio::spawn(reread_certificates(node.cluster().cloned(), hangups()?));
    let asked_to_stop = async {
        let is_prepared = tokio::select! {
            () = prepare(&node, config, book) => true,
            () = stop.asked() => false,
        };
        if is_prepared {
            let outside = Outside { payments, carriers: carriers.clone(), fraud };
            let app = app(&node, config, operator_token, outside, edge_metrics, registry);
            importer.attach(node.fabric());
            connections.replace(router(app));
            carriers.go_on().await;
            // Whoever waits for this line meets the shop, not the answer of a node that starts.
            log_ready(&node, address, config, started.elapsed()).await;
            stop.asked().await;
        }
    };
    let refused = tokio::select! {
        () = asked_to_stop => None,
        why = node.refused() => Some(why),
    };
    stopping.notify_one();
    serving.await.context("the server").map_err(|error| Failure::new(Exit::Failed, error))?;
    tracing::info!("no more requests, the node stops");
    importer.detach();
    rereading.abort();
    node.stop().await;
    tracing::info!("stopped");
    refused.map_or(Ok(()), |why| Err(not_admitted(config, why)))
}

/// Those who are asked for what a shop cannot do itself.
struct Outside {
    payments: Providers,
    carriers: Carriers,
    fraud: Option<Fraud>,
}

/// What the routes share, from the settings and the node they front.
fn app(
    node: &Node,
    config: &Config,
    operator_token: Option<OperatorToken>,
    outside: Outside,
    metrics: EdgeMetrics,
    registry: Registry,
) -> App {
    let (readiness, fabric) = (node.readiness(), node.fabric());
    let signals = Signals {
        is_ready: Box::new(move || readiness.is_ready()),
        pressure_percent: Box::new(move || fabric.pressure_percent()),
    };
    if config.bench_om == BenchOm::Mounted {
        tracing::warn!(
            "anybody may change the shop under /bench/om: serve it to a benchmark alone"
        );
    }
    let settings = Settings {
        operator_token,
        request_timeout: span(config.request_timeout),
        carts_per_second_max: config.cart_creation_rate,
        import_bytes_max: config.import_bytes_max,
        import_rows_max: config.import_rows_max,
        payment_providers: Some(outside.payments),
        carriers: Some(outside.carriers),
        fraud: outside.fraud,
        hold_max: span(config.fraud_hold),
        payment_routing: config.payment_rules.clone(),
        capture: config.capture,
        checkout_wait: span(config.checkout_wait),
        bench_om: config.bench_om,
        ..Settings::new(Currency::EURO)
    };
    let (fabric, operations) = (node.fabric(), node.operations());
    App::new(fabric, operations, settings, signals, metrics, Arc::new(registry))
}

fn span(time: Duration) -> Span {
    Span::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn not_admitted(config: &Config, why: String) -> Failure {
    let error = anyhow::Error::msg(why).context("the cluster refuses this node");
    let error = error.context(format!("data folder {}", config.data.display()));
    Failure::new(Exit::NotAdmitted, error)
}

pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let in_use = error.kind() == io::ErrorKind::AddrInUse;
        let exit = if in_use { Exit::AddressInUse } else { Exit::Failed };
        let error = anyhow::Error::new(error).context(format!("cannot listen on {address}"));
        Failure::new(exit, error)
    })
}

async fn start_node(
    config: &Config,
    ports: Vec<Arc<dyn PortAdapter>>,
    registry: &mut Registry,
) -> Result<Node, Failure> {
    let kinds = actors::all_kinds();
    let vault = config.key_file.as_deref().map(folder::vault).transpose()?;
    let node_config = NodeConfig {
        n_shards: config.n_shards,
        reader: Some(Arc::new(BookReader)),
        vault,
        segment_bytes: config.segment_bytes,
        snapshot_log_bytes_min: config.snapshot_log_bytes_min,
        resident_bytes_max: config.entity_bytes_max,
        shard_queue_bytes_max: config.shard_queue_bytes_max,
        index_cache_bytes: config.index_cache_bytes,
        mesh: config.mesh.clone(),
        ports,
        ..NodeConfig::new(config.data.clone(), kinds)
    };
    let node = Box::pin(Node::start(node_config, registry))
        .await
        .map_err(|error| start_failed(error, &config.data))?;
    Ok(node)
}

/// Waits until every shard is led, lists what is for sale, and puts the demo's stock on its shelves.
async fn prepare(node: &Node, config: &Config, book: Option<PriceBook>) {
    node.ready().await;
    publish(&node.fabric(), book).await;
    if config.products == Products::Demo {
        stock_up(node).await;
    }
}

/// Names the folder where the error itself does not.
fn start_failed(error: StartError, data: &Path) -> Failure {
    let names_folder = matches!(error, StartError::Folder { .. } | StartError::Lock(_));
    let Failure { exit, error } = Failure::from(error);
    if names_folder {
        return Failure { exit, error };
    }
    Failure { exit, error: error.context(format!("data folder {}", data.display())) }
}

/// Makes the shop sell what a file says; without one it sells what it sold before. A catalogue that
/// cannot be published now, for want of other nodes perhaps, is published later.
async fn publish(fabric: &Fabric, book: Option<PriceBook>) {
    let Some(book) = book else {
        let catalogue = fabric.catalogue();
        let book: Option<&PriceBook> = catalogue.as_ref().and_then(Catalogue::content);
        let products = book.map_or(0, |book| book.listings().len());
        if products == 0 {
            tracing::warn!("no catalogue is set and none was published: nothing is for sale");
        } else {
            tracing::info!(products, "for sale is what was published before");
        }
        return;
    };
    if try_to_publish(fabric, &book).await {
        return;
    }
    let fabric = fabric.clone();
    tokio::spawn(async move {
        tokio::time::sleep(PUBLISH_AGAIN).await;
        while !try_to_publish(&fabric, &book).await {
            tokio::time::sleep(PUBLISH_AGAIN).await;
        }
    });
}

async fn try_to_publish(fabric: &Fabric, book: &PriceBook) -> bool {
    let products = book.listings().len();
    match publishing::publish(fabric, book).await {
        Ok(0) => tracing::info!(products, "for sale is what the catalogue says"),
        Ok(changes) => tracing::info!(products, changes, "the catalogue was published"),
        Err(error) => {
            let error = anyhow::Error::new(error);
            tracing::warn!("the catalogue is not published yet: {error:#}");
            return false;
        }
    }
    true
}

/// A shop that could not be stocked, for want of disk space perhaps, still serves its carts.
async fn stock_up(node: &Node) {
    match demo::stock_up(&node.fabric()).await {
        Ok(skus) => tracing::info!(skus, "demo stock stated where there was none"),
        Err(error) => tracing::warn!("the demo shop is not fully stocked: {error:#}"),
    }
}

async fn log_ready(node: &Node, address: SocketAddr, config: &Config, took: Duration) {
    let shards = node.status().await;
    tracing::info!(
        http.address = %address,
        data.folder = %config.data.display(),
        shards = shards.len(),
        entities = shards.iter().map(|shard| shard.entities).sum::<usize>(),
        entries = shards.iter().map(|shard| shard.applied).sum::<u64>(),
        start_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        "ready"
    );
}

/// What is to be for sale, where that is said.
fn price_book(products: &Products) -> Result<Option<PriceBook>, Failure> {
    let refused = |error| Failure::new(Exit::Usage, error);
    match products {
        Products::Demo => demo::price_book().map(Some).map_err(refused),
        Products::File(path) => std::fs::read_to_string(path)
            .map_err(anyhow::Error::new)
            .and_then(|text| catalogue::parse(&text).map(Some))
            .with_context(|| format!("catalogue {}", path.display()))
            .map_err(refused),
        Products::None => Ok(None),
    }
}

/// The configured token; for a demo without one a fresh one, shown once.
fn operator_token(config: &Config) -> Result<Option<OperatorToken>, Failure> {
    if config.operator_token.is_some() || config.products != Products::Demo {
        if config.operator_token.is_none() {
            tracing::info!("no operator token is set: the admin API is closed");
        }
        return Ok(config.operator_token.clone());
    }
    let text = random_hex()?;
    eprintln!("operator token of this run: {text}");
    let token = OperatorToken::try_from(text);
    Ok(Some(token.map_err(|error| Failure::new(Exit::Failed, error))?))
}

/// Nobody guesses it.
pub(crate) fn random_hex() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the operating system gives no random bytes: {error}"))
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn hangups() -> Result<Signal, Failure> {
    signal(SignalKind::hangup())
        .context("cannot listen for signals")
        .map_err(|error| Failure::new(Exit::Failed, error))
}

/// On each SIGHUP, uses the certificates that lie in their folder by then.
async fn reread_certificates(cluster: Option<ClusterHandle>, mut hangups: Signal) {
    while hangups.recv().await.is_some() {
        let Some(cluster) = &cluster else {
            tracing::info!("SIGHUP: there are no certificates to read again");
            continue;
        };
        match cluster.reload_certificates().await {
            Ok(Rotation::Changed) => tracing::info!("SIGHUP: new certificates are in use"),
            Ok(Rotation::Unchanged) => tracing::info!("SIGHUP: the certificates are the same"),
            Err(error) => {
                let error = anyhow::Error::new(error);
                tracing::error!("SIGHUP: the old certificates stay in use: {error:#}");
            }
        }
    }
}

/// The signals that ask the process to end.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    /// Resolves when standard input ends, if that counts.
    stdin: Option<oneshot::Receiver<()>>,
}

impl Stop {
    pub(crate) fn listen(to_stdin: bool) -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind)
                .context("cannot listen for signals")
                .map_err(|error| Failure::new(Exit::Failed, error))
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            stdin: to_stdin.then(end_of_stdin),
        })
    }

    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => tracing::info!("SIGTERM: stopping"),
            _ = self.interrupt.recv() => tracing::info!("SIGINT: stopping"),
            () = ended(&mut self.stdin) => tracing::info!("standard input ended: stopping"),
        }
    }
}

/// Watches standard input from a thread of its own, because reading it cannot be called off.
fn end_of_stdin() -> oneshot::Receiver<()> {
    let (end, ended) = oneshot::channel();
    std::thread::spawn(move || {
        // What comes in says nothing, and an error is an end.
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        end.send(()).ok();
    });
    ended
}

async fn ended(stdin: &mut Option<oneshot::Receiver<()>>) {
    match stdin {
        // The sender sends once, and lives until then.
        Some(ended) => drop(ended.await),
        None => std::future::pending().await,
    }
}

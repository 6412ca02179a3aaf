//! From what a person gave to what the program runs with: `RawConfig -> Config`.
//!
//! **Invariants:**
//! - flags win over the environment, the environment over the file, the file over the defaults;
//! - a bad value is refused with its setting and its source, and a secret is never quoted;
//! - a [`Config`] is valid as a whole: nothing is checked again later.
//!
//! Nothing here reads a file or the environment: both are handed in.

mod carriers;
mod payments;
mod quantities;
mod raw;
mod settings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use actors::domain::order::CaptureTime;
use actors::domain::payment::ProviderName;
use cluster::placement::member::{Levels, NodeNumber};
use cluster::runtime::joining::MeshSettings;
use cluster::runtime::membership::PlacementRule;
use edge::http::app::{BenchOm, OperatorToken};
use edge::providers::payment::routing::Routing;

pub use carriers::CarrierKind;
pub use payments::PaymentKind;
pub use raw::{RawConfig, Source};
pub use settings::{ENVIRONMENT_CONFIG, Setting};

/// Why settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{} is not a settings file: {reason}", .file.display())]
    Syntax { file: PathBuf, reason: String },
    #[error("unknown setting {key} in {}", .file.display())]
    UnknownKey { file: PathBuf, key: String },
    #[error("setting {setting} from {given}: {reason}")]
    Invalid { setting: Setting, given: String, reason: String },
    #[error("a catalogue and --demo were both given; the demo brings its own catalogue")]
    DemoWithCatalogue,
    #[error("join was given without mesh-listen: members could not reach this node")]
    JoinWithoutMesh,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// Where products come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Products {
    /// Nothing is for sale.
    None,
    File(PathBuf),
    /// The shop this program brings along.
    Demo,
}

/// What the server runs with.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    /// `None`: what the folder has, or the default for a new one.
    pub n_shards: Option<u32>,
    pub segment_bytes: u64,
    pub snapshot_log_bytes_min: u64,
    pub entity_bytes_max: usize,
    pub shard_queue_bytes_max: usize,
    pub index_cache_bytes: u64,
    pub operator_token: Option<OperatorToken>,
    pub key_file: Option<PathBuf>,
    pub products: Products,
    pub log_format: LogFormat,
    /// A level, or directives such as `info,cluster=debug`.
    pub log_level: String,
    pub shutdown_grace: Duration,
    pub request_timeout: Duration,
    /// Carts a second that one address may create; `None` is no limit.
    pub cart_creation_rate: Option<NonZeroU32>,
    pub import_bytes_max: u64,
    pub import_rows_max: u64,
    /// `None`: the node is alone.
    pub mesh: Option<MeshSettings>,
    /// Who takes payments, by the shop's names for them.
    pub payment_providers: BTreeMap<ProviderName, PaymentKind>,
    /// Who takes a payment whose checkout names nobody.
    pub payment_rules: Option<Routing>,
    /// Where the providers' secrets lie.
    pub payment_secrets: Option<PathBuf>,
    /// Who proves the names of https providers; read where there is one.
    pub payment_roots: PathBuf,
    /// Who brings parcels, by the shop's names for them.
    pub carriers: BTreeMap<ProviderName, CarrierKind>,
    /// Where the carriers' secrets lie.
    pub carrier_secrets: Option<PathBuf>,
    /// The file of the rules by which orders are held or refused.
    pub fraud_rules: Option<PathBuf>,
    /// How long an order is held for somebody to decide.
    pub fraud_hold: Duration,
    /// When the money of an order is taken.
    pub capture: CaptureTime,
    /// How long a checkout waits for its end.
    pub checkout_wait: Duration,
    /// Whether the end of standard input asks it to stop.
    pub stops_with_stdin: bool,
    /// Only a flag says so, for nobody is to find it in a file they took over.
    pub bench_om: BenchOm,
}

impl Config {
    /// Checks every setting. `demo` says whether the demo shop was asked for.
    pub fn parse(raw: &RawConfig, demo: Demo) -> Result<Self, ConfigError> {
        let catalogue = raw.optional(Setting::Catalogue, path)?;
        let products = match (catalogue, demo) {
            (Some(_), Demo::Yes) => return Err(ConfigError::DemoWithCatalogue),
            (Some(file), Demo::No) => Products::File(file),
            (None, Demo::Yes) => Products::Demo,
            (None, Demo::No) => Products::None,
        };
        Ok(Self {
            listen: raw.required(Setting::Listen, address)?,
            data: raw.required(Setting::Data, path)?,
            n_shards: raw.optional(Setting::Shards, shards)?,
            segment_bytes: raw.required(Setting::SegmentSize, |text| {
                quantities::bytes_between(text, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
            })?,
            snapshot_log_bytes_min: raw.required(Setting::SnapshotAfter, |text| {
                quantities::bytes_between(text, SNAPSHOT_AFTER_BYTES_MIN, u64::MAX)
            })?,
            entity_bytes_max: raw.required(Setting::EntityMemory, memory)?,
            shard_queue_bytes_max: raw.required(Setting::QueueMemory, memory)?,
            index_cache_bytes: raw.required(Setting::IndexCache, |text| {
                quantities::bytes_between(text, MEMORY_BYTES_MIN, u64::MAX)
            })?,
            operator_token: raw.optional(Setting::OperatorToken, |text| {
                OperatorToken::try_from(text.to_owned()).map_err(|error| error.to_string())
            })?,
            key_file: raw.optional(Setting::KeyFile, path)?,
            products,
            log_format: raw.required(Setting::LogFormat, log_format)?,
            log_level: raw.required(Setting::LogLevel, log_level)?,
            shutdown_grace: raw.required(Setting::ShutdownGrace, quantities::duration)?,
            request_timeout: raw.required(Setting::RequestTimeout, |text| {
                let timeout = quantities::duration(text)?;
                let fits = (Duration::from_millis(1)..=REQUEST_TIMEOUT_MAX).contains(&timeout);
                fits.then_some(timeout).ok_or_else(|| "between 1ms and 5m".to_owned())
            })?,
            cart_creation_rate: raw.required(Setting::CartCreationRate, |text| {
                let rate = text.parse::<u32>().ok().filter(|rate| *rate <= CREATION_RATE_MAX);
                let rate = rate.ok_or_else(|| {
                    format!("a whole number of carts a second, at most {CREATION_RATE_MAX}, or 0")
                })?;
                Ok(NonZeroU32::new(rate))
            })?,
            import_bytes_max: raw.required(Setting::ImportSize, |text| {
                quantities::bytes_between(text, 1, IMPORT_BYTES_MAX)
            })?,
            import_rows_max: raw.required(Setting::ImportRows, |text| {
                let rows = text.parse::<u64>().ok().filter(|rows| *rows > 0);
                rows.ok_or_else(|| "a whole number above 0".to_owned())
            })?,
            mesh: mesh(raw)?,
            payment_providers: raw
                .optional(Setting::PaymentProvider, payments::providers)?
                .unwrap_or_default(),
            payment_rules: raw.optional(Setting::PaymentRules, |text| {
                text.parse::<Routing>().map_err(|error| error.to_string())
            })?,
            payment_secrets: raw.optional(Setting::PaymentSecrets, path)?,
            payment_roots: raw.required(Setting::PaymentRoots, path)?,
            carriers: raw.optional(Setting::Carrier, carriers::carriers)?.unwrap_or_default(),
            carrier_secrets: raw.optional(Setting::CarrierSecrets, path)?,
            fraud_rules: raw.optional(Setting::FraudRules, path)?,
            fraud_hold: raw.required(Setting::FraudHold, quantities::duration)?,
            capture: raw.required(Setting::Capture, capture)?,
            checkout_wait: raw.required(Setting::CheckoutWait, quantities::duration)?,
            stops_with_stdin: false,
            bench_om: BenchOm::Absent,
        })
    }
}

fn capture(text: &str) -> Result<CaptureTime, String> {
    match text {
        "at-once" => Ok(CaptureTime::AtOnce),
        "on-fulfilment" => Ok(CaptureTime::OnFulfilment),
        _ => Err("at-once or on-fulfilment".to_owned()),
    }
}

/// A node's part in a cluster, if it is to have one.
fn mesh(raw: &RawConfig) -> Result<Option<MeshSettings>, ConfigError> {
    let number = raw.required(Setting::NodeNumber, |text| {
        let number: u64 = text.parse().map_err(|_| "a whole number".to_owned())?;
        NodeNumber::try_from(number).map_err(|error| error.to_string())
    })?;
    let advertise = raw.optional(Setting::Advertise, host_and_port)?;
    let zone = raw.required(Setting::Zone, zone)?;
    let certificates = raw.optional(Setting::Certificates, path)?;
    let join = raw.optional(Setting::Join, |text| {
        text.split(',').map(|member| host_and_port(member.trim())).collect::<Result<Vec<_>, _>>()
    })?;
    let join = join.unwrap_or_default();
    let Some(listen) = raw.optional(Setting::MeshListen, mesh_address)? else {
        return if join.is_empty() { Ok(None) } else { Err(ConfigError::JoinWithoutMesh) };
    };
    Ok(Some(MeshSettings {
        number,
        listen,
        advertise: advertise.unwrap_or_else(|| listen.to_string()),
        zone,
        certificates,
        join,
        placement: PlacementRule::default(),
        levels: Levels::OWN,
    }))
}

/// Whether the demo shop was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    Yes,
    No,
}

/// A log entry is up to 1 MiB, and several must fit.
const SEGMENT_BYTES_MIN: u64 = 4 << 20;
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Less would write snapshots more than anything else.
const SNAPSHOT_AFTER_BYTES_MIN: u64 = 64 << 10;
/// Less does not hold one request of the largest size.
const MEMORY_BYTES_MIN: u64 = 1 << 20;
/// A node creates no more, so a higher limit is none.
const CREATION_RATE_MAX: u32 = 1_000_000;
/// What is kept in parts is counted in parts.
const IMPORT_BYTES_MAX: u64 = 64 << 30;
const REQUEST_TIMEOUT_MAX: Duration = Duration::from_secs(300);

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("a path is not empty".to_owned()) } else { Ok(PathBuf::from(text)) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "an address and port, such as 127.0.0.1:7600".to_owned())
}

/// Members know this address, so it cannot be one that changes at every start.
fn mesh_address(text: &str) -> Result<SocketAddr, String> {
    let address = address(text)?;
    if address.port() == 0 { Err("a port other than 0".to_owned()) } else { Ok(address) }
}

fn host_and_port(text: &str) -> Result<String, String> {
    let invalid = || "a host and port, such as node-2.shop.example:7700".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
    let is_port = port.parse::<u16>().is_ok_and(|port| port > 0);
    (is_port && !host.is_empty()).then(|| text.to_owned()).ok_or_else(invalid)
}

fn zone(text: &str) -> Result<String, String> {
    let fits = (1..=64).contains(&text.len());
    fits.then(|| text.to_owned()).ok_or_else(|| "a name of 1 to 64 bytes".to_owned())
}

fn shards(text: &str) -> Result<u32, String> {
    text.parse()
        .ok()
        .filter(|n| (1..=cluster::placement::shard_map::ShardMap::SHARDS_MAX).contains(n))
        .ok_or_else(|| {
            let max = cluster::placement::shard_map::ShardMap::SHARDS_MAX;
            format!("a whole number between 1 and {max}")
        })
}

fn memory(text: &str) -> Result<usize, String> {
    let bytes = quantities::bytes_between(text, MEMORY_BYTES_MIN, u64::MAX)?;
    usize::try_from(bytes).map_err(|_| "more than this machine can address".to_owned())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err("text or json".to_owned()),
    }
}

fn log_level(text: &str) -> Result<String, String> {
    tracing_subscriber::EnvFilter::builder()
        .parse(text)
        .map(|_| text.to_owned())
        .map_err(|error| format!("a level such as info, or target=level pairs: {error}"))
}

#[cfg(test)]
mod tests;

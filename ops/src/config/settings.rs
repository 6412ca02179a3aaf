//! Every setting: its name, its default and its unit, on one screen.
//!
//! **Invariants:** flag, environment variable and file key of a setting are derived from one name;
//! what `--help` prints and what is parsed is the same default.

use std::fmt;

/// Where most systems keep the roots they trust.
const ROOTS_DEFAULT: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Names the settings file in the environment.
pub const ENVIRONMENT_CONFIG: &str = "OMNICART_CONFIG";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    Listen,
    Data,
    Shards,
    SegmentSize,
    SnapshotAfter,
    EntityMemory,
    QueueMemory,
    IndexCache,
    OperatorToken,
    KeyFile,
    Catalogue,
    LogFormat,
    LogLevel,
    ShutdownGrace,
    RequestTimeout,
    CartCreationRate,
    ImportSize,
    ImportRows,
    MeshListen,
    NodeNumber,
    Advertise,
    Zone,
    Certificates,
    Join,
    PaymentProvider,
    PaymentSecrets,
    PaymentRoots,
    PaymentRules,
    Carrier,
    CarrierSecrets,
    FraudRules,
    FraudHold,
    Capture,
    CheckoutWait,
}

/// A setting as people see it.
pub struct Description {
    /// As in the flag: `segment-size`.
    pub name: &'static str,
    pub value: &'static str,
    pub default: Option<&'static str>,
    pub help: &'static str,
}

impl Setting {
    pub const ALL: [Self; 34] = [
        Self::Listen,
        Self::Data,
        Self::Shards,
        Self::SegmentSize,
        Self::SnapshotAfter,
        Self::EntityMemory,
        Self::QueueMemory,
        Self::IndexCache,
        Self::OperatorToken,
        Self::KeyFile,
        Self::Catalogue,
        Self::LogFormat,
        Self::LogLevel,
        Self::ShutdownGrace,
        Self::RequestTimeout,
        Self::CartCreationRate,
        Self::ImportSize,
        Self::ImportRows,
        Self::MeshListen,
        Self::NodeNumber,
        Self::Advertise,
        Self::Zone,
        Self::Certificates,
        Self::Join,
        Self::PaymentProvider,
        Self::PaymentSecrets,
        Self::PaymentRoots,
        Self::PaymentRules,
        Self::Carrier,
        Self::CarrierSecrets,
        Self::FraudRules,
        Self::FraudHold,
        Self::Capture,
        Self::CheckoutWait,
    ];

    pub const fn describe(self) -> Description {
        let (name, value, default) = match self {
            Self::Listen => ("listen", "ADDRESS", Some("127.0.0.1:7600")),
            Self::Data => ("data", "FOLDER", Some("./omnicart-data")),
            Self::Shards => ("shards", "COUNT", None),
            Self::SegmentSize => ("segment-size", "BYTES", Some("64MiB")),
            Self::SnapshotAfter => ("snapshot-after", "BYTES", Some("16MiB")),
            Self::EntityMemory => ("entity-memory", "BYTES", Some("2GiB")),
            Self::QueueMemory => ("queue-memory", "BYTES", Some("8MiB")),
            Self::IndexCache => ("index-cache", "BYTES", Some("32MiB")),
            Self::OperatorToken => ("operator-token", "TOKEN", None),
            Self::KeyFile => ("key-file", "FILE", None),
            Self::Catalogue => ("catalogue", "FILE", None),
            Self::LogFormat => ("log-format", "FORMAT", Some("text")),
            Self::LogLevel => ("log-level", "LEVEL", Some("info")),
            Self::ShutdownGrace => ("shutdown-grace", "TIME", Some("10s")),
            Self::RequestTimeout => ("request-timeout", "TIME", Some("10s")),
            Self::CartCreationRate => ("cart-creation-rate", "COUNT", Some("100")),
            Self::ImportSize => ("import-size", "BYTES", Some("1GiB")),
            Self::ImportRows => ("import-rows", "COUNT", Some("5000000")),
            Self::MeshListen => ("mesh-listen", "ADDRESS", None),
            Self::NodeNumber => ("node-number", "NUMBER", Some("1")),
            Self::Advertise => ("advertise", "HOST:PORT", None),
            Self::Zone => ("zone", "NAME", Some("default")),
            Self::Certificates => ("certificates", "FOLDER", None),
            Self::Join => ("join", "HOST:PORT[,…]", None),
            Self::PaymentProvider => ("payment-provider", "NAME=KIND+URL[,…]", None),
            Self::PaymentSecrets => ("payment-secrets", "FOLDER", None),
            Self::PaymentRoots => ("payment-roots", "FILE", Some(ROOTS_DEFAULT)),
            Self::PaymentRules => ("payment-rules", "RULE[;…]", None),
            Self::Carrier => ("carrier", "NAME=KIND+URL[,…]", None),
            Self::CarrierSecrets => ("carrier-secrets", "FOLDER", None),
            Self::FraudRules => ("fraud-rules", "FILE", None),
            Self::FraudHold => ("fraud-hold", "TIME", Some("240m")),
            Self::Capture => ("capture", "WHEN", Some("at-once")),
            Self::CheckoutWait => ("checkout-wait", "TIME", Some("5s")),
        };
        Description { name, value, default, help: self.help() }
    }

    #[expect(clippy::too_many_lines, reason = "a table of all settings, one a line")]
    const fn help(self) -> &'static str {
        match self {
            Self::Listen => "Where HTTP is served; port 0 picks one",
            Self::Data => "The data folder; made if missing",
            Self::Shards => {
                "Shards of a new data folder, 1 to 4096; fixed for its life [default: 64]"
            }
            Self::SegmentSize => "Size of a log segment, 4MiB to 1GiB; four are on disk at least",
            Self::SnapshotAfter => {
                "Log of one shard after which it is snapshotted and the log trimmed, at least"
            }
            Self::EntityMemory => "Memory for entities, over all shards",
            Self::QueueMemory => "Memory for waiting requests, per shard; past it they are refused",
            Self::IndexCache => "Memory for the cache of the state index",
            Self::OperatorToken => {
                "What the admin API is called with, 32 characters or more; none closes it"
            }
            Self::KeyFile => {
                "File with 64 hexadecimal digits: the key everything on disk is encrypted with"
            }
            Self::Catalogue => {
                "JSON file of what is to be for sale, at all nodes; without it, what was published before"
            }
            Self::LogFormat => "text or json, on stderr",
            Self::LogLevel => "error, warn, info, debug or trace, or target=level pairs",
            Self::ShutdownGrace => {
                "How long requests in flight may take to end after SIGTERM (ms, s, m)"
            }
            Self::RequestTimeout => "How long a request may take (ms, s, m)",
            Self::CartCreationRate => {
                "Carts a second that one address may create, ten seconds' worth at once; 0: no limit"
            }
            Self::ImportSize => "The largest import of products",
            Self::ImportRows => "The most rows that an import of products may have",
            Self::MeshListen => {
                "Where other nodes are heard; none: this node is alone. Port 0 is not possible"
            }
            Self::NodeNumber => "This node's number in the cluster, as in its certificate",
            Self::Advertise => "Where other nodes find this one [default: mesh-listen]",
            Self::Zone => "What fails together: copies go to different zones while there are any",
            Self::Certificates => {
                "Folder of `omnicart certs node`; without it all nodes are on this machine"
            }
            Self::Join => "The meshes of members, to join their cluster with a new folder",
            Self::PaymentProvider => {
                "Who takes payments, such as simulator=simulator+http://127.0.0.1:7690"
            }
            Self::PaymentSecrets => {
                "Folder of the providers' secrets: NAME.notices is what notices of NAME are known by, NAME.key what it is called with"
            }
            Self::PaymentRoots => "PEM file of the roots that prove the names of https providers",
            Self::PaymentRules => {
                "Who takes a payment that names nobody, such as 'currency=EUR amount=..50000 -> stripe*3 other*1; -> stripe'"
            }
            Self::Carrier => {
                "Who is asked to bring parcels, such as simulator=simulator+http://127.0.0.1:7691"
            }
            Self::CarrierSecrets => {
                "Folder of the carriers' secrets: NAME.notices is what notices of NAME are known by"
            }
            Self::FraudRules => {
                "Rules, one a line, such as 'currency=EUR amount=50000.. -> review': the first that fits an order before its payment says allow, review or deny"
            }
            Self::FraudHold => {
                "How long an order that is held keeps its pieces until somebody decides (ms, s, m)"
            }
            Self::Capture => {
                "When the money of an order is taken: at-once, or on-fulfilment with its first shipment"
            }
            Self::CheckoutWait => {
                "How long a checkout waits for its end before it answers 202, a request's time at most"
            }
        }
    }

    /// The key in a settings file: `segment_size`.
    pub fn key(self) -> String {
        self.describe().name.replace('-', "_")
    }

    /// The environment variable: `OMNICART_SEGMENT_SIZE`.
    pub fn variable(self) -> String {
        format!("OMNICART_{}", self.key().to_uppercase())
    }

    /// A secret has no flag, because flags are seen by every user of the machine.
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::OperatorToken)
    }

    /// What adds up where it is given more than once.
    pub const fn is_list(self) -> bool {
        matches!(self, Self::Join | Self::PaymentProvider | Self::Carrier)
    }

    pub(super) fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.key() == key)
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.describe().name)
    }
}

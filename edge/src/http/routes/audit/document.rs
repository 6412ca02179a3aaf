//! Acts and the heads of their chains, in JSON.

use std::fmt;

use actors::domain::audit::{Digest, Link, View};

use crate::http::render::Text;
use crate::http::render::names::NameJson;
use crate::http::rfc3339::Rfc3339;
use crate::http::schema::{Described, Schema, count, list, nullable, object, of, required, words};

/// What an operator did.
#[derive(serde::Serialize)]
pub(in crate::http) struct ActJson {
    chain: String,
    place: u64,
    at: Text<Rfc3339>,
    actor: String,
    operation: String,
    path: String,
    pub(super) entity: NameJson,
    seq: u64,
    key: Option<Text<Hex<16>>>,
    hash: Text<Hex<32>>,
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl ActJson {
    pub(super) fn new(chain: String, place: u64, link: &Link) -> Self {
        let Link { act, hash: Digest(hash) } = link;
        Self {
            chain,
            place,
            at: Text(Rfc3339(act.at)),
            actor: act.by.actor.to_string(),
            operation: act.by.operation.to_string(),
            path: act.by.path.as_str().to_owned(),
            entity: (&act.entity).into(),
            seq: act.seq,
            key: act.key.map(|key| Text(Hex(key))),
            hash: Text(Hex(*hash)),
        }
    }
}

/// What a chain comes to.
#[derive(serde::Serialize)]
pub(in crate::http) struct HeadJson {
    chain: String,
    acts: u64,
    head: Text<Hex<32>>,
}

impl HeadJson {
    pub(super) fn new(chain: String, View { n_links, head, tail: _ }: &View) -> Self {
        Self { chain, acts: *n_links, head: Text(Hex(head.0)) }
    }
}

#[derive(serde::Serialize)]
pub(in crate::http) struct HeadsJson {
    pub(super) data: Vec<HeadJson>,
}

const CHAIN: &str = "shard-3";

const fn hash() -> Schema {
    words::exact(
        "^[0-9a-f]{64}$",
        "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    )
}

impl Described for ActJson {
    fn name() -> String {
        "Act".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("chain", words::text(CHAIN)),
            required("place", count(17)).about("In its chain, from zero on."),
            required("at", words::instant()),
            required("actor", words::handle("operator")),
            required("operation", words::handle("adjustStock"))
                .about("By its `operationId` in this document."),
            required("path", words::text("/admin/v1/inventory/tea-oolong-100/adjust")),
            required("entity", of::<NameJson>()),
            required("seq", count(3)).about("The sequence of the entity after it."),
            required(
                "key",
                nullable(words::exact("^[0-9a-f]{32}$", "0cc175b9c0f1b6a831c399e269772661")),
            )
            .about("A hash of the Idempotency-Key and what scopes it; null without one."),
            required("hash", hash())
                .about("SHA-256 of the hash before it in the chain and the act."),
        ])
    }
}

impl Described for HeadJson {
    fn name() -> String {
        "AuditHead".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("chain", words::text(CHAIN)),
            required("acts", count(18)),
            required("head", hash()).about("The hash of its last act."),
        ])
    }
}

impl Described for HeadsJson {
    fn name() -> String {
        "AuditHeads".to_owned()
    }

    fn schema() -> Schema {
        object([required("data", list(of::<HeadJson>()))])
    }
}

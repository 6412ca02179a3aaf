//! What merchants send about how a stock is sold.

use actors::domain::names::LocationId;
use actors::domain::sku::Policy;
use actors::{Reason, Units};
use cluster::time::Timestamp;

use crate::http::fields::{Document, Faults, Flaw, Members, flaw, integer, parsed, text};
use crate::http::json::Json;
use crate::http::rfc3339::Rfc3339;
use crate::http::routes::documents::words as words_of;
use crate::http::schema::{
    Described, Schema, integer as integer_of, object, optional, required, word, words,
};

/// `{kind, limit?, available_from?}`
pub(in crate::http) struct SetPolicy {
    pub(in crate::http) policy: Policy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deny,
    Backorder,
    Preorder,
}

impl Document for SetPolicy {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let kind = members.required("kind", faults, kind);
        let limit = members.optional("limit", faults, units);
        let available_from = members.optional("available_from", faults, instant);
        let (kind, limit, available_from) = (kind?, limit?, available_from?);
        let mut misplaced = |name: &str, detail| faults.add(name.into(), flaw("invalid", detail));
        if kind == Kind::Deny && limit.is_some() {
            misplaced("limit", "nothing is promised that a limit could be for");
            return None;
        }
        if kind != Kind::Preorder && available_from.is_some() {
            misplaced("available_from", "is of preorders alone");
            return None;
        }
        let policy = match kind {
            Kind::Deny => Policy::Deny,
            Kind::Backorder => Policy::Backorder { limit },
            Kind::Preorder => Policy::Preorder { available_from, limit },
        };
        Some(Self { policy })
    }
}

impl Described for SetPolicy {
    fn name() -> String {
        "StockPolicyBody".to_owned()
    }

    fn schema() -> Schema {
        object([
            required("kind", word(&["preorder", "backorder", "deny"])).about(
                "Whether orders get more than there is: not at all, as backorders, or until \
                 `available_from`.",
            ),
            optional("limit", words::units(20))
                .about("So many pieces may be promised at once, to all orders together."),
            optional("available_from", words::instant().such_as("2026-01-01T00:00:00Z"))
                .about("Of preorders alone."),
        ])
    }
}

/// `{threshold}`
pub(in crate::http) struct SetLowStock {
    pub(in crate::http) threshold: Option<Units>,
}

impl Document for SetLowStock {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { threshold: members.optional("threshold", faults, units)? })
    }
}

impl Described for SetLowStock {
    fn name() -> String {
        "LowStockBody".to_owned()
    }

    fn schema() -> Schema {
        object([optional("threshold", words::units(5))
            .about("The stock is low with so many available, or fewer; null: it never is.")])
    }
}

/// `{from?, to?, quantity, reason}`
pub(in crate::http) struct TransferStock {
    pub(in crate::http) from: Option<LocationId>,
    pub(in crate::http) to: Option<LocationId>,
    pub(in crate::http) quantity: Units,
    pub(in crate::http) reason: Reason,
}

impl Document for TransferStock {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let from = members.optional("from", faults, parsed);
        let to = members.optional("to", faults, parsed);
        let quantity = members.required("quantity", faults, |json| match units(json)? {
            Units::ZERO => Err(flaw("out_of_range", "must not be zero")),
            some => Ok(some),
        });
        let reason = members.required("reason", faults, words_of);
        let (from, to, quantity, reason) = (from?, to?, quantity?, reason?);
        if from == to {
            faults.add("to".into(), flaw("invalid", "must be another location than from"));
            return None;
        }
        Some(Self { from, to, quantity, reason })
    }
}

impl Described for TransferStock {
    fn name() -> String {
        "StockTransfer".to_owned()
    }

    fn schema() -> Schema {
        object([
            optional("from", words::handle("berlin")).about("Without it the default location."),
            optional("to", words::handle("potsdam")).about("Without it the default location."),
            required("quantity", integer_of(1, i64::from(Units::MAX), 4)),
            required("reason", words::reason("the shop runs out")),
        ])
    }
}

fn kind(json: Json<'_>) -> Result<Kind, Flaw> {
    match &*text(json)? {
        "deny" => Ok(Kind::Deny),
        "backorder" => Ok(Kind::Backorder),
        "preorder" => Ok(Kind::Preorder),
        _ => Err(flaw("invalid", "must be deny, backorder or preorder")),
    }
}

fn units(json: Json<'_>) -> Result<Units, Flaw> {
    let count = u32::try_from(integer(json, 0, i64::from(Units::MAX))?).unwrap_or(u32::MAX);
    Units::try_from(count).map_err(|error| flaw("out_of_range", error.to_string()))
}

fn instant(json: Json<'_>) -> Result<Timestamp, Flaw> {
    let read = text(json)?.parse::<Rfc3339>();
    read.map(|at| at.0).map_err(|error| flaw("invalid", error.to_string()))
}

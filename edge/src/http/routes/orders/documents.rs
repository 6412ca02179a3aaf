//! What is sent to orders.

use actors::domain::names::Label;
use actors::{Cart, Money, Quantity, SkuCode};

use crate::http::fields::{Document, Faults, Flaw, Members, integer, made};
use crate::http::json::Json;
use crate::http::routes::documents::{item, money, words};

type Items = Vec<(SkuCode, Quantity)>;

/// `{reason}`
pub(in crate::http) struct CancelOrder {
    pub(in crate::http) reason: Label,
}

impl Document for CancelOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { reason: members.required("reason", faults, words)? })
    }
}

/// `{number?, items, carrier, tracking}`
pub(in crate::http) struct FulfilOrder {
    pub(in crate::http) number: Option<u16>,
    pub(in crate::http) items: Items,
    pub(in crate::http) carrier: Label,
    pub(in crate::http) tracking: Label,
}

impl Document for FulfilOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let number = members.optional("number", faults, number);
        let items = members.objects("items", Cart::LINES_MAX, faults, item);
        let carrier = members.required("carrier", faults, words);
        // Carriers' numbers are long, and one in ten looks like a card's.
        let tracking = members.required("tracking", faults, made);
        Some(Self { number: number?, items: items?, carrier: carrier?, tracking: tracking? })
    }
}

/// `{number?}`
pub(in crate::http) struct DeliverOrder {
    pub(in crate::http) number: Option<u16>,
}

impl Document for DeliverOrder {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { number: members.optional("number", faults, number)? })
    }
}

/// `{number?, items, reason}`
pub(in crate::http) struct AskReturn {
    pub(in crate::http) number: Option<u16>,
    pub(in crate::http) items: Items,
    pub(in crate::http) reason: Label,
}

impl Document for AskReturn {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let number = members.optional("number", faults, number);
        let items = members.objects("items", Cart::LINES_MAX, faults, item);
        let reason = members.required("reason", faults, words);
        Some(Self { number: number?, items: items?, reason: reason? })
    }
}

/// `{number?}`
pub(in crate::http) struct ReceiveReturn {
    pub(in crate::http) number: Option<u16>,
}

impl Document for ReceiveReturn {
    const MAY_BE_EMPTY: bool = true;

    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { number: members.optional("number", faults, number)? })
    }
}

/// `{amount, reason}`
pub(in crate::http) struct RefundOrder {
    pub(in crate::http) amount: Money,
    pub(in crate::http) reason: Label,
}

impl Document for RefundOrder {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        let amount = members.required("amount", faults, money);
        let reason = members.required("reason", faults, words);
        Some(Self { amount: amount?, reason: reason? })
    }
}

/// `{text}`
pub(in crate::http) struct AddNote {
    pub(in crate::http) text: Label,
}

impl Document for AddNote {
    fn read(members: &mut Members<'_>, faults: &mut Faults) -> Option<Self> {
        Some(Self { text: members.required("text", faults, words)? })
    }
}

fn number(json: Json<'_>) -> Result<u16, Flaw> {
    let number = integer(json, 1, i64::from(u16::MAX))?;
    Ok(u16::try_from(number).unwrap_or(u16::MAX))
}

//! The discount code that some carts have, and how often it was used.
//!
//! **Invariants:** which carts have it, and whose they are, follows from their numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use actors::CodeUses;
use actors::domain::code_uses::{Counted, CustomerKey, Query, View};
use actors::domain::order;
use cluster::entity::Wire;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;

use super::super::journal::{Journal, Read};
use super::super::range;

const CUSTOMERS: u64 = 3;
/// What is counted of all customers together; those of one have its number and one.
const ALL: u64 = 0;

pub(super) fn has_code(cart: u64) -> bool {
    cart.is_multiple_of(3)
}

fn customer_number(cart: u64) -> u64 {
    (cart / 3) % CUSTOMERS
}

pub(super) fn customer(cart: u64) -> CustomerKey {
    key(customer_number(cart))
}

fn key(number: u64) -> CustomerKey {
    CustomerKey::from_bytes(u128::from(number).to_be_bytes())
}

fn counted(number: u64) -> Counted {
    let customer = number.checked_sub(1).map(key);
    Counted { code: range::discount_code(), customer }
}

#[derive(Default)]
pub(super) struct Codes {
    pub(super) journal: Journal<()>,
    audits: BTreeSet<u64>,
}

impl Codes {
    pub(super) fn all() -> std::ops::RangeInclusive<u64> {
        ALL..=CUSTOMERS
    }

    pub(super) fn audit(&mut self, op: u64, number: u64) -> Operation {
        self.audits.insert(op);
        let asked = self.journal.read(op, number, (), Freshness::Latest);
        let wish = asked.wish(Query::Uses.to_bytes());
        Operation { entity: CodeUses::address(&counted(number)), wish }
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        self.journal.finish(finished).map(drop)
    }

    /// Each use is of an order that was bought and was not cancelled, and no more of them are counted
    /// than there may be.
    pub(super) fn check(&self, used: &BTreeMap<u64, u32>) -> Result<(), String> {
        for audit in self.journal.audited(&self.audits) {
            let (number, view) = audit?;
            let found = View::read(view)?;
            let limits = range::CODE_LIMITS;
            let limit = if number == ALL { limits.0 } else { limits.1 };
            let expected = used.get(&number).copied().unwrap_or(0);
            let is_within = NonZeroU32::new(limit).is_none_or(|limit| found.used <= limit.get());
            if found != (View { used: expected, held: 0 }) || !is_within {
                let who = counted(number).customer;
                return Err(format!("{expected} orders of {who:?} used a code that is {found:?}"));
            }
        }
        Ok(())
    }
}

/// How often orders used the code: by all customers, and by each.
pub(super) fn uses<'a>(bought: impl Iterator<Item = (u64, &'a order::View)>) -> BTreeMap<u64, u32> {
    let mut uses = BTreeMap::new();
    for (cart, view) in bought {
        if !view.codes.is_empty() {
            *uses.entry(ALL).or_insert(0) += 1;
            *uses.entry(1 + customer_number(cart)).or_insert(0) += 1;
        }
    }
    uses
}

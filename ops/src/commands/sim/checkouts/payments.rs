//! Payments, and what their provider says of them unasked.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::payment::{Lookup, Query, Rejection, View};
use actors::{Payment, PaymentId};
use cluster::entity::Wire;
use cluster::shard::io::{Freshness, Reply};
use cluster::sim::client::{Finished, Wish};
use cluster::sim::workload::Operation;

use super::super::journal::Read;
use super::names;
use super::provider::Notice;

#[derive(Default)]
pub(super) struct Payments {
    /// Notices under way, and whether each is the first word of its operation.
    notices: BTreeMap<u64, bool>,
    audits: BTreeSet<u64>,
    finals: BTreeMap<PaymentId, View>,
    n_unanswered: u64,
    pub(super) notices_first: u64,
}

impl Payments {
    pub(super) fn notify(&mut self, op: u64, notice: &Notice) -> Operation {
        self.notices.insert(op, notice.is_first);
        let wish = Wish::Command { key: None, body: notice.command.to_bytes() };
        Operation { entity: Payment::address(notice.about.payment), wish }
    }

    pub(super) fn audit(&mut self, op: u64, order: u64, cart: u64) -> Operation {
        self.audits.insert(op);
        let (freshness, body) = (Freshness::Latest, Query::Payment.to_bytes());
        let wish = Wish::Query { freshness, at_least: 0, body };
        Operation { entity: Payment::address(names::payment(order, cart)), wish }
    }

    pub(super) fn has(&self, op: u64) -> bool {
        self.notices.contains_key(&op) || self.audits.contains(&op)
    }

    pub(super) fn finish(&mut self, finished: &Finished) -> Result<(), String> {
        let op = finished.op;
        match &finished.reply {
            Some(Reply::Accepted { .. }) => {
                self.notices_first += u64::from(self.notices.get(&op) == Some(&true));
            }
            Some(Reply::Rejected { rejection, .. }) => {
                // The provider was asked, so the payment is there.
                let why = Rejection::read(rejection)?;
                return Err(format!("notice {op} got {why:?}"));
            }
            Some(Reply::Viewed { view, .. }) => {
                if let Lookup(Some(view)) = Lookup::read(view)? {
                    self.finals.insert(view.id, view);
                }
            }
            None => self.n_unanswered += u64::from(self.audits.contains(&op)),
            Some(other) => return Err(format!("operation {op} got {other:?}")),
        }
        Ok(())
    }

    /// Every payment there is, at rest.
    pub(super) fn finals(&self) -> Result<&BTreeMap<PaymentId, View>, String> {
        match self.n_unanswered {
            0 => Ok(&self.finals),
            n => Err(format!("{n} payments do not say what they are")),
        }
    }
}

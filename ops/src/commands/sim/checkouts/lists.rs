//! Lists of orders, at rest: each order is in its book and among its customer's, once, as it is.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::order::View;
use actors::domain::order_list::{ListId, Listed, PageQuery, PageView};
use actors::{OrderId, OrderPage};
use cluster::entity::Wire;
use cluster::shard::io::{Freshness, Reply};
use cluster::sim::client::{Finished, Wish};
use cluster::sim::workload::Operation;

use super::super::journal::Read;
use super::names;

#[derive(Default)]
pub(super) struct Lists {
    audits: BTreeMap<u64, ListId>,
    /// Of each list its first page: no list of a run is longer.
    pages: BTreeMap<ListId, Vec<Listed>>,
}

impl Lists {
    /// Every list that one of these orders, each with its cart, may be in.
    pub(super) fn of(orders: &[(u64, u64)]) -> BTreeSet<ListId> {
        orders
            .iter()
            .flat_map(|(order, cart)| of_order(names::order(*order, *cart), *cart))
            .collect()
    }

    pub(super) fn audit(&mut self, op: u64, list: ListId) -> Operation {
        self.audits.insert(op, list);
        let (freshness, body) = (Freshness::Latest, PageQuery::Entries.to_bytes());
        let wish = Wish::Query { freshness, at_least: 0, body };
        Operation { entity: OrderPage::address(list, 0), wish }
    }

    pub(super) fn has(&self, op: u64) -> bool {
        self.audits.contains_key(&op)
    }

    pub(super) fn finish(&mut self, finished: &Finished) -> Result<(), String> {
        let op = finished.op;
        let Some(list) = self.audits.get(&op) else { return Ok(()) };
        match &finished.reply {
            Some(Reply::Viewed { view, .. }) => {
                let PageView(entries) = PageView::read(view)?;
                self.pages.insert(*list, entries);
                Ok(())
            }
            other => Err(format!("list {list:?} does not say what is in it: {other:?}")),
        }
    }

    /// Orders by their ids, each with its cart.
    pub(super) fn check(&self, orders: &BTreeMap<OrderId, (u64, &View)>) -> Result<(), String> {
        let mut expected: BTreeMap<ListId, BTreeMap<OrderId, &View>> = BTreeMap::new();
        for (id, (cart, view)) in orders {
            for list in of_order(*id, *cart) {
                expected.entry(list).or_default().insert(*id, view);
            }
        }
        for (list, page) in &self.pages {
            let mut orders = expected.remove(list).unwrap_or_default();
            for listed in page {
                let view = orders.remove(&listed.order);
                let is_right = view.is_some_and(|view| {
                    (view.number, view.status, view.placed_at, view.totals.grand)
                        == (Some(listed.number), listed.status, listed.placed_at, listed.total)
                });
                if !is_right {
                    return Err(format!("a list shows {listed:?} for {view:?}"));
                }
            }
            let is_full = page.len() >= usize::try_from(OrderPage::ENTRIES_MAX).unwrap_or(0);
            if let Some(missing) = orders.keys().next().filter(|_| !is_full) {
                return Err(format!("no list shows {missing}"));
            }
        }
        match expected.keys().next() {
            Some(list) => Err(format!("nobody looked at list {list:?}")),
            None => Ok(()),
        }
    }
}

fn of_order(order: OrderId, cart: u64) -> [ListId; 2] {
    [ListId::book_of(order.key().slot()), ListId::of_customer(&names::email(cart))]
}

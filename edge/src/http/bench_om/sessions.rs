//! What this node remembers of customers who fill a cart: where their cart is, and the versions of
//! products that they saw.
//!
//! **Invariants:** nothing here decides whether an order is made twice; a place that is forgotten is
//! found again by asking the carts. A version that is forgotten is taken for the current one.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actors::SkuCode;

/// Past so many customers the node begins anew.
const CUSTOMERS_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Sessions {
    customers: Mutex<HashMap<u32, Session>>,
}

#[derive(Clone, Default)]
pub(super) struct Session {
    pub(super) generation: u64,
    pub(super) versions: BTreeMap<SkuCode, String>,
}

impl Sessions {
    pub(super) fn of(&self, customer: u32) -> Session {
        self.lock().get(&customer).cloned().unwrap_or_default()
    }

    pub(super) fn saw(&self, customer: u32, generation: u64, sku: SkuCode, version: String) {
        self.moved_to(customer, generation);
        if let Some(session) = self.lock().get_mut(&customer) {
            session.versions.insert(sku, version);
        }
    }

    /// The customer's cart is that of a later generation, which is empty at first.
    pub(super) fn moved_to(&self, customer: u32, generation: u64) {
        let mut customers = self.lock();
        if customers.len() >= CUSTOMERS_MAX && !customers.contains_key(&customer) {
            customers.clear();
        }
        let session = customers.entry(customer).or_default();
        if session.generation < generation {
            *session = Session { generation, versions: BTreeMap::new() };
        }
    }

    pub(super) fn emptied(&self, customer: u32) {
        if let Some(session) = self.lock().get_mut(&customer) {
            session.versions.clear();
        }
    }

    pub(super) fn customers(&self) -> Vec<u32> {
        self.lock().keys().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Session>> {
        // Each change leaves whole sessions behind.
        self.customers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Where the carts of customers are, as far as this node has seen.
//!
//! **Invariants:** nothing here decides anything: a place that is forgotten is found again by asking
//! the carts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::runs::{Run, Shopper};

/// Past so many customers the node begins anew.
const CUSTOMERS_MAX: usize = 1_000_000;

#[derive(Default)]
pub(super) struct Sessions {
    generations: Mutex<HashMap<u32, (Run, u64)>>,
}

impl Sessions {
    /// Of the customer's cart, or of one before it.
    pub(super) fn generation(&self, shopper: Shopper) -> u64 {
        let known = self.lock().get(&shopper.customer).copied();
        known.filter(|(run, _)| *run == shopper.run).map_or(0, |(_, generation)| generation)
    }

    pub(super) fn moved_to(&self, Shopper { customer, run }: Shopper, generation: u64) {
        let mut generations = self.lock();
        if generations.len() >= CUSTOMERS_MAX && !generations.contains_key(&customer) {
            generations.clear();
        }
        let known = generations.entry(customer).or_insert((run, generation));
        *known = (run, generation).max(*known);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, (Run, u64)>> {
        // Each change leaves whole places behind.
        self.generations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

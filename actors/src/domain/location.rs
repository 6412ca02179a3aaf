//! Places where stock lies, and which of them sells first.

use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::Content;
use super::names::{Label, LocationId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockLocation {
    pub id: LocationId,
    pub name: Label,
    /// What is sold leaves the lowest first; of equals, the first id.
    pub priority: u32,
}

impl Content for StockLocation {
    const KIND: EntityKind = EntityKind(50);
    const NAME: &'static str = "stock location";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        self.id.as_str().len() + self.name.as_str().len()
    }
}

//! Sellers of a marketplace.
//!
//! **Invariants:** what a suspended seller offers is neither shown nor sold; orders made before stay.

use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::Content;
use super::names::{Label, SellerId};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seller {
    pub id: SellerId,
    pub name: Label,
    pub standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Active,
    Suspended,
}

impl Content for Seller {
    const KIND: EntityKind = EntityKind(15);
    const NAME: &'static str = "seller";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        self.id.as_str().len() + self.name.as_str().len()
    }
}

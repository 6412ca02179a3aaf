//! Which entities are in memory, and what is known of those that are not.
//!
//! **Invariants:** an entity nothing ever happened to is in neither state; a cold entity's record
//! is in the state index at exactly the position kept here; an entity with undecided writes, or one
//! whose last change the index does not hold and cannot be handed, is never let go.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ids::EntityRef;
use crate::shard::record::Record;

#[derive(Default)]
pub(crate) struct Residents {
    entities: BTreeMap<EntityRef, Residency>,
    hot_bytes: usize,
    hot_count: usize,
    /// Where the search for idle entities goes on.
    hand: Option<EntityRef>,
}

pub(crate) enum Residency {
    /// Not in memory; the state index holds the record of this position.
    Cold {
        position: u64,
    },
    Hot(Box<Resident>),
}

pub(crate) struct Resident {
    pub(crate) committed: Record,
    /// The record with everything proposed and not yet applied, on a leader.
    pub(crate) speculative: Option<Box<Speculative>>,
    /// The position at which the state index holds this record.
    pub(crate) indexed_at: u64,
    /// The position it came into memory with: entries at or before it are in it.
    pub(crate) loaded_at: u64,
    footprint: u32,
    touched: bool,
    /// Loaded for work that is not decided yet: it stays until then, or small memories would load
    /// and let go for ever.
    wanted: bool,
}

pub(crate) struct Speculative {
    pub(crate) record: Record,
    /// The last entry that changes it.
    pub(crate) last_index: u64,
}

/// A record that leaves memory.
#[derive(Debug)]
pub(crate) struct Leaving {
    pub(crate) entity: EntityRef,
    pub(crate) position: u64,
    /// The bytes to store, unless the index holds them already.
    pub(crate) unstored: Option<Vec<u8>>,
}

impl Residents {
    pub(crate) fn get(&self, entity: &EntityRef) -> Option<&Residency> {
        self.entities.get(entity)
    }

    pub(crate) fn is_cold(&self, entity: &EntityRef) -> bool {
        matches!(self.entities.get(entity), Some(Residency::Cold { .. }))
    }

    pub(crate) fn hot(&self, entity: &EntityRef) -> Option<&Resident> {
        match self.entities.get(entity)? {
            Residency::Hot(resident) => Some(resident),
            Residency::Cold { .. } => None,
        }
    }

    pub(crate) fn hot_mut(&mut self, entity: &EntityRef) -> Option<&mut Resident> {
        match self.entities.get_mut(entity)? {
            Residency::Hot(resident) => {
                resident.touched = true;
                Some(resident)
            }
            Residency::Cold { .. } => None,
        }
    }

    pub(crate) fn insert_hot(&mut self, entity: EntityRef, committed: Record, indexed_at: u64) {
        let resident = Resident {
            loaded_at: committed.position,
            committed,
            speculative: None,
            indexed_at,
            footprint: 0,
            touched: true,
            wanted: false,
        };
        let before = self.entities.insert(entity.clone(), Residency::Hot(Box::new(resident)));
        match before {
            Some(Residency::Hot(old)) => {
                self.hot_bytes -= old.footprint();
                self.hot_count -= 1;
            }
            Some(Residency::Cold { .. }) | None => {}
        }
        self.hot_count += 1;
        self.measure(&entity);
    }

    /// Keeps an entity in memory until its work is decided.
    pub(crate) fn want(&mut self, entity: &EntityRef) {
        if let Some(resident) = self.hot_mut(entity) {
            resident.wanted = true;
        }
    }

    pub(crate) fn no_longer_want(&mut self, entity: &EntityRef) {
        if let Some(resident) = self.hot_mut(entity) {
            resident.wanted = false;
        }
    }

    pub(crate) fn insert_cold(&mut self, entity: EntityRef, position: u64) {
        self.entities.insert(entity, Residency::Cold { position });
    }

    /// Brings the count of bytes up to date after a change.
    pub(crate) fn measure(&mut self, entity: &EntityRef) {
        const MAP_ENTRY: usize = 96;
        let Some(Residency::Hot(resident)) = self.entities.get_mut(entity) else { return };
        let before = resident.footprint();
        let bytes = MAP_ENTRY + size_of::<Resident>() + resident.committed.footprint();
        resident.footprint = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.hot_bytes = self.hot_bytes - before + resident.footprint();
    }

    /// Forgets everything that was proposed and not applied.
    pub(crate) fn drop_speculation(&mut self) {
        let mut freed = 0;
        let mut gone = 0;
        self.entities.retain(|_, residency| {
            let Residency::Hot(resident) = residency else { return true };
            resident.speculative = None;
            resident.wanted = false;
            let keep = resident.committed.position > 0;
            if !keep {
                freed += resident.footprint();
                gone += 1;
            }
            keep
        });
        self.hot_bytes -= freed;
        self.hot_count -= gone;
    }

    /// Drops an entity that nothing happened to after all.
    pub(crate) fn remove_untouched(&mut self, entity: &EntityRef) {
        let Some(resident) = self.hot(entity) else { return };
        if resident.committed.position > 0 || resident.speculative.is_some() {
            return;
        }
        self.hot_bytes -= resident.footprint();
        self.hot_count -= 1;
        self.entities.remove(entity);
    }

    /// Lets go of entities idle for a whole round of the hand until `bytes_max` is met. Looks at each
    /// entity once at most and at a bounded number, so that a turn stays short.
    pub(crate) fn passivate(&mut self, bytes_max: usize) -> Vec<Leaving> {
        const LOOKS_MAX: usize = 512;
        let mut leaving = Vec::new();
        let mut looks = self.entities.len().min(LOOKS_MAX);
        while self.hot_bytes > bytes_max && looks > 0 {
            let start = self.hand.take().map_or(Bound::Unbounded, Bound::Excluded);
            for (entity, residency) in self.entities.range_mut((start, Bound::Unbounded)) {
                looks -= 1;
                if let Some((gone, bytes)) = residency.let_go(entity) {
                    self.hot_bytes -= bytes;
                    self.hot_count -= 1;
                    leaving.push(gone);
                }
                if looks == 0 || self.hot_bytes <= bytes_max {
                    self.hand = Some(entity.clone());
                    break;
                }
            }
        }
        leaving
    }

    /// Entities after `after`, in order, for whoever walks them all in steps.
    pub(crate) fn walk_after(
        &self,
        after: Option<&EntityRef>,
    ) -> impl Iterator<Item = (&EntityRef, &Residency)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.entities.range((start, Bound::Unbounded))
    }

    pub(crate) fn mark_indexed(&mut self, entity: &EntityRef, position: u64) {
        if let Some(Residency::Hot(resident)) = self.entities.get_mut(entity) {
            resident.indexed_at = resident.indexed_at.max(position);
        }
    }

    pub(crate) fn hot_bytes(&self) -> usize {
        self.hot_bytes
    }

    pub(crate) fn hot_count(&self) -> usize {
        self.hot_count
    }

    pub(crate) fn count(&self) -> usize {
        self.entities.len()
    }
}

impl Residency {
    /// Turns an idle hot entity cold; a used one gets another round.
    fn let_go(&mut self, entity: &EntityRef) -> Option<(Leaving, usize)> {
        let Self::Hot(resident) = self else { return None };
        let used = std::mem::take(&mut resident.touched);
        if used || resident.wanted || resident.speculative.is_some() {
            return None;
        }
        let position = resident.committed.position;
        let bytes = resident.footprint();
        let unstored = (resident.indexed_at != position).then(|| resident.committed.encode());
        *self = Self::Cold { position };
        Some((Leaving { entity: entity.clone(), position, unstored }, bytes))
    }
}

impl Resident {
    fn footprint(&self) -> usize {
        usize::try_from(self.footprint).unwrap_or(usize::MAX)
    }

    /// The record as a leader sees it: with what is proposed and not yet applied.
    pub(crate) fn latest(&self) -> &Record {
        self.speculative.as_ref().map_or(&self.committed, |speculative| &speculative.record)
    }

    pub(crate) fn last_index(&self) -> u64 {
        self.speculative
            .as_ref()
            .map_or(self.committed.position, |speculative| speculative.last_index)
    }
}

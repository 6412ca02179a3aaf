//! Which entities are in memory, and what is known of those that are not.
//!
//! **Invariants:** an entity is hot or cold, and one that nothing ever happened to is neither; a
//! cold entity's record is in the state index at exactly the position kept here; an entity with
//! undecided writes, or one whose last change the index does not hold and cannot be handed, is
//! never let go.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ids::EntityRef;
use crate::mutants::Mutant;
use crate::shard::cold::ColdEntities;
use crate::shard::record::Record;

#[derive(Default)]
pub(crate) struct Residents {
    hot: BTreeMap<EntityRef, Box<Resident>>,
    cold: ColdEntities,
    hot_bytes: usize,
    /// Where the search for idle entities goes on.
    hand: Option<EntityRef>,
}

/// Where an entity is that something happened to.
pub(crate) enum Residency<'a> {
    /// Not in memory; the state index holds the record of this position.
    Cold {
        position: u64,
    },
    Hot(&'a Resident),
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
    pub(crate) fn get(&self, entity: &EntityRef) -> Option<Residency<'_>> {
        if let Some(resident) = self.hot(entity) {
            return Some(Residency::Hot(resident));
        }
        self.cold.position(entity).map(|position| Residency::Cold { position })
    }

    pub(crate) fn is_cold(&self, entity: &EntityRef) -> bool {
        self.cold.position(entity).is_some()
    }

    pub(crate) fn hot(&self, entity: &EntityRef) -> Option<&Resident> {
        self.hot.get(entity).map(AsRef::as_ref)
    }

    pub(crate) fn hot_mut(&mut self, entity: &EntityRef) -> Option<&mut Resident> {
        let resident = self.hot.get_mut(entity)?;
        resident.touched = true;
        Some(resident)
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
        self.cold.remove(&entity);
        if let Some(old) = self.hot.insert(entity.clone(), Box::new(resident)) {
            self.hot_bytes -= old.footprint();
        }
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
        if let Some(old) = self.hot.remove(&entity) {
            self.hot_bytes -= old.footprint();
        }
        self.cold.insert(entity, position);
    }

    /// Brings the count of bytes up to date after a change.
    pub(crate) fn measure(&mut self, entity: &EntityRef) {
        const MAP_ENTRY: usize = 96;
        let Some(resident) = self.hot.get_mut(entity) else { return };
        let before = resident.footprint();
        let bytes = MAP_ENTRY + size_of::<Resident>() + resident.committed.footprint();
        resident.footprint = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.hot_bytes = self.hot_bytes - before + resident.footprint();
    }

    /// Forgets everything that was proposed and not applied.
    pub(crate) fn drop_speculation(&mut self) {
        let mut freed = 0;
        self.hot.retain(|_, resident| {
            resident.speculative = None;
            resident.wanted = false;
            let keep = resident.committed.position > 0;
            if !keep {
                freed += resident.footprint();
            }
            keep
        });
        self.hot_bytes -= freed;
    }

    /// Drops an entity that nothing happened to after all.
    pub(crate) fn remove_untouched(&mut self, entity: &EntityRef) {
        let Some(resident) = self.hot(entity) else { return };
        if resident.committed.position > 0 || resident.speculative.is_some() {
            return;
        }
        self.hot_bytes -= resident.footprint();
        self.hot.remove(entity);
    }

    /// Lets go of entities idle for a whole round of the hand until `bytes_max` is met. Looks at each
    /// entity once at most and at a bounded number, so that a turn stays short.
    pub(crate) fn passivate(&mut self, bytes_max: usize, unstored: Unstored) -> Vec<Leaving> {
        const LOOKS_MAX: usize = 512;
        let mut leaving = Vec::new();
        let mut looks = self.hot.len().min(LOOKS_MAX);
        while self.hot_bytes > bytes_max && looks > 0 {
            let start = self.hand.take().map_or(Bound::Unbounded, Bound::Excluded);
            let already = leaving.len();
            for (entity, resident) in self.hot.range_mut((start, Bound::Unbounded)) {
                looks -= 1;
                if let Some(gone) = resident.let_go(entity, unstored) {
                    self.hot_bytes -= resident.footprint();
                    leaving.push(gone);
                }
                if looks == 0 || self.hot_bytes <= bytes_max {
                    self.hand = Some(entity.clone());
                    break;
                }
            }
            for Leaving { entity, position, .. } in leaving.iter().skip(already) {
                self.hot.remove(entity);
                self.cold.insert(entity.clone(), *position);
            }
        }
        leaving
    }

    /// Entities after `after`, in order, for whoever walks them all in steps.
    pub(crate) fn walk_after(
        &self,
        after: Option<&EntityRef>,
    ) -> impl Iterator<Item = (EntityRef, Residency<'_>)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut hot = self.hot.range((start, Bound::Unbounded)).peekable();
        let mut cold = self.cold.after(after).peekable();
        std::iter::from_fn(move || {
            let next_hot = hot.peek().map(|(entity, _)| *entity);
            let is_next = |(entity, _): &(EntityRef, u64)| next_hot.is_none_or(|hot| entity < hot);
            if let Some((entity, position)) = cold.next_if(is_next) {
                return Some((entity, Residency::Cold { position }));
            }
            hot.next().map(|(entity, resident)| (entity.clone(), Residency::Hot(resident)))
        })
    }

    /// The entities in memory that changed after an index.
    pub(crate) fn committed_after(
        &self,
        index: u64,
    ) -> impl Iterator<Item = (&EntityRef, &Record)> {
        let all = self.hot.iter().map(|(entity, resident)| (entity, &resident.committed));
        all.filter(move |(_, record)| record.position > index)
    }

    /// Those that are not in memory.
    pub(crate) fn cold_after(&self, index: u64) -> impl Iterator<Item = EntityRef> {
        let all = self.cold.after(None).filter(move |(_, position)| *position > index);
        all.map(|(entity, _)| entity)
    }

    pub(crate) fn mark_indexed(&mut self, entity: &EntityRef, position: u64) {
        if let Some(resident) = self.hot.get_mut(entity) {
            resident.indexed_at = resident.indexed_at.max(position);
        }
    }

    pub(crate) fn hot_bytes(&self) -> usize {
        self.hot_bytes
    }

    pub(crate) fn hot_count(&self) -> usize {
        self.hot.len()
    }

    pub(crate) fn count(&self) -> usize {
        self.hot.len() + self.cold.count()
    }
}

/// What becomes of idle entities that the state index does not have yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unstored {
    Leave,
    /// The index has no space for them.
    Stay,
}

impl Resident {
    /// What an idle entity leaves behind; a used one gets another round.
    fn let_go(&mut self, entity: &EntityRef, unstored: Unstored) -> Option<Leaving> {
        let used = std::mem::take(&mut self.touched);
        let position = self.committed.position;
        let is_stored = self.indexed_at == position;
        let must_stay = !is_stored && unstored == Unstored::Stay;
        let undecided = self.speculative.is_some() && !Mutant::LetGoUndecided.is_planted();
        if used || self.wanted || undecided || must_stay {
            return None;
        }
        let unstored = (!is_stored).then(|| self.committed.encode());
        Some(Leaving { entity: entity.clone(), position, unstored })
    }

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

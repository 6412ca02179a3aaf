//! The entities that are not in memory: their addresses, and where the state index holds each.
//!
//! A shop has far more idle carts than busy ones, so what one costs here is what it costs. Generated
//! ids lie packed in sorted runs, which are nearly full; a tree map leaves half its nodes empty and
//! rounds every address up.
//!
//! **Invariants:** a run has 1 to [`RUN_MAX`] ids in order, all of them before those of the next run;
//! entities are walked in the order of [`EntityRef`], whatever the order they came in.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ids::{EntityKey, EntityKind, EntityRef};

/// Ids in a run: few enough that moving them costs less than looking one up.
const RUN_MAX: usize = 256;
/// A run grows by this many places, so that few are empty.
const GROWTH: usize = 32;

#[derive(Default)]
pub(crate) struct ColdEntities {
    kinds: BTreeMap<EntityKind, ColdKind>,
    count: usize,
}

#[derive(Default)]
struct ColdKind {
    numbers: Runs,
    names: BTreeMap<Box<str>, u64>,
}

#[derive(Default)]
struct Runs(Vec<Vec<Packed>>);

#[derive(Clone, Copy)]
struct Packed {
    number: [u8; 16],
    position: u64,
}

impl ColdEntities {
    /// The position at which the state index holds an entity's record.
    pub(crate) fn position(&self, entity: &EntityRef) -> Option<u64> {
        let kind = self.kinds.get(&entity.kind)?;
        match &entity.key {
            EntityKey::Number(number) => kind.numbers.position(number),
            EntityKey::Name(name) => kind.names.get(name).copied(),
        }
    }

    pub(crate) fn insert(&mut self, entity: EntityRef, position: u64) {
        let kind = self.kinds.entry(entity.kind).or_default();
        let before = match entity.key {
            EntityKey::Number(number) => kind.numbers.insert(Packed { number, position }),
            EntityKey::Name(name) => kind.names.insert(name, position),
        };
        self.count += usize::from(before.is_none());
    }

    pub(crate) fn remove(&mut self, entity: &EntityRef) {
        let Some(kind) = self.kinds.get_mut(&entity.kind) else { return };
        let before = match &entity.key {
            EntityKey::Number(number) => kind.numbers.remove(number),
            EntityKey::Name(name) => kind.names.remove(name),
        };
        self.count -= usize::from(before.is_some());
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Entities after `after` with their positions, in order.
    pub(crate) fn after(
        &self,
        after: Option<&EntityRef>,
    ) -> impl Iterator<Item = (EntityRef, u64)> {
        let start = after.map_or(Bound::Unbounded, |after| Bound::Included(after.kind));
        self.kinds.range((start, Bound::Unbounded)).flat_map(move |(kind, cold)| {
            let after = after.filter(|after| after.kind == *kind).map(|after| &after.key);
            cold.after(after).map(|(key, position)| (EntityRef { kind: *kind, key }, position))
        })
    }
}

impl ColdKind {
    fn after(&self, after: Option<&EntityKey>) -> impl Iterator<Item = (EntityKey, u64)> {
        let (numbers, names) = match after {
            None => (Some(self.numbers.after(None)), Bound::Unbounded),
            Some(EntityKey::Number(number)) => {
                (Some(self.numbers.after(Some(number))), Bound::Unbounded)
            }
            Some(EntityKey::Name(name)) => (None, Bound::Excluded(&**name)),
        };
        let numbers = numbers.into_iter().flatten();
        let names = self.names.range::<str, _>((names, Bound::Unbounded));
        numbers
            .map(|packed| (EntityKey::Number(packed.number), packed.position))
            .chain(names.map(|(name, position)| (EntityKey::Name(name.clone()), *position)))
    }
}

impl Runs {
    /// The run that holds a number, if any does.
    fn run_of(&self, number: &[u8; 16]) -> usize {
        let starts_at_or_before =
            |run: &Vec<Packed>| run.first().is_some_and(|first| first.number <= *number);
        self.0.partition_point(starts_at_or_before).saturating_sub(1)
    }

    fn position(&self, number: &[u8; 16]) -> Option<u64> {
        let run = self.0.get(self.run_of(number))?;
        run.get(place_in(run, number).ok()?).map(|held| held.position)
    }

    /// Gives the position that was held before.
    fn insert(&mut self, packed: Packed) -> Option<u64> {
        let nth = self.run_of(&packed.number);
        let is_last = nth + 1 >= self.0.len();
        let Some(run) = self.0.get_mut(nth) else {
            self.0.push(run_of_one(packed));
            return None;
        };
        match place_in(run, &packed.number) {
            Ok(at) => {
                let held = run.get_mut(at)?;
                return Some(std::mem::replace(held, packed).position);
            }
            Err(at) if run.len() < RUN_MAX => {
                if run.len() == run.capacity() {
                    run.reserve_exact(GROWTH);
                }
                run.insert(at, packed);
            }
            // A restart inserts in order, and full runs stay behind.
            Err(at) if at == run.len() && is_last => self.0.push(run_of_one(packed)),
            Err(_) => {
                let upper = run.split_off(RUN_MAX / 2);
                run.shrink_to(RUN_MAX / 2 + GROWTH);
                self.0.insert(nth + 1, upper);
                return self.insert(packed);
            }
        }
        None
    }

    fn remove(&mut self, number: &[u8; 16]) -> Option<u64> {
        let nth = self.run_of(number);
        let run = self.0.get_mut(nth)?;
        let gone = run.remove(place_in(run, number).ok()?);
        if run.is_empty() {
            self.0.remove(nth);
        } else {
            if run.capacity() - run.len() > 2 * GROWTH {
                run.shrink_to(run.len() + GROWTH);
            }
            self.join_with_next(nth);
        }
        Some(gone.position)
    }

    /// Runs that lost most of their ids to memory become one.
    fn join_with_next(&mut self, nth: usize) {
        let [Some(run), Some(next)] = [self.0.get(nth), self.0.get(nth + 1)] else { return };
        if run.len() + next.len() > RUN_MAX / 2 {
            return;
        }
        let next = self.0.remove(nth + 1);
        if let Some(run) = self.0.get_mut(nth) {
            run.reserve_exact(next.len());
            run.extend(next);
        }
    }

    fn after(&self, number: Option<&[u8; 16]>) -> impl Iterator<Item = Packed> {
        let first = number.map_or(0, |number| self.run_of(number));
        let runs = self.0.get(first..).unwrap_or_default();
        let not_after =
            move |packed: &Packed| number.is_some_and(|number| packed.number <= *number);
        runs.iter().flatten().copied().skip_while(not_after)
    }
}

/// Where a number is in a run, or belongs.
fn place_in(run: &[Packed], number: &[u8; 16]) -> Result<usize, usize> {
    run.binary_search_by(|held| held.number.cmp(number))
}

fn run_of_one(packed: Packed) -> Vec<Packed> {
    let mut run = Vec::with_capacity(GROWTH);
    run.push(packed);
    run
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(n: u32) -> EntityRef {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&n.to_be_bytes());
        EntityRef { kind: EntityKind(1), key: EntityKey::Number(bytes) }
    }

    /// Addresses of two kinds, most of them numbers.
    fn address() -> impl Strategy<Value = EntityRef> {
        let key = prop_oneof![
            9 => (0_u32..2_000).prop_map(|n| number(n).key),
            1 => (0_u32..20).prop_map(|n| EntityKey::Name(format!("sku-{n}").into())),
        ];
        (1_u8..3, key).prop_map(|(kind, key)| EntityRef { kind: EntityKind(kind), key })
    }

    #[track_caller]
    fn check(cold: &ColdEntities, model: &BTreeMap<EntityRef, u64>) {
        for kind in cold.kinds.values() {
            for run in &kind.numbers.0 {
                assert!(!run.is_empty() && run.len() <= RUN_MAX);
                assert!(run.capacity() - run.len() <= 2 * GROWTH, "{}", run.capacity());
            }
        }
        assert_eq!(cold.count(), model.len());
        let expected = model.iter().map(|(entity, position)| (entity.clone(), *position));
        assert!(cold.after(None).eq(expected));
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            cases: 64,
            ..ProptestConfig::default()
        })]

        #[test]
        fn it_holds_what_a_map_would(
            changes in prop::collection::vec((address(), prop::option::weighted(0.7, 1_u64..99)), 0..3_000),
            looks in prop::collection::vec(address(), 0..20),
        ) {
            let (mut cold, mut model) = (ColdEntities::default(), BTreeMap::new());
            for (entity, position) in changes {
                match position {
                    Some(position) => {
                        cold.insert(entity.clone(), position);
                        model.insert(entity, position);
                    }
                    None => {
                        cold.remove(&entity);
                        model.remove(&entity);
                    }
                }
            }
            check(&cold, &model);
            for entity in looks {
                prop_assert_eq!(cold.position(&entity), model.get(&entity).copied());
                let after = (Bound::Excluded(&entity), Bound::Unbounded);
                let expected = model.range(after).map(|(entity, position)| (entity.clone(), *position));
                prop_assert!(cold.after(Some(&entity)).eq(expected));
            }
        }
    }

    #[test]
    fn runs_that_came_in_order_are_full() {
        let mut cold = ColdEntities::default();
        (0..10_240).for_each(|n| cold.insert(number(n), 1));
        assert_eq!(cold.kinds[&EntityKind(1)].numbers.0.len(), 40);
    }

    #[test]
    fn ids_in_any_order_cost_little_more_than_themselves() {
        let (mut cold, mut model) = (ColdEntities::default(), BTreeMap::new());
        for n in 0..20_000_u32 {
            let entity = number(n.wrapping_mul(0x9e37_79b9));
            cold.insert(entity.clone(), u64::from(n));
            model.insert(entity, u64::from(n));
        }
        check(&cold, &model);
        let runs = &cold.kinds[&EntityKind(1)].numbers.0;
        let places: usize = runs.iter().map(Vec::capacity).sum();
        assert!(places * size_of::<Packed>() <= 30 * model.len(), "{places}");
        // Nearly all come into memory: what is left does not keep the room of those that went.
        for entity in model.keys().skip(100).cloned().collect::<Vec<_>>() {
            cold.remove(&entity);
            model.remove(&entity);
        }
        check(&cold, &model);
        assert!(cold.kinds[&EntityKind(1)].numbers.0.len() <= 4);
    }
}

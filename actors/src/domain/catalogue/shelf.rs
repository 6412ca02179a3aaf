//! Many things in order of name, of which a few change at a time.
//!
//! **Invariants:** names are in order and each is there once; no chunk is empty or longer than
//! [`CHUNK_MAX`]; a changed shelf shares every chunk without a change with the one before it.
//!
//! What a change costs: the chunks it falls into are made anew, and one pointer per chunk is copied.
//! Of 300,000 things that is about 1,200 pointers and, per changed chunk, 256 more.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Something with a name of its own.
pub(crate) trait Named {
    fn name(&self) -> &str;
}

pub(crate) struct Shelf<T> {
    chunks: Vec<Arc<[Arc<T>]>>,
    len: usize,
}

const CHUNK_MAX: usize = 256;

impl<T: Named> FromIterator<T> for Shelf<T> {
    /// In any order; the later of two of one name counts.
    fn from_iter<I: IntoIterator<Item = T>>(things: I) -> Self {
        let named = things.into_iter().map(|thing| (thing.name().to_owned(), Arc::new(thing)));
        let by_name: BTreeMap<String, _> = named.collect();
        Self::of(&by_name.into_values().collect::<Vec<_>>())
    }
}

impl<T: Named> Shelf<T> {
    /// Of things in order of name, each there once.
    pub(crate) fn of(things: &[Arc<T>]) -> Self {
        debug_assert!(things.is_sorted_by(|left, right| left.name() < right.name()));
        Self { chunks: things.chunks(CHUNK_MAX).map(Arc::from).collect(), len: things.len() }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Arc<T>> {
        let chunk = self.chunks.get(self.chunk_of(name))?;
        let at = chunk.binary_search_by(|thing| thing.name().cmp(name)).ok()?;
        chunk.get(at)
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        Iter { chunks: self.chunks.iter(), chunk: [].iter(), left: self.len }
    }

    /// Those whose names come after one.
    pub(crate) fn after(&self, name: &str) -> impl Iterator<Item = &Arc<T>> {
        let first = self.chunk_of(name);
        let rest = self.chunks.iter().skip(first).flat_map(|chunk| chunk.iter());
        rest.skip_while(move |thing| thing.name() <= name)
    }

    /// After some were replaced, added or, where there is none, removed.
    pub(crate) fn with(&self, changed: BTreeMap<&str, Option<Arc<T>>>) -> Self {
        let mut changed = changed.into_iter().peekable();
        let mut chunks = Vec::with_capacity(self.chunks.len() + 1);
        let ends = self.chunks.iter().skip(1).map(|next| first_name(next)).chain([None]);
        for (chunk, end) in self.chunks.iter().zip(ends) {
            let is_here = |name: &str| end.is_none_or(|end| name < end);
            if !changed.peek().is_some_and(|(name, _)| is_here(name)) {
                chunks.push(Arc::clone(chunk));
                continue;
            }
            let mut here = BTreeMap::new();
            while let Some((name, thing)) = changed.next_if(|(name, _)| is_here(name)) {
                here.insert(name, thing);
            }
            chunks.extend(merged(chunk, here).chunks(CHUNK_MAX).map(Arc::from));
        }
        let added: Vec<_> = changed.filter_map(|(_, thing)| thing).collect();
        chunks.extend(added.chunks(CHUNK_MAX).map(Arc::from));
        let len = chunks.iter().map(|chunk: &Arc<[_]>| chunk.len()).sum();
        Self { chunks, len }
    }

    /// The chunk that holds a name if any does.
    fn chunk_of(&self, name: &str) -> usize {
        let begins_before = |chunk: &Arc<[Arc<T>]>| first_name(chunk).is_some_and(|it| it <= name);
        self.chunks.partition_point(begins_before).saturating_sub(1)
    }
}

fn first_name<T: Named>(chunk: &[Arc<T>]) -> Option<&str> {
    chunk.first().map(|thing| thing.name())
}

fn merged<T: Named>(before: &[Arc<T>], changed: BTreeMap<&str, Option<Arc<T>>>) -> Vec<Arc<T>> {
    let mut changed = changed.into_iter().peekable();
    let mut merged = Vec::with_capacity(before.len() + changed.len());
    for thing in before {
        while let Some((_, new)) = changed.next_if(|(name, _)| *name < thing.name()) {
            merged.extend(new);
        }
        match changed.next_if(|(name, _)| *name == thing.name()) {
            Some((_, new)) => merged.extend(new),
            None => merged.push(Arc::clone(thing)),
        }
    }
    merged.extend(changed.filter_map(|(_, new)| new));
    merged
}

/// All things in order.
pub(crate) struct Iter<'a, T> {
    chunks: std::slice::Iter<'a, Arc<[Arc<T>]>>,
    chunk: std::slice::Iter<'a, Arc<T>>,
    left: usize,
}

impl<'a, T> Iterator for Iter<'a, T> {
    type Item = &'a Arc<T>;

    fn next(&mut self) -> Option<&'a Arc<T>> {
        loop {
            if let Some(thing) = self.chunk.next() {
                self.left = self.left.saturating_sub(1);
                return Some(thing);
            }
            self.chunk = self.chunks.next()?.iter();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<T> ExactSizeIterator for Iter<'_, T> {}

impl<T> Clone for Shelf<T> {
    fn clone(&self) -> Self {
        Self { chunks: self.chunks.clone(), len: self.len }
    }
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }
}

/// Whatever chunks they lie in.
impl<T: Named + PartialEq> PartialEq for Shelf<T> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.iter().eq(other.iter())
    }
}

impl<T: Named + Eq> Eq for Shelf<T> {}

impl<T: Named + fmt::Debug> fmt::Debug for Shelf<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Thing(String, u32);

    impl Named for Thing {
        fn name(&self) -> &str {
            &self.0
        }
    }

    fn thing(number: u32, value: u32) -> Arc<Thing> {
        Arc::new(Thing(format!("{number:05}"), value))
    }

    #[test]
    fn a_small_change_shares_what_it_does_not_touch() {
        let things: Vec<_> = (0..10_000).map(|number| thing(number, 0)).collect();
        let before = Shelf::of(&things);
        let new = thing(5_000, 1);
        let after = before.with(BTreeMap::from([(new.name(), Some(Arc::clone(&new)))]));
        let is_shared = |chunk: &&Arc<[_]>| before.chunks.iter().any(|it| Arc::ptr_eq(it, chunk));
        let n_new = after.chunks.iter().filter(|chunk| !is_shared(chunk)).count();
        assert_eq!((n_new, after.len), (1, 10_000));
        assert_eq!(after.get("05000"), Some(&new));
        assert_eq!(before.get("05000"), Some(&things[5_000]));
    }

    proptest! {
        #[test]
        fn it_holds_what_a_map_would(
            rounds in prop::collection::vec(
                prop::collection::btree_map(0..2_000_u32, prop::option::of(0..9_u32), 0..600),
                0..5,
            ),
            asked in 0..2_000_u32,
        ) {
            let (mut shelf, mut model) = (Shelf::default(), BTreeMap::new());
            for round in rounds {
                let named: Vec<_> = round
                    .iter()
                    .map(|(number, value)| {
                        (format!("{number:05}"), value.map(|value| thing(*number, value)))
                    })
                    .collect();
                let changed = named.iter().map(|(name, new)| (name.as_str(), new.clone())).collect();
                shelf = shelf.with(changed);
                for (number, value) in round {
                    match value {
                        Some(value) => drop(model.insert(number, value)),
                        None => drop(model.remove(&number)),
                    }
                }
                let held: Vec<_> = shelf.iter().cloned().collect();
                let expected: Vec<_> = model.iter().map(|(n, value)| thing(*n, *value)).collect();
                prop_assert_eq!(&held, &expected);
                prop_assert_eq!(shelf.len, expected.len());
                prop_assert_eq!(&shelf, &Shelf::of(&expected));
                prop_assert!(shelf.chunks.iter().all(|it| (1..=CHUNK_MAX).contains(&it.len())));
                let name = format!("{asked:05}");
                let found = shelf.get(&name).map(|thing| thing.1);
                prop_assert_eq!(found, model.get(&asked).copied());
                let after: Vec<_> = shelf.after(&name).map(|thing| thing.1).collect();
                let expected: Vec<_> = model.range(asked + 1..).map(|(_, value)| *value).collect();
                prop_assert_eq!(after, expected);
            }
        }
    }
}

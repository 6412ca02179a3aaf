//! Categories: the tree that products are arranged in.
//!
//! **Invariants:** the tree that readers see has no cycle, whatever the entries say: see
//! [`Categories`].
//!
//! An entry cannot see the others, so it looks at the book: a parent must be in it, and must not lie
//! below the category itself. The book lags, so of two moves at once each may be allowed and both
//! together make a cycle, and a parent may be removed while a child comes. Then the entries stay as
//! they are written, and every node reads the same tree from them: a category whose parent is not
//! there is a root, and of a cycle the category with the first id is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cluster::entity::Context;
use cluster::ids::{EntityKey, EntityKind};
use serde::{Deserialize, Serialize};

use super::entry::{Content, Rejection, book};
use super::names::{CategoryId, Label};
use super::translations::Translations;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    pub id: CategoryId,
    pub name: Label,
    /// Without one it is a root.
    pub parent: Option<CategoryId>,
    /// Among its siblings the lowest comes first; of equals, the first id.
    pub position: u32,
    pub translations: Translations,
}

impl Content for Category {
    const KIND: EntityKind = EntityKind(11);
    const NAME: &'static str = "category";

    fn key(&self) -> EntityKey {
        self.id.key()
    }

    fn heap_bytes(&self) -> usize {
        let parent = self.parent.as_ref().map_or(0, |parent| parent.as_str().len());
        let names = self.id.as_str().len() + self.name.as_str().len();
        names + parent + self.translations.heap_bytes()
    }

    fn check(&self, ctx: &Context<'_>) -> Result<(), Rejection> {
        let Some(parent) = &self.parent else { return Ok(()) };
        let categories = book(ctx)?.categories();
        if *parent == self.id || categories.path(parent).any(|above| above.id == self.id) {
            return Err(Rejection::BelowItself);
        }
        match categories.category(parent) {
            Some(_) => Ok(()),
            None => Err(Rejection::UnknownParent { parent: parent.clone() }),
        }
    }

    fn check_removal(&self, ctx: &Context<'_>) -> Result<(), Rejection> {
        match book(ctx)?.categories().children(Some(&self.id)).next() {
            Some(child) => Err(Rejection::HasChildren { child: child.id.clone() }),
            None => Ok(()),
        }
    }
}

/// The tree of categories: always one, however the entries came about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Categories {
    by_id: BTreeMap<CategoryId, Arc<Category>>,
    /// Roots are below `None`; siblings are in order.
    below: BTreeMap<Option<CategoryId>, Vec<Arc<Category>>>,
    /// Those whose parent is not what their entry says, because that would be a cycle.
    cut: BTreeSet<CategoryId>,
}

impl Categories {
    pub fn category(&self, id: &CategoryId) -> Option<&Category> {
        self.by_id.get(id).map(AsRef::as_ref)
    }

    /// In order of id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Category>> {
        self.by_id.values()
    }

    /// The parent as the tree has it.
    pub fn parent(&self, id: &CategoryId) -> Option<&Category> {
        if self.cut.contains(id) {
            return None;
        }
        self.category(self.category(id)?.parent.as_ref()?)
    }

    /// Those right below a category, or the roots, in order.
    pub fn children(&self, of: Option<&CategoryId>) -> impl Iterator<Item = &Category> {
        self.below.get(&of.cloned()).into_iter().flatten().map(AsRef::as_ref)
    }

    /// A category and those above it, up to its root.
    pub fn path(&self, id: &CategoryId) -> impl Iterator<Item = &Category> {
        std::iter::successors(self.category(id), |below| self.parent(&below.id))
    }
}

impl FromIterator<Arc<Category>> for Categories {
    fn from_iter<I: IntoIterator<Item = Arc<Category>>>(categories: I) -> Self {
        let by_id: BTreeMap<_, _> =
            categories.into_iter().map(|category| (category.id.clone(), category)).collect();
        let mut tree = Self { cut: cut_cycles(&by_id), by_id, below: BTreeMap::new() };
        for category in tree.by_id.values() {
            let parent = tree.parent(&category.id).map(|parent| parent.id.clone());
            tree.below.entry(parent).or_default().push(Arc::clone(category));
        }
        for siblings in tree.below.values_mut() {
            // Stable, and they came in order of id.
            siblings.sort_by_key(|category| category.position);
        }
        tree
    }
}

/// The first id of every cycle. Each category is walked through once.
fn cut_cycles(by_id: &BTreeMap<CategoryId, Arc<Category>>) -> BTreeSet<CategoryId> {
    let mut cut = BTreeSet::new();
    let mut walked: BTreeSet<&CategoryId> = BTreeSet::new();
    for start in by_id.keys() {
        let mut path: Vec<&CategoryId> = Vec::new();
        let mut at = Some(start);
        while let Some(category) = at.and_then(|id| by_id.get(id)) {
            if !walked.insert(&category.id) {
                // Met again: a cycle if it was met on this very walk.
                let cycle = path.iter().position(|before| **before == category.id);
                let first = cycle.and_then(|from| path.iter().skip(from).min());
                cut.extend(first.map(|id| (*id).clone()));
                break;
            }
            path.push(&category.id);
            at = category.parent.as_ref();
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use cluster::entity::{Catalogue, Entity, NoCatalogue};
    use cluster::ids::EntityRef;
    use cluster::time::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::catalogue::PriceBook;
    use crate::domain::entry::{Command, Entry};

    fn category(id: &str, parent: Option<&str>, position: u32) -> Category {
        Category {
            id: id.parse().unwrap(),
            name: Label::try_from(format!("The {id}")).unwrap(),
            parent: parent.map(|parent| parent.parse().unwrap()),
            position,
            translations: Translations::default(),
        }
    }

    fn tree(categories: &[(&str, Option<&str>, u32)]) -> Categories {
        let make = |(id, parent, position): &(&str, Option<&str>, u32)| {
            Arc::new(category(id, *parent, *position))
        };
        categories.iter().map(make).collect()
    }

    fn ids<'a>(categories: impl Iterator<Item = &'a Category>) -> Vec<&'a str> {
        categories.map(|category| category.id.as_str()).collect()
    }

    #[test]
    fn siblings_come_by_position_and_then_by_id() {
        let tree = tree(&[
            ("tea", None, 1),
            ("cups", None, 0),
            ("green", Some("tea"), 1),
            ("black", Some("tea"), 1),
            ("white", Some("tea"), 0),
            ("lost", Some("gone"), 0),
        ]);
        assert_eq!(ids(tree.children(None)), ["cups", "lost", "tea"]);
        assert_eq!(ids(tree.children(Some(&"tea".parse().unwrap()))), ["white", "black", "green"]);
        assert_eq!(ids(tree.path(&"green".parse().unwrap())), ["green", "tea"]);
    }

    #[test]
    fn of_a_cycle_the_first_id_is_a_root() {
        let tree = tree(&[
            ("b", Some("c"), 0),
            ("c", Some("d"), 0),
            ("d", Some("b"), 0),
            ("a", Some("d"), 0),
            ("e", Some("e"), 0),
        ]);
        assert_eq!(ids(tree.children(None)), ["b", "e"]);
        assert_eq!(ids(tree.path(&"a".parse().unwrap())), ["a", "d", "b"].map(|id| id).to_vec());
    }

    #[track_caller]
    fn check(given: &Categories, when: Command<Category>, me: &str, then: Result<(), Rejection>) {
        let book = PriceBook::empty().with_categories(given.iter().map(|it| (**it).clone()));
        let catalogue = Catalogue { index: 1, content: Arc::new(book) };
        let key = me.parse::<CategoryId>().unwrap().key();
        let me_at = EntityRef { kind: Category::KIND, key };
        let own = given.category(&me.parse().unwrap()).cloned();
        let entry = Entry { content: own };
        let now = Timestamp::from_micros(1);
        let ctx = Context { now, me: &me_at, entropy: [0; 32], catalogue: Ok(&catalogue) };
        assert_eq!(entry.decide(when.clone(), &ctx).map(|_| ()), then);
        let ctx = Context { catalogue: Err(NoCatalogue::Stale), ..ctx };
        let unsure = entry.decide(when, &ctx).map(|_| ());
        assert!(unsure == Ok(()) || unsure == Err(Rejection::CatalogueUnavailable), "{unsure:?}");
    }

    #[test]
    fn a_category_moves_anywhere_but_below_itself() {
        let given =
            tree(&[("a", None, 0), ("b", Some("a"), 0), ("c", Some("b"), 0), ("d", None, 0)]);
        let put = |id: &str, parent| Command::Put { content: category(id, parent, 0) };
        check(&given, put("a", Some("d")), "a", Ok(()));
        check(&given, put("a", Some("c")), "a", Err(Rejection::BelowItself));
        check(&given, put("a", Some("a")), "a", Err(Rejection::BelowItself));
        check(&given, put("c", Some("a")), "c", Ok(()));
        check(&given, put("e", Some("c")), "e", Ok(()));
        let parent = "x".parse().unwrap();
        check(&given, put("e", Some("x")), "e", Err(Rejection::UnknownParent { parent }));
    }

    #[test]
    fn a_category_with_others_below_it_stays() {
        let given = tree(&[("a", None, 0), ("b", Some("a"), 0)]);
        let child = "b".parse().unwrap();
        check(&given, Command::Remove, "a", Err(Rejection::HasChildren { child }));
        check(&given, Command::Remove, "b", Ok(()));
    }

    proptest! {
        #[test]
        fn readers_see_a_tree_whatever_was_written(
            parents in prop::collection::vec(prop::option::of(0..12_usize), 0..12),
        ) {
            let make = |(at, parent): (usize, &Option<usize>)| {
                let parent = parent.map(|parent| format!("c{parent}"));
                Arc::new(category(&format!("c{at}"), parent.as_deref(), 0))
            };
            let tree: Categories = parents.iter().enumerate().map(make).collect();
            let mut reached = 0;
            let mut open: Vec<Option<CategoryId>> = vec![None];
            while let Some(of) = open.pop() {
                for child in tree.children(of.as_ref()) {
                    reached += 1;
                    prop_assert!(reached <= parents.len());
                    open.push(Some(child.id.clone()));
                }
            }
            prop_assert_eq!(reached, parents.len());
            for category in tree.iter() {
                let above = tree.path(&category.id).take(parents.len() + 1).count();
                prop_assert!(above <= parents.len());
                let is_moved = tree.parent(&category.id).map(|parent| &parent.id)
                    != category.parent.as_ref();
                let is_lost =
                    category.parent.as_ref().is_some_and(|id| tree.category(id).is_none());
                let starts_cycle = tree.cut.contains(&category.id);
                prop_assert_eq!(is_moved, is_lost || starts_cycle);
            }
        }
    }
}

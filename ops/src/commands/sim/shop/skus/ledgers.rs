//! What the ledgers of stocks say: each change once, each from what the one before it left.
//!
//! **Invariants:** a change has one cause, an operation that was not refused or a reservation that
//! was confirmed.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::sku::{Cause, LedgerEntry};
use actors::{Delta, Units};

use super::super::super::journal::{Fate, Journal};
use super::{Deed, claim_of};

/// Of a stock's ledger; with fewer entries it is the whole story.
const ENTRIES_MAX: usize = 50;

#[derive(Default)]
pub(super) struct Ledgers {
    /// The change that each cause made, by product.
    changes: BTreeMap<u64, BTreeMap<Origin, (Delta, Units)>>,
    /// The longest whole story that was seen of a product.
    whole: BTreeMap<u64, BTreeSet<Origin>>,
    /// Products whose ledger has forgotten something.
    forgetful: BTreeSet<u64>,
}

/// Why a stock changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Operation(u64),
    /// The reservation that this operation asked for was confirmed.
    Sale(u64),
}

fn origin(cause: &Cause) -> Option<Origin> {
    match cause {
        Cause::Stated(reason) => reason.as_str().parse().ok().map(Origin::Operation),
        Cause::Sold(id) => claim_of(*id).map(Origin::Sale),
        // Nobody speaks of locations here.
        Cause::StatedAt(..) | Cause::SoldFrom(..) | Cause::Transferred { .. } => None,
    }
}

impl Ledgers {
    /// Takes a ledger in, newest change first.
    pub(super) fn take(&mut self, product: u64, entries: Vec<LedgerEntry>) -> Result<(), String> {
        let is_whole = entries.len() < ENTRIES_MAX;
        let mut on_hand = is_whole.then_some(Units::ZERO);
        let mut origins = BTreeSet::new();
        let known = self.changes.entry(product).or_default();
        for entry in entries.iter().rev() {
            let LedgerEntry { delta, on_hand: after, cause, .. } = entry;
            if on_hand.is_some_and(|before| Delta::between(before, *after) != *delta) {
                return Err(format!("{entry:?} does not follow {on_hand:?}: {entries:?}"));
            }
            on_hand = Some(*after);
            let origin = origin(cause).ok_or_else(|| format!("nobody wanted {entry:?}"))?;
            if !origins.insert(origin) {
                return Err(format!("{origin:?} is there twice: {entries:?}"));
            }
            let change = *known.entry(origin).or_insert((*delta, *after));
            if change != (*delta, *after) {
                return Err(format!("{origin:?} was {change:?} before: {entry:?}"));
            }
        }
        if !is_whole {
            self.forgetful.insert(product);
        } else if self.whole.get(&product).is_none_or(|whole| whole.len() <= origins.len()) {
            self.whole.insert(product, origins);
        }
        Ok(())
    }

    /// Holds what was seen against what was asked for.
    pub(super) fn check(
        &self,
        journal: &Journal<Deed>,
        fates: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        let mut confirmed: BTreeMap<u64, Fate> = BTreeMap::new();
        for (op, asked) in journal.iter() {
            if let (Deed::Confirm { claim }, Some(fate)) = (asked.deed, fates.get(&op)) {
                let known = confirmed.entry(claim).or_insert(*fate);
                *known = (*fate).max(*known);
            }
        }
        for (product, changes) in &self.changes {
            for (origin, (delta, on_hand)) in changes {
                let (op, fate) = match origin {
                    Origin::Operation(op) => (*op, fates.get(op)),
                    Origin::Sale(claim) => (*claim, confirmed.get(claim)),
                };
                let asked = journal.get(op).filter(|asked| asked.entity == *product);
                let meant = match (origin, asked.map(|asked| asked.deed)) {
                    (Origin::Operation(_), Some(Deed::Adjust { delta: by })) => delta.get() == by,
                    (Origin::Operation(_), Some(Deed::State { on_hand: to })) => {
                        on_hand.get() == to
                    }
                    (Origin::Sale(_), Some(Deed::Reserve { pieces, .. })) => {
                        delta.get() == -i64::from(pieces)
                    }
                    (_, _) => false,
                };
                if !meant || fate.is_none_or(|fate| *fate == Fate::Refused) {
                    return Err(format!(
                        "product {product} changed by {delta:?} to {on_hand} for {origin:?}, \
                         which was {asked:?}, {fate:?}"
                    ));
                }
            }
        }
        self.check_presence(journal, fates, &confirmed)
    }

    /// What was done is in the whole story.
    fn check_presence(
        &self,
        journal: &Journal<Deed>,
        fates: &BTreeMap<u64, Fate>,
        confirmed: &BTreeMap<u64, Fate>,
    ) -> Result<(), String> {
        for (op, asked) in journal.iter() {
            // A stock that is stated to be what it is does not change.
            let (origin, fate) = match asked.deed {
                Deed::Adjust { .. } => (Origin::Operation(op), fates.get(&op)),
                Deed::Reserve { .. } => (Origin::Sale(op), confirmed.get(&op)),
                Deed::State { .. } | Deed::Confirm { .. } | Deed::Release { .. } => continue,
                Deed::Look { .. } => continue,
            };
            if fate != Some(&Fate::Done) {
                continue;
            }
            let story = self.whole.get(&asked.entity);
            let is_told = story.is_some_and(|story| story.contains(&origin));
            if !is_told && !self.forgetful.contains(&asked.entity) {
                return Err(format!("{origin:?} {asked:?} is not in the ledger"));
            }
        }
        Ok(())
    }

    pub(super) fn has_sale(&self, product: u64, claim: u64) -> bool {
        self.changes.get(&product).is_some_and(|of| of.contains_key(&Origin::Sale(claim)))
    }
}

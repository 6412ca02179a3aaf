//! Each answer of a cart held against the state before it, where somebody saw that.
//!
//! **Invariants:** what changes a cart has a sequence of its own, and what is refused has none.

use std::collections::BTreeMap;

use actors::domain::cart::{Lookup, Rejection, Status, View};

use super::super::super::journal::{Asked, How, Read};
use super::super::super::range;
use super::{Carts, Contents, Deed, contents, id};

impl Carts {
    pub(super) fn check_steps(&self) -> Result<(), String> {
        let mut changes = BTreeMap::new();
        for (op, asked) in self.journal.iter() {
            let How::Write { first, .. } = asked.how else { continue };
            if let Some((reply, seq)) = asked.accepted() {
                self.check_step(op, asked, reply, seq)?;
                let other = match asked.deed {
                    Deed::Add { .. } | Deed::Remove { .. } => {
                        changes.insert((asked.entity, seq), first)
                    }
                    // These may find that there is nothing to do.
                    Deed::Create | Deed::Set { .. } | Deed::Clear | Deed::Merge { .. } => None,
                    Deed::Look => None,
                };
                if let Some(other) = other.filter(|other| *other != first) {
                    return Err(format!("operations {other} and {op} are one at {seq}: {asked:?}"));
                }
            }
            if let Some((rejection, seq)) = asked.rejected() {
                let rejection = Rejection::read(rejection)?;
                let cart = self.seen.get(&(asked.entity, seq));
                if !is_refusal(asked.deed, &rejection, cart.map(Option::as_ref)) {
                    return Err(format!("operation {op} {asked:?} got {rejection:?} of {cart:?}"));
                }
            }
        }
        Ok(())
    }

    fn check_step(
        &self,
        op: u64,
        asked: &Asked<Deed>,
        reply: &[u8],
        seq: u64,
    ) -> Result<(), String> {
        let Lookup(Some(after)) = Lookup::read(reply)? else {
            return Err(format!("operation {op} was done to no cart: {asked:?}"));
        };
        let Some(before) = self.seen.get(&(asked.entity, seq.saturating_sub(1))) else {
            return Ok(());
        };
        if is_step(asked.deed, before.as_ref(), &after) {
            return Ok(());
        }
        Err(format!("operation {op} {asked:?} made {after:?} of {before:?}"))
    }
}

/// Whether a deed leads from one state to the other, or found that there was nothing to do.
fn is_step(deed: Deed, before: Option<&View>, after: &View) -> bool {
    let (found, left) = (before.map(contents).unwrap_or_default(), contents(after));
    let leads = |from: &Contents| leads(deed, from) == left;
    let was_open = before.is_some_and(|before| before.status == Status::Open);
    let is_open = after.status == Status::Open;
    match deed {
        Deed::Create => is_open && (before.is_some() || left.is_empty()),
        Deed::Add { .. } => was_open && is_open && leads(&found),
        Deed::Remove { product } => {
            was_open && is_open && found.contains_key(&product) && leads(&found)
        }
        Deed::Set { .. } | Deed::Clear => is_open && (leads(&found) || leads(&left)),
        Deed::Merge { into } => match after.status {
            Status::Merging { into: target } => target == id(into) && (!was_open || leads(&found)),
            Status::MergedAway { into: target } => target == id(into) && left.is_empty(),
            Status::Open
            | Status::Deleted
            | Status::CheckingOut { .. }
            | Status::Ordered { .. } => false,
        },
        Deed::Look => true,
    }
}

fn leads(deed: Deed, from: &Contents) -> Contents {
    let mut to = from.clone();
    match deed {
        Deed::Add { product, pieces } => *to.entry(product).or_default() += pieces,
        Deed::Set { product, pieces } => {
            to.insert(product, pieces);
        }
        Deed::Remove { product } => {
            to.remove(&product);
        }
        Deed::Clear => to.clear(),
        Deed::Create | Deed::Merge { .. } | Deed::Look => {}
    }
    to
}

/// Whether a cart has reason to refuse a deed; one that nobody saw may have any that there is.
fn is_refusal(deed: Deed, rejection: &Rejection, cart: Option<Option<&View>>) -> bool {
    let is = |status: Status| cart.is_none_or(|cart| cart.is_some_and(|it| it.status == status));
    match (rejection, deed) {
        (Rejection::NotFound, _) => cart.is_none_or(|cart| cart.is_none()),
        (Rejection::Merging { into }, _) => is(Status::Merging { into: *into }),
        (Rejection::MergedAway { into }, _) => is(Status::MergedAway { into: *into }),
        (Rejection::LineNotFound { sku }, Deed::Remove { product }) => {
            let holds = |it: &View| contents(it).contains_key(&product);
            *sku == range::code(product) && cart.is_none_or(|cart| !cart.is_some_and(holds))
        }
        (Rejection::QuantityTooLarge { .. }, Deed::Add { .. }) => true,
        (_, _) => false,
    }
}

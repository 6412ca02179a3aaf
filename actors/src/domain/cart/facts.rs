//! What the world is told of a cart.

use super::{Event, Existing};
use crate::domain::ids::SkuCode;
use crate::domain::published::CartFact;
use crate::domain::quantity::Quantity;

/// The one fact that the events of a decision make true; `after` is the cart as they leave it.
pub(super) fn fact_of(
    before: Option<&Existing>,
    events: &[Event],
    after: &Existing,
) -> Option<CartFact> {
    // That an offer is repeated is between two carts.
    if events.iter().all(|event| matches!(event, Event::OfferRepeated { .. })) {
        return None;
    }
    let quantities = after.lines.iter().map(|line| line.quantity.get());
    Some(CartFact::Updated {
        status: after.status,
        total: after.lines.total(after.currency).ok()?,
        lines: u32::try_from(after.lines.len()).unwrap_or(u32::MAX),
        pieces: quantities.fold(0, u32::saturating_add),
        changed: changed(before, after),
    })
}

/// Lines that are another now, or gone, in order of SKU.
fn changed(before: Option<&Existing>, after: &Existing) -> Vec<(SkuCode, Option<Quantity>)> {
    let set = after.lines.iter().filter(|line| !before.is_some_and(|cart| cart.lines.has(line)));
    let set = set.map(|line| (line.sku.clone(), Some(line.quantity)));
    let lines = before.into_iter().flat_map(|cart| cart.lines.iter());
    let gone = lines.filter(|line| after.lines.quantity(&line.sku).is_none());
    let mut changed: Vec<_> = set.chain(gone.map(|line| (line.sku.clone(), None))).collect();
    changed.sort();
    changed
}

#[cfg(test)]
mod tests {
    use super::super::tests::{created, decide, deleted, set, shop, sku, tea};
    use super::super::{Command, Status};
    use super::*;
    use crate::domain::money::{Currency, Money};
    use crate::domain::published::{Fact, told_apart};

    /// The changed lines, in short.
    type Changed<'a> = &'a [(&'a str, Option<u32>)];

    #[track_caller]
    fn check(given: &[Event], when: Command, then: Option<(Status, i64, u32, u32, Changed<'_>)>) {
        let (facts, _) = told_apart(decide(given, when, Some(&shop())).unwrap().effects);
        let fact = then.map(|(status, minor, lines, pieces, changed)| {
            let total = Money { minor, currency: Currency::EURO };
            let line = |(code, count): &(&str, Option<u32>)| {
                (sku(code), count.map(|count| count.try_into().unwrap()))
            };
            let changed = changed.iter().map(line).collect();
            Fact::Cart(CartFact::Updated { status, total, lines, pieces, changed })
        });
        assert_eq!(facts, fact.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn the_world_is_told_what_changed_in_a_cart() {
        let given = [created(), tea(2), set("bead-01", 1, 1)];
        let more = Command::SetQuantity { sku: sku("tea"), quantity: 3.try_into().unwrap() };
        let changed: Changed<'_> = &[("tea", Some(3))];
        check(&given, more, Some((Status::Open, 1_351, 2, 4, changed)));
        let gone: Changed<'_> = &[("bead-01", None), ("tea", None)];
        check(&given, Command::Clear, Some((Status::Open, 0, 0, 0, gone)));
        check(&given, Command::Delete, Some((Status::Deleted, 0, 0, 0, gone)));
    }

    #[test]
    fn nothing_is_told_of_what_changes_nothing() {
        check(&[created(), deleted()], Command::Delete, None);
        check(&[created(), tea(2)], Command::RepeatOffer, None);
        let same = Command::SetQuantity { sku: sku("tea"), quantity: 2.try_into().unwrap() };
        check(&[created(), tea(2)], same, None);
    }
}

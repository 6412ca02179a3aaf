//! What clients saw of one entity, and whether it can have been so.
//!
//! **Invariants:** an entity's state is a sum, so that the checker that the simulator uses judges it:
//! a cart is the pieces of each product side by side in one number, a stock is its pieces on hand
//! and, below them, its reserved ones.

use bytes::Bytes;
use cluster::sim::linearizability::{self, Observed, Verdict};
use hyper::StatusCode;
use serde::Deserialize;

use crate::load::client::{Answer, Call};
use crate::peers::omnicart::{CartHandle, StockLevel};
use crate::shop::PRODUCTS;

/// Bits for the pieces of one product: a line holds 9,999 at most.
const CART_BITS: u32 = 15;
/// Products that carts are filled with: as many as a number has room for.
pub(super) const CART_PRODUCTS: usize = 4;
const RESERVED_BITS: u32 = 24;

/// Whom a tale is about.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Cart(CartHandle),
    Stock(String),
}

/// A request and what it was answered first.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) call: Call,
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Kept {
    pub(super) fn new(call: &Call, answer: &Answer) -> Self {
        Self { call: call.clone(), status: answer.status, body: answer.body.clone() }
    }
}

pub(super) struct Tale {
    pub(super) subject: Subject,
    pub(super) observed: Vec<Observed>,
    /// Some of the requests under keys, to be asked again.
    pub(super) kept: Vec<Kept>,
}

/// What is wrong with a tale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) oversold: u64,
    /// A stock that is not what acknowledged changes make it.
    pub(super) stock_errors: u64,
    pub(super) not_linearizable: u64,
    pub(super) undecided: u64,
}

#[derive(Deserialize)]
struct CartView {
    items: Vec<LineView>,
}

#[derive(Deserialize)]
struct LineView {
    sku: String,
    quantity: i64,
}

/// A cart's pieces of one product as a number.
pub(super) fn pieces(product: usize, quantity: u32) -> i64 {
    i64::from(quantity) << (CART_BITS * u32::try_from(product).unwrap_or(0))
}

/// The whole cart that an answer shows, as a number.
pub(super) fn cart_in(answer: &Answer) -> anyhow::Result<i64> {
    let view: CartView = answer.json()?;
    let mut sum = 0;
    for line in view.items {
        let product = PRODUCTS.iter().position(|(sku, ..)| *sku == line.sku);
        let quantity = u32::try_from(line.quantity)?;
        sum += product.map_or(0, |product| pieces(product, quantity));
    }
    Ok(sum)
}

/// A change of a stock, or a stock, as a number.
pub(super) fn stock(on_hand: i64, reserved: i64) -> i64 {
    (on_hand << RESERVED_BITS) + reserved
}

pub(super) fn stock_of(level: StockLevel) -> anyhow::Result<i64> {
    Ok(stock(i64::try_from(level.on_hand)?, i64::try_from(level.reserved)?))
}

/// On hand and reserved.
fn parts_of(number: i64) -> (i64, i64) {
    let reserved = number << (64 - RESERVED_BITS) >> (64 - RESERVED_BITS);
    ((number - reserved) >> RESERVED_BITS, reserved)
}

impl Tale {
    /// Judges it by what is there in the end, which `observed` holds as well.
    pub(super) fn judge(&self, there: i64) -> Judgement {
        let mut found = Judgement::default();
        match linearizability::check(&self.observed) {
            Verdict::Linearizable => {}
            Verdict::Violated => found.not_linearizable = 1,
            Verdict::Undecided => found.undecided = 1,
        }
        let answered = self.observed.iter().filter(|seen| seen.done_at.is_some());
        let promised: i64 = answered.map(|seen| seen.adds).sum();
        let unknown: Vec<_> = self.unknown().collect();
        let is_there = subset_sums(&unknown).any(|more| promised + more == there);
        match &self.subject {
            Subject::Cart(_) if is_there => {}
            Subject::Cart(_) => {
                for product in 0..CART_PRODUCTS {
                    let (lost, doubled) = differ(product, promised, there, &unknown);
                    found.lost += lost;
                    found.doubled += doubled;
                }
            }
            Subject::Stock(_) => {
                found.stock_errors += u64::from(!is_there);
                found.oversold += self.oversold(there);
            }
        }
        found
    }

    /// What may have taken effect or not.
    fn unknown(&self) -> impl Iterator<Item = i64> {
        let open = self.observed.iter().filter(|seen| seen.done_at.is_none() && seen.adds != 0);
        open.map(|seen| seen.adds)
    }

    /// Pieces promised to somebody, sold ones too, beyond those that ever were there.
    fn oversold(&self, there: i64) -> u64 {
        let changes = || self.observed.iter().map(|seen| (parts_of(seen.adds).0, seen.done_at));
        let put_in: i64 = changes().map(|(on_hand, _)| on_hand.max(0)).sum();
        let sold = changes().filter(|(_, done)| done.is_some()).map(|(on_hand, _)| -on_hand);
        let sold: i64 = sold.map(|sold| sold.max(0)).sum();
        let beyond_stock = sold + parts_of(there).1 - put_in;
        let beyond_hand = |sum: i64| parts_of(sum).1 - parts_of(sum).0;
        let sums = self.observed.iter().filter_map(|seen| seen.sum);
        let most = sums.map(beyond_hand).chain([beyond_stock]).max().unwrap_or(0);
        u64::try_from(most).unwrap_or(0)
    }
}

/// Pieces of a product that are missing, and that are too many whatever became of the unknown.
fn differ(product: usize, promised: i64, there: i64, unknown: &[i64]) -> (u64, u64) {
    let shift = CART_BITS * u32::try_from(product).unwrap_or(0);
    let of = |number: i64| number >> shift & ((1 << CART_BITS) - 1);
    let unknown: Vec<_> = unknown.iter().map(|number| of(*number)).collect();
    let more = of(there) - of(promised);
    let explained = subset_sums(&unknown).filter(|sum| *sum <= more).max();
    match explained {
        None => (more.unsigned_abs(), 0),
        Some(explained) => (0, (more - explained).unsigned_abs()),
    }
}

/// Every sum that some of the numbers make; clients leave few unknown.
fn subset_sums(numbers: &[i64]) -> impl Iterator<Item = i64> {
    let mut sums = std::collections::BTreeSet::from([0]);
    for number in numbers {
        let more: Vec<_> = sums.iter().map(|sum| sum + number).collect();
        sums.extend(more);
    }
    sums.into_iter()
}

#[cfg(test)]
mod tests {
    use cluster::time::Timestamp;

    use super::*;

    fn seen(at: u64, is_answered: bool, adds: i64, sum: Option<i64>) -> Observed {
        let time = Timestamp::from_micros;
        let done_at = is_answered.then(|| time(at + 1));
        Observed { invoked_at: time(at), done_at, adds, sum }
    }

    #[track_caller]
    fn check(subject: Subject, observed: Vec<Observed>, there: i64, expected: Judgement) {
        let tale = Tale { subject, observed, kept: Vec::new() };
        assert_eq!(tale.judge(there), expected);
    }

    fn cart() -> Subject {
        Subject::Cart(CartHandle { id: "cart_1".to_owned(), token: String::new() })
    }

    #[test]
    fn a_cart_holds_what_was_answered_and_perhaps_what_was_not() {
        let (one, two) = (pieces(0, 3), pieces(1, 2));
        let observed = vec![
            seen(1, true, one, Some(one)),
            seen(3, true, two, None),
            seen(5, false, two, None),
        ];
        let clean = Judgement::default();
        check(cart(), observed.clone(), one + two, clean);
        check(cart(), observed.clone(), one + two + two, clean);
        let lost = Judgement { lost: 3, ..clean };
        check(cart(), observed.clone(), two, lost);
        let doubled = Judgement { doubled: 2, ..clean };
        check(cart(), observed.clone(), one + two + two + two, doubled);
        check(cart(), observed, one + two + pieces(2, 1), Judgement { doubled: 1, ..clean });
    }

    #[test]
    fn a_stock_is_never_promised_twice() {
        let subject = || Subject::Stock("tea".to_owned());
        let observed = vec![
            seen(1, true, stock(5, 0), Some(stock(5, 0))),
            seen(3, true, stock(0, 4), Some(stock(5, 4))),
            seen(5, true, stock(-4, -4), Some(stock(1, 0))),
        ];
        let clean = Judgement::default();
        check(subject(), observed.clone(), stock(1, 0), clean);
        let (stock_errors, oversold) = (1, 3);
        check(subject(), observed.clone(), stock(5, 0), Judgement { stock_errors, ..clean });
        check(subject(), observed, stock(1, 4), Judgement { stock_errors, oversold, ..clean });
        let beyond = vec![seen(1, true, stock(5, 6), Some(stock(5, 6)))];
        check(subject(), beyond, stock(5, 6), Judgement { oversold: 1, ..clean });
    }

    #[test]
    fn a_read_of_what_never_was_is_not_linearizable() {
        let one = pieces(0, 1);
        let observed = vec![seen(1, true, one, Some(one)), seen(3, true, 0, Some(0))];
        check(cart(), observed, one, Judgement { not_linearizable: 1, ..Judgement::default() });
    }

    #[test]
    fn numbers_hold_their_parts() {
        assert_eq!(parts_of(stock(-7, 3)), (-7, 3));
        assert_eq!(parts_of(stock(7, -3)), (7, -3));
        assert_eq!(parts_of(stock(-7, -7)), (-7, -7));
    }
}

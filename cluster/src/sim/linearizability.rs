//! Whether what clients saw of one entity can be explained by doing everything at one moment each.
//!
//! The search of Wing and Gong with the memory of Lowe: it knows when operations began and ended and
//! what they answered, and trusts no index of the system. The entity is a sum that is added to.
//!
//! **Invariants:** an operation takes effect between its beginning and its end; one without an end
//! takes effect some time after its beginning, or never.

use std::collections::HashSet;

use crate::time::Timestamp;

/// What one client saw.
#[derive(Clone, Debug)]
pub struct Observed {
    pub invoked_at: Timestamp,
    /// Nothing: it was never answered.
    pub done_at: Option<Timestamp>,
    /// What it adds; zero for a read.
    pub adds: i64,
    /// The sum it was told, its own part included; nothing if the answer did not say.
    pub sum: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Linearizable,
    Violated,
    /// The search was given up.
    Undecided,
}

/// States looked at before giving up.
const STATES_MAX: usize = 200_000;

pub fn check(history: &[Observed]) -> Verdict {
    let (mut answered, mut open): (Vec<_>, Vec<_>) =
        history.iter().cloned().partition(|seen| seen.done_at.is_some());
    // A read without an answer explains nothing and is explained by anything.
    open.retain(|seen| seen.adds != 0);
    answered.sort_by_key(|seen| seen.invoked_at);
    open.sort_by_key(|seen| seen.invoked_at);
    let search = Search { answered, open };
    let mut tried = HashSet::new();
    let mut stack = vec![(Taken::default(), 0)];
    while let Some((taken, sum)) = stack.pop() {
        if taken.below == search.answered.len() {
            return Verdict::Linearizable;
        }
        if tried.len() > STATES_MAX {
            return Verdict::Undecided;
        }
        if tried.insert(taken.clone()) {
            search.push_next(&taken, sum, &mut stack);
        }
    }
    Verdict::Violated
}

/// What was seen, each part in the order of its beginnings.
struct Search {
    answered: Vec<Observed>,
    open: Vec<Observed>,
}

/// The operations that have taken effect: the sum follows from them. What is far behind costs nothing,
/// so a long history is no harder than a short one with as much at once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Taken {
    /// Every answered one before this.
    below: usize,
    /// Answered ones after that, in order.
    ahead: Vec<usize>,
    /// Open ones, in order.
    open: Vec<usize>,
}

impl Taken {
    fn with(&self, nth: usize) -> Self {
        let mut taken = self.clone();
        insert(&mut taken.ahead, nth);
        let joined = taken.ahead.iter().enumerate();
        let joined = joined.take_while(|(more, nth)| **nth == taken.below + more).count();
        taken.ahead.drain(..joined);
        taken.below += joined;
        taken
    }

    fn with_open(&self, nth: usize) -> Self {
        let mut taken = self.clone();
        insert(&mut taken.open, nth);
        taken
    }
}

fn insert(sorted: &mut Vec<usize>, nth: usize) {
    let at = sorted.partition_point(|there| *there < nth);
    sorted.insert(at, nth);
}

impl Search {
    /// Everything that may take effect next: what began before anything answered had to end. Answered
    /// operations are tried first.
    fn push_next(&self, taken: &Taken, sum: i64, stack: &mut Vec<(Taken, i64)>) {
        let mut latest = Timestamp::MAX;
        let mut begun = Vec::new();
        let left = self.answered.iter().enumerate().skip(taken.below);
        for (nth, seen) in left.filter(|(nth, _)| taken.ahead.binary_search(nth).is_err()) {
            if seen.invoked_at > latest {
                break;
            }
            latest = seen.done_at.map_or(latest, |done_at| latest.min(done_at));
            begun.push((nth, seen));
        }
        let mut alike = Vec::new();
        for (nth, seen) in self.open.iter().enumerate() {
            if seen.invoked_at > latest {
                break;
            }
            // Of open ones that add the same, the first may as well be the one.
            if taken.open.binary_search(&nth).is_err() && !alike.contains(&seen.adds) {
                alike.push(seen.adds);
                stack.push((taken.with_open(nth), sum + seen.adds));
            }
        }
        for (nth, seen) in begun.into_iter().filter(|(_, seen)| seen.invoked_at <= latest) {
            let sum = sum + seen.adds;
            if seen.sum.is_none_or(|told| told == sum) {
                stack.push((taken.with(nth), sum));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(from: u64, to: Option<u64>, adds: i64, sum: Option<i64>) -> Observed {
        Observed {
            invoked_at: Timestamp::from_micros(from),
            done_at: to.map(Timestamp::from_micros),
            adds,
            sum,
        }
    }

    #[track_caller]
    fn judge(history: &[Observed], verdict: Verdict) {
        assert_eq!(check(history), verdict);
    }

    #[test]
    fn overlapping_operations_may_take_effect_in_any_order() {
        let add = |sum| seen(1, Some(9), 10, Some(sum));
        judge(&[add(20), add(10)], Verdict::Linearizable);
        judge(&[add(10), add(10)], Verdict::Violated);
    }

    #[test]
    fn a_read_after_an_answered_addition_sees_it() {
        let add = seen(1, Some(2), 10, Some(10));
        judge(&[add.clone(), seen(3, Some(4), 0, Some(10))], Verdict::Linearizable);
        judge(&[add.clone(), seen(3, Some(4), 0, Some(0))], Verdict::Violated);
        judge(&[add, seen(1, Some(4), 0, Some(0))], Verdict::Linearizable);
    }

    #[test]
    fn an_unanswered_addition_happens_later_or_never_but_once() {
        let lost = seen(1, None, 5, None);
        let read = |at, sum| seen(at, Some(at + 1), 0, Some(sum));
        judge(&[lost.clone(), read(3, 0), read(5, 5), read(7, 5)], Verdict::Linearizable);
        judge(&[lost.clone(), read(3, 0), read(5, 0)], Verdict::Linearizable);
        judge(&[lost.clone(), read(3, 5), read(5, 0)], Verdict::Violated);
        judge(&[lost, read(3, 5), read(5, 10)], Verdict::Violated);
    }

    #[test]
    fn a_long_history_and_many_that_add_the_same_are_decided() {
        let mut history: Vec<_> = (0..40).map(|at| seen(at, None, 7, None)).collect();
        let (mut sum, mut at) = (0, 100);
        for nth in 0..5_000 {
            let adds = nth % 3;
            sum += adds + if nth % 250 == 0 { 7 } else { 0 };
            history.push(seen(at, Some(at + 1), adds, Some(sum)));
            at += 2;
        }
        judge(&history, Verdict::Linearizable);
        history.push(seen(at, Some(at + 1), 0, Some(sum + 7 * 21)));
        judge(&history, Verdict::Violated);
    }
}

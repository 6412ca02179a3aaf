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
    let mut history = history.to_vec();
    // A read without an answer explains nothing and is explained by anything.
    history.retain(|seen| seen.done_at.is_some() || seen.adds != 0);
    history.sort_by_key(|seen| seen.invoked_at);
    let mut search = Search { history, seen: HashSet::new() };
    let n_words = search.history.len().div_ceil(64);
    let mut stack = vec![Step { done: vec![0; n_words], sum: 0 }];
    while let Some(step) = stack.pop() {
        if search.is_complete(&step) {
            return Verdict::Linearizable;
        }
        if search.seen.len() > STATES_MAX {
            return Verdict::Undecided;
        }
        if search.seen.insert(step.done.clone()) {
            search.push_next(&step, &mut stack);
        }
    }
    Verdict::Violated
}

struct Search {
    history: Vec<Observed>,
    /// Sets of operations that were tried as the beginning: the sum follows from the set.
    seen: HashSet<Vec<u64>>,
}

/// The operations that have taken effect, and the sum they give.
struct Step {
    done: Vec<u64>,
    sum: i64,
}

impl Step {
    fn has(&self, nth: usize) -> bool {
        self.done.get(nth / 64).is_some_and(|word| word >> (nth % 64) & 1 == 1)
    }

    fn with(&self, nth: usize, sum: i64) -> Self {
        let mut done = self.done.clone();
        if let Some(word) = done.get_mut(nth / 64) {
            *word |= 1 << (nth % 64);
        }
        Self { done, sum }
    }
}

impl Search {
    fn is_complete(&self, step: &Step) -> bool {
        let open = |(nth, seen): (usize, &Observed)| seen.done_at.is_some() && !step.has(nth);
        !self.history.iter().enumerate().any(open)
    }

    /// Everything that may take effect next: what began before anything open had to end. Answered
    /// operations are tried first.
    fn push_next(&self, step: &Step, stack: &mut Vec<Step>) {
        let open = || self.history.iter().enumerate().filter(|(nth, _)| !step.has(*nth));
        let Some(latest) = open().filter_map(|(_, seen)| seen.done_at).min() else { return };
        let begun = || open().take_while(|(_, seen)| seen.invoked_at <= latest);
        for (nth, seen) in begun().filter(|(_, seen)| seen.done_at.is_none()) {
            stack.push(step.with(nth, step.sum + seen.adds));
        }
        for (nth, seen) in begun().filter(|(_, seen)| seen.done_at.is_some()) {
            let sum = step.sum + seen.adds;
            if seen.sum.is_none_or(|told| told == sum) {
                stack.push(step.with(nth, sum));
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
}

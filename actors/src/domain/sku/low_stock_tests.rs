//! When word is given that few pieces are left.

use cluster::entity::{Effect, Wire};
use cluster::time::Span;

use super::tests::*;
use super::*;
use crate::domain::published::StockFact;

const MINUTE: Span = Span::from_secs(60);

fn marked(threshold: Option<u32>) -> Event {
    Event::LowStockSet { threshold: threshold.map(units), at: NOON }
}

fn mark(threshold: Option<u32>) -> Command {
    Command::SetLowStock { threshold: threshold.map(units) }
}

fn arrive(count: i64) -> Command {
    let reason = "counted".to_owned().try_into().unwrap();
    Command::Adjust { delta: count.try_into().unwrap(), reason }
}

/// Four pieces, and word is wanted of two.
fn four() -> Vec<Event> {
    vec![stocked(4, 4), marked(Some(2))]
}

/// Two of them are held, and word was given.
fn low() -> Vec<Event> {
    [four(), vec![reserved(1, 2, None, 2), RAN_LOW]].concat()
}

/// They are available again.
fn over() -> Vec<Event> {
    [low(), vec![released(1, 0), RAN_LOW_NO_MORE]].concat()
}

const RAN_LOW: Event = Event::RanLow { at: NOON };
const RAN_LOW_NO_MORE: Event = Event::RanLowNoMore { at: NOON };

fn word(available: u32) -> Effect {
    StockFact::RanLow { available: units(available), threshold: units(2) }.into()
}

fn timer(at: Timestamp) -> Effect {
    Effect::SetTimer { name: Sku::LOW_STOCK, at }
}

/// The events after those of the change itself, and all effects.
#[track_caller]
fn check_at(now: Timestamp, given: &[Event], when: Command, events: &[Event], effects: &[Effect]) {
    let decision = at(now, |ctx| sku(given).decide(when, ctx)).unwrap();
    let is_of_word = |event: &Event| event.to_bytes()[2..6] >= RAN_LOW.to_bytes()[2..6];
    let of_word: Vec<_> = decision.events.into_iter().filter(is_of_word).collect();
    assert_eq!((&of_word[..], &decision.effects[..]), (events, effects));
}

#[test]
fn word_is_given_once_each_time_that_a_stock_becomes_low() {
    let check = |given: &[Event], when: Command, events: &[Event], effects: &[Effect]| {
        check_at(NOON, given, when, events, effects);
    };
    check(&four(), reserve(1, 1, None), &[], &[]);
    check(&four(), reserve(1, 2, None), &[RAN_LOW], &[word(2)]);
    check(&four(), arrive(-4), &[RAN_LOW], &[word(0)]);
    // While it stays low there is no more to be said.
    check(&low(), reserve(2, 1, None), &[], &[]);
    check(&low(), confirm(1), &[], &[]);
    check(&low(), mark(Some(3)), &[], &[]);
    check(&low(), arrive(9), &[RAN_LOW_NO_MORE], &[]);
    check(&low(), mark(Some(1)), &[RAN_LOW_NO_MORE], &[]);
    check(&low(), mark(None), &[RAN_LOW_NO_MORE], &[]);
    check(&over(), arrive(9), &[], &[]);
    // A threshold that is set above what is there.
    check(&[stocked(2, 2)], mark(Some(2)), &[RAN_LOW], &[word(2)]);
    check(&[stocked(3, 3)], mark(Some(2)), &[], &[]);
}

#[test]
fn what_expired_was_there_to_be_taken_again() {
    let lapsed = [four(), vec![reserved(1, 2, Some(NOON), 2), RAN_LOW]].concat();
    let cancelled = Effect::CancelTimer { name: Sku::EXPIRY };
    let cancelled = std::slice::from_ref(&cancelled);
    check_at(NOON, &lapsed, reserve(2, 2, None), &[], cancelled);
    check_at(NOON, &lapsed, reserve(2, 1, None), &[RAN_LOW_NO_MORE], cancelled);
}

#[test]
fn a_stock_that_is_low_again_within_the_hour_is_told_of_when_it_is_over() {
    let due = NOON.plus(Sku::LOW_STOCK_EVERY);
    let soon = NOON.plus(MINUTE);
    check_at(soon, &over(), reserve(2, 2, None), &[], &[timer(due)]);
    let again = [over(), vec![reserved(2, 2, None, 2)]].concat();
    check_at(soon, &again, reserve(3, 1, None), &[], &[]);
    // The timer stands for whatever becomes of it until then.
    let more = [&again[..], &[released(2, 0)]].concat();
    check_at(soon, &more, reserve(4, 3, None), &[], &[timer(due)]);
    check_at(due, &more, Command::TellLowStock, &[], &[]);
    let given = Event::RanLow { at: due };
    check_at(due, &again, Command::TellLowStock, std::slice::from_ref(&given), &[word(2)]);
    check_at(due, &more, reserve(4, 3, None), std::slice::from_ref(&given), &[word(1)]);
    let told = [&again[..], &[given]].concat();
    check_at(due, &told, Command::TellLowStock, &[], &[]);
}

#[test]
fn a_stock_at_its_threshold_does_not_flood() {
    let (mut stock, mut now, mut n_words) = (sku(&four()), NOON, 0);
    for nth in 0..600_u16 {
        now = now.plus(MINUTE);
        let command = if nth % 2 == 0 { arrive(-3) } else { arrive(3) };
        let decision = at(now, |ctx| stock.decide(command, ctx)).unwrap();
        decision.events.iter().for_each(|event| stock.apply(event));
        let is_word = |effect: &&Effect| matches!(effect, Effect::Publish { .. });
        n_words += decision.effects.iter().filter(is_word).count();
    }
    assert_eq!(n_words, 10, "in ten hours");
    assert_eq!(Sku::on_timer(Sku::LOW_STOCK), Some(Command::TellLowStock));
}

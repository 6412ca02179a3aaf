//! Merging two carts: offers, their answers, and what a repeat gets.

use cluster::entity::{NoCatalogue, Wire};
use cluster::time::Span;

use super::tests::*;
use super::*;
use crate::domain::published::told_apart;

const FIRST: OfferNumber = OfferNumber::FIRST;
const ONCE: Attempt = Attempt::FIRST;

fn merge(items: &[(&str, u32)], strategy: MergeStrategy) -> Command {
    offer(id(2), ONCE, "EUR", pairs(items), strategy)
}

fn offer(
    from: CartId,
    attempt: Attempt,
    code: &str,
    lines: Vec<(SkuCode, Quantity)>,
    strategy: MergeStrategy,
) -> Command {
    Command::Merge { from, offer: FIRST, attempt, currency: currency(code), lines, strategy }
}

fn offered() -> Event {
    offered_to(id(2), FIRST, NOON)
}

fn offered_to(into: CartId, offer: OfferNumber, at: Timestamp) -> Event {
    Event::LinesOffered { offer, into, strategy: MergeStrategy::Sum, at }
}

fn repeated() -> Event {
    Event::OfferRepeated { attempt: ONCE.next(), at: LATER }
}

fn merged_away() -> Event {
    Event::MergedAway { into: id(2), at: LATER }
}

fn taken() -> Event {
    Event::LinesTaken { from: id(2), at: LATER }
}

fn returned(why: Rejection) -> Event {
    Event::LinesReturned { refused: refused(why), at: LATER }
}

fn refused(why: Rejection) -> MergeRefused {
    MergeRefused { by: id(2), why }
}

fn confirm() -> Command {
    Command::ConfirmMerge { offer: FIRST, into: id(2) }
}

fn back(attempt: Attempt) -> Command {
    Command::TakeLinesBack { offer: FIRST, attempt, refused: refused(Rejection::TooManyLines) }
}

fn tell(command: &Command) -> Effect {
    Effect::Tell { to: Cart::address(id(2)), command: command.to_bytes() }
}

fn timer(secs: u64) -> Effect {
    Effect::SetTimer { name: Cart::UNANSWERED, at: LATER.plus(Span::from_secs(secs)) }
}

#[track_caller]
fn check_effects(given: &[Event], when: Command, then: &[Event], effects: &[Effect]) {
    let decision = decide(given, when, Some(&shop())).unwrap();
    let (_, told) = told_apart(decision.effects);
    assert_eq!((&decision.events[..], &told[..]), (then, effects));
}

/// What became of an offer, as a reader is told.
fn outcome(given: &[Event], number: OfferNumber) -> Option<OfferOutcome> {
    let me = Cart::address(id(1));
    let ctx =
        Context { now: LATER, me: &me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) };
    let view = cart(given).view(Query::Offer { number }, &ctx).0.unwrap();
    view.offer.map(|offer| offer.outcome)
}

#[test]
fn giving_up_lines_freezes_the_cart_until_the_other_answers() {
    let given = [created(), tea(2)];
    let told = offer(id(1), ONCE, "EUR", pairs(&[("tea", 2)]), MergeStrategy::Sum);
    let event = offered_to(id(2), FIRST, LATER);
    check_effects(&given, give_up(id(2)), &[event], &[tell(&told), timer(10)]);
    let frozen = [created(), tea(2), offered()];
    check_effects(&frozen, give_up(id(2)), &[], &[]);
    let merging = Rejection::Merging { into: id(2) };
    check(&frozen, give_up(id(3)), Err(merging.clone()));
    check(&frozen, add(&[("tea", 1)]), Err(merging.clone()));
    check(&frozen, Command::Delete, Err(merging));
    check(&given, give_up(id(1)), Err(Rejection::MergeIntoItself));
}

#[test]
fn that_a_cart_is_merging_is_momentary() {
    assert!(Cart::is_momentary(&Rejection::Merging { into: id(2) }));
    assert!(!Cart::is_momentary(&Rejection::MergedAway { into: id(2) }));
}

#[test]
fn an_unanswered_offer_is_told_again_after_ever_longer_pauses() {
    let frozen = [created(), tea(2), offered()];
    let told = |attempt| offer(id(1), attempt, "EUR", pairs(&[("tea", 2)]), MergeStrategy::Sum);
    let again = Cart::on_timer(Cart::UNANSWERED).unwrap();
    let twice = ONCE.next();
    check_effects(&frozen, again.clone(), &[repeated()], &[tell(&told(twice)), timer(20)]);
    let frozen = [created(), tea(2), offered(), repeated()];
    let repeated = Event::OfferRepeated { attempt: twice.next(), at: LATER };
    check_effects(&frozen, again.clone(), &[repeated], &[tell(&told(twice.next())), timer(40)]);
    check_effects(&[created(), tea(2)], again.clone(), &[], &[]);
    check_effects(&[created(), offered(), merged_away()], again, &[], &[]);
    assert_eq!(Cart::on_timer(TimerName(Cart::UNANSWERED.0 + 1)), None);
}

#[test]
fn a_confirmed_merge_is_for_good() {
    let cancel = Effect::CancelTimer { name: Cart::UNANSWERED };
    check_effects(&[created(), tea(2), offered()], confirm(), &[merged_away()], &[cancel]);
    let gone = [created(), tea(2), offered(), merged_away()];
    check(&gone, confirm(), Ok(&[]));
    check(&gone, back(ONCE), Ok(&[]));
    check_effects(&gone, give_up(id(2)), &[], &[]);
    check(&gone, add(&[("tea", 1)]), Err(Rejection::MergedAway { into: id(2) }));
    check(&[created(), tea(2)], confirm(), Ok(&[]));
}

#[test]
fn a_refused_merge_opens_the_cart_again_and_says_why() {
    let returned = returned(Rejection::TooManyLines);
    let frozen = [created(), tea(2), offered()];
    let cancel = Effect::CancelTimer { name: Cart::UNANSWERED };
    check_effects(&frozen, back(ONCE), std::slice::from_ref(&returned), &[cancel]);
    let view = decide(&frozen, back(ONCE), None).unwrap().reply.0.unwrap();
    assert_eq!((view.status, view.lines.len()), (Status::Open, 1));
    assert_eq!(view.merge_refused, Some(refused(Rejection::TooManyLines)));
    check(&[created(), tea(2), offered(), returned], back(ONCE), Ok(&[]));
    let elsewhere = offered_to(id(3), FIRST, NOON);
    check(&[created(), tea(2), elsewhere], back(ONCE), Ok(&[]));
}

#[test]
fn only_the_answer_to_the_latest_attempt_gives_the_lines_back() {
    let frozen = [created(), tea(2), offered(), repeated()];
    check(&frozen, back(ONCE), Ok(&[]));
    check(&frozen, back(ONCE.next()), Ok(&[returned(Rejection::TooManyLines)]));
    // Whichever attempt was taken, the lines are gone.
    check(&frozen, confirm(), Ok(&[merged_away()]));
    let earlier = [created(), tea(2), offered(), returned(Rejection::Deleted)];
    let second = decide(&earlier, give_up(id(2)), None).unwrap().events;
    let offered_anew = [&earlier[..], &second].concat();
    check(&offered_anew, back(ONCE), Ok(&[]));
    check(&offered_anew, confirm(), Ok(&[]));
}

#[test]
fn what_became_of_an_offer_stays_known_whatever_happened_since() {
    let refusal = || Some(OfferOutcome::Refused(Rejection::TooManyLines));
    let mut events = vec![created(), tea(2), offered()];
    assert_eq!(outcome(&events, FIRST), Some(OfferOutcome::Open));
    events.push(returned(Rejection::TooManyLines));
    assert_eq!(outcome(&events, FIRST), refusal());
    let second = decide(&events, give_up(id(3)), None).unwrap();
    let second_number = second.reply.0.unwrap().offer.unwrap().number;
    assert_ne!(second_number, FIRST);
    events.extend(second.events);
    assert_eq!(outcome(&events, FIRST), refusal());
    events.push(Event::MergedAway { into: id(3), at: LATER });
    assert_eq!(outcome(&events, FIRST), refusal());
    assert_eq!(outcome(&events, second_number), Some(OfferOutcome::Taken));
    let known = cart(&events);
    assert_eq!(Cart::from_record(&known.to_record()), Ok(known));
}

#[test]
fn the_oldest_offer_is_forgotten_first() {
    let mut events = vec![created(), tea(2)];
    for _ in 0..=Offers::MAX {
        let offer = decide(&events, give_up(id(2)), None).unwrap().events;
        events.extend(offer);
        events.push(returned(Rejection::UnknownSku { sku: sku("tea") }));
    }
    let cart = cart(&events).existing.unwrap();
    assert_eq!(cart.offers.iter().count(), Offers::MAX);
    assert_eq!(outcome(&events, FIRST), None);
    assert!(cart.heap_bytes() <= 3_000, "{} bytes", cart.heap_bytes());
}

#[test]
fn lines_are_merged_by_the_strategy() {
    let given = [created(), tea(2)];
    let items = [("tea", 3), ("bead-00", 1)];
    let bead = || set("bead-00", 1, 1);
    check(&given, merge(&items, MergeStrategy::Sum), Ok(&[bead(), tea(5), taken()]));
    check(&given, merge(&items, MergeStrategy::Keep), Ok(&[bead(), taken()]));
    check(&given, merge(&items, MergeStrategy::Replace), Ok(&[bead(), tea(3), taken()]));
    assert!(decide(&given, merge(&[], MergeStrategy::Sum), None).is_ok());
}

#[test]
fn an_offer_is_always_answered_and_taken_once() {
    let told = || merge(&[("tea", 1)], MergeStrategy::Sum);
    let confirm = tell(&Command::ConfirmMerge { offer: FIRST, into: id(1) });
    let confirm = std::slice::from_ref(&confirm);
    check_effects(&[created()], told(), &[tea(1), taken()], confirm);
    check_effects(&[created(), tea(1), taken()], told(), &[], confirm);
    // A cart that is gone has taken what it took.
    check_effects(&[created(), tea(1), taken(), deleted()], told(), &[], confirm);
    let other = offer(id(2), ONCE, "JPY", vec![], MergeStrategy::Sum);
    let (from, into) = (currency("JPY"), currency("EUR"));
    let full = || [created()].into_iter().chain(beads()).collect();
    for (given, offer, why) in [
        (vec![], told(), Rejection::NotFound),
        (vec![created(), deleted()], told(), Rejection::Deleted),
        (vec![created(), offered()], told(), Rejection::Merging { into: id(2) }),
        (vec![created(), offered(), merged_away()], told(), Rejection::MergedAway { into: id(2) }),
        (vec![created()], other, Rejection::CurrencyMismatch { from, into }),
        (vec![created(), tea(9_999)], told(), Rejection::QuantityTooLarge { sku: sku("tea") }),
        (full(), told(), Rejection::TooManyLines),
    ] {
        let refused = MergeRefused { by: id(1), why };
        let back = Command::TakeLinesBack { offer: FIRST, attempt: ONCE, refused };
        check_effects(&given, offer, &[], &[tell(&back)]);
    }
}

#[test]
fn an_offer_is_expected_only_by_a_cart_that_could_take_it() {
    let expect = |from| Command::ExpectOffer { from };
    check_effects(&[created(), tea(2)], expect(id(2)), &[], &[]);
    let decision = decide(&[created(), tea(2)], expect(id(2)), None).unwrap();
    assert_eq!(decision.reply, Lookup(None));
    check(&[created()], expect(id(1)), Err(Rejection::MergeIntoItself));
    check(&[], expect(id(2)), Err(Rejection::NotFound));
    check(&[created(), deleted()], expect(id(2)), Err(Rejection::Deleted));
}

#[test]
fn only_so_many_merged_carts_are_remembered() {
    let mut cart = cart(&[created()]);
    for number in 0..=Cart::MERGED_FROM_MAX {
        cart.apply(&Event::LinesTaken { from: id(u8::try_from(number).unwrap()), at: LATER });
    }
    let remembered = cart.existing.unwrap().merged_from;
    assert_eq!(remembered.len(), Cart::MERGED_FROM_MAX);
    assert!(!remembered.contains(&id(0)) && remembered.contains(&id(1)));
}

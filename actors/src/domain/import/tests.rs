use std::slice;

use cluster::entity::{Effect, NoCatalogue};
use cluster::ids::Slot;

use super::*;
use crate::domain::money::Currency;
use crate::domain::names::Label;

pub(super) const NOON: Timestamp = Timestamp::from_micros(1_000_000);

pub(super) fn me() -> ImportId {
    ImportId::from_bytes([7; 16])
}

pub(super) fn terms() -> Terms {
    Terms { format: Format::Csv, currency: Currency::EURO, bytes_max: 1_000, rows_max: 10 }
}

pub(super) fn piece(len: u32) -> Packed {
    Packed::new(len, vec![1, 2, 3]).unwrap()
}

pub(super) fn decide(
    import: &Import,
    command: Command,
    now: Timestamp,
) -> Result<Decision<Import>, Rejection> {
    let me = Import::address(me());
    let catalogue = Err(NoCatalogue::Absent);
    import.decide(command, &Context { now, me: &me, entropy: [0; 32], catalogue })
}

fn given(events: &[Event]) -> Import {
    let mut import = Import::default();
    events.iter().for_each(|event| import.apply(event));
    import
}

#[track_caller]
fn check(events: &[Event], when: Command, then: Result<(&[Event], &[Effect]), Rejection>) {
    let decided = decide(&given(events), when, NOON);
    let decided = decided.map(|decision| (decision.events, decision.effects));
    assert_eq!(decided, then.map(|(events, effects)| (events.to_vec(), effects.to_vec())));
}

fn opened() -> Event {
    Event::Opened { terms: terms(), at: NOON }
}

fn received(bytes: u64, n_parts: u32) -> Event {
    Event::Received { bytes, n_parts, at: NOON }
}

fn completed() -> Event {
    Event::Completed { at: NOON }
}

fn ended_by(end: End) -> Event {
    Event::Ended { end, at: NOON }
}

fn failed(failure: Failure) -> Event {
    ended_by(End::Failed(failure))
}

fn at(part: u32, bytes: u64, rows: u64) -> Cursor {
    Cursor { part, offset: 0, bytes, rows }
}

fn counts(written: u64) -> Counts {
    Counts { written, ..Counts::default() }
}

fn answer(from: Cursor, to: Cursor, reached: Reached) -> Command {
    let outcome = StepOutcome::Advanced { to, counts: counts(1), reports: vec![], reached };
    Command::Answered(StepAnswer { from, outcome })
}

fn advanced(to: Cursor, written: u64) -> Event {
    Event::Advanced { to, counts: counts(written), n_reports: 0, at: NOON }
}

fn timer(at: Timestamp) -> Effect {
    Effect::SetTimer { name: TIDYING, at }
}

fn asked(from: Cursor, n_parts: u32) -> Effect {
    let request = Step { import: me(), terms: terms(), from, n_parts };
    Effect::Invoke { port: PORT, request: request.to_bytes() }
}

fn keep(series: Series, nth: u32, content: Packed) -> Effect {
    ImportPart::tell(me(), series, nth, &PartCommand::Keep { content })
}

fn gone(series: Series, nth: u32) -> Effect {
    ImportPart::tell(me(), series, nth, &PartCommand::Discard)
}

fn place(nth: u8) -> BookPlace {
    let import = ImportId::in_slot(me().key().slot(), [nth; 14]);
    BookPlace { opened_at: NOON.plus(Span::from_micros(nth.into())), import }
}

/// What the book is told of this import.
fn told(command: fn(BookPlace) -> BookCommand) -> Effect {
    ImportBook::tell(me(), &command(BookPlace { opened_at: NOON, import: me() }))
}

const START: Cursor = Cursor { part: 0, offset: 0, bytes: 0, rows: 0 };

#[test]
fn pieces_follow_one_another_without_a_gap() {
    let append = |offset, len| Command::Append { offset, content: piece(len) };
    let abandoned = timer(NOON.plus(Import::PATIENCE));
    let first = [keep(Series::Data, 0, piece(600)), abandoned.clone()];
    check(&[opened()], append(0, 600), Ok((&[received(600, 1)], &first)));
    let second = [keep(Series::Data, 1, piece(400)), abandoned];
    let begun = [opened(), received(600, 1)];
    check(&begun, append(600, 400), Ok((&[received(1_000, 2)], &second)));
    check(&begun, append(0, 600), Ok((&[], &[])));
    check(&begun, append(601, 1), Err(Rejection::NotAtEnd { received: 600 }));
    check(&begun, append(599, 2), Err(Rejection::NotAtEnd { received: 600 }));
    check(&begun, append(600, 401), Err(Rejection::TooLarge { max: 1_000 }));
    check(&[], append(0, 1), Err(Rejection::NotFound));
    let complete = [opened(), received(600, 1), completed()];
    check(&complete, append(600, 1), Err(Rejection::NotReceiving));
    check(&complete, append(0, 600), Ok((&[], &[])));
}

#[test]
fn complete_data_is_applied_once() {
    let begun = [opened(), received(600, 1)];
    let complete = |bytes| Command::Complete { bytes };
    let effects = [Effect::CancelTimer { name: TIDYING }, asked(START, 1)];
    check(&begun, complete(600), Ok((&[completed()], &effects)));
    check(&begun, complete(599), Err(Rejection::NotAtEnd { received: 600 }));
    check(&[opened()], complete(0), Err(Rejection::Empty));
    check(&[opened(), received(600, 1), completed()], complete(600), Ok((&[], &[])));
}

#[test]
fn a_step_is_followed_by_the_next_until_the_end() {
    let applying = [opened(), received(500, 1), received(1_000, 2), completed()];
    let to = at(1, 500, 4);
    let more = answer(START, to, Reached::More);
    check(&applying, more.clone(), Ok((&[advanced(to, 1)], &[asked(to, 2)])));
    let end = answer(START, at(2, 1_000, 9), Reached::End);
    let done = [advanced(at(2, 1_000, 9), 1), ended_by(End::Done)];
    check(&applying, end, Ok((&done, &[timer(NOON)])));
    let advanced = [&applying[..], &[advanced(to, 1)]].concat();
    check(&advanced, more, Ok((&[], &[])));
}

#[test]
fn what_was_refused_is_kept_with_the_count_of_it() {
    let applying = [opened(), received(500, 1), completed()];
    let to = at(1, 500, 4);
    let (counts, reports) = (Counts { refused: 3, ..Counts::default() }, vec![piece(9)]);
    let outcome = StepOutcome::Advanced { to, counts, reports, reached: Reached::End };
    let advanced = Event::Advanced { to, counts, n_reports: 1, at: NOON };
    let effects = [keep(Series::Report, 0, piece(9)), timer(NOON)];
    let when = Command::Answered(StepAnswer { from: START, outcome });
    check(&applying, when, Ok((&[advanced, ended_by(End::Done)], &effects)));
}

#[test]
fn an_import_that_cannot_go_on_says_why() {
    let applying = [opened(), received(500, 1), received(1_000, 2), completed()];
    let too_far = answer(START, at(3, 1_000, 4), Reached::More);
    check(&applying, too_far, Ok((&[failed(Failure::OutOfStep)], &[timer(NOON)])));
    let nowhere = answer(START, START, Reached::More);
    check(&applying, nowhere, Ok((&[failed(Failure::OutOfStep)], &[timer(NOON)])));
    let to = at(1, 600, 10);
    let too_many = answer(START, to, Reached::More);
    let events = [advanced(to, 1), failed(Failure::TooManyRows)];
    check(&applying, too_many, Ok((&events, &[timer(NOON)])));
    let to = at(2, 1_000, 11);
    let too_many_at_the_end = answer(START, to, Reached::End);
    let events = [advanced(to, 1), failed(Failure::TooManyRows)];
    check(&applying, too_many_at_the_end, Ok((&events, &[timer(NOON)])));
    let why = Label::try_from("no such column".to_owned()).unwrap();
    let outcome = StepOutcome::Unreadable { why: why.clone() };
    let unreadable = Command::Answered(StepAnswer { from: START, outcome });
    check(&applying, unreadable, Ok((&[failed(Failure::Unreadable { why })], &[timer(NOON)])));
}

#[test]
fn an_import_is_cancelled_until_it_has_ended() {
    let applying = [opened(), received(500, 1), completed()];
    let cancelled = [ended_by(End::Cancelled)];
    check(&applying, Command::Cancel, Ok((&cancelled, &[timer(NOON)])));
    let again = [&applying[..], &cancelled].concat();
    check(&again, Command::Cancel, Ok((&[], &[])));
    check(&again, answer(START, at(1, 500, 1), Reached::End), Ok((&[], &[])));
    let done = [&applying[..], &[ended_by(End::Done)]].concat();
    check(&done, Command::Cancel, Err(Rejection::Ended));
}

#[test]
fn what_nobody_needs_goes() {
    // The names of the columns may go on in the second part.
    let ends = [5, Import::HEAD_BYTES, Import::HEAD_BYTES + 500, Import::HEAD_BYTES + 900];
    let pieces = ends.into_iter().zip(1..).map(|(bytes, n_parts)| received(bytes, n_parts));
    let applying = [vec![opened()], pieces.collect(), vec![completed()]].concat();
    let to = at(3, Import::HEAD_BYTES + 500, 4);
    let discarded = |n_parts| Event::Discarded { n_parts, n_reports: 0 };
    let effects = [asked(to, 4), gone(Series::Data, 2)];
    let when = answer(START, to, Reached::More);
    check(&applying, when, Ok((&[advanced(to, 1), discarded(3)], &effects)));
    let later = [advanced(to, 1), discarded(3), ended_by(End::Done)];
    let done = [&applying[..], &later].concat();
    let effects = [gone(Series::Data, 3), timer(NOON)];
    check(&done, Command::TidyUp, Ok((&[discarded(4)], &effects)));
    let done = [&done[..], &[discarded(4)]].concat();
    let head = Event::HeadDiscarded { left: 0 };
    let kept_until = timer(NOON.plus(Import::KEPT));
    let effects = [gone(Series::Data, 0), gone(Series::Data, 1), kept_until];
    check(&done, Command::TidyUp, Ok((slice::from_ref(&head), &effects)));
    let all = [&done[..], &[head]].concat();
    let decided = decide(&given(&all), Command::TidyUp, NOON.plus(Import::KEPT)).unwrap();
    let unlisted = told(|place| BookCommand::Remove { place });
    assert_eq!((decided.events, decided.effects), (vec![Event::Removed], vec![unlisted]));
    check(&[opened()], Command::TidyUp, Ok((&[ended_by(End::Abandoned)], &[timer(NOON)])));
}

#[test]
fn opening_again_on_the_same_terms_is_no_event() {
    let open = |terms| Command::Open { terms };
    let listed = told(|place| BookCommand::Add { place });
    let effects = [timer(NOON.plus(Import::PATIENCE)), listed];
    check(&[], open(terms()), Ok((&[opened()], &effects)));
    check(&[opened()], open(terms()), Ok((&[], &[])));
    let others = Terms { rows_max: 1, ..terms() };
    check(&[opened()], open(others), Err(Rejection::AlreadyOpened));
}

#[test]
fn a_part_is_kept_once() {
    let ctx_key = EntityRef { kind: ImportPart::KIND, key: ImportPart::key(me(), Series::Data, 1) };
    let ctx =
        Context { now: NOON, me: &ctx_key, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) };
    let keep = |len| PartCommand::Keep { content: piece(len) };
    let mut part = ImportPart::default();
    let kept = part.decide(keep(5), &ctx).unwrap().events;
    assert_eq!(kept, [PartEvent::Kept { content: piece(5) }]);
    part.apply(&kept[0]);
    assert_eq!(ImportPart::from_record(&part.to_record()), Ok(part.clone()));
    assert_eq!(part.decide(keep(5), &ctx).unwrap().events, []);
    assert_eq!(part.decide(keep(6), &ctx).unwrap_err(), PartRejection::HoldsAnother);
    part.apply(&part.decide(PartCommand::Discard, &ctx).unwrap().events[0].clone());
    assert!(!part.exists());
}

#[test]
fn parts_have_keys_of_their_own_in_the_slot_of_their_import() {
    let keys = [(Series::Data, 0), (Series::Data, 1), (Series::Report, 0), (Series::Report, 1)];
    let keys = keys.map(|(series, nth)| ImportPart::key(me(), series, nth));
    for (nth, key) in keys.iter().enumerate() {
        assert_eq!(key.slot(), me().key().slot());
        assert!(!keys[nth + 1..].contains(key));
    }
}

/// The book of [`me`], after so much.
fn book(commands: &[BookCommand]) -> ImportBook {
    let mut book = ImportBook::default();
    for command in commands {
        let events = decide_in_book(&book, command.clone()).unwrap();
        events.iter().for_each(|event| book.apply(event));
        assert_eq!(ImportBook::from_record(&book.to_record()).as_ref(), Ok(&book));
    }
    book
}

fn decide_in_book(
    book: &ImportBook,
    command: BookCommand,
) -> Result<Vec<BookEvent>, BookRejection> {
    in_book(|ctx| book.decide(command, ctx).map(|decision| decision.events))
}

fn newest(book: &ImportBook, before: Option<u8>, n_max: u32) -> Vec<BookPlace> {
    let query = BookQuery::Newest { before: before.map(place), n_max };
    let BookView(places) = in_book(|ctx| book.view(query, ctx));
    places
}

fn in_book<T>(work: impl FnOnce(&Context<'_>) -> T) -> T {
    let Effect::Tell { to, .. } = told(|place| BookCommand::Add { place }) else { unreachable!() };
    let catalogue = Err(NoCatalogue::Absent);
    work(&Context { now: NOON, me: &to, entropy: [0; 32], catalogue })
}

#[test]
fn a_book_has_its_imports_newest_first_until_they_go() {
    let add = |nth| BookCommand::Add { place: place(nth) };
    let remove = |nth| BookCommand::Remove { place: place(nth) };
    let book = book(&[add(2), add(1), add(3), add(2), remove(9)]);
    assert_eq!(newest(&book, None, 9), [3, 2, 1].map(place));
    assert_eq!(newest(&book, None, 2), [3, 2].map(place));
    assert_eq!(newest(&book, Some(3), 9), [2, 1].map(place));
    // One that is gone meanwhile is as good a place to go on from.
    assert_eq!(newest(&book, Some(4), 1), [place(3)]);
    assert_eq!(decide_in_book(&book, add(2)), Ok(vec![]));
    assert_eq!(decide_in_book(&book, remove(9)), Ok(vec![]));
    assert_eq!(decide_in_book(&book, remove(2)), Ok(vec![BookEvent::Removed { place: place(2) }]));
    let elsewhere = ImportId::in_slot(Slot::from_bits(0), [1; 14]);
    let place = BookPlace { opened_at: NOON, import: elsewhere };
    let other = Err(BookRejection::OtherBook);
    assert_eq!(decide_in_book(&book, BookCommand::Add { place }), other);
}

#[test]
fn a_full_book_lets_the_oldest_go() {
    let all: Vec<_> = (0..=u8::MAX).map(|nth| BookCommand::Add { place: place(nth) }).collect();
    let full = book(&all);
    assert_eq!(full.places.len(), ImportBook::ENTRIES_MAX);
    let late = BookPlace { opened_at: NOON.plus(Span::from_secs(1)), import: me() };
    let fuller = book(&[&all[..], &[BookCommand::Add { place: late }]].concat());
    assert_eq!(fuller.places.len(), ImportBook::ENTRIES_MAX);
    assert_eq!((fuller.places.first(), fuller.places.last()), (Some(&place(1)), Some(&late)));
}

#[test]
fn every_slot_has_one_book_and_every_book_as_many_slots() {
    let books: Vec<_> = ImportBook::keys().collect();
    assert_eq!(books.len(), 64);
    for bits in [0, 1_023, 1_024, u16::MAX] {
        let import = ImportId::in_slot(Slot::from_bits(bits), [9; 14]);
        let place = BookPlace { opened_at: NOON, import };
        let told = ImportBook::tell(import, &BookCommand::Add { place });
        let Effect::Tell { to, .. } = told else { unreachable!() };
        assert_eq!(to.key, books[usize::from(bits / 1_024)]);
        assert_eq!(to.key.slot().bits(), bits / 1_024 * 1_024);
    }
}

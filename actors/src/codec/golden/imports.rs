use cluster::ids::Slot;

use super::*;
use crate::domain::ids::ImportId;
use crate::domain::import::{
    BookCommand, BookEvent, BookPlace, BookQuery, BookRejection, BookView, Command, Counts, Cursor,
    Discarded, End, Event, Failure, Format, Import, ImportBook, ImportPart, Lookup, Packed,
    PartCommand, PartEvent, PartLookup, PartQuery, PartRejection, Query, Reached, Rejection, State,
    Step, StepAnswer, StepOutcome, Terms, Work,
};
use crate::domain::money::Currency;
use crate::domain::names::Label;

fn terms() -> Terms {
    Terms { format: Format::JsonLines, currency: Currency::EURO, bytes_max: 99, rows_max: 8 }
}

fn piece() -> Packed {
    Packed::new(9, vec![0xAB, 0xCD]).unwrap()
}

fn cursor() -> Cursor {
    Cursor { part: 1, offset: 2, bytes: 11, rows: 4 }
}

fn counts() -> Counts {
    Counts { written: 1, unchanged: 2, refused: 3 }
}

fn answer() -> StepAnswer {
    let (reports, reached) = (vec![piece()], Reached::End);
    let outcome = StepOutcome::Advanced { to: cursor(), counts: counts(), reports, reached };
    StepAnswer { from: Cursor::default(), outcome }
}

fn unreadable() -> StepAnswer {
    let why = Label::try_from("no".to_owned()).unwrap();
    StepAnswer { from: Cursor::default(), outcome: StepOutcome::Unreadable { why } }
}

fn commands() -> Vec<Command> {
    vec![
        Command::Open { terms: terms() },
        Command::Append { offset: 5, content: piece() },
        Command::Complete { bytes: 6 },
        Command::Cancel,
        Command::Answered(answer()),
        Command::TidyUp,
    ]
}

fn events() -> Vec<Event> {
    let why = Label::try_from("no".to_owned()).unwrap();
    vec![
        Event::Opened { terms: terms(), at: AT },
        Event::Received { bytes: 9, n_parts: 1, at: AT },
        Event::Completed { at: AT },
        Event::Advanced { to: cursor(), counts: counts(), n_reports: 1, at: AT },
        Event::Ended { end: End::Failed(Failure::Unreadable { why }), at: AT },
        Event::Discarded { n_parts: 1, n_reports: 0 },
        Event::Removed,
        Event::HeadDiscarded { left: 1 },
    ]
}

fn record() -> Import {
    let work = Work {
        terms: terms(),
        state: State::Ended { end: End::Done, at: AT },
        received: 18,
        n_parts: 2,
        n_head: 1,
        done: cursor(),
        counts: counts(),
        n_reports: 1,
        discarded: Discarded { n_parts: 1, n_reports: 0 },
        opened_at: AT,
        updated_at: AT,
    };
    Import { work: Some(work) }
}

fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::NotFound,
        Rejection::AlreadyOpened,
        Rejection::NotAtEnd { received: 5 },
        Rejection::TooLarge { max: 99 },
        Rejection::NotReceiving,
        Rejection::Empty,
        Rejection::Ended,
    ]
}

fn step() -> Step {
    Step { import: ImportId::from_bytes([0xEE; 16]), terms: terms(), from: cursor(), n_parts: 2 }
}

fn place(nth: u8) -> BookPlace {
    BookPlace { opened_at: AT, import: ImportId::from_bytes([nth; 16]) }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let mut all: Vec<_> = commands().iter().map(Wire::to_bytes).collect();
    all.extend(events().iter().map(Wire::to_bytes));
    all.extend([record().to_record(), step().to_bytes(), answer().to_bytes()]);
    all.push(PartEvent::Kept { content: piece() }.to_bytes());
    all.push(BookEvent::Removed { place: place(1) }.to_bytes());
    all.push(ImportBook { places: [place(1), place(2)].into() }.to_record());
    all.push(ImportPart { content: Some(piece()) }.to_record());
    all
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(command) = Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(step) = Step::from_bytes(bytes) {
        assert_eq!(step.to_bytes(), bytes);
    }
    if let Ok(answer) = StepAnswer::from_bytes(bytes) {
        assert_eq!(answer.to_bytes(), bytes);
    }
    if let Ok(event) = PartEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = Import::from_record(bytes) {
        assert_eq!(state.to_record() == bytes, bytes.starts_with(&[2]));
        assert_eq!(Import::from_record(&state.to_record()).as_ref(), Ok(&state));
        assert!(state.work.is_none_or(|work| work.check().is_ok()));
    }
    if let Ok(event) = BookEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = ImportBook::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
    if let Ok(state) = ImportPart::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

#[test]
fn imports_keep_their_bytes() {
    check(
        &commands(),
        "0100000000000100000045555263000000000000000800000000000000 \
         0100010000000500000000000000090000000200000000000000abcd \
         0100020000000600000000000000 \
         010003000000 \
         010004000000000000000000000000000000000000000000000000000000000000000100000002000000\
         0b0000000000000004000000000000000100000000000000020000000000000003000000000000000100\
         000000000000090000000200000000000000abcd01000000 \
         010005000000",
    );
    check(
        &events(),
        "01000000000001000000455552630000000000000008000000000000000403020100000000 \
         0100010000000900000000000000010000000403020100000000 \
         0100020000000403020100000000 \
         01000300000001000000020000000b000000000000000400000000000000010000000000000002000000\
         000000000300000000000000010000000403020100000000 \
         010004000000030000000000000002000000000000006e6f0403020100000000 \
         0100050000000100000000000000 \
         010006000000 \
         01000700000001000000",
    );
    check(
        &rejections(),
        "010000000000 \
         010001000000 \
         0100020000000500000000000000 \
         0100030000006300000000000000 \
         010004000000 \
         010005000000 \
         010006000000",
    );
    check(&[Query::Import], "010000000000");
    check_whole(&Lookup(None), "010000");
    check_whole(
        &Lookup(record().work.map(|work| view(&work))),
        "010001010000004555526300000000000000080000000000000002000000000000000403020100000000\
         12000000000000000200000001000000020000000b000000000000000400000000000000010000000000\
         0000020000000000000003000000000000000100000004030201000000000403020100000000",
    );
    check_record(
        &record(),
        "020001010000004555526300000000000000080000000000000002000000000000000403020100000000 \
         12000000000000000200000001000000020000000b000000000000000400000000000000010000000000 \
         000002000000000000000300000000000000010000000100000000000000040302010000000004030201 \
         0000000001000000",
    );
}

#[test]
fn imports_of_the_first_version_keep_all_their_parts_to_the_end() {
    let mut whole = record();
    whole.work.as_mut().unwrap().n_head = 2;
    check_record_read(
        &whole,
        "010001010000004555526300000000000000080000000000000002000000000000000403020100000000 \
         12000000000000000200000001000000020000000b000000000000000400000000000000010000000000 \
         000002000000000000000300000000000000010000000100000000000000040302010000000004030201 \
         00000000",
    );
}

fn view(work: &Work) -> crate::domain::import::View {
    crate::domain::import::View {
        terms: work.terms.clone(),
        state: work.state.clone(),
        received: work.received,
        n_parts: work.n_parts,
        done: work.done,
        counts: work.counts,
        n_reports: work.n_reports,
        opened_at: work.opened_at,
        updated_at: work.updated_at,
    }
}

#[test]
fn steps_of_imports_keep_their_bytes() {
    check_whole(
        &step(),
        "0100eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee010000004555526300000000000000080000000000000001\
         000000020000000b00000000000000040000000000000002000000",
    );
    check_whole(
        &answer(),
        "01000000000000000000000000000000000000000000000000000000000001000000020000000b000000\
         000000000400000000000000010000000000000002000000000000000300000000000000010000000000\
         0000090000000200000000000000abcd01000000",
    );
    check_whole(
        &unreadable(),
        "01000000000000000000000000000000000000000000000000000100000002000000000000006e6f",
    );
}

#[test]
fn parts_of_imports_keep_their_bytes() {
    check(
        &[PartCommand::Keep { content: piece() }, PartCommand::Discard],
        "010000000000090000000200000000000000abcd \
         010001000000",
    );
    check(
        &[PartEvent::Kept { content: piece() }, PartEvent::Discarded],
        "010000000000090000000200000000000000abcd \
         010001000000",
    );
    check(&[PartRejection::HoldsAnother], "010000000000");
    check(&[PartQuery::Content], "010000000000");
    check_whole(&PartLookup(Some(piece())), "010001090000000200000000000000abcd");
    check_record(&ImportPart { content: Some(piece()) }, "010001090000000200000000000000abcd");
}

#[test]
fn books_of_imports_keep_their_bytes() {
    const FIRST: &str = "040302010000000001010101010101010101010101010101";
    const SECOND: &str = "040302010000000002020202020202020202020202020202";
    let first = place(1);
    check(
        &[BookCommand::Add { place: first }, BookCommand::Remove { place: first }],
        &format!("010000000000{FIRST} 010001000000{FIRST}"),
    );
    check(
        &[BookEvent::Added { place: first }, BookEvent::Removed { place: first }],
        &format!("010000000000{FIRST} 010001000000{FIRST}"),
    );
    check(&[BookRejection::OtherBook], "010000000000");
    let newest = |before| BookQuery::Newest { before, n_max: 21 };
    let golden = format!("0100000000000015000000 01000000000001{FIRST}15000000");
    check_each(&[newest(None), newest(Some(first))], &golden);
    let view = BookView(vec![place(2), place(1)]);
    check_whole(&view, &format!("01000200000000000000{SECOND}{FIRST}"));
    let book = ImportBook { places: [place(2), place(1)].into() };
    check_record(&book, &format!("01000200000000000000{FIRST}{SECOND}"));
    let record = |bytes: &str| ImportBook::from_record(&unhex(&bytes.replace(' ', "")));
    let twice = format!("01000200000000000000{FIRST}{FIRST}");
    check_refused(record(&twice), "not in order");
    let places = (0..=u16::from(u8::MAX) + 1).map(|nth| BookPlace {
        opened_at: AT,
        import: ImportId::in_slot(Slot::from_bits(nth), [0; 14]),
    });
    let full = ImportBook { places: places.collect() };
    check_refused(ImportBook::from_record(&full.to_record()), "too many imports");
}

#[test]
fn an_import_is_read_back_only_as_it_can_be() {
    let mut damaged = record();
    let change = |import: &mut Import, change: fn(&mut Work)| {
        import.work.as_mut().map(change);
        check_refused(Import::from_record(&import.to_record()), "");
    };
    change(&mut damaged.clone(), |work| work.received = 100);
    change(&mut damaged.clone(), |work| work.n_parts = 0);
    change(&mut damaged.clone(), |work| work.done.part = 3);
    change(&mut damaged.clone(), |work| work.discarded.n_parts = 3);
    change(&mut damaged.clone(), |work| work.n_head = 3);
    change(&mut damaged.clone(), |work| work.state = State::Receiving);
    change(&mut damaged, |work| {
        work.state = State::Applying;
        work.discarded.n_parts = 2;
    });
    assert!(Packed::new(0, vec![]).is_err());
    assert!(Packed::new(Packed::RAW_MAX + 1, vec![]).is_err());
    assert!(Packed::new(1, vec![0; Packed::BLOCK_MAX + 1]).is_err());
}

//! Any sequence of pieces, answers, cancellations and timers, beside the parts as they would be.

use std::collections::BTreeMap;

use cluster::entity::Effect;
use cluster::ids::EntityKey;
use proptest::prelude::*;

use super::tests::{NOON, decide, me, piece, terms};
use super::*;

#[derive(Clone, Copy, Debug)]
enum Act {
    Append {
        offset: u64,
        len: u32,
    },
    Complete,
    Cancel,
    /// Answers the open step, or one of before; the cursor moves by so much.
    Answer {
        is_open: bool,
        bytes: u64,
        rows: u64,
        refused: u64,
    },
    Timer,
}

fn act() -> impl Strategy<Value = Act> {
    let answer = (any::<bool>(), 0..150_000_u64, 0..5_u64, 0..2_u64);
    // Some so small that many are at the head.
    let len = prop_oneof![1..50_u32, 1..100_000_u32];
    prop_oneof![
        4 => (0..5_u64, len).prop_map(|(nth, len)| Act::Append { offset: nth * 250, len }),
        2 => Just(Act::Complete),
        1 => Just(Act::Cancel),
        4 => answer.prop_map(|(is_open, bytes, rows, refused)| {
            Act::Answer { is_open, bytes, rows, refused }
        }),
        2 => Just(Act::Timer),
    ]
}

#[derive(Default)]
struct World {
    import: Import,
    replica: Import,
    parts: BTreeMap<EntityKey, Packed>,
    /// Where each piece of the data begins.
    begins: Vec<u64>,
    /// Steps asked for and not answered, oldest first.
    asked: Vec<Step>,
    timer: Option<Timestamp>,
    /// Where its book has it.
    listed: Option<BookPlace>,
    now: Timestamp,
}

impl World {
    fn run(&mut self, act: Act) {
        let received = self.import.work.as_ref().map_or(0, |work| work.received);
        let command = match act {
            Act::Append { offset, len } => {
                // Mostly at the end, or nothing would ever come about.
                let offset = if offset == 0 { 0 } else { received };
                Command::Append { offset, content: piece(len) }
            }
            Act::Complete => Command::Complete { bytes: received },
            Act::Cancel => Command::Cancel,
            Act::Timer => {
                let Some(at) = self.timer.take() else { return };
                self.now = self.now.max(at);
                Command::TidyUp
            }
            Act::Answer { is_open, bytes, rows, refused } => {
                let step = if is_open { self.asked.last() } else { self.asked.first() };
                let Some(step) = step.cloned() else { return };
                self.answer(&step, bytes, rows, refused)
            }
        };
        self.send(command);
    }

    fn answer(&self, step: &Step, bytes: u64, rows: u64, refused: u64) -> Command {
        let total = self.import.work.as_ref().map_or(0, |work| work.received);
        let bytes = step.from.bytes.saturating_add(bytes).min(total);
        let reached = if bytes == total { Reached::End } else { Reached::More };
        let part = match reached {
            Reached::End => step.n_parts,
            Reached::More => self.n_begun_by(bytes) - 1,
        };
        let to = Cursor { part, offset: 0, bytes, rows: step.from.rows + rows };
        let counts = Counts { refused, ..Counts::default() };
        let reports = (0..refused).map(|_| piece(7)).collect();
        let outcome = StepOutcome::Advanced { to, counts, reports, reached };
        Command::Answered(StepAnswer { from: step.from, outcome })
    }

    /// How many pieces begin there or before.
    fn n_begun_by(&self, bytes: u64) -> u32 {
        u32::try_from(self.begins.iter().filter(|begin| **begin <= bytes).count()).unwrap()
    }

    fn send(&mut self, command: Command) {
        let sent = Command::from_bytes(&command.to_bytes()).unwrap();
        let Ok(decision) = decide(&self.import, sent, self.now) else { return };
        for event in &decision.events {
            if let (Event::Received { .. }, Some(work)) = (event, &self.import.work) {
                self.begins.push(work.received);
            }
            self.import.apply(event);
            self.replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
        }
        let shown = self.import.work.as_ref().map(Work::view);
        assert_eq!(decision.reply, Lookup(shown));
        for effect in decision.effects {
            self.carry_out(effect);
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::SetTimer { at, .. } => self.timer = Some(at),
            Effect::CancelTimer { .. } => self.timer = None,
            Effect::Invoke { request, .. } => self.asked.push(Step::from_bytes(&request).unwrap()),
            Effect::Tell { to, command } if to.kind == ImportBook::KIND => {
                match BookCommand::from_bytes(&command).unwrap() {
                    BookCommand::Add { place } => assert_eq!(self.listed.replace(place), None),
                    BookCommand::Remove { place } => assert_eq!(self.listed.take(), Some(place)),
                }
            }
            Effect::Tell { to, command } => match PartCommand::from_bytes(&command).unwrap() {
                PartCommand::Keep { content } => {
                    assert_eq!(self.parts.insert(to.key, content), None, "a part is kept once");
                }
                PartCommand::Discard => drop(self.parts.remove(&to.key)),
            },
            Effect::Publish { .. } => unreachable!("an import publishes nothing"),
        }
    }

    fn check(&self) {
        assert_eq!(self.import, self.replica);
        assert_eq!(Import::from_record(&self.import.to_record()), Ok(self.import.clone()));
        assert_eq!(self.listed.is_some(), self.import.exists());
        let Some(work) = &self.import.work else {
            assert!(self.parts.is_empty(), "{:?}", self.parts);
            return;
        };
        let held = |series, nth| self.parts.get(&ImportPart::key(me(), series, nth));
        if !matches!(work.state, State::Ended { .. }) {
            // What is still to be applied, and what the names of the columns may lie in.
            let n_head = self.n_begun_by(Import::HEAD_BYTES - 1);
            let needed = (0..work.n_parts).filter(|nth| *nth < n_head || *nth >= work.done.part);
            assert!(needed.clone().all(|nth| held(Series::Data, nth).is_some()));
        }
        let all: u64 = (0..work.n_parts)
            .filter_map(|nth| held(Series::Data, nth))
            .map(|part| u64::from(part.raw_len()))
            .sum();
        assert!(all <= work.received);
        let n_reports = (0..work.n_reports).filter(|nth| held(Series::Report, *nth).is_some());
        let n_reports = u32::try_from(n_reports.count()).unwrap();
        assert_eq!(n_reports, work.n_reports - work.discarded.n_reports);
        let is_open = self.asked.last().is_some_and(|step| step.from == work.done);
        assert!(work.state != State::Applying || is_open, "nobody goes on with {work:?}");
        assert!(work.state == State::Applying || self.timer.is_some(), "{work:?} stays for ever");
    }
}

proptest! {
    #[test]
    fn an_import_goes_on_or_goes_away(acts in prop::collection::vec(act(), 0..60)) {
        let mut world = World { now: NOON, ..World::default() };
        world.send(Command::Open { terms: Terms { bytes_max: 1_000_000, ..terms() } });
        for act in acts {
            world.run(act);
            world.check();
        }
        world.send(Command::Cancel);
        for _ in 0..10 {
            world.run(Act::Timer);
            world.check();
        }
        prop_assert_eq!(world.import, Import::default());
    }
}

//! What an import decides, command by command.
//!
//! **Invariants:** see [`super`].

use cluster::entity::{Effect, Wire};
use cluster::time::Timestamp;

use super::book::{Command as BookCommand, ImportBook, Place};
use super::port::{PORT, Packed, Reached, Step, StepAnswer, StepOutcome};
use super::work::{Cursor, Discarded, End, Failure, State, Terms, Work};
use super::{Event, Import, ImportPart, PartCommand, Rejection, Series, TIDYING};
use crate::domain::ids::ImportId;

/// Facts, and what is to be done about them.
type Decided = (Vec<Event>, Vec<Effect>);

/// Parts that one turn discards.
const DISCARDED_AT_ONCE: u32 = 64;

pub(super) fn nothing() -> Decided {
    (Vec::new(), Vec::new())
}

pub(super) fn open(terms: Terms, me: ImportId, now: Timestamp) -> Decided {
    let timer = Effect::SetTimer { name: TIDYING, at: now.plus(Import::PATIENCE) };
    let place = Place { opened_at: now, import: me };
    let listed = ImportBook::tell(me, &BookCommand::Add { place });
    (vec![Event::Opened { terms, at: now }], vec![timer, listed])
}

pub(super) fn append(
    work: &Work,
    me: ImportId,
    offset: u64,
    content: Packed,
    now: Timestamp,
) -> Result<Decided, Rejection> {
    let end = offset.saturating_add(u64::from(content.raw_len()));
    if end <= work.received {
        return Ok(nothing());
    }
    match work.state {
        State::Receiving => {}
        State::Applying | State::Ended { .. } => return Err(Rejection::NotReceiving),
    }
    if offset != work.received {
        return Err(Rejection::NotAtEnd { received: work.received });
    }
    let max = work.terms.bytes_max;
    if end > max || work.n_parts >= Import::PARTS_MAX {
        return Err(Rejection::TooLarge { max });
    }
    let keep = PartCommand::Keep { content };
    let effects = vec![
        ImportPart::tell(me, Series::Data, work.n_parts, &keep),
        Effect::SetTimer { name: TIDYING, at: now.plus(Import::PATIENCE) },
    ];
    let n_parts = work.n_parts.saturating_add(1);
    Ok((vec![Event::Received { bytes: end, n_parts, at: now }], effects))
}

pub(super) fn complete(
    work: &Work,
    me: ImportId,
    bytes: u64,
    now: Timestamp,
) -> Result<Decided, Rejection> {
    let received = work.received;
    if bytes != received {
        return Err(Rejection::NotAtEnd { received });
    }
    match work.state {
        State::Receiving if received == 0 => Err(Rejection::Empty),
        State::Receiving => {
            let effects = vec![Effect::CancelTimer { name: TIDYING }, step(work, me, work.done)];
            Ok((vec![Event::Completed { at: now }], effects))
        }
        // It was said before.
        State::Applying | State::Ended { .. } => Ok(nothing()),
    }
}

pub(super) fn cancel(work: &Work, now: Timestamp) -> Result<Decided, Rejection> {
    match work.state {
        State::Ended { end: End::Cancelled, .. } => Ok(nothing()),
        State::Ended { .. } => Err(Rejection::Ended),
        State::Receiving | State::Applying => Ok(ended(End::Cancelled, now)),
    }
}

fn ended(end: End, now: Timestamp) -> Decided {
    let timer = Effect::SetTimer { name: TIDYING, at: now };
    (vec![Event::Ended { end, at: now }], vec![timer])
}

/// The rows from a place on.
fn step(work: &Work, me: ImportId, from: Cursor) -> Effect {
    let (terms, n_parts) = (work.terms.clone(), work.n_parts);
    let request = Step { import: me, terms, from, n_parts }.to_bytes();
    Effect::Invoke { port: PORT, request }
}

pub(super) fn advance(work: &Work, me: ImportId, answer: StepAnswer, now: Timestamp) -> Decided {
    let is_open = work.state == State::Applying && answer.from == work.done;
    if !is_open {
        return nothing();
    }
    let end = answer.outcome.end(&work.terms);
    let (to, more, reports, reached) = match answer.outcome {
        StepOutcome::Unreadable { why } => {
            return ended(End::Failed(Failure::Unreadable { why }), now);
        }
        StepOutcome::Advanced { to, counts, reports, reached } => (to, counts, reports, reached),
    };
    let is_stuck = reached == Reached::More && to == work.done;
    if !work.may_reach(to) || is_stuck || reports.len() > Step::REPORTS_MAX {
        return ended(End::Failed(Failure::OutOfStep), now);
    }
    let (counts, mut n_reports) = (work.counts.plus(more), work.n_reports);
    let mut effects = Vec::new();
    for content in reports {
        let keep = PartCommand::Keep { content };
        effects.push(ImportPart::tell(me, Series::Report, n_reports, &keep));
        n_reports = n_reports.saturating_add(1);
    }
    let mut events = vec![Event::Advanced { to, counts, n_reports, at: now }];
    if let Some(end) = end {
        let (end, timer) = ended(end, now);
        events.extend(end);
        effects.extend(timer);
    } else {
        effects.push(step(work, me, to));
        // The parts at the head have the names of the columns, so they go last.
        let (from, applied) =
            (work.discarded.n_parts.max(work.n_head), to.part.min(work.n_parts.saturating_sub(1)));
        let below = applied.min(from.saturating_add(DISCARDED_AT_ONCE));
        if below > from {
            effects.extend(discard(me, Series::Data, from, below));
            let n_reports = work.discarded.n_reports;
            events.push(Event::Discarded { n_parts: below, n_reports });
        }
    }
    (events, effects)
}

fn discard(me: ImportId, series: Series, from: u32, below: u32) -> impl Iterator<Item = Effect> {
    (from..below).map(move |nth| ImportPart::tell(me, series, nth, &PartCommand::Discard))
}

/// Some parts of what nobody needs any more go; the timer comes again until all have.
pub(super) fn tidy_up(work: &Work, me: ImportId, now: Timestamp) -> Decided {
    let again = |at| Effect::SetTimer { name: TIDYING, at };
    let ended_at = match work.state {
        State::Receiving => return ended(End::Abandoned, now),
        State::Applying => return nothing(),
        State::Ended { at, .. } => at,
    };
    let Discarded { n_parts, n_reports } = work.discarded;
    if n_parts < work.n_parts {
        let from = n_parts.max(work.n_head);
        let below = work.n_parts.min(from.saturating_add(DISCARDED_AT_ONCE));
        let mut effects: Vec<_> = discard(me, Series::Data, from, below).collect();
        effects.push(again(now));
        return (vec![Event::Discarded { n_parts: below, n_reports }], effects);
    }
    if work.n_head > 0 {
        // It outlived the parts after it.
        let left = work.n_head.saturating_sub(DISCARDED_AT_ONCE);
        let mut effects: Vec<_> = discard(me, Series::Data, left, work.n_head).collect();
        effects.push(again(if left == 0 { ended_at.plus(Import::KEPT) } else { now }));
        return (vec![Event::HeadDiscarded { left }], effects);
    }
    if now < ended_at.plus(Import::KEPT) {
        return (Vec::new(), vec![again(ended_at.plus(Import::KEPT))]);
    }
    let below = work.n_reports.min(n_reports.saturating_add(DISCARDED_AT_ONCE));
    let mut effects: Vec<_> = discard(me, Series::Report, n_reports, below).collect();
    if below == work.n_reports {
        let place = Place { opened_at: work.opened_at, import: me };
        effects.push(ImportBook::tell(me, &BookCommand::Remove { place }));
        return (vec![Event::Removed], effects);
    }
    effects.push(again(now));
    (vec![Event::Discarded { n_parts, n_reports: below }], effects)
}

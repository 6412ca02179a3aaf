//! What a shard's replica holds only while it leads, and loses with its term.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::entity::Answer;
use crate::ids::{EntityRef, Incarnation, NodeId, ShardId};
use crate::mutants::Mutant;
use crate::shard::entry::{CommandId, Cursor, Entry, Item};
use crate::shard::io::{Command, Output, Reply, Token};
use crate::shard::outbox::Tell;
use crate::shard::timers::Due;
use crate::time::Timestamp;

pub(crate) struct Lead {
    pub(crate) term: u64,
    /// Work starts once this index is applied: the term's barrier, or what was open when the
    /// speculation was dropped.
    pub(crate) starts_after: u64,
    pub(crate) started: bool,
    pub(crate) inbox: VecDeque<Work>,
    /// Received and undecided tells, per source, without a gap.
    pub(crate) told: BTreeMap<(Incarnation, ShardId), VecDeque<Tell>>,
    pub(crate) speculation: Speculation,
    pub(crate) proposed: VecDeque<Proposed>,
    /// Timers handed to the inbox and not yet applied.
    pub(crate) firing: BTreeSet<Due>,
    marks: Marks,
}

/// Progress to be recorded with the next entry, or with one of its own when none comes.
#[derive(Default)]
struct Marks {
    tells_acked: BTreeMap<ShardId, u64>,
    cursors: BTreeMap<u8, Cursor>,
    are_due: bool,
}

/// What a turn is asked to decide.
pub(crate) enum Work {
    Command { token: Token, command: Command },
    TimerDue(Due),
    Answered { entity: EntityRef, invocation: Cursor, answer: Answer },
}

/// The header with everything proposed and not yet applied.
#[derive(Default)]
pub(crate) struct Speculation {
    pub(crate) time: Timestamp,
    pub(crate) ids: BTreeSet<CommandId>,
    pub(crate) received: BTreeMap<(Incarnation, ShardId), u64>,
    /// Tells of this shard to itself that are in proposed entries.
    pub(crate) own_tells: usize,
    /// Bytes of all tells in proposed entries, by target.
    pub(crate) tell_bytes: BTreeMap<ShardId, u64>,
}

/// An entry on its way through the log, and who waits for it.
pub(crate) struct Proposed {
    pub(crate) index: u64,
    pub(crate) entry: Entry,
    pub(crate) replies: Vec<Held>,
}

pub(crate) struct Held {
    pub(crate) token: Token,
    pub(crate) reply: Reply,
}

impl From<Held> for Output {
    fn from(held: Held) -> Self {
        Self::Reply { token: held.token, reply: held.reply }
    }
}

impl Held {
    /// The same reply as seen at an index that exists.
    pub(crate) fn seen_at(self, at: u64) -> Self {
        let mut reply = self.reply;
        if let Reply::Accepted { index, .. } | Reply::Rejected { index, .. } = &mut reply {
            *index = at.min(*index);
        }
        Self { token: self.token, reply }
    }
}

impl Lead {
    pub(crate) fn new(term: u64, starts_after: u64) -> Self {
        Self {
            term,
            starts_after,
            started: false,
            inbox: VecDeque::new(),
            told: BTreeMap::new(),
            speculation: Speculation::default(),
            proposed: VecDeque::new(),
            firing: BTreeSet::new(),
            marks: Marks::default(),
        }
    }

    pub(crate) fn has_work(&self) -> bool {
        !self.inbox.is_empty() || !self.told.is_empty() || self.marks.are_due
    }

    /// Whether nothing is open that came with leading.
    pub(crate) fn is_still(&self) -> bool {
        self.started
            && self.inbox.is_empty()
            && self.told.is_empty()
            && self.proposed.is_empty()
            && self.firing.is_empty()
            && !self.has_marks()
    }

    /// Whether there is progress that no entry carries yet.
    pub(crate) fn has_marks(&self) -> bool {
        !self.marks.tells_acked.is_empty() || !self.marks.cursors.is_empty()
    }

    pub(crate) fn mark_tells_acked(&mut self, target: ShardId, up_to: u64) {
        let mark = self.marks.tells_acked.entry(target).or_default();
        *mark = up_to.max(*mark);
    }

    pub(crate) fn mark_cursor(&mut self, consumer: u8, cursor: Cursor) {
        let mark = self.marks.cursors.entry(consumer).or_default();
        *mark = cursor.max(*mark);
    }

    /// Lets progress have an entry of its own: nothing else came along to carry it.
    pub(crate) fn make_marks_due(&mut self) {
        self.marks.are_due = self.has_marks();
    }

    pub(crate) fn take_marks(&mut self) -> Vec<Item> {
        let Marks { tells_acked, cursors, .. } = std::mem::take(&mut self.marks);
        let acked = tells_acked.into_iter();
        let acked = acked.map(|(target, up_to)| Item::TellsAcked { target, up_to });
        let moved = cursors.into_iter();
        acked
            .chain(moved.map(|(consumer, cursor)| Item::CursorMoved { consumer, cursor }))
            .collect()
    }

    /// Everyone who waits, with the answer to give when the term is lost: what was proposed may
    /// still take effect, what was not proposed did not.
    pub(crate) fn abandoned(self, hint: Option<NodeId>) -> impl Iterator<Item = Held> {
        let proposed = self.proposed.into_iter().flat_map(|proposed| proposed.replies);
        let unknown = proposed.map(|held| match Mutant::DroppedProposalAnswered.is_planted() {
            true => held,
            false => Held { token: held.token, reply: Reply::Unknown },
        });
        let undecided = self.inbox.into_iter().filter_map(move |work| match work {
            Work::Command { token, .. } => Some(Held { token, reply: Reply::NotLeader { hint } }),
            Work::TimerDue(_) | Work::Answered { .. } => None,
        });
        unknown.chain(undecided)
    }

    /// Holds a reply until everything decided so far is applied; gives it back if nothing is open.
    pub(crate) fn hold(&mut self, held: Held) -> Option<Held> {
        match self.proposed.back_mut() {
            Some(last) => {
                last.replies.push(held);
                None
            }
            None => Some(held),
        }
    }
}

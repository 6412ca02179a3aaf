//! Letting go of a replica that has no part in its group any more.
//!
//! **Invariants:** a replica forgets only what it holds up to an index as of which another replica
//! knows it to be no member; when it was made a member again after that, it has acknowledged nothing
//! of it yet, so nothing it promised is forgotten; its term and its vote are kept, so it never votes
//! twice in a term.
//!
//! A removed voter seldom hears of its own removal: the leader stops sending once that is through.
//! So it asks. Until what it held is gone from the disk, it takes no snapshot. Any replica may answer, for what it has applied is committed, and members of before do
//! not change.

use storage::log::Record;

use crate::ids::NodeId;
use crate::replication::group::{Group, GroupState, group_of};
use crate::replication::members::GroupMembers;
use crate::replication::recovery::CoveredBy;
use crate::shard::core::ShardCore;
use crate::shard::header::Header;
use crate::shard::io::Output;
use crate::shard::joining::Joining;
use crate::shard::loads::Loads;
use crate::shard::residents::Residents;
use crate::shard::timers::TimerQueue;

impl ShardCore {
    /// Whether a node has a part in the group as of an index, as far as this replica can tell.
    pub fn part_of(&self, node: NodeId) -> Option<(u64, bool)> {
        let knows = self.fenced.is_none() && self.is_whole() && self.is_held();
        knows.then(|| (self.applied.0, self.group.members().contains(node)))
    }

    /// Whether this replica holds anything of its group.
    pub fn has_past(&self) -> bool {
        self.group.last_index() > 0 || !self.group.members().voters.is_empty()
    }

    /// Becomes a replica that never held anything, as it has had no part in the group as of this
    /// index; gives what makes that durable. `None` where it must stay as it is.
    pub fn forget(&mut self, as_of: u64, out: &mut Vec<Output>) -> Option<Vec<Record>> {
        let is_busy = self.lead.is_some()
            || self.group.is_leader()
            || self.group.is_appending()
            || self.is_installing();
        if is_busy || !self.has_past() || self.group.last_index() > as_of {
            return None;
        }
        let (term, vote) = self.group.promised();
        let blank = GroupState { term, vote, ..GroupState::new(&[]) };
        let group = Group::restart(self.group_config(), blank).ok()?;
        self.end_rest(out);
        self.abandon_reads(out);
        let reply = self.not_leader();
        self.abandon_parked(&reply, out);
        self.group = group;
        self.header = Header::default();
        self.applied = (0, 0);
        self.whole_at = 0;
        self.storing_bytes = 0;
        self.residents = Residents::default();
        self.loads = Loads::default();
        self.timers = TimerQueue::default();
        self.invocations.clear();
        self.joining = Joining::forgetting();
        let group = group_of(self.id);
        let members = GroupMembers::default();
        let covered = CoveredBy { members: members.clone(), history_to: None, since: 0 };
        Some(vec![
            Record::Truncate { group, from: 1 },
            // Of no file: the log goes on from nothing.
            Record::SnapshotPointer {
                group,
                start: 0,
                start_term: 0,
                end: 0,
                file: String::new(),
                conf: covered.encode(),
            },
            members.record(group),
            Record::IndexFloor { group, position: 0 },
            Record::HardState { group, term, vote, commit: 0 },
        ])
    }
}

//! Whether anything is under way in a group, and time that passed while nothing was.
//!
//! **Invariants:** a group is still only where everything in its log is durable and applied here and,
//! as far as a leader knows, by every other member.

use raft::{Progress, ProgressState, StateRole};

use crate::ids::NodeId;
use crate::replication::group::Group;

impl Group {
    /// Whether a tick would change nothing but counts.
    pub(crate) fn is_still(&self) -> bool {
        let raft = &self.node.raft;
        let log = &raft.raft_log;
        let last = log.last_index();
        let is_settled = match raft.state {
            StateRole::Leader => self.others_are_level(last),
            StateRole::Follower => true,
            StateRole::Candidate | StateRole::PreCandidate => false,
        };
        is_settled
            && [log.persisted, log.committed, log.applied] == [last; 3]
            && self.appending.is_empty()
            && self.unlogged_commit.is_none()
            && self.fetched.is_none()
            && self.installing.is_none()
            && !self.is_transferring()
            && !self.members.is_changing()
            && !raft.has_pending_conf()
            && raft.pending_read_count() == 0
            && raft.ready_read_count() == 0
            && self.node.store().is_still()
            && !self.node.has_ready()
    }

    fn others_are_level(&self, last: u64) -> bool {
        let is_level = |progress: &Progress| {
            progress.matched == last
                && progress.committed_index == last
                && progress.state != ProgressState::Snapshot
                && progress.pending_request_snapshot == 0
        };
        self.node.raft.prs().iter().all(|(id, progress)| *id == self.me.0 || is_level(progress))
    }

    /// Whether all other members answered since a majority was last counted.
    pub(crate) fn hears_everybody(&self) -> bool {
        let prs = self.node.raft.prs();
        prs.iter().all(|(id, progress)| *id == self.me.0 || progress.recent_active)
    }

    /// All other members, in order.
    pub(crate) fn others(&self) -> Vec<NodeId> {
        let ids = self.node.raft.prs().iter().map(|(id, _)| NodeId(*id));
        let mut others: Vec<_> = ids.filter(|id| *id != self.me).collect();
        others.sort_unstable();
        others
    }

    /// The leader is there, by its node's word.
    pub(crate) fn hear_leader(&mut self) {
        self.node.raft.election_elapsed = 0;
    }

    /// Nothing was heard of the leader for so many ticks that were not counted.
    pub(crate) fn count_silence(&mut self, ticks: u32) {
        let ticks = usize::try_from(ticks).unwrap_or(usize::MAX);
        self.node.raft.election_elapsed = self.node.raft.election_elapsed.max(ticks);
    }

    /// A majority is to be counted in a full election's time from here, by what it says from here on.
    pub(crate) fn count_answers_anew(&mut self) {
        let me = self.me.0;
        // Asking takes the marks back.
        self.node.raft.mut_prs().quorum_recently_active(me);
        self.node.raft.election_elapsed = 0;
    }

    /// Sends heartbeats at once.
    pub(crate) fn say_that_it_leads(&mut self) {
        self.node.ping();
    }
}

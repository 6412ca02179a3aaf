//! When a replica rests, and what ends it: see `node::rest`.
//!
//! **Invariants:** whatever makes the shard need time, a peer or an answer ends its rest in the same
//! step; what it says of itself (rests, wakes) is in the order in which it came about.

use raft::eraftpb::{Message, MessageType};

use crate::ids::NodeId;
use crate::node::rest::{Rest, RestRole, Standstill};
use crate::shard::core::ShardCore;
use crate::shard::io::Output;
use crate::time::Timestamp;

/// How far a replica is from resting.
#[derive(Default)]
pub(crate) struct Resting {
    rest: Option<Rest>,
    /// Ticks since anything happened, and where everything stood then.
    still_ticks: u32,
    still_at: (Standstill, u64),
}

impl ShardCore {
    pub(crate) fn rests(&self) -> bool {
        self.resting.rest.is_some()
    }

    /// Counts a tick at which nothing was under way, and rests after enough of them. A follower rests
    /// when its leader says so.
    pub(crate) fn consider_rest(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Some(rests_after) = self.rests_after else { return };
        let here = (self.standstill(), self.reads.n_asked());
        if !self.is_still(now) || here != self.resting.still_at {
            self.resting.still_at = here;
            self.resting.still_ticks = 0;
            return;
        }
        self.resting.still_ticks = self.resting.still_ticks.saturating_add(1);
        if self.resting.still_ticks < rests_after {
            return;
        }
        if self.group.is_leader() {
            if self.group.hears_everybody() {
                self.begin_rest(RestRole::Leads { followers: self.group.others() }, out);
            }
        } else if !self.is_held() && self.group.other_leader().is_none() {
            // Only time shows that a leader is not there any more.
            self.begin_rest(RestRole::Outside, out);
        }
    }

    /// The leader's node says that the group rests.
    pub(crate) fn take_leader_rests(
        &mut self,
        leader: NodeId,
        at: Standstill,
        now: Timestamp,
        out: &mut Vec<Output>,
    ) {
        let role = RestRole::Follows { leader };
        if let Some(rest) = &self.resting.rest {
            if rest.at == at && rest.role == role {
                return;
            }
            self.end_rest(out);
        }
        let follows = self.is_held() && self.group.other_leader() == Some(leader);
        if follows && self.rests_after.is_some() && self.standstill() == at && self.is_still(now) {
            self.group.hear_leader();
            self.begin_rest(role, out);
        } else {
            out.push(Output::CannotRest { leader });
        }
    }

    /// Says again that it rests: whoever ticks it does not know.
    pub(crate) fn repeat_rest(&self, out: &mut Vec<Output>) {
        out.extend(self.resting.rest.clone().map(Output::Rests));
    }

    fn begin_rest(&mut self, role: RestRole, out: &mut Vec<Output>) {
        let until = self.timers.next().filter(|_| self.lead.is_some());
        let rest = Rest { at: self.standstill(), role, until };
        self.resting.rest = Some(rest.clone());
        out.push(Output::Rests(rest));
    }

    pub(crate) fn end_rest(&mut self, out: &mut Vec<Output>) {
        if self.resting.rest.take().is_some() {
            self.resting.still_ticks = 0;
            // What the others said before the rest is no sign of them any more.
            if self.group.is_leader() {
                self.group.count_answers_anew();
            }
            out.push(Output::Wakes);
        }
    }

    /// Goes on as if the leader had been silent for so long. A leader says at once that it is there.
    pub(crate) fn wake(&mut self, silent_ticks: u32, out: &mut Vec<Output>) {
        if !self.rests() {
            return;
        }
        self.end_rest(out);
        match self.group.is_leader() {
            true => self.group.say_that_it_leads(),
            false => self.group.count_silence(silent_ticks),
        }
    }

    /// Ends the rest if what came needs it.
    pub(crate) fn wake_if_needed(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let Some(rest) = &self.resting.rest else { return };
        let is_as_said = match &rest.role {
            RestRole::Leads { .. } => self.group.is_leader(),
            RestRole::Follows { leader } => self.group.other_leader() == Some(*leader),
            RestRole::Outside => !self.is_held(),
        };
        if !is_as_said || rest.at != self.standstill() || !self.is_still(now) {
            self.end_rest(out);
        }
    }

    /// Whether a message leaves a resting replica as it is: a node that does not belong to the group
    /// stands for election. It does not know that it was let go, and may never hear of it.
    pub(crate) fn is_moot(&self, message: &Message) -> bool {
        self.rests()
            && message.get_msg_type() == MessageType::MsgRequestPreVote
            && !self.group.members().contains(NodeId(message.from))
    }

    fn standstill(&self) -> Standstill {
        Standstill { term: self.group.term(), index: self.group.last_index() }
    }

    /// Whether nothing is under way that would need time or a peer.
    fn is_still(&self, now: Timestamp) -> bool {
        let leads_still = self.lead.as_ref().is_none_or(|lead| {
            let due = self.timers.next().is_some_and(|at| at <= now.max(self.header.time));
            lead.is_still()
                && !due
                && !self.is_reluctant()
                && self.invocations.is_empty()
                && self.header.channels.waiting().next().is_none()
        });
        leads_still
            && self.fenced.is_none()
            && self.joining.is_idle()
            && self.loads.is_empty()
            && self.reads.are_done()
            && self.clock.is_believed()
            && self.group.is_still()
    }
}

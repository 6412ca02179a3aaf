//! Tells between groups, wherever their leaders are.
//!
//! **Invariants:** a tell that is lost is offered again by its shard, so nothing is kept here; what
//! is under way to other nodes is bounded, and what is past the bound is left to be offered again.

use std::sync::Arc;
use std::time::Duration;

use storage::clock;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ids::{NodeId, ShardId};
use crate::runtime::leaders::Known;
use crate::runtime::services::Services;
use crate::shard::io::{Input, Reply};
use crate::shard::question::{Answer, Question};

/// Tells on their way to other nodes.
const UNDER_WAY_MAX: usize = 4_096;
/// Shards offer again after a second.
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Courier {
    room: Arc<Semaphore>,
}

impl Default for Courier {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(UNDER_WAY_MAX)) }
    }
}

impl Services {
    /// Brings something to the leader of a group.
    pub(crate) fn bring(self: &Arc<Self>, group: ShardId, question: Question) {
        if self.leaders.of(group) == Known::Here || self.network.get().is_none() {
            return self.bring_here(group, question);
        }
        let Ok(room) = Arc::clone(&self.courier.room).try_acquire_owned() else { return };
        let services = Arc::clone(self);
        tokio::spawn(async move {
            services.bring_there(group, &question).await;
            drop(room);
        });
    }

    fn bring_here(&self, group: ShardId, question: Question) {
        match question {
            Question::Tell { tell, .. } => self.shards.send(group, Input::Told(tell)),
            Question::TellsAcked { target, up_to, .. } => {
                self.shards.send(group, Input::TellsAcked { target, up_to });
            }
            Question::Command { .. }
            | Question::Query { .. }
            | Question::Fitness(_)
            | Question::Clock
            | Question::Declines { .. }
            | Question::Part { .. }
            | Question::Piece { .. }
            | Question::History { .. }
            | Question::HistoryOf { .. }
            | Question::Report { .. } => {
                debug_assert!(false, "only what needs no reply is brought");
            }
        }
    }

    async fn bring_there(&self, group: ShardId, question: &Question) {
        const ATTEMPTS_MAX: u32 = 3;
        let Some(network) = self.network.get() else { return };
        let deadline = Instant::from_std(clock::monotonic()) + PATIENCE;
        for attempt in 0..ATTEMPTS_MAX {
            let Some(node) = self.whom_to_ask(group, attempt) else { return };
            match network.ask(node, question, deadline).await {
                Ok(Answer::Reply(Reply::NotLeader { hint })) => self.leaders.hear(group, hint),
                Ok(_) => return self.leaders.hear(group, Some(node)),
                Err(_) => {}
            }
        }
    }

    /// A peer that leads a group or knows who does, the likeliest first.
    pub(crate) fn whom_to_ask(&self, group: ShardId, attempt: u32) -> Option<NodeId> {
        let me = self.node;
        let known = self.leaders.of(group).elsewhere();
        if let Some(node) = known.filter(|node| attempt.is_multiple_of(2) && *node != me) {
            return Some(node);
        }
        let cluster = self.cluster.borrow();
        let place = cluster.place(group)?;
        let others: Vec<_> = place.voters.iter().filter(|node| **node != me).collect();
        let nth = usize::try_from(attempt / 2).unwrap_or(0).checked_rem(others.len())?;
        others.get(nth).map(|node| **node)
    }
}

//! Machines that are reset right after they asked something: the answer is late, and finds the next
//! process.
//!
//! **Invariants:** a trap springs once for each time it is set, at a replica's first questions alone:
//! only those have numbers that its next process comes to again.

use crate::ids::{NodeId, ShardId};
use crate::sim::cluster::Cluster;
use crate::sim::events::Event;
use crate::time::Span;

/// A process this young asks under numbers that the next one soon comes to.
const QUESTIONS_MAX: u64 = 4;
/// Until the answer is on its way.
const ANSWERED_AFTER: Span = Span::from_millis(10);
const RESTARTS_AFTER: Span = Span::from_millis(50);

impl Cluster {
    /// A replica asked its leader from where on it may read.
    pub(crate) fn note_question(&mut self, node: NodeId, shard: ShardId) {
        let core = self.nodes.get(&node).and_then(|slot| slot.node.core(shard));
        let is_early = core.is_some_and(|core| core.reads.n_asked() <= QUESTIONS_MAX);
        if !is_early || !std::mem::take(&mut self.resets_asker) {
            return;
        }
        let late = Span::from_millis(300 + self.random.below(2_500));
        self.net.delay(node, late);
        self.after(ANSWERED_AFTER, Event::Reset { node });
    }

    /// Ends the process that asked. Its next one hears the others, and nobody hears it.
    pub(crate) fn reset(&mut self, node: NodeId) {
        let was_meant = self.net.end_delay(node);
        let is_up = self.nodes.get(&node).is_some_and(|slot| slot.is_up);
        if !was_meant || !is_up || !self.can_lose_one() {
            return;
        }
        self.coverage.resets += 1;
        self.kill(node);
        self.restart_after(RESTARTS_AFTER, node);
        for other in self.others(node) {
            self.net.cut(node, other);
        }
    }
}

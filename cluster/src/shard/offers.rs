//! Offering again what is open: tells without an outcome, invocations without an answer.
//!
//! **Invariants:** an offer repeats what is in the state and changes nothing; whoever gets it twice
//! recognises it by its number or id.

use std::collections::BTreeSet;

use crate::ids::EntityRef;
use crate::shard::core::ShardCore;
use crate::shard::io::{Invocation, Output};

/// Waiting tells offered at once per channel.
const TELLS_PER_OFFER_MAX: usize = 8_192;

impl ShardCore {
    /// What is open, in words: for whoever looks at a group that does not come to rest.
    pub(crate) fn open_in_words(&self) -> String {
        let mut text = String::new();
        for (at, entity) in &self.invocations {
            let resident = self.residents.hot(entity);
            let open = resident.and_then(|resident| resident.committed.invocation(*at));
            let is_cold = self.residents.is_cold(entity);
            text.push_str(&format!("{at:?} of {entity:?}, cold {is_cold}: {open:?}\n"));
        }
        text
    }

    pub(crate) fn offer_tells(&self, out: &mut Vec<Output>) {
        let waiting = self.header.channels.to_offer(TELLS_PER_OFFER_MAX);
        out.extend(waiting.map(|(target, tell)| Output::Tell { target, tell: tell.clone() }));
    }

    pub(crate) fn offer_invocations(&mut self, out: &mut Vec<Output>) {
        let entities: BTreeSet<_> = self.invocations.values().cloned().collect();
        for entity in entities {
            if self.residents.is_cold(&entity) {
                self.load(&entity, out);
            } else {
                self.offer_invocations_of(&entity, out);
            }
        }
    }

    pub(crate) fn offer_invocations_of(&self, entity: &EntityRef, out: &mut Vec<Output>) {
        let record = self.residents.hot(entity).map(|resident| &resident.committed);
        let extra = record.and_then(|record| record.extra.as_deref());
        for (at, open) in extra.into_iter().flat_map(|extra| &extra.invocations) {
            out.push(Output::Invoke {
                entity: entity.clone(),
                invocation: Invocation {
                    at: *at,
                    port: open.port,
                    request: open.request.clone(),
                    asked_at: open.asked_at,
                    offered_again: true,
                },
            });
        }
    }
}

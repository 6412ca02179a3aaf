//! What a folder holds of the chains of acts, from its log, its snapshots and its history.
//!
//! **Invariants:** what the log took back counts for nothing, and what a snapshot covers the snapshot
//! says; of each link that does not fit it is said which one and where it was read. An entry or a record
//! that cannot be read says nothing: whatever follows it in its chain then follows nothing.

use std::collections::BTreeMap;

use actors::domain::audit::{ChainId, Evidence, Link, link_of_event, links_of_state};
use cluster::entity::DecodeError;
use cluster::shard::contents::{self, Happened};
use storage::history::HistoryEntry;
use storage::log::{EntryKind, LogEntry, Record};

/// A file, and where in it if that is known.
pub(super) type Place = (String, Option<u64>);

/// A link, its chain and its place there, and where it was read.
type Found = (ChainId, u64, Link, Place);

#[derive(Default)]
pub(super) struct Audit {
    chains: BTreeMap<ChainId, Evidence<Place>>,
    /// Of entries that the log may still take back: by group, then index.
    logged: BTreeMap<u32, BTreeMap<u64, Vec<Found>>>,
}

impl Audit {
    /// Takes the next record of the log.
    pub(super) fn log(&mut self, record: &Record, place: &Place) -> Result<(), DecodeError> {
        let logged = self.logged.entry(record.group().0).or_default();
        match record {
            Record::Entry(LogEntry { term, index, kind: EntryKind::Normal, payload, .. })
                if !payload.is_empty() =>
            {
                drop(logged.split_off(index));
                let happened = contents::happened(payload, *index, Some(*term));
                for Happened { entity, events } in happened.unwrap_or_default() {
                    for event in events {
                        let link = link_of_event(&entity, &event)?;
                        let link = link.map(|(id, nth, link)| (id, nth, link, place.clone()));
                        if let Some(found) = link {
                            logged.entry(*index).or_default().push(found);
                        }
                    }
                }
            }
            Record::Truncate { from, .. } => drop(logged.split_off(from)),
            Record::SnapshotPointer { start, .. } => {
                *logged = logged.split_off(&start.saturating_add(1));
            }
            Record::Entry(_)
            | Record::GroupMeta { .. }
            | Record::HardState { .. }
            | Record::IndexFloor { .. } => {}
        }
        Ok(())
    }

    /// Takes a record of a snapshot.
    pub(super) fn stored(
        &mut self,
        key: &[u8],
        record: &[u8],
        place: &Place,
    ) -> Result<(), DecodeError> {
        let Ok(Some((entity, state))) = contents::state_of(key, record) else { return Ok(()) };
        let Some((id, first, links)) = links_of_state(&entity, &state)? else { return Ok(()) };
        let chain = self.chains.entry(id).or_default();
        for (nth, link) in (first..).zip(links) {
            chain.add(nth, link, place.clone());
        }
        Ok(())
    }

    /// Takes an entry of history, which was committed.
    pub(super) fn history(
        &mut self,
        entry: &HistoryEntry,
        place: &Place,
    ) -> Result<(), DecodeError> {
        let happened = contents::happened(&entry.payload, entry.index, None);
        for Happened { entity, events } in happened.unwrap_or_default() {
            for event in events {
                if let Some((id, nth, link)) = link_of_event(&entity, &event)? {
                    self.chains.entry(id).or_default().add(nth, link, place.clone());
                }
            }
        }
        Ok(())
    }

    /// How many acts there are, and all that does not fit of them.
    pub(super) fn end(mut self) -> (u64, Vec<(ChainId, String, Place)>) {
        for (id, nth, link, place) in
            std::mem::take(&mut self.logged).into_values().flat_map(BTreeMap::into_values).flatten()
        {
            self.chains.entry(id).or_default().add(nth, link, place);
        }
        let n_acts = self.chains.values().map(Evidence::n_links).sum::<usize>();
        let flaws = self.chains.iter().flat_map(|(id, evidence)| {
            evidence.flaws(*id).into_iter().map(|flaw| {
                let reason = format!("act {} {}", flaw.place, flaw.wrong);
                (*id, reason, flaw.source)
            })
        });
        (n_acts as u64, flaws.collect())
    }
}

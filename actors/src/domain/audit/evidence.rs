//! What is known of a chain from whatever of it comes to hand, and whether that is one chain.
//!
//! **Invariants:** it takes the parts in any order, and from as many sources as there are; what two
//! sources say otherwise is a flaw, and so is a link whose hash does not follow from the one before it.

use std::collections::BTreeMap;
use std::fmt;

use cluster::entity::{DecodeError, Entity, Wire};
use cluster::ids::EntityRef;

use super::{AuditChain, AuditPage, ChainId, Event, InShard, Link};

/// The link that an event adds, if it is one of a chain's own.
pub fn link_of_event(
    entity: &EntityRef,
    event: &[u8],
) -> Result<Option<(ChainId, u64, Link)>, DecodeError> {
    let Some(chain) = ChainId::of_chain(entity) else { return Ok(None) };
    let Event::Added { place, link } = Event::from_bytes(event)?;
    Ok(Some((chain, place, link)))
}

/// The links that a state has, if it is one of a chain or of a page; from some place on.
pub fn links_of_state(
    entity: &EntityRef,
    state: &[u8],
) -> Result<Option<(ChainId, u64, Vec<Link>)>, DecodeError> {
    // They are alike wherever they are kept.
    if let Some(chain) = ChainId::of_chain(entity) {
        let AuditChain::<InShard> { n_links, tail, .. } = Entity::from_record(state)?;
        return Ok(Some((chain, n_links.saturating_sub(tail.len() as u64), tail)));
    }
    let Some((chain, page)) = ChainId::of_page(entity) else { return Ok(None) };
    let AuditPage::<InShard> { links, .. } = Entity::from_record(state)?;
    Ok(Some((chain, u64::from(page) * AuditPage::<InShard>::LINKS_MAX, links)))
}

/// Links by their place, each with where it was found.
#[derive(Clone, Debug)]
pub struct Evidence<S> {
    links: BTreeMap<u64, (Link, S)>,
    flaws: Vec<Flaw<S>>,
}

impl<S> Default for Evidence<S> {
    fn default() -> Self {
        Self { links: BTreeMap::new(), flaws: Vec::new() }
    }
}

/// What does not fit: the place of the link, what is wrong with it, where it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw<S> {
    pub place: u64,
    pub wrong: Wrong,
    pub source: S,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its hash is not that of the link before it and of its act.
    DoesNotFollow,
    /// It is otherwise elsewhere.
    Differs,
    /// The link before it is nowhere.
    FollowsNothing,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DoesNotFollow => "does not follow from the one before it",
            Self::Differs => "is otherwise in another place",
            Self::FollowsNothing => "follows one that is nowhere",
        })
    }
}

impl<S: Clone> Evidence<S> {
    pub fn add(&mut self, place: u64, link: Link, source: S) {
        match self.links.get(&place) {
            Some((known, _)) if *known != link => {
                self.flaws.push(Flaw { place, wrong: Wrong::Differs, source });
            }
            Some(_) => {}
            None => drop(self.links.insert(place, (link, source))),
        }
    }

    pub fn n_links(&self) -> usize {
        self.links.len()
    }

    /// All that does not fit, in order of place.
    pub fn flaws(&self, chain: ChainId) -> Vec<Flaw<S>> {
        let mut flaws = self.flaws.clone();
        let (mut next, mut head) = (0, Some(chain.origin()));
        for (place, (link, source)) in &self.links {
            let before = head.filter(|_| *place == next);
            let wrong = match before {
                None => Some(Wrong::FollowsNothing),
                Some(before) if before.and(&link.act) != link.hash => Some(Wrong::DoesNotFollow),
                Some(_) => None,
            };
            let flaw = wrong.map(|wrong| Flaw { place: *place, wrong, source: source.clone() });
            flaws.extend(flaw);
            (next, head) = (place.saturating_add(1), Some(link.hash));
        }
        flaws.sort_by_key(|flaw| flaw.place);
        flaws
    }
}

//! How many connections each peer has open.
//!
//! **Invariants:** no peer has more than its share; a peer without a connection takes no memory.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::peer::Peer;

pub(super) struct Peers {
    share: NonZeroU32,
    n_open: Mutex<BTreeMap<Peer, u32>>,
}

/// A connection of a peer, until dropped.
pub(super) struct Place<'a> {
    peers: &'a Peers,
    peer: Peer,
}

impl Peers {
    pub(super) fn new(share: NonZeroU32) -> Self {
        Self { share, n_open: Mutex::default() }
    }

    /// A place for one more connection; `None` where the peer has its share already.
    pub(super) fn admit(&self, peer: Peer) -> Option<Place<'_>> {
        let mut open = self.open();
        let n_open = open.entry(peer).or_default();
        if *n_open >= self.share.get() {
            return None;
        }
        *n_open += 1;
        Some(Place { peers: self, peer })
    }

    /// Counts stay right whoever panics: nothing here is left half done.
    fn open(&self) -> MutexGuard<'_, BTreeMap<Peer, u32>> {
        self.n_open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut open = self.peers.open();
        let Some(n_open) = open.get_mut(&self.peer) else { return };
        *n_open -= 1;
        if *n_open == 0 {
            open.remove(&self.peer);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    #[test]
    fn a_peer_has_its_share_and_no_more() {
        let peers = Peers::new(NonZeroU32::new(2).unwrap());
        let peer = Peer::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let first = peers.admit(peer).unwrap();
        let second = peers.admit(peer).unwrap();
        assert!(peers.admit(peer).is_none());
        drop(first);
        let third = peers.admit(peer).unwrap();
        assert!(peers.admit(peer).is_none());
        drop((second, third));
        assert!(peers.open().is_empty(), "a peer that left is forgotten");
    }
}

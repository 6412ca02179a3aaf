//! How many connections each peer has open.
//!
//! **Invariants:** no peer has more than its share; a peer without a connection takes no memory.
//!
//! A peer is an IPv4 address or the network of an IPv6 host: one host has a whole /64 to itself, so
//! counting its addresses one by one would count nothing.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};

pub(super) struct Peers {
    share: NonZeroU32,
    n_open: Mutex<BTreeMap<IpAddr, u32>>,
}

/// A connection of a peer, until dropped.
pub(super) struct Place<'a> {
    peers: &'a Peers,
    peer: IpAddr,
}

impl Peers {
    pub(super) fn new(share: NonZeroU32) -> Self {
        Self { share, n_open: Mutex::default() }
    }

    /// A place for one more connection; `None` where the peer has its share already.
    pub(super) fn admit(&self, address: IpAddr) -> Option<Place<'_>> {
        let peer = network(address);
        let mut open = self.open();
        let n_open = open.entry(peer).or_default();
        if *n_open >= self.share.get() {
            return None;
        }
        *n_open += 1;
        Some(Place { peers: self, peer })
    }

    /// Counts stay right whoever panics: nothing here is left half done.
    fn open(&self) -> MutexGuard<'_, BTreeMap<IpAddr, u32>> {
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

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            const HOST: u128 = u64::MAX as u128;
            Ipv6Addr::from_bits(address.to_bits() & !HOST).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers() -> Peers {
        Peers::new(NonZeroU32::new(2).unwrap())
    }

    #[track_caller]
    fn check(first: &str, second: &str, are_one: bool) {
        let (peers, [first, second]) = (peers(), [first, second].map(|text| text.parse().unwrap()));
        let _full = (peers.admit(first).unwrap(), peers.admit(first).unwrap());
        assert_eq!(peers.admit(second).is_none(), are_one, "{first} and {second}");
    }

    #[test]
    fn a_peer_has_its_share_and_no_more() {
        let peers = peers();
        let peer = "192.0.2.1".parse().unwrap();
        let first = peers.admit(peer).unwrap();
        let second = peers.admit(peer).unwrap();
        assert!(peers.admit(peer).is_none());
        drop(first);
        let third = peers.admit(peer).unwrap();
        assert!(peers.admit(peer).is_none());
        drop((second, third));
        assert!(peers.open().is_empty(), "a peer that left is forgotten");
    }

    #[test]
    fn a_peer_is_known_by_its_address_or_its_network() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}

//! How often one peer may do what needs no credential: a bucket of tokens for each.
//!
//! **Invariants:** a peer does at most [`RateLimit::BURST_SECONDS`] seconds' worth at once and the
//! rate in the long run; at most [`RateLimit::PEERS_MAX`] peers are remembered, and one whose bucket
//! is full again need not be; peers that there is no room for share one bucket, so a flood of
//! addresses is no way around the limit, nor into memory.
//!
//! Of a bucket only the instant is kept at which it is full again. Addresses that a proxy vouches
//! for are not looked at: behind one, every client is the same peer.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::HeaderName;

use crate::peer::Peer;

pub(super) const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(super) const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

pub(crate) struct RateLimit {
    per_second: NonZeroU32,
    buckets: Mutex<Buckets>,
}

#[derive(Default)]
struct Buckets {
    full_at: BTreeMap<Peer, Instant>,
    /// Of all peers that there was no room for.
    rest_full_at: Option<Instant>,
    swept_at: Option<Instant>,
}

/// What a limit allows, as clients are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    tokens: u64,
    window_seconds: u32,
}

impl Quota {
    pub(super) fn policy(self) -> String {
        format!("\"carts\";q={};w={}", self.tokens, self.window_seconds)
    }

    pub(super) fn spent(self, wait_seconds: u64) -> String {
        format!("\"carts\";r=0;t={wait_seconds}")
    }
}

impl RateLimit {
    const BURST_SECONDS: u32 = 10;
    const PEERS_MAX: usize = 65_536;
    /// Looking for peers to forget takes milliseconds, which a flood must not cost each time.
    const SWEEP_EVERY: Duration = Duration::from_secs(1);

    pub(super) fn new(per_second: NonZeroU32) -> Self {
        Self { per_second, buckets: Mutex::default() }
    }

    pub(super) fn quota(&self) -> Quota {
        let tokens = u64::from(self.per_second.get()) * u64::from(Self::BURST_SECONDS);
        Quota { tokens, window_seconds: Self::BURST_SECONDS }
    }

    /// Takes a token of the peer's; where there is none, says when there will be.
    pub(super) fn admit(&self, peer: Peer, now: Instant) -> Result<(), Duration> {
        // A panic leaves nothing half done here.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full_at = buckets.of(peer, now);
        // A token is back this long after it was taken.
        let token = Duration::from_secs(1) / self.per_second.get();
        let capacity = Duration::from_secs(u64::from(Self::BURST_SECONDS));
        let after = (*full_at).max(now) + token;
        let wait = after.saturating_duration_since(now + capacity);
        if !wait.is_zero() {
            return Err(wait);
        }
        *full_at = after;
        Ok(())
    }
}

impl Buckets {
    /// When the bucket of this peer is full again; long past is as good as full.
    fn of(&mut self, peer: Peer, now: Instant) -> &mut Instant {
        let has_room = self.full_at.len() < RateLimit::PEERS_MAX;
        if !has_room && !self.full_at.contains_key(&peer) {
            let is_due = |at: Instant| now.saturating_duration_since(at) >= RateLimit::SWEEP_EVERY;
            if self.swept_at.is_none_or(is_due) {
                self.swept_at = Some(now);
                self.full_at.retain(|_, at| *at > now);
            }
            if self.full_at.len() >= RateLimit::PEERS_MAX {
                return self.rest_full_at.get_or_insert(now);
            }
        }
        self.full_at.entry(peer).or_insert(now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use storage::clock;

    use super::*;

    fn peer(nth: usize) -> Peer {
        IpAddr::V4(Ipv4Addr::from_bits(u32::try_from(nth).unwrap())).into()
    }

    fn limit(per_second: u32) -> RateLimit {
        RateLimit::new(NonZeroU32::new(per_second).unwrap())
    }

    #[test]
    fn a_peer_has_a_burst_and_then_its_rate() {
        let (limit, start) = (limit(2), clock::monotonic());
        for _ in 0..20 {
            assert_eq!(limit.admit(peer(1), start), Ok(()));
        }
        assert_eq!(limit.admit(peer(1), start), Err(Duration::from_millis(500)));
        assert_eq!(limit.admit(peer(2), start), Ok(()), "another peer");
        let later = start + Duration::from_millis(500);
        assert_eq!(limit.admit(peer(1), later), Ok(()));
        assert_eq!(limit.admit(peer(1), later), Err(Duration::from_millis(500)));
        let much_later = start + Duration::from_secs(3_600);
        let n_admitted = (0..100).filter(|_| limit.admit(peer(1), much_later).is_ok()).count();
        assert_eq!(n_admitted, 20, "a burst is never more");
        assert_eq!(limit.quota().policy(), "\"carts\";q=20;w=10");
    }

    #[test]
    fn a_flood_of_peers_shares_one_bucket_and_is_forgotten() {
        let (limit, start) = (limit(2), clock::monotonic());
        let n_admitted = (0..RateLimit::PEERS_MAX + 100)
            .filter(|nth| limit.admit(peer(*nth), start).is_ok())
            .count();
        assert_eq!(n_admitted, RateLimit::PEERS_MAX + 20);
        assert_eq!(limit.admit(peer(0), start), Ok(()), "who is known has its own");
        let later = start + Duration::from_secs(60);
        assert_eq!(limit.admit(peer(usize::MAX >> 32), later), Ok(()));
        assert_eq!(limit.buckets.lock().unwrap().full_at.len(), 1);
    }
}

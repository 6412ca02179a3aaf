//! How the simulator misbehaves: as its settings say, and as often in every run.

use std::time::Duration;

use super::wire::{Parcel, Place, Reason, Reference};
use crate::providers::chance::{Manner, Percent};

/// Nobody brings parcels there.
const NOT_SERVED: &str = "AQ";

#[derive(Clone, Debug)]
pub struct Behaviour {
    pub seed: u64,
    /// Of bookings; asked for again, one may be taken.
    pub refusals: Percent,
    /// Of attempts: nothing is done, and there is no answer.
    pub timeouts: Percent,
    /// Of attempts: it is done, and there is no answer.
    pub late_successes: Percent,
    /// Of notices: sent twice, and after a later one.
    pub odd_notices: Percent,
    /// From one place of a parcel's way to the next.
    pub pace: Duration,
}

impl Default for Behaviour {
    fn default() -> Self {
        let none = Percent::default();
        Self {
            seed: 0,
            refusals: none,
            timeouts: none,
            late_successes: none,
            odd_notices: none,
            pace: Duration::from_secs(10),
        }
    }
}

/// When a notice is sent, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sending {
    pub(super) place: Place,
    pub(super) after: Duration,
    pub(super) times: u32,
}

impl Behaviour {
    pub(super) fn refusal(&self, key: &str, parcel: &Parcel) -> Option<Reason> {
        if parcel.to.country == NOT_SERVED {
            return Some(Reason::NotServed);
        }
        let is_refused = self.refusals.has(self.seed, "refuse", key.as_bytes(), 0);
        is_refused.then_some(Reason::NotTaken)
    }

    /// The `attempt` counts from zero.
    pub(super) fn manner(&self, parcel: Reference, attempt: u32) -> Manner {
        let of = of(parcel);
        if self.timeouts.has(self.seed, "timeout", &of, attempt) {
            Manner::Lost
        } else if self.late_successes.has(self.seed, "late", &of, attempt) {
            Manner::Late
        } else {
            Manner::Prompt
        }
    }

    /// What is said of one parcel from its booking on.
    pub(super) fn notices(&self, parcel: Reference) -> impl Iterator<Item = Sending> {
        Place::WAY.into_iter().zip(1..).map(move |(place, nth)| {
            let is_odd = self.odd_notices.has(self.seed, "notice", &of(parcel), nth);
            let on_time = self.pace.saturating_mul(nth);
            if is_odd {
                let after = on_time.saturating_add(self.pace).saturating_add(self.pace / 2);
                Sending { place, after, times: 2 }
            } else {
                Sending { place, after: on_time, times: 1 }
            }
        })
    }
}

fn of(parcel: Reference) -> Vec<u8> {
    String::from(parcel).into_bytes()
}

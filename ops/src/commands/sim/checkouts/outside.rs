//! A carrier, and somebody who decides which orders look like fraud.
//!
//! Both lose requests and answers until all is well again; the carrier refuses some parcels, and says
//! where the others are as often and in whatever order it likes.
//!
//! **Invariants:** a parcel is booked once, and asked for again only after a refusal: whoever asks
//! otherwise asks for what they may not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::OrderId;
use actors::domain::carrier::{
    self, Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, ParcelReference,
    Whereabouts,
};
use actors::domain::fraud::{self, Question, Verdict};
use actors::domain::names::Label;
use cluster::entity::{Port, Wire};
use cluster::sim::port::{Line, Provider};
use cluster::time::Timestamp;
use storage::sim_disk::SplitMix64;

const LOST_ONE_IN: u64 = 6;
const REFUSED_ONE_IN: u64 = 3;
/// One order in so many is denied, and three times as many are held.
const DENIED_ONE_IN: u8 = 8;
const NOTICES_MAX: u32 = 4;
const PLACES: [Whereabouts; 4] = [
    Whereabouts::InTransit,
    Whereabouts::OutForDelivery,
    Whereabouts::NotHandedOver,
    Whereabouts::Delivered,
];

#[derive(Default)]
struct Parcel {
    attempt: u16,
    outcome: Option<BookingOutcome>,
    notices: u32,
}

#[derive(Default)]
struct Parcels {
    all: BTreeMap<ParcelReference, Parcel>,
    is_healed: bool,
}

/// The carrier.
#[derive(Clone, Default)]
pub(super) struct SharedParcels(Arc<Mutex<Parcels>>);

impl SharedParcels {
    fn open(&self) -> MutexGuard<'_, Parcels> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where some parcel is, which nobody asked.
    pub(super) fn draw_notice(
        &self,
        random: &mut SplitMix64,
    ) -> Option<(ParcelReference, Whereabouts)> {
        let mut parcels = self.open();
        let booked = parcels.all.iter_mut().filter(|(_, parcel)| {
            let is_booked = matches!(parcel.outcome, Some(BookingOutcome::Booked(_)));
            is_booked && parcel.notices < NOTICES_MAX
        });
        let mut booked: Vec<_> = booked.collect();
        let nth = random.below(u64::try_from(booked.len()).ok()?.max(1));
        let (reference, parcel) = booked.get_mut(usize::try_from(nth).ok()?)?;
        parcel.notices += 1;
        let place = PLACES.get(usize::try_from(random.below(4)).ok()?)?;
        Some((**reference, *place))
    }
}

impl Provider for SharedParcels {
    fn port(&self) -> Port {
        carrier::PORT
    }

    fn attempt(
        &mut self,
        request: &[u8],
        line: Line,
        _: Timestamp,
        random: &mut SplitMix64,
    ) -> Result<Vec<Vec<u8>>, String> {
        let request = BookingRequest::from_bytes(request).map_err(|error| error.to_string())?;
        let BookingRequest { parcel: reference, attempt, .. } = request;
        let mut parcels = self.open();
        let is_healed = parcels.is_healed;
        if !is_healed && random.one_in(LOST_ONE_IN) {
            return Ok(vec![]);
        }
        let parcel = parcels.all.entry(reference).or_default();
        if parcel.attempt != attempt {
            if matches!(parcel.outcome, Some(BookingOutcome::Booked(_))) {
                return Err(format!("parcel {reference} is booked, and asked for once more"));
            }
            parcel.attempt = attempt;
            parcel.outcome = None;
        }
        let refuses = !is_healed && random.one_in(REFUSED_ONE_IN);
        let outcome = parcel.outcome.get_or_insert_with(|| {
            if refuses {
                return BookingOutcome::Refused(BookingRefusal::NotTaken);
            }
            let text = |text: String| Label::of_what_fits(&text);
            let label_url = text(format!("https://mule.example/{reference}"));
            BookingOutcome::Booked(Booking { tracking: text(format!("M-{reference}")), label_url })
        });
        let outcome = outcome.clone();
        if line == Line::Silent || !is_healed && random.one_in(LOST_ONE_IN) {
            return Ok(vec![]);
        }
        Ok(vec![BookingAnswer { parcel: reference, attempt, outcome }.to_bytes()])
    }

    fn heal(&mut self) {
        self.open().is_healed = true;
    }
}

/// Whoever decides. It says the same of one order however often it is asked.
#[derive(Clone, Default)]
pub(super) struct Verdicts {
    is_healed: bool,
}

fn verdict(order: OrderId) -> Verdict {
    let mixed = order
        .as_bytes()
        .iter()
        .fold(7_u8, |mixed, byte| mixed.wrapping_mul(31).wrapping_add(*byte));
    let why = Label::of_what_fits("it is a simulation");
    match mixed % DENIED_ONE_IN {
        0 => Verdict::Deny { why },
        1..4 => Verdict::Review { why },
        _ => Verdict::Allow,
    }
}

impl Provider for Verdicts {
    fn port(&self) -> Port {
        fraud::PORT
    }

    fn attempt(
        &mut self,
        request: &[u8],
        line: Line,
        _: Timestamp,
        random: &mut SplitMix64,
    ) -> Result<Vec<Vec<u8>>, String> {
        let Question { order, .. } =
            Question::from_bytes(request).map_err(|error| error.to_string())?;
        if line == Line::Silent || !self.is_healed && random.one_in(LOST_ONE_IN) {
            return Ok(vec![]);
        }
        Ok(vec![verdict(order).to_bytes()])
    }

    fn heal(&mut self) {
        self.is_healed = true;
    }
}

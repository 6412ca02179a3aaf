//! Shipments whose carrier is asked for it, and is asked where they are.
//!
//! **Invariants:** a shipment has one parcel at most, and no booking of it is asked for while another
//! is open or done; where a parcel is never goes back, whatever order its carrier's notices come in;
//! what its carrier handed over is delivered; no carrier is asked to bring what can never be paid.

use cluster::entity::{Answer, Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::after_sale::{Items, in_order};
use super::{Command, Course, Event, Existing, Moment, Rejection, ShipmentNumber};
use crate::domain::carrier::{
    Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, PORT, ParcelReference,
    Whereabouts,
};
use crate::domain::names::Label;
use crate::domain::payment::{ProviderEventId, ProviderName};
use crate::mutants::Mutant;

/// What a carrier has to do with one shipment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    pub shipment: ShipmentNumber,
    pub carrier: ProviderName,
    pub state: ParcelState,
    /// How often a carrier was asked.
    pub attempt: u16,
    /// Once it is booked. Notices may come before.
    pub label_url: Option<Label>,
    pub since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelState {
    Asked,
    Refused(BookingRefusal),
    Booked,
    Moved(Whereabouts),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelCommand {
    /// Pieces are packed, and a carrier is to bring them.
    Fulfil { shipment: ShipmentNumber, items: Items, carrier: ProviderName },
    /// Asks again, or somebody else, after a refusal.
    Book { shipment: ShipmentNumber, carrier: ProviderName },
    /// The port's.
    Answered(BookingAnswer),
    /// A notice of a carrier: any number of times, in any order.
    Notified {
        event: ProviderEventId,
        carrier: ProviderName,
        shipment: ShipmentNumber,
        to: Whereabouts,
    },
    /// The shop has the pieces brought another way than by the carrier that was asked.
    State { shipment: ShipmentNumber, carrier: Label, tracking: Label },
}

/// What becomes of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParcelStep {
    Asked {
        carrier: ProviderName,
        attempt: u16,
    },
    Booked(Booking),
    Refused(BookingRefusal),
    Moved(Whereabouts),
    /// It is none any more: the shop says who brings the pieces.
    Stated {
        carrier: Label,
        tracking: Label,
    },
}

impl ParcelStep {
    /// That it was handed over is the shipment's moment.
    pub(super) const fn moment(&self) -> Option<Moment> {
        match self {
            Self::Asked { .. } => Some(Moment::ParcelAsked),
            Self::Booked(_) => Some(Moment::ParcelBooked),
            Self::Refused(_) => Some(Moment::ParcelRefused),
            Self::Moved(Whereabouts::InTransit) => Some(Moment::ParcelInTransit),
            Self::Moved(Whereabouts::OutForDelivery) => Some(Moment::ParcelOutForDelivery),
            Self::Moved(Whereabouts::NotHandedOver) => Some(Moment::ParcelNotHandedOver),
            Self::Moved(Whereabouts::Delivered) | Self::Stated { .. } => None,
        }
    }
}

pub(super) fn on_answer(answer: &Answer) -> Option<Command> {
    let (Answer::Done(bytes) | Answer::Refused(bytes)) = answer;
    let answer = BookingAnswer::from_bytes(bytes).ok()?;
    Some(Command::OfParcel(ParcelCommand::Answered(answer)))
}

impl Course {
    pub(super) fn take_parcel_command(&mut self, command: ParcelCommand) -> Result<(), Rejection> {
        match command {
            ParcelCommand::Fulfil { shipment, items, carrier } => {
                self.fulfil_by(shipment, items, carrier)
            }
            ParcelCommand::Book { shipment, carrier } => self.book_again(shipment, carrier),
            ParcelCommand::Answered(answer) => {
                self.take_booking(answer);
                Ok(())
            }
            ParcelCommand::Notified { event: _, carrier, shipment, to } => {
                self.take_whereabouts(&carrier, shipment, to)
            }
            ParcelCommand::State { shipment, carrier, tracking } => {
                self.bring_otherwise(shipment, carrier, tracking)
            }
        }
    }

    /// The shipment goes by our own reference until its carrier has a number for it.
    fn fulfil_by(
        &mut self,
        shipment: ShipmentNumber,
        items: Items,
        carrier: ProviderName,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        if let Some(known) = order.shipment(shipment) {
            let is_same = known.items == in_order(items)? && order.parcel(shipment).is_some();
            return is_same.then_some(()).ok_or(Rejection::NumberDiffers { number: shipment.0 });
        }
        let reference = ParcelReference { order: self.me, shipment };
        let tracking = Label::of_what_fits(&reference.to_string());
        self.fulfil(shipment, items, Label::of_what_fits(carrier.as_str()), tracking)?;
        self.ask_carrier(shipment, carrier);
        Ok(())
    }

    fn book_again(
        &mut self,
        shipment: ShipmentNumber,
        carrier: ProviderName,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let parcel = order.parcel_under_way(shipment)?;
        match parcel.state {
            ParcelState::Refused(_) => {
                let due = order.due_when_sent()?;
                self.ask_carrier(shipment, carrier);
                self.take_what_is_due(due);
            }
            ParcelState::Asked if parcel.carrier == carrier => {}
            ParcelState::Asked | ParcelState::Booked | ParcelState::Moved(_) => {
                return Err(Rejection::WithCarrier { shipment });
            }
        }
        Ok(())
    }

    /// Whatever the carrier says later is of a parcel that is not there.
    fn bring_otherwise(
        &mut self,
        shipment: ShipmentNumber,
        carrier: Label,
        tracking: Label,
    ) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        if order.is_brought_so(shipment, &carrier, &tracking) {
            return Ok(());
        }
        match order.parcel_under_way(shipment)?.state {
            ParcelState::Asked | ParcelState::Refused(_) => {}
            ParcelState::Booked | ParcelState::Moved(_) => {
                return Err(Rejection::WithCarrier { shipment });
            }
        }
        let due = order.due_when_sent()?;
        let step = ParcelStep::Stated { carrier, tracking };
        self.happen(Event::Parcel { shipment, step, at: self.now });
        self.take_what_is_due(due);
        Ok(())
    }

    fn ask_carrier(&mut self, shipment: ShipmentNumber, carrier: ProviderName) {
        let before = self.order().and_then(|order| order.parcel(shipment));
        let attempt = before.map_or(1, |parcel| parcel.attempt.saturating_add(1));
        let step = ParcelStep::Asked { carrier: carrier.clone(), attempt };
        self.happen(Event::Parcel { shipment, step, at: self.now });
        let parcel = ParcelReference { order: self.me, shipment };
        let request = self.order().and_then(|order| order.booking_request(parcel));
        let Some(request) = request else { return };
        self.does(Effect::Invoke { port: PORT, request: request.to_bytes() });
    }

    fn take_booking(&mut self, BookingAnswer { parcel, attempt, outcome }: BookingAnswer) {
        let shipment = parcel.shipment;
        let parcel = self.order().and_then(|order| order.parcel(shipment));
        let Some(parcel) = parcel.filter(|parcel| parcel.attempt == attempt) else { return };
        let step = match (outcome, parcel.state) {
            (BookingOutcome::Booked(booking), _) if parcel.label_url.is_none() => {
                ParcelStep::Booked(booking)
            }
            (BookingOutcome::Refused(why), ParcelState::Asked) => ParcelStep::Refused(why),
            // What moves was taken, and what is booked is booked.
            (BookingOutcome::Booked(_) | BookingOutcome::Refused(_), _) => return,
        };
        self.happen(Event::Parcel { shipment, step, at: self.now });
    }

    fn take_whereabouts(
        &mut self,
        carrier: &ProviderName,
        shipment: ShipmentNumber,
        to: Whereabouts,
    ) -> Result<(), Rejection> {
        let order = self.found()?;
        let parcel = order.parcel(shipment).filter(|parcel| parcel.carrier == *carrier);
        let parcel = parcel.ok_or(Rejection::ShipmentNotFound { shipment })?;
        let is_news = match parcel.state {
            ParcelState::Asked | ParcelState::Booked => true,
            // Of the parcel as it was asked for before, or of nothing.
            ParcelState::Refused(_) => false,
            ParcelState::Moved(place) => place < to || Mutant::ParcelGoesBack.is_planted(),
        };
        let has_arrived = order.has_arrived(shipment);
        if !is_news || has_arrived && !Mutant::ParcelGoesBack.is_planted() {
            return Ok(());
        }
        self.happen(Event::Parcel { shipment, step: ParcelStep::Moved(to), at: self.now });
        if to == Whereabouts::Delivered && !has_arrived {
            self.happen(Event::Delivered { shipment, at: self.now });
        }
        Ok(())
    }
}

impl Existing {
    pub(super) fn parcel(&self, shipment: ShipmentNumber) -> Option<&Parcel> {
        self.parcels.iter().find(|parcel| parcel.shipment == shipment)
    }

    /// The parcel of a shipment that has not arrived.
    fn parcel_under_way(&self, shipment: ShipmentNumber) -> Result<&Parcel, Rejection> {
        let known = self.shipment(shipment).ok_or(Rejection::ShipmentNotFound { shipment })?;
        let parcel = self.parcel(shipment).filter(|_| known.delivered_at.is_none());
        parcel.ok_or(Rejection::WithCarrier { shipment })
    }

    /// Whether no carrier of ours is asked, and this is who brings it.
    fn is_brought_so(&self, shipment: ShipmentNumber, carrier: &Label, tracking: &Label) -> bool {
        let is_so = self
            .shipment(shipment)
            .is_some_and(|it| (&it.carrier, &it.tracking) == (carrier, tracking));
        is_so && self.parcel(shipment).is_none()
    }

    fn has_arrived(&self, shipment: ShipmentNumber) -> bool {
        self.shipment(shipment).is_some_and(|known| known.delivered_at.is_some())
    }

    fn booking_request(&self, parcel: ParcelReference) -> Option<BookingRequest> {
        let Parcel { carrier, attempt, .. } = self.parcel(parcel.shipment)?.clone();
        let shipment = self.shipment(parcel.shipment)?;
        let pieces = shipment.items.iter().map(|(_, quantity)| quantity.get());
        Some(BookingRequest {
            carrier,
            parcel,
            attempt,
            option: self.placed.shipping().map(|shipping| shipping.option.clone()),
            to: self.contact().shipping.clone(),
            pieces: pieces.fold(0, u32::saturating_add),
        })
    }

    pub(super) fn parcel_becomes(
        &mut self,
        number: ShipmentNumber,
        step: &ParcelStep,
        at: Timestamp,
    ) {
        match step {
            ParcelStep::Asked { carrier, attempt } => {
                self.goes_by(number, Some(Label::of_what_fits(carrier.as_str())), None);
                self.parcels.retain(|parcel| parcel.shipment != number);
                self.parcels.push(Parcel {
                    shipment: number,
                    carrier: carrier.clone(),
                    state: ParcelState::Asked,
                    attempt: *attempt,
                    label_url: None,
                    since: at,
                });
                self.parcels.sort_by_key(|parcel| parcel.shipment);
            }
            ParcelStep::Stated { carrier, tracking } => {
                self.parcels.retain(|parcel| parcel.shipment != number);
                self.goes_by(number, Some(carrier.clone()), Some(tracking.clone()));
            }
            ParcelStep::Booked(booking) => {
                let is_asked = self.parcel_moves(number, at, |parcel| {
                    parcel.label_url = Some(booking.label_url.clone());
                    // Its carrier may have said more by then.
                    if parcel.state == ParcelState::Asked {
                        parcel.state = ParcelState::Booked;
                    }
                });
                if is_asked {
                    self.goes_by(number, None, Some(booking.tracking.clone()));
                }
            }
            ParcelStep::Refused(why) => {
                self.parcel_moves(number, at, |parcel| parcel.state = ParcelState::Refused(*why));
            }
            ParcelStep::Moved(place) => {
                self.parcel_moves(number, at, |parcel| parcel.state = ParcelState::Moved(*place));
            }
        }
    }

    /// Whether there is such a parcel.
    fn parcel_moves(
        &mut self,
        number: ShipmentNumber,
        at: Timestamp,
        change: impl FnOnce(&mut Parcel),
    ) -> bool {
        let parcel = self.parcels.iter_mut().find(|parcel| parcel.shipment == number);
        parcel.map(|parcel| (parcel.since = at, change(parcel))).is_some()
    }

    /// Who brings a shipment, and how it is known there, as far as that is said.
    fn goes_by(&mut self, number: ShipmentNumber, carrier: Option<Label>, tracking: Option<Label>) {
        if let Some(shipment) = self.shipments.iter_mut().find(|known| known.number == number) {
            shipment.carrier = carrier.unwrap_or_else(|| shipment.carrier.clone());
            shipment.tracking = tracking.unwrap_or_else(|| shipment.tracking.clone());
        }
    }

    /// Each is of a shipment, in order, and what was handed over is delivered.
    pub(super) fn check_parcels(&self) -> Result<(), &'static str> {
        let is_strict = self.parcels.is_sorted_by(|left, right| left.shipment < right.shipment);
        let is_sound = |parcel: &Parcel| {
            let is_shipped = self.shipment(parcel.shipment).is_some();
            let is_booked = parcel.label_url.is_some();
            let is_possible = match parcel.state {
                ParcelState::Asked | ParcelState::Refused(_) => !is_booked,
                ParcelState::Booked => is_booked,
                ParcelState::Moved(Whereabouts::Delivered) => self.has_arrived(parcel.shipment),
                ParcelState::Moved(_) => true,
            };
            is_shipped && is_possible
        };
        if is_strict && self.parcels.iter().all(is_sound) {
            Ok(())
        } else {
            Err("an order has parcels that are none of its shipments")
        }
    }
}

//! Parcels: booked once, and never back where they were.

use cluster::entity::{Effect, Wire};

use super::properties::{NOON, euro, label};
use super::tests::*;
use super::*;
use crate::domain::carrier::{
    Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, PORT, ParcelReference,
    Whereabouts,
};
use crate::domain::payment::ProviderName;

const FIRST: ShipmentNumber = ShipmentNumber(1);

fn carrier(name: &str) -> ProviderName {
    name.parse().unwrap()
}

fn items() -> Vec<(SkuCode, Quantity)> {
    vec![(cup(), quantity(2)), (pot(), quantity(1))]
}

fn fulfil(number: u16) -> Command {
    let (shipment, items, carrier) = (ShipmentNumber(number), items(), carrier("mule"));
    Command::OfParcel(ParcelCommand::Fulfil { shipment, items, carrier })
}

fn book(name: &str) -> Command {
    Command::OfParcel(ParcelCommand::Book { shipment: FIRST, carrier: carrier(name) })
}

fn state(carrier: &str) -> Command {
    let (shipment, carrier, tracking) = (FIRST, label(carrier), label("1Z"));
    Command::OfParcel(ParcelCommand::State { shipment, carrier, tracking })
}

fn stated() -> Event {
    parcel(ParcelStep::Stated { carrier: label("Post"), tracking: label("1Z") })
}

fn reference() -> ParcelReference {
    ParcelReference { order: me(), shipment: FIRST }
}

fn booking() -> Booking {
    Booking { tracking: label("M1"), label_url: label("http://mule/M1") }
}

fn answered(outcome: BookingOutcome) -> Command {
    Command::OfParcel(ParcelCommand::Answered(BookingAnswer {
        parcel: reference(),
        attempt: 1,
        outcome,
    }))
}

fn is_booked() -> Command {
    answered(BookingOutcome::Booked(booking()))
}

fn is_refused() -> Command {
    answered(BookingOutcome::Refused(BookingRefusal::NotServed))
}

fn said_by(name: &str, to: Whereabouts) -> Command {
    let (event, carrier) = ("evt-1".parse().unwrap(), carrier(name));
    Command::OfParcel(ParcelCommand::Notified { event, carrier, shipment: FIRST, to })
}

fn said(to: Whereabouts) -> Command {
    said_by("mule", to)
}

fn parcel(step: ParcelStep) -> Event {
    Event::Parcel { shipment: FIRST, step, at: NOON }
}

fn asked_of(name: &str) -> Event {
    asked_again(name, 1)
}

fn asked_again(name: &str, attempt: u16) -> Event {
    parcel(ParcelStep::Asked { carrier: carrier(name), attempt })
}

fn moved(to: Whereabouts) -> Event {
    parcel(ParcelStep::Moved(to))
}

fn sent() -> Event {
    let (carrier, tracking) = (label("mule"), label(&reference().to_string()));
    Event::Shipped { shipment: FIRST, items: items(), carrier, tracking, at: NOON }
}

fn asking() -> Vec<Event> {
    [confirmed(), vec![sent(), asked_of("mule")]].concat()
}

fn to_carrier(name: &str, attempt: u16) -> Effect {
    let to = properties::terms(Shortfall::FailAll, CaptureTime::AtOnce).contact.shipping;
    let (carrier, parcel) = (carrier(name), reference());
    let request = BookingRequest { carrier, parcel, attempt, option: None, to, pieces: 3 };
    Effect::Invoke { port: PORT, request: request.to_bytes() }
}

fn after(given: &[Event], more: &[Event]) -> Vec<Event> {
    [given, more].concat()
}

fn state_of(given: &[Event]) -> ParcelState {
    view(given).parcels[0].state
}

#[test]
fn a_carrier_is_asked_for_a_parcel_once() {
    let then = [sent(), asked_of("mule")];
    check(&confirmed(), fulfil(1), Ok((&then, &[to_carrier("mule", 1)])));
    check_nothing(&asking(), fulfil(1));
    check_nothing(&asking(), book("mule"));
    check(&asking(), book("ox"), Err(Rejection::WithCarrier { shipment: FIRST }));
    check(&confirmed(), fulfil(2), Err(Rejection::NumberOutOfOrder { next: 1 }));
    let stated = Command::Fulfil {
        shipment: FIRST,
        items: items(),
        carrier: label("mule"),
        tracking: label("1Z"),
    };
    check(&asking(), stated, Err(Rejection::NumberDiffers { number: 1 }));
    let unknown = Rejection::ShipmentNotFound { shipment: FIRST };
    check(&confirmed(), book("mule"), Err(unknown));
}

#[test]
fn a_booking_names_the_parcel_and_its_label() {
    let then = [parcel(ParcelStep::Booked(booking()))];
    check(&asking(), is_booked(), Ok((&then, &[])));
    let booked = after(&asking(), &then);
    check_nothing(&booked, is_booked());
    check_nothing(&booked, is_refused());
    let seen = view(&booked);
    assert_eq!(seen.shipments[0].tracking, label("M1"));
    assert_eq!(seen.parcels[0].label_url, Some(label("http://mule/M1")));
    check(&booked, book("mule"), Err(Rejection::WithCarrier { shipment: FIRST }));
}

#[test]
fn a_refused_booking_is_asked_for_again_and_of_another_carrier() {
    let refused = parcel(ParcelStep::Refused(BookingRefusal::NotServed));
    check(&asking(), is_refused(), Ok((std::slice::from_ref(&refused), &[])));
    let given = after(&asking(), &[refused]);
    assert_eq!(state_of(&given), ParcelState::Refused(BookingRefusal::NotServed));
    check_nothing(&given, said(Whereabouts::InTransit));
    check(&given, book("mule"), Ok((&[asked_again("mule", 2)], &[to_carrier("mule", 2)])));
    check(&given, book("ox"), Ok((&[asked_again("ox", 2)], &[to_carrier("ox", 2)])));
    let given = after(&given, &[asked_again("ox", 2)]);
    // What was asked for before is answered.
    check_nothing(&given, is_booked());
    check_nothing(&given, is_refused());
    assert_eq!(view(&given).shipments[0].carrier, label("ox"));
    assert_eq!(state_of(&given), ParcelState::Asked);
    // Somebody else's word of it is worth nothing.
    let none_of_it = Rejection::ShipmentNotFound { shipment: FIRST };
    check(&given, said(Whereabouts::Delivered), Err(none_of_it));
}

#[test]
fn nobody_is_asked_to_bring_what_is_not_paid() {
    let refused = parcel(ParcelStep::Refused(BookingRefusal::NotTaken));
    let capture_asked = Event::CaptureAsked { amount: euro(TOTAL), at: NOON };
    let sent = [sent(), asked_of("mule"), capture_asked.clone()];
    let unpaid = [on_account(), sent.to_vec(), vec![Event::CaptureFailed { at: NOON }]].concat();
    // A repeat of what is asked for already changes nothing.
    check_nothing(&unpaid, book("mule"));
    let given = after(&unpaid, std::slice::from_ref(&refused));
    let then = [asked_again("ox", 2), capture_asked];
    let at = NOON.plus(Order::CAPTURE_ANSWERS_WITHIN);
    let timer = Effect::SetTimer { name: Order::PAYMENT_SILENT, at };
    let effects = [to_carrier("ox", 2), timer.clone(), to_capture()];
    check(&given, book("ox"), Ok((&then, &effects)));
    check(&given, state("Post"), Ok((&[stated(), then[1].clone()], &[timer, to_capture()])));
    let given_up = after(&given, &[Event::PaymentVoidAsked { at: NOON }]);
    check(&given_up, book("ox"), Err(Rejection::NotPaid));
    check(&given_up, state("Post"), Err(Rejection::NotPaid));
    check(&after(&given_up, &[UNDONE]), book("mule"), Err(Rejection::NotPaid));
    check_nothing(&after(&unpaid, &[Event::PaymentVoidAsked { at: NOON }]), book("mule"));
}

#[test]
fn what_no_carrier_takes_is_brought_as_the_shop_says() {
    let refused = after(&asking(), &[parcel(ParcelStep::Refused(BookingRefusal::NotServed))]);
    for given in [asking(), refused] {
        check(&given, state("Post"), Ok((&[stated()], &[])));
        let given = after(&given, &[stated()]);
        let seen = view(&given);
        assert_eq!(seen.parcels, []);
        let shipment = &seen.shipments[0];
        assert_eq!((&shipment.carrier, &shipment.tracking), (&label("Post"), &label("1Z")));
        check_nothing(&given, state("Post"));
        check(&given, state("ox"), Err(Rejection::WithCarrier { shipment: FIRST }));
        check(&given, book("mule"), Err(Rejection::WithCarrier { shipment: FIRST }));
        // The carrier that was asked is too late.
        check_nothing(&given, is_booked());
        check_nothing(&given, is_refused());
        let none_of_it = Rejection::ShipmentNotFound { shipment: FIRST };
        check(&given, said(Whereabouts::Delivered), Err(none_of_it));
    }
    let booked = after(&asking(), &[parcel(ParcelStep::Booked(booking()))]);
    let moved = after(&asking(), &[moved(Whereabouts::InTransit)]);
    let arrived = after(&asking(), &[Event::Delivered { shipment: FIRST, at: NOON }]);
    for given in [booked, moved, arrived] {
        check(&given, state("Post"), Err(Rejection::WithCarrier { shipment: FIRST }));
    }
    let unknown = Rejection::ShipmentNotFound { shipment: FIRST };
    check(&confirmed(), state("Post"), Err(unknown));
}

#[test]
fn where_a_parcel_is_never_goes_back() {
    use Whereabouts::{Delivered, InTransit, NotHandedOver, OutForDelivery};
    let all = [InTransit, OutForDelivery, NotHandedOver, Delivered];
    let booked = after(&asking(), &[parcel(ParcelStep::Booked(booking()))]);
    for (nth, place) in all.into_iter().enumerate() {
        let mut then = vec![moved(place)];
        if place == Delivered {
            then.push(Event::Delivered { shipment: FIRST, at: NOON });
        }
        check(&booked, said(place), Ok((&then, &[])));
        let given = after(&booked, &then);
        for earlier in &all[..=nth] {
            check_nothing(&given, said(*earlier));
        }
        assert_eq!(state_of(&given), ParcelState::Moved(place));
    }
}

#[test]
fn the_order_is_delivered_when_its_carrier_has_handed_all_over() {
    let arrived = Event::Delivered { shipment: FIRST, at: NOON };
    let given = after(&asking(), &[moved(Whereabouts::Delivered), arrived.clone()]);
    assert_eq!(view(&given).status, Status::Delivered);
    // The answer to the booking may be later than all that it led to.
    check(&given, is_booked(), Ok((&[parcel(ParcelStep::Booked(booking()))], &[])));
    check_nothing(&given, is_refused());
    // Where the shop said so itself, the carrier has nothing to add.
    let stated = after(&asking(), &[arrived]);
    check_nothing(&stated, said(Whereabouts::Delivered));
    check(&stated, book("ox"), Err(Rejection::WithCarrier { shipment: FIRST }));
}

/// A long way leaves what is decided by in the timeline.
#[test]
fn parcels_crowd_nothing_else_out_of_the_timeline() {
    let mut given = asking();
    for _ in 0..Timeline::ENTRIES_MAX {
        given.push(parcel(ParcelStep::Refused(BookingRefusal::NotTaken)));
        given.push(asked_of("mule"));
    }
    let timeline = view(&given).timeline;
    assert_eq!(timeline.len(), Timeline::ENTRIES_MAX);
    assert_eq!(timeline[0].moment, Moment::Placed);
}

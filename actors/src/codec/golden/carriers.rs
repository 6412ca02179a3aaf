use super::order::{id, label, pieces, terms};
use super::*;
use crate::domain::carrier::{
    Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, ParcelReference,
    Whereabouts,
};
use crate::domain::order::{Command, Event, ParcelCommand, ParcelStep, Rejection, ShipmentNumber};
use crate::domain::payment::ProviderName;

const FIRST: ShipmentNumber = ShipmentNumber(1);

fn carrier() -> ProviderName {
    "mule".parse().unwrap()
}

fn reference() -> ParcelReference {
    ParcelReference { order: id(), shipment: FIRST }
}

fn booking() -> Booking {
    Booking { tracking: label("M1"), label_url: label("http://m/1") }
}

pub(super) fn parcel(step: ParcelStep) -> Event {
    Event::Parcel { shipment: FIRST, step, at: AT }
}

pub(super) fn parcel_asked() -> Event {
    parcel(ParcelStep::Asked { carrier: carrier(), attempt: 2 })
}

pub(super) fn parcel_booked() -> Event {
    parcel(ParcelStep::Booked(booking()))
}

fn events() -> Vec<Event> {
    let refused = [BookingRefusal::NotServed, BookingRefusal::NotTaken].map(ParcelStep::Refused);
    let moved = [
        Whereabouts::InTransit,
        Whereabouts::OutForDelivery,
        Whereabouts::NotHandedOver,
        Whereabouts::Delivered,
    ];
    let more = refused.into_iter().chain(moved.map(ParcelStep::Moved)).map(parcel);
    let stated = parcel(ParcelStep::Stated { carrier: label("Post"), tracking: label("1Z") });
    [parcel_asked(), parcel_booked()].into_iter().chain(more).chain([stated]).collect()
}

fn answers() -> [BookingAnswer; 2] {
    let refused = BookingOutcome::Refused(BookingRefusal::NotTaken);
    let outcomes = [BookingOutcome::Booked(booking()), refused];
    outcomes.map(|outcome| BookingAnswer { parcel: reference(), attempt: 2, outcome })
}

fn commands() -> Vec<Command> {
    let [booked, _] = answers();
    let (event, to) = ("evt".parse().unwrap(), Whereabouts::Delivered);
    let commands = [
        ParcelCommand::Fulfil { shipment: FIRST, items: pieces(1), carrier: carrier() },
        ParcelCommand::Book { shipment: FIRST, carrier: carrier() },
        ParcelCommand::Answered(booked),
        ParcelCommand::Notified { event, carrier: carrier(), shipment: FIRST, to },
        ParcelCommand::State { shipment: FIRST, carrier: label("Post"), tracking: label("1Z") },
    ];
    commands.map(Command::OfParcel).to_vec()
}

fn request() -> BookingRequest {
    let (option, to) = (Some("parcel".parse().unwrap()), terms().contact.shipping);
    BookingRequest { carrier: carrier(), parcel: reference(), attempt: 2, option, to, pieces: 3 }
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let answers = answers().map(|answer| answer.to_bytes());
    let commands = commands().into_iter().map(|command| command.to_bytes());
    let events = events().into_iter().map(|event| event.to_bytes());
    commands.chain(events).chain(answers).chain([request().to_bytes()]).collect()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(request) = BookingRequest::from_bytes(bytes) {
        assert_eq!(request.to_bytes(), bytes);
    }
    if let Ok(answer) = BookingAnswer::from_bytes(bytes) {
        assert_eq!(answer.to_bytes(), bytes);
    }
}

#[test]
fn parcels_have_their_bytes() {
    check_each(&events(), EVENTS);
    check_each(&commands(), COMMANDS);
    check_each(&answers(), ANSWERS);
    check_whole(&request(), REQUEST);
    check_whole(&Rejection::WithCarrier { shipment: FIRST }, REJECTION);
}

const EVENTS: &str = "
    01002500000001000000000004000000000000006d756c6502000403020100000000
    01002500000001000100000002000000000000004d310a00000000000000687474703a2f2f6d2f310403020100000000
    010025000000010002000000000000000403020100000000
    010025000000010002000000010000000403020100000000
    010025000000010003000000000000000403020100000000
    010025000000010003000000010000000403020100000000
    010025000000010003000000020000000403020100000000
    010025000000010003000000030000000403020100000000
    0100250000000100040000000400000000000000506f73740200000000000000315a0403020100000000
";
const COMMANDS: &str = "
    010010000000000000000100010000000000000003000000000000007465610100000004000000000000006d756c65
    01001000000001000000010004000000000000006d756c65
    01001000000002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa010002000000000002000000000000004d310a00000000000000687474703a2f2f6d2f31
    01001000000003000000030000000000000065767404000000000000006d756c65010003000000
    0100100000000400000001000400000000000000506f73740200000000000000315a
";
const ANSWERS: &str = "
    0100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa010002000000000002000000000000004d310a00000000000000687474703a2f2f6d2f31
    0100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa010002000100000001000000
";
const REQUEST: &str = "010004000000000000006d756c65aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0100020001060000000000000070617263656c010000000000000041010000000000000031010100000000000000320100000000000000540001010000000000000031444503000000";
const REJECTION: &str = "0100120000000100";

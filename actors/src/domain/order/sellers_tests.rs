//! What sellers are told of orders.

use cluster::entity::{Effect, Entity, Wire};

use super::properties::{NOON, euro};
use super::tests::*;
use super::*;
use crate::domain::fraud::Verdict;
use crate::domain::seller_board::{Command as BoardCommand, Consignment, SellerBoard};

fn named() -> Event {
    let lines = SellerLines { seller: "ann".parse().unwrap(), skus: vec![cup()] };
    Event::SellersNamed { sellers: vec![lines], at: NOON }
}

fn review(step: ReviewStep) -> Event {
    Event::Review { step, at: NOON }
}

/// What a decision tells the boards.
fn told(given: &[Event], when: Command) -> Vec<(Option<Consignment>, Consignment)> {
    let news = |effect| {
        let Effect::Tell { to, command } = effect else { return None };
        let is_board = to.kind == SellerBoard::KIND;
        let BoardCommand::Put { before, after, .. } =
            is_board.then(|| BoardCommand::from_bytes(&command).unwrap())?;
        Some((before, after))
    };
    check_effects(given, when).into_iter().filter_map(news).collect()
}

fn status(told: &[(Option<Consignment>, Consignment)]) -> Vec<(Option<Status>, Status)> {
    told.iter().map(|(before, after)| (before.as_ref().map(|it| it.status), after.status)).collect()
}

#[test]
fn a_seller_is_told_of_an_order_once_it_is_bought_and_of_what_becomes_of_it() {
    let capturing = [capturing(), vec![named()]].concat();
    let bought = told(&capturing, money_taken());
    assert_eq!(status(&bought), [(None, Status::Confirmed)]);
    let confirmed = [confirmed(), vec![named()]].concat();
    let off = told(&confirmed, cancel());
    assert_eq!(status(&off), [(Some(Status::Confirmed), Status::Cancelling)]);
    assert_eq!(
        told(&confirmed, Command::AddNote { text: "by hand".to_owned().try_into().unwrap() }),
        []
    );
    let shown = Command::ShowSeller { seller: "ann".parse().unwrap() };
    let [(before, after)] = told(&confirmed, shown).try_into().unwrap();
    assert_eq!(before, Some(after));
    let other = Command::ShowSeller { seller: "bob".parse().unwrap() };
    assert_eq!(told(&confirmed, other), []);
}

/// What its shopper was told, that it is held, is told for ever; it is bought all the same.
#[test]
fn a_seller_is_told_of_an_order_that_was_held_and_approved() {
    let why = Label::of_what_fits("why");
    let held_for = Span::from_secs(60);
    let held = vec![
        asked(),
        named(),
        review(ReviewStep::Wanted { held_for }),
        reserved(cup()),
        reserved(pot()),
        review(ReviewStep::Asked),
        review(ReviewStep::Held { why }),
        review(ReviewStep::Approved),
        payment_asked(TOTAL),
        Event::Authorised { amount: euro(TOTAL), at: NOON },
        Event::CaptureAsked { amount: euro(TOTAL), at: NOON },
    ];
    assert_eq!(status(&told(&held, money_taken())), [(None, Status::Confirmed)]);
}

#[test]
fn an_order_that_comes_to_nothing_is_told_to_no_seller() {
    let silent = Label::of_what_fits("nobody answered in time");
    let reviewing = |why| {
        let held_for = Span::from_secs(60);
        let steps = [review(ReviewStep::Wanted { held_for }), reserved(cup()), reserved(pot())];
        let held = [review(ReviewStep::Asked), review(ReviewStep::Held { why })];
        [vec![asked(), named()], steps.to_vec(), held.to_vec()].concat()
    };
    let denied = Verdict::Deny { why: silent.clone() };
    let denied = Command::OfReview(ReviewCommand::Answered(denied));
    assert_eq!(told(&reviewing(silent), denied), []);
    assert_eq!(told(&[asked(), named()], Command::GiveUpStock), []);
}

#[test]
fn a_seller_sends_what_is_there_and_neither_sent_nor_called_off() {
    let ann: SellerId = "ann".parse().unwrap();
    let mut given = [confirmed(), vec![named()]].concat();
    assert_eq!(view(&given).unsent_by(&ann), Some(vec![(cup(), quantity(2))]));
    assert_eq!(view(&given).unsent_by(&"bob".parse().unwrap()), None);
    let waiting = given.iter_mut().find(|event| **event == reserved(cup())).unwrap();
    *waiting = Event::StockPromised { sku: cup(), waiting: quantity(1), at: NOON };
    assert_eq!(view(&given).unsent_by(&ann), Some(vec![(cup(), quantity(1))]));
    let (shipment, carrier) = (ShipmentNumber(1), Label::of_what_fits("Post"));
    let (items, tracking) = (vec![(cup(), quantity(1))], carrier.clone());
    given.push(Event::Shipped { shipment, items: items.clone(), carrier, tracking, at: NOON });
    let seen = view(&given);
    assert_eq!(seen.unsent_by(&ann), Some(vec![]));
    assert_eq!(seen.sellers_of(&items).collect::<Vec<_>>(), [&ann]);
    assert_eq!(seen.sellers_of(&[(pot(), quantity(1))]).count(), 0);
    let (by, amount, reason) = (Side::Shop, euro(0), Label::of_what_fits("no more"));
    given.push(Event::PiecesCancelled { by, items, amount, reason, at: NOON });
    given.push(Event::StockArrived { sku: cup(), waiting: Units::ZERO, at: NOON });
    assert_eq!(view(&given).unsent_by(&ann), Some(vec![]));
}

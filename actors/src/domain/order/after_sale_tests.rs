//! How much of an order is shipped, comes back and is refunded.

use cluster::entity::Effect;

use super::properties::{NOON, code, euro, label};
use super::tests::*;
use super::*;
use crate::domain::money::Currency;
use crate::domain::payment::{self, Reason};
use crate::domain::sku::OrderStep;

type Items = [(SkuCode, u32)];

fn items(items: &Items) -> Vec<(SkuCode, Quantity)> {
    items.iter().map(|(sku, count)| (sku.clone(), quantity(*count))).collect()
}

fn fulfil(number: u16, named: &Items) -> Command {
    let (shipment, items) = (ShipmentNumber(number), items(named));
    Command::Fulfil { shipment, items, carrier: label("Post"), tracking: label("1Z") }
}

fn shipped(number: u16, named: &Items) -> Event {
    let (shipment, items, at) = (ShipmentNumber(number), items(named), NOON);
    Event::Shipped { shipment, items, carrier: label("Post"), tracking: label("1Z"), at }
}

fn ask_return(number: u16, named: &Items) -> Command {
    let (number, items) = (ReturnNumber(number), items(named));
    Command::AskReturn { number, items, reason: label("too small") }
}

fn return_asked(number: u16, named: &Items) -> Event {
    let (number, items) = (ReturnNumber(number), items(named));
    Event::ReturnAsked { number, items, reason: label("too small"), at: NOON }
}

fn id(number: u8) -> RefundId {
    RefundId::from_bytes([number; 16])
}

fn refund(number: u8, minor: i64) -> Command {
    Command::Refund { refund: id(number), amount: euro(minor), reason: label("broken") }
}

fn refund_asked(number: u8, minor: i64) -> Event {
    let (refund, amount) = (id(number), euro(minor));
    Event::RefundAsked { refund, amount, reason: label("broken"), at: NOON }
}

fn refunded(number: u8, minor: i64, sum: i64) -> Event {
    let (refund, amount, refunded) = (id(number), euro(minor), euro(sum));
    Event::Refunded { refund, amount, refunded, at: NOON }
}

fn after(more: &[Event]) -> Vec<Event> {
    [confirmed(), more.to_vec()].concat()
}

fn one(event: &Event) -> Result<(&[Event], &[Effect]), Rejection> {
    Ok((std::slice::from_ref(event), &[]))
}

#[test]
fn no_more_is_shipped_than_was_bought() {
    let part = [(cup(), 1)];
    let first = shipped(1, &part);
    check(&confirmed(), fulfil(1, &part), one(&first));
    let given = after(&[first]);
    check_nothing(&given, fulfil(1, &part));
    check(&given, fulfil(1, &[(cup(), 2)]), Err(Rejection::NumberDiffers { number: 1 }));
    check(&given, fulfil(2, &[(cup(), 2)]), Err(Rejection::TooMany { sku: cup(), left: 1 }));
    check(&given, fulfil(3, &part), Err(Rejection::NumberOutOfOrder { next: 2 }));
    check(&given, fulfil(2, &[(code(2), 1)]), Err(Rejection::LineNotFound { sku: code(2) }));
    check(&given, fulfil(2, &[]), Err(Rejection::NothingNamed));
    let twice = [(pot(), 1), (pot(), 1)];
    check(&given, fulfil(2, &twice), Err(Rejection::TooMany { sku: pot(), left: 0 }));
    check(
        &given,
        fulfil(2, &[(pot(), 1), (cup(), 1)]),
        one(&shipped(2, &[(cup(), 1), (pot(), 1)])),
    );
}

#[test]
fn only_what_is_confirmed_is_shipped() {
    let early = confirmed().remove(0);
    check(&[early], fulfil(1, &[(cup(), 1)]), Err(Rejection::NotConfirmed));
    check(&[], fulfil(1, &[(cup(), 1)]), Err(Rejection::NotFound));
    let called_off = Event::CancelAsked { by: Side::Shop, reason: label("lost"), at: NOON };
    check(&after(&[called_off]), fulfil(1, &[(cup(), 1)]), Err(Rejection::Over));
}

#[test]
fn the_first_shipment_takes_the_money_that_was_to_wait_for_it() {
    let part = [(cup(), 1)];
    let capture_asked = Event::CaptureAsked { amount: euro(TOTAL), at: NOON };
    let first = [shipped(1, &part), capture_asked];
    let at = NOON.plus(Order::CAPTURE_ANSWERS_WITHIN);
    let timer = Effect::SetTimer { name: Order::PAYMENT_SILENT, at };
    check(&on_account(), fulfil(1, &part), Ok((&first, &[timer, to_capture()])));
    let given = [on_account(), first.to_vec()].concat();
    check(&given, fulfil(2, &part), one(&shipped(2, &part)));
    // In doubt it is shown, once; the pieces are gone whatever comes of it.
    let in_doubt = Event::PaymentInDoubt { at: NOON };
    check(&given, Command::GiveUpPayment, one(&in_doubt));
    let doubtful = [given.clone(), vec![in_doubt]].concat();
    check_nothing(&doubtful, Command::GiveUpPayment);
    assert_eq!(view(&doubtful).payment_status, PaymentStatus::InDoubt);
    let refused = [doubtful, vec![Event::CaptureFailed { at: NOON }]].concat();
    assert_eq!(view(&refused).payment_status, PaymentStatus::Authorised);
    check_nothing(&refused, Command::GiveUpPayment);
    let reason = Reason::Provider(Refusal::Declined);
    let capture = crate::domain::ids::CaptureId::from_bytes([7; 16]);
    let news = paid(News::CaptureFailed { capture, amount: euro(TOTAL), reason });
    check(&given, news, one(&Event::CaptureFailed { at: NOON }));
}

#[test]
fn a_shipment_arrives_once() {
    let given = after(&[shipped(1, &[(cup(), 1)])]);
    let deliver = |number| Command::Deliver { shipment: ShipmentNumber(number) };
    let delivered = Event::Delivered { shipment: ShipmentNumber(1), at: NOON };
    check(&given, deliver(1), one(&delivered));
    check_nothing(&[given.clone(), vec![delivered]].concat(), deliver(1));
    let unknown = Rejection::ShipmentNotFound { shipment: ShipmentNumber(2) };
    check(&given, deliver(2), Err(unknown));
}

#[test]
fn no_more_comes_back_than_was_shipped_and_it_is_in_stock_again() {
    let given = after(&[shipped(1, &[(cup(), 2)])]);
    check(&given, ask_return(1, &[(pot(), 1)]), Err(Rejection::TooMany { sku: pot(), left: 0 }));
    check(&given, ask_return(1, &[(cup(), 3)]), Err(Rejection::TooMany { sku: cup(), left: 2 }));
    let back = return_asked(1, &[(cup(), 1)]);
    check(&given, ask_return(1, &[(cup(), 1)]), one(&back));
    let given = [given, vec![back]].concat();
    check_nothing(&given, ask_return(1, &[(cup(), 1)]));
    check(&given, ask_return(1, &[(cup(), 2)]), Err(Rejection::NumberDiffers { number: 1 }));
    check(&given, ask_return(2, &[(cup(), 2)]), Err(Rejection::TooMany { sku: cup(), left: 1 }));
    let receive = |number| Command::ReceiveReturn { number: ReturnNumber(number) };
    let received = Event::ReturnReceived { number: ReturnNumber(1), at: NOON };
    let restock = to_stock(&cup(), OrderStep::Restock { quantity: quantity(1) });
    check(&given, receive(1), Ok((std::slice::from_ref(&received), &[restock])));
    check_nothing(&[given.clone(), vec![received]].concat(), receive(1));
    let unknown = Rejection::ReturnNotFound { number: ReturnNumber(2) };
    check(&given, receive(2), Err(unknown));
}

#[test]
fn refunds_never_exceed_what_was_captured() {
    let to_refund = |number, minor| {
        to_payment(&payment::Command::Refund { refund: id(number), amount: euro(minor) })
    };
    let most = Ok((&[refund_asked(1, TOTAL)][..], &[to_refund(1, TOTAL)][..]));
    check(&confirmed(), refund(1, TOTAL), most);
    let too_large = |left| Err(Rejection::RefundTooLarge { left });
    check(&confirmed(), refund(1, TOTAL + 1), too_large(TOTAL));
    check(&confirmed(), refund(1, 0), Err(Rejection::NotPositive));
    check(&on_account(), refund(1, 1), too_large(0));
    let yen = Money { minor: 1, currency: "JPY".parse().unwrap() };
    let other = Command::Refund { refund: id(1), amount: yen, reason: label("broken") };
    check(&confirmed(), other, Err(Rejection::OtherCurrency { currency: Currency::EURO }));
    // Those under way count.
    let given = after(&[refund_asked(1, 1_000)]);
    check_nothing(&given, refund(1, 1_000));
    check(&given, refund(1, 999), Err(Rejection::RefundDiffers));
    check(&given, refund(2, TOTAL - 999), too_large(TOTAL - 1_000));
    let failed = Event::RefundFailed { refund: id(1), at: NOON };
    let most = Ok((&[refund_asked(2, TOTAL)][..], &[to_refund(2, TOTAL)][..]));
    check(&[given, vec![failed]].concat(), refund(2, TOTAL), most);
}

#[test]
fn a_refund_ends_once() {
    let given = after(&[refund_asked(1, 300)]);
    let reason = Reason::Provider(Refusal::NotPossible);
    let done =
        |number| paid(News::Refunded { refund: id(number), amount: euro(300), total: euro(300) });
    let not_done = || {
        let (refund, amount, reason) = (id(1), euro(300), reason.clone());
        paid(News::RefundFailed { refund, amount, reason })
    };
    let ended = refunded(1, 300, 300);
    check(&given, done(1), one(&ended));
    check(&given, not_done(), one(&Event::RefundFailed { refund: id(1), at: NOON }));
    let given = [given, vec![ended]].concat();
    check_nothing(&given, done(1));
    check_nothing(&given, not_done());
    check_nothing(&given, done(2));
}

#[test]
fn an_order_keeps_so_many_entries_and_no_more() {
    let note = Event::NoteAdded { text: label("called"), at: NOON };
    let add = || Command::AddNote { text: label("called") };
    check(&confirmed(), add(), one(&note));
    let full = after(&vec![note; Order::ENTRIES_MAX]);
    check(&full, add(), Err(Rejection::TooManyEntries));
    let refunds = (0..64).map(|number| refund_asked(number, 1)).collect::<Vec<_>>();
    check(&after(&refunds), refund(64, 1), Err(Rejection::TooManyEntries));
}

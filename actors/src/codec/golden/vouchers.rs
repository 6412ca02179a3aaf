//! Gift cards that orders become.

use super::order::{euro, label, placed};
use super::*;
use crate::domain::gift_card;
use crate::domain::gift_card::CardNews;
use crate::domain::ids::{GiftCardId, OrderId, RefundId};
use crate::domain::order::{Command, Event, Existing, Order, Query, Voucher, VoucherStep};

fn card() -> GiftCardId {
    GiftCardId::from_bytes([0xDD; 16])
}

fn refund() -> RefundId {
    RefundId::from_bytes([0xEE; 16])
}

fn command() -> Command {
    let (refund, amount, reason) = (refund(), euro(5), label("r"));
    Command::RefundToCard { refund, amount, reason, card: card(), ending: label("7XYZ") }
}

fn news() -> [Command; 2] {
    [CardNews::Issued, CardNews::NotIssued].map(|news| Command::TakeCardNews { card: card(), news })
}

fn issue() -> gift_card::Command {
    let order = OrderId::from_bytes([0xAA; 16]);
    let (amount, ending, note) = (euro(5), label("7XYZ"), Some(label("r")));
    gift_card::Command::IssueFor { order, amount, ending, note }
}

fn steps() -> [Event; 3] {
    let voucher = Voucher { refund: refund(), card: card(), from_payment: 3, from_cards: vec![] };
    let (amount, reason, is_credit) = (euro(5), label("r"), true);
    [
        VoucherStep::Asked { voucher, amount, reason, is_credit },
        VoucherStep::Issued { refund: refund() },
        VoucherStep::Refused { refund: refund() },
    ]
    .map(|step| Event::Voucher { step, at: AT })
}

fn order() -> Order {
    let mut order = Order::default();
    let captured = Event::Captured { total: euro(3), at: AT };
    let held = Event::Authorised { amount: euro(3), at: AT };
    let [asked, issued, _] = steps();
    for event in [placed(&["tea"]), held, captured, asked, issued] {
        order.apply(&event);
    }
    order
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let steps = steps().map(|event| event.to_bytes());
    [steps.to_vec(), vec![order().to_record()]].concat()
}

#[test]
fn the_bytes_of_vouchers_are_as_they_were() {
    check_each(&[command()], COMMAND);
    check_each(&news(), NEWS);
    check_each(&[issue()], ISSUE);
    check_each(&steps(), STEPS);
    check_record(&order(), ORDER);
    check_whole(&promotions::view_of(&order(), Query::Order), VIEW);
}

#[test]
fn vouchers_that_could_not_be_are_refused() {
    let changed = |change: &dyn Fn(&mut Existing)| {
        let mut order = order();
        change(order.existing.as_deref_mut().unwrap());
        Order::from_record(&order.to_record())
    };
    check_refused(changed(&|order| order.vouchers[0].from_payment = 4), "than was captured");
    check_refused(changed(&|order| order.vouchers[0].from_payment = -1), "is no refund");
    check_refused(
        changed(&|order| order.vouchers[0].refund = RefundId::from_bytes([1; 16])),
        "is no refund",
    );
    check_refused(
        changed(&|order| order.vouchers[0].from_cards = vec![(0, 2)]),
        "is not what it was refunded",
    );
}

const COMMAND: &str = "010016000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0500000000000000455552010000000000000072\
    dddddddddddddddddddddddddddddddd04000000000000003758595a";
const NEWS: &str = "010013000000dddddddddddddddddddddddddddddddd05000000 \
    010013000000dddddddddddddddddddddddddddddddd06000000";
const ISSUE: &str = "010004000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0500000000000000455552040000000000000037\
    58595a01010000000000000072";
const STEPS: &str = "01002c00000000000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeedddddddddddddddddddddddddddddddd\
    030000000000000000000000000000000500000000000000455552010000000000000072010403020100\
    000000 \
    01002c00000001000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0403020100000000 \
    01002c00000002000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0403020100000000";
const ORDER: &str = "020001ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacac\
    acacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0001000000000000000300000000000000\
    746561030000000000000074656102000000fa00000000000000455552f4010000000000004555520000\
    00000000000045555200000000000000004555520000f401000000000000455552000000000000000045\
    555200000000000000004555520000000000000000455552f401000000000000455552010b0000000000\
    00006140622e6578616d706c650100000000000000410100000000000000310101000000000000003201\
    00000000000000540001010000000000000031444500030000000000000073696d030000000000000074\
    6f6b01000000000000000700000000000000040302010000000000000000010000000000000000000000\
    f40100000000000045555200000000000000004555520000000000000000455552000000000000000045\
    5552f4010000000000004555520000000003000000000000004555520300000000000000455552000000\
    0000000000455552000000000000000000000000000000000100000000000000eeeeeeeeeeeeeeeeeeee\
    eeeeeeeeeeee050000000000000045555201000000000000007201000000040302010000000000000000\
    000000000005000000000000000000000004030201000000000200000004030201000000000300000004\
    030201000000000d00000004030201000000000e00000004030201000000000403020100000000020000\
    000000000004000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0d000000eeeeeeeeeeeeeeeeeeeeeeeeee\
    eeeeeedddddddddddddddddddddddddddddddd03000000000000000000000000000000";
const VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00ccccccccccccccccccccccccccccccccacacacacacac\
    acacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
    000000000200000001000000000000000300000000000000746561030000000000000074656102000000\
    fa00000000000000455552f4010000000000004555520000000000000000455552000000000000000045\
    55520000000000000000000000000000f401000000000000455552000000000000000045555200000000\
    000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e\
    6578616d706c650100000000000000410100000000000000310101000000000000003201000000000000\
    005400010100000000000000314445000300000000000000455552000000000000000045555200000000\
    0000000000000000000000000100000000000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee050000000000\
    000045555201000000000000007201000000040302010000000000000000000000000005000000000000\
    000000000004030201000000000200000004030201000000000300000004030201000000000d00000004\
    030201000000000e00000004030201000000000403020100000000040302010000000002000000000000\
    0004000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee0d000000eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeedd\
    dddddddddddddddddddddddddddddd03000000000000000000000000000000";

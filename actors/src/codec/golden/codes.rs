//! Discount codes, and what carts, orders and counters keep of them.

use super::entries::{check_entry, entry_decodes_to_itself};
use super::*;
use crate::domain::cart;
use crate::domain::code_uses::{
    CodeUses, Command, Counted, CustomerKey, Event, NoUse, Query, UseNews, UseStep, View,
};
use crate::domain::discount_code::{CodeName, DiscountCode};
use crate::domain::ids::OrderId;
use crate::domain::order::{self, Failure, Order, Redemption, UseState};
use crate::domain::pricing::GivenCode;

fn limit(count: u32) -> Option<std::num::NonZeroU32> {
    std::num::NonZeroU32::new(count)
}

fn name() -> CodeName {
    "SALE".parse().unwrap()
}

fn code() -> DiscountCode {
    let promotion = "sale".parse().unwrap();
    DiscountCode { code: name(), promotion, limit: limit(9), limit_per_customer: None }
}

fn given() -> GivenCode {
    GivenCode { code: name(), promotion: "sale".parse().unwrap() }
}

fn counted() -> Counted {
    Counted { code: name(), customer: Some(CustomerKey::from_bytes([0xCC; 16])) }
}

fn redemption() -> Redemption {
    Redemption { counted: counted(), promotion: "sale".parse().unwrap(), limit: limit(2) }
}

fn of_all() -> Redemption {
    Redemption { counted: Counted { code: name(), customer: None }, ..redemption() }
}

fn id() -> OrderId {
    OrderId::from_bytes([0xAA; 16])
}

fn steps() -> [Command; 4] {
    let steps =
        [UseStep::Hold { limit: limit(2) }, UseStep::Count, UseStep::Release, UseStep::Return];
    steps.map(|step| Command::ForOrder { order: id(), step })
}

fn events() -> [Event; 5] {
    let order = id();
    [
        Event::Held { order, at: AT },
        Event::Counted { order, used: 3, at: AT },
        Event::Released { order, at: AT },
        Event::ReleasedEarly { order, at: AT },
        Event::Returned { order, used: 2, at: AT },
    ]
}

fn uses() -> CodeUses {
    let mut uses = CodeUses::default();
    let other = OrderId::from_bytes([0xBB; 16]);
    let [held, counted, ..] = events();
    for event in [held, counted, Event::Held { order: other, at: AT }] {
        uses.apply(&event);
    }
    uses
}

fn news() -> [order::Command; 6] {
    let refused = [NoUse::Exhausted, NoUse::Crowded].map(UseNews::Refused);
    let [exhausted, crowded] = refused;
    [UseNews::Held, exhausted, crowded, UseNews::Counted, UseNews::Released, UseNews::Returned]
        .map(|news| order::Command::TakeUseNews { counted: counted(), news })
}

fn became() -> [order::Event; 9] {
    [
        UseState::Asked,
        UseState::Held,
        UseState::Refused(NoUse::Exhausted),
        UseState::Refused(NoUse::Crowded),
        UseState::Counting,
        UseState::Counted,
        UseState::Releasing,
        UseState::Released,
        UseState::Returning,
    ]
    .map(|state| order::Event::UseBecame { nth: 1, state, at: AT })
}

fn uses_asked() -> order::Event {
    order::Event::UsesAsked { redemptions: vec![of_all(), redemption()], at: AT }
}

fn order() -> Order {
    let mut order = Order::default();
    let [_, held, ..] = became();
    for event in [super::order::placed(&["tea"]), uses_asked(), held] {
        order.apply(&event);
    }
    order
}

pub(super) fn cart_with_code() -> Cart {
    let mut cart = promotions::cart();
    cart.apply(&cart::Event::CodeAdded { given: given(), at: AT });
    cart
}

fn failures() -> [order::Event; 2] {
    [Failure::CodeExhausted { code: name() }, Failure::CodeUsedBefore { code: name() }]
        .map(|why| order::Event::Failed { why, at: AT })
}

fn cart_commands() -> [cart::Command; 3] {
    let (payment, shipping) = (super::order::payment(), None);
    let means = vec![cart::Means::Customer(CustomerKey::from_bytes([0xCC; 16]))];
    let terms = Box::new(super::order::terms());
    [
        cart::Command::AddCode { code: name() },
        cart::Command::RemoveCode { code: name() },
        cart::Command::CheckOutWith { order: id(), payment, terms, shipping, means },
    ]
}

fn cart_events() -> [cart::Event; 2] {
    [
        cart::Event::CodeAdded { given: given(), at: AT },
        cart::Event::CodeRemoved { code: name(), at: AT },
    ]
}

fn cart_rejections() -> [cart::Rejection; 6] {
    [
        cart::Rejection::ShippingOptionRequired,
        cart::Rejection::UnknownCode { code: name() },
        cart::Rejection::CodeNotInForce { code: name() },
        cart::Rejection::TooManyCodes,
        cart::Rejection::CodeNotFound { code: name() },
        cart::Rejection::CustomerRequired { code: name() },
    ]
}

fn views() -> (cart::Lookup, order::Lookup) {
    let cart = promotions::view_of(&cart_with_code(), cart::Query::Cart);
    (cart, promotions::view_of(&order(), order::Query::Order))
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let (cart, order_view) = views();
    let records = [uses().to_record(), order().to_record(), cart_with_code().to_record()];
    let events = events().map(|event| event.to_bytes());
    let views = [cart.to_bytes(), order_view.to_bytes(), uses_asked().to_bytes()];
    [records.to_vec(), events.to_vec(), views.to_vec()].concat()
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    entry_decodes_to_itself::<DiscountCode>(bytes);
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = CodeUses::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

#[test]
fn the_bytes_of_discount_codes_are_as_they_were() {
    check_entry(&code(), [CODE_0, CODE_1, CODE_2, CODE_3]);
}

#[test]
fn the_bytes_of_uses_are_as_they_were() {
    check(&events(), EVENTS);
    check_each(&steps(), STEPS);
    check_record(&uses(), USES);
    check_whole(&View { used: 3, held: 2 }, "01000300000002000000");
    check(&[Query::Uses], "010000000000");
}

#[test]
fn the_bytes_of_what_orders_and_carts_have_to_do_with_codes_are_as_they_were() {
    check_each(&news(), NEWS);
    check_each(&became(), BECAME);
    check_each(&[uses_asked()], ASKED);
    check_each(&failures(), FAILURES);
    check_each(&cart_commands(), CART_COMMANDS);
    check_each(&cart_events(), CART_EVENTS);
    check_each(&cart_rejections(), CART_REJECTIONS);
    check_record(&order(), ORDER);
    check_record(&cart_with_code(), CART);
    let (cart, order) = views();
    check_whole(&cart, CART_VIEW);
    check_whole(&order, ORDER_VIEW);
}

#[test]
fn uses_that_could_not_be_are_refused() {
    let spoilt = |spoil: fn(&mut CodeUses)| {
        let mut uses = uses();
        spoil(&mut uses);
        CodeUses::from_record(&uses.to_record())
    };
    let again = |uses: &mut CodeUses| uses.held.extend(uses.ended.iter().map(|(order, _)| order));
    check_refused(spoilt(again), "twice");
    let back = |uses: &mut CodeUses| {
        uses.ended.0.push_back((OrderId::from_bytes([1; 16]), Timestamp::ZERO))
    };
    check_refused(spoilt(back), "not in order");
    let mut cart = cart_with_code();
    let given = cart.existing.as_ref().unwrap().codes[0].clone();
    cart.existing.as_mut().unwrap().codes = vec![given; 2].into_boxed_slice();
    check_refused(Cart::from_record(&cart.to_record()), "or one twice");
}

const CODE_0: &str = "010000000000040000000000000053414c45040000000000000073616c65010900000000040302010000\
    0000 \
    0100010000000403020100000000";
const CODE_1: &str = "010000000000040000000000000053414c45040000000000000073616c65010900000000 \
    010001000000";
const CODE_2: &str = "010001040000000000000053414c45040000000000000073616c65010900000000";
const CODE_3: &str = "010001040000000000000053414c45040000000000000073616c65010900000000";
const EVENTS: &str = "010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000 \
    010001000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa030000000403020100000000 \
    010002000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000 \
    010003000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa0403020100000000 \
    010004000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa020000000403020100000000";
const STEPS: &str = "010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa000000000102000000 \
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa01000000 \
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa02000000 \
    010000000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa03000000";
const USES: &str = "0100030000000100000000000000bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0100000000000000aaaaaaaa\
    aaaaaaaaaaaaaaaaaaaaaaaa0403020100000000";
const NEWS: &str = "01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc00000000 \
    01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc01000000000000\
    00 \
    01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc01000000010000\
    00 \
    01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc02000000 \
    01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc03000000 \
    01000e000000040000000000000053414c4501cccccccccccccccccccccccccccccccc04000000";
const BECAME: &str = "0100200000000100000000000403020100000000 \
    0100200000000100010000000403020100000000 \
    010020000000010002000000000000000403020100000000 \
    010020000000010002000000010000000403020100000000 \
    0100200000000100030000000403020100000000 \
    0100200000000100040000000403020100000000 \
    0100200000000100050000000403020100000000 \
    0100200000000100060000000403020100000000 \
    0100200000000100070000000403020100000000";
const ASKED: &str = "01001f0000000200000000000000040000000000000053414c4500040000000000000073616c65010200\
    0000040000000000000053414c4501cccccccccccccccccccccccccccccccc040000000000000073616c\
    6501020000000403020100000000";
const FAILURES: &str = "01000b00000007000000040000000000000053414c450403020100000000 \
    01000b00000008000000040000000000000053414c450403020100000000";
const CART_COMMANDS: &str = "010010000000040000000000000053414c45 \
    010011000000040000000000000053414c45 \
    010012000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010b0000\
    00000000006140622e6578616d706c650100000000000000410100000000000000310101000000000000\
    00320100000000000000540001010000000000000031444500030000000000000073696d030000000000\
    0000746f6b010000000000000000010000000000000000000000cccccccccccccccccccccccccccccccc";
const CART_EVENTS: &str = "01000e000000040000000000000053414c45040000000000000073616c650403020100000000 \
    01000f000000040000000000000053414c450403020100000000";
const CART_REJECTIONS: &str = "010013000000 \
    010014000000040000000000000053414c45 \
    010015000000040000000000000053414c45 \
    010016000000 \
    010017000000040000000000000053414c45 \
    010018000000040000000000000053414c45";
const ORDER: &str = "020001ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacac\
    acacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0001000000000000000300000000000000\
    746561030000000000000074656102000000fa00000000000000455552f4010000000000004555520000\
    00000000000045555200000000000000004555520000f401000000000000455552000000000000000045\
    555200000000000000004555520000000000000000455552f401000000000000455552010b0000000000\
    00006140622e6578616d706c650100000000000000410100000000000000310101000000000000003201\
    00000000000000540001010000000000000031444500030000000000000073696d030000000000000074\
    6f6b01000000000000000700000000000000040302010000000000000000010000000000000000000000\
    f40100000000000045555200000000000000004555520000000000000000455552000000000000000045\
    5552f4010000000000004555520000000000000000000000004555520000000000000000455552000000\
    000000000045555200000000000000000000000000000000000000000000000000000000000000000001\
    000000000000000000000004030201000000000403020100000000020000000000000002000000040000\
    000000000053414c4500040000000000000073616c650102000000000000000200000004000000000000\
    0053414c4501cccccccccccccccccccccccccccccccc040000000000000073616c650102000000010000\
    00";
const CART: &str = "020001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac45555200000000\
    010000000000000003000000000000007465610300000000000000546561c20100000000000002000000\
    000000000000000000000000000000000403020100000000030000000000000000000000060000000000\
    0000737072696e670600000000000000537072696e6700000000010000000000000000005a0000000000\
    0000000000000600000000000000737072696e670600000000000000537072696e6701000000ea010000\
    0000000001000000040000000000000053414c45040000000000000073616c65";
const CART_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00000000455552acacacacacacacacacacacacacacacac\
    acacacacacacacacacacacacacacacac0100000000000000030000000000000074656103000000000000\
    0054656102000000c201000000000000455552840300000000000045555284030000000000004555522a\
    030000000000004555520000040302010000000003000000000000000000000006000000000000007370\
    72696e670600000000000000537072696e6700000000010000000000000000005a000000000000000000\
    00000600000000000000737072696e670600000000000000537072696e6701000000ea01000000000000\
    01000000040000000000000053414c45040000000000000073616c65";
const ORDER_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00ccccccccccccccccccccccccccccccccacacacacacac\
    acacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
    000000000000000001000000000000000300000000000000746561030000000000000074656102000000\
    fa00000000000000455552f4010000000000004555520000000000000000455552000000000000000045\
    55520000000000000000000000000000f401000000000000455552000000000000000045555200000000\
    000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e\
    6578616d706c650100000000000000410100000000000000310101000000000000003201000000000000\
    005400010100000000000000314445000000000000000000455552000000000000000045555200000000\
    000000000000000000000000000000000000000000000000000000000001000000000000000000000004\
    030201000000000403020100000000040302010000000001000000000000000100000004000000000000\
    0053414c45040000000000000073616c65";

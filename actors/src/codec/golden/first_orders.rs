//! What only first orders get, in promotions, carts and orders.

use super::*;
use crate::domain::cart::{EarlierOrders, Means};
use crate::domain::code_uses::{Counted, CustomerKey};
use crate::domain::entry::Lookup;
use crate::domain::ids::OrderId;
use crate::domain::order::{self, Failure, Redemption};
use crate::domain::promotion::{Promotion, Shoppers};

fn promotion() -> Promotion {
    Promotion { shoppers: Shoppers::FirstOrder, ..promotions::promotion() }
}

fn counted() -> Counted {
    Counted::first_order_of(CustomerKey::from_bytes([0xCC; 16]))
}

fn asked() -> order::Event {
    let (promotion, limit) = ("spring".parse().unwrap(), std::num::NonZeroU32::new(1));
    order::Event::UsesAsked {
        redemptions: vec![Redemption { counted: counted(), promotion, limit }],
        at: AT,
    }
}

fn checkouts() -> [cart_domain::Command; 2] {
    [EarlierOrders::NoneStands, EarlierOrders::OneStands].map(|orders| {
        cart_domain::Command::CheckOutWith {
            order: OrderId::from_bytes([0xAA; 16]),
            payment: super::order::payment(),
            terms: Box::new(super::order::terms()),
            shipping: None,
            means: vec![Means::Earlier(orders)],
        }
    })
}

fn rejections() -> [cart_domain::Rejection; 2] {
    let promotion = promotion().id;
    [
        cart_domain::Rejection::FirstOrderOfNobody { promotion: promotion.clone() },
        cart_domain::Rejection::NotFirstOrder { promotion },
    ]
}

#[test]
fn the_bytes_of_first_orders_are_as_they_were() {
    check_each(&[Lookup(Some(promotion()))], PROMOTION);
    check_each(&[asked()], ASKED);
    check_each(&[order::Event::Failed { why: Failure::NotFirstOrder, at: AT }], FAILED);
    check_each(&checkouts(), CHECKOUTS);
    check_each(&rejections(), REJECTIONS);
    let EntityKey::Name(key) = counted().key() else { unreachable!("it is named") };
    assert_eq!(&*key, "first-order:cccccccccccccccccccccccccccccccc");
}

const PROMOTION: &str = "0100010600000000000000737072696e670600000000000000537072696e6700000000a\
    086010001000000020000000000000003000000000000006375700300000000000000746561010000000\
    0000000e803000000000000455552020000000104030201000000000001000000070001000000";
const ASKED: &str = "01001f00000001000000000000000b0000000000000066697273742d6f7264657201ccc\
    ccccccccccccccccccccccccccccc0600000000000000737072696e6701010000000403020100000000";
const FAILED: &str = "01000b0000000f0000000403020100000000";
const CHECKOUTS: &str = "010012000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbb\
    bbbbb010b000000000000006140622e6578616d706c65010000000000000041010000000000000031010\
    100000000000000320100000000000000540001010000000000000031444500030000000000000073696\
    d0300000000000000746f6b01000000000000000001000000000000000300000000000000 \
    010012000000aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb010b0000\
    00000000006140622e6578616d706c650100000000000000410100000000000000310101000000000000\
    00320100000000000000540001010000000000000031444500030000000000000073696d030000000000\
    0000746f6b01000000000000000001000000000000000300000001000000";
const REJECTIONS: &str = "01001b0000000600000000000000737072696e67 \
    01001c0000000600000000000000737072696e67";

//! Promotions, and what carts and orders keep of them.

use super::entries::{check_entry, entry_decodes_to_itself};
use super::*;
use crate::domain::cart;
use crate::domain::entry::{Entry, Lookup};
use crate::domain::ids::CartAccess;
use crate::domain::money::{Currency, Money};
use crate::domain::names::Label;
use crate::domain::order::{self, Order};
use crate::domain::price_list::Validity;
use crate::domain::prices::Prices;
use crate::domain::pricing::{Discount, Granted, Share, Shares};
use crate::domain::promotion::{Benefit, Chosen, Promotion, Scope, Shoppers, Stacking, Trigger};

fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

fn euros(minor: i64) -> Prices {
    Prices::new(vec![Money { minor, currency: Currency::EURO }]).unwrap()
}

pub(super) fn promotion() -> Promotion {
    let skus = Chosen::of(["cup", "tea"].map(|sku| sku.parse().unwrap())).unwrap();
    Promotion {
        id: "spring".parse().unwrap(),
        name: label("Spring"),
        benefit: Benefit::Percentage { off: 100_000.try_into().unwrap() },
        scope: Scope::Skus(skus),
        minimum: euros(1_000),
        shoppers: Shoppers::Group("staff".parse().unwrap()),
        validity: Validity::new(Some(AT), None).unwrap(),
        trigger: Trigger::Code,
        priority: 7,
        stacking: Stacking::Exclusive,
    }
}

fn automatic(benefit: Benefit) -> Promotion {
    Promotion {
        benefit,
        scope: Scope::Everything,
        shoppers: Shoppers::Everyone,
        trigger: Trigger::Nothing,
        stacking: Stacking::Combinable,
        ..promotion()
    }
}

fn others() -> [Promotion; 3] {
    let from = Chosen::of(["teas".parse().unwrap()]).map(Scope::Categories).unwrap();
    let (buy, get) = (2.try_into().unwrap(), 1.try_into().unwrap());
    let off = 1_000_000.try_into().unwrap();
    [
        automatic(Benefit::Amount { off: euros(500) }),
        automatic(Benefit::BuyGet { buy, get, from: Some(from), off }),
        automatic(Benefit::FreeShipping),
    ]
}

fn discounts(minor: i64) -> Vec<Discount> {
    let shares = Shares::try_from(vec![Share { line: 0, minor }]).unwrap();
    let free = Granted::OfShipping { minor: 490 };
    [Granted::OfItems(shares), free]
        .map(|granted| {
            let (promotion, name) = ("spring".parse().unwrap(), label("Spring"));
            Discount { promotion, name, granted }
        })
        .to_vec()
}

pub(super) fn cart() -> Cart {
    let access = CartAccess::from_hash([0xAC; 32]);
    let unit_price = Money { minor: 450, currency: Currency::EURO };
    let mut cart = Cart::default();
    for event in [
        cart::Event::Created { currency: Currency::EURO, access, at: AT },
        cart::Event::QuantitySet {
            sku: "tea".parse().unwrap(),
            quantity: 2.try_into().unwrap(),
            unit_price,
            name: "Tea".to_owned().try_into().unwrap(),
            catalogue_index: 7,
            at: AT,
        },
        discounts_set(90),
    ] {
        cart.apply(&event);
    }
    cart
}

fn discounts_set(minor: i64) -> cart::Event {
    cart::Event::DiscountsSet { discounts: discounts(minor), catalogue_index: 7, at: AT }
}

fn order(discounts: Vec<Discount>) -> Order {
    let mut order = Order::default();
    for event in [super::order::placed(&["tea"]), order::Event::Discounted { discounts, at: AT }] {
        order.apply(&event);
    }
    order
}

fn free_shipping() -> Vec<Discount> {
    discounts(1).split_off(1)
}

fn placing() -> order::Command {
    let order::Event::Placed { cart, access, payment, placed } = super::order::placed(&["tea"])
    else {
        unreachable!("it is placed")
    };
    let extras = free_shipping().into_iter().map(order::Extra::Discount).collect();
    order::Command::placing((cart, access), payment, placed, extras)
}

pub(super) fn view_of<E: Entity>(entity: &E, query: E::Query) -> E::View {
    use cluster::entity::{Context, NoCatalogue};
    use cluster::ids::EntityRef;
    let me = EntityRef { kind: E::KIND, key: EntityKey::Number([0xAA; 16]) };
    let catalogue = Err(NoCatalogue::Absent);
    entity.view(query, &Context { now: AT, me: &me, entropy: [0; 32], catalogue })
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    vec![
        Entry { content: Some(promotion()) }.to_record(),
        discounts_set(90).to_bytes(),
        placing().to_bytes(),
        cart().to_record(),
        order(free_shipping()).to_record(),
        view_of(&cart(), cart::Query::Cart).to_bytes(),
        view_of(&order(free_shipping()), order::Query::Order).to_bytes(),
    ]
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    entry_decodes_to_itself::<Promotion>(bytes);
    if let Ok(lookup) = cart::Lookup::from_bytes(bytes) {
        assert_eq!(lookup.to_bytes(), bytes);
    }
    if let Ok(lookup) = order::Lookup::from_bytes(bytes) {
        assert_eq!(lookup.to_bytes(), bytes);
    }
}

#[test]
fn the_bytes_of_promotions_are_as_they_were() {
    check_entry(&promotion(), [PROMOTION_0, PROMOTION_1, PROMOTION_2, PROMOTION_3]);
    let others = others().map(|promotion| Lookup(Some(promotion)));
    check_each(&others, OTHERS);
}

#[test]
fn the_bytes_of_discounts_are_as_they_were() {
    check_each(&[discounts_set(90)], SET);
    let discounts = free_shipping();
    check_each(&[order::Event::Discounted { discounts, at: AT }], DISCOUNTED);
    check_each(&[placing()], PLACING);
}

#[test]
fn what_has_discounts_has_a_second_shape() {
    check_record(&cart(), CART);
    check_record(&order(free_shipping()), ORDER);
    check_whole(&view_of(&cart(), cart::Query::Cart), CART_VIEW);
    check_whole(&view_of(&order(free_shipping()), order::Query::Order), ORDER_VIEW);
    check_whole(&view_of(&Cart::default(), cart::Query::Cart), "010000");
    let none: String =
        CART_VIEW.chars().take(4).map(|digit| if digit == '1' { '2' } else { digit }).collect();
    check_refused(
        cart::Lookup::from_bytes(&unhex(&format!("{none}000000000000000000"))),
        "no parts",
    );
}

#[test]
fn discounts_that_nobody_has_are_refused() {
    let mut dear = cart();
    dear.apply(&discounts_set(901));
    check_refused(Cart::from_record(&dear.to_record()), "than it comes to");
    check_refused(Order::from_record(&order(discounts(1)).to_record()), "not those of its lines");
    let elsewhere = Shares::try_from(vec![Share { line: 1, minor: 1 }]).unwrap();
    let mut discount = discounts(1).remove(0);
    discount.granted = Granted::OfItems(elsewhere);
    check_refused(Order::from_record(&order(vec![discount]).to_record()), "no line of it");
    for bad in [vec![Share { line: 0, minor: 0 }], vec![Share { line: 0, minor: 1 }; 2]] {
        assert!(Shares::try_from(bad).is_err());
    }
}

const PROMOTION_0: &str = "0100000000000600000000000000737072696e670600000000000000537072696e6700000000a0860100\
    010000000200000000000000030000000000000063757003000000000000007465610100000000000000\
    e80300000000000045555201000000050000000000000073746166660104030201000000000001000000\
    0700010000000403020100000000 \
    0100010000000403020100000000";
const PROMOTION_1: &str = "0100000000000600000000000000737072696e670600000000000000537072696e6700000000a0860100\
    010000000200000000000000030000000000000063757003000000000000007465610100000000000000\
    e80300000000000045555201000000050000000000000073746166660104030201000000000001000000\
    070001000000 \
    010001000000";
const PROMOTION_2: &str = "0100010600000000000000737072696e670600000000000000537072696e6700000000a0860100010000\
    000200000000000000030000000000000063757003000000000000007465610100000000000000e80300\
    000000000045555201000000050000000000000073746166660104030201000000000001000000070001\
    000000";
const PROMOTION_3: &str = "0100010600000000000000737072696e670600000000000000537072696e6700000000a0860100010000\
    000200000000000000030000000000000063757003000000000000007465610100000000000000e80300\
    000000000045555201000000050000000000000073746166660104030201000000000001000000070001\
    000000";
const OTHERS: &str = "0100010600000000000000737072696e670600000000000000537072696e670100000001000000000000\
    00f401000000000000455552000000000100000000000000e80300000000000045555200000000010403\
    0201000000000000000000070000000000 \
    0100010600000000000000737072696e670600000000000000537072696e670200000002000000010000\
    000102000000010000000000000004000000000000007465617340420f00000000000100000000000000\
    e803000000000000455552000000000104030201000000000000000000070000000000 \
    0100010600000000000000737072696e670600000000000000537072696e670300000000000000010000\
    0000000000e803000000000000455552000000000104030201000000000000000000070000000000";
const SET: &str = "01000d00000002000000000000000600000000000000737072696e670600000000000000537072696e67\
    00000000010000000000000000005a000000000000000600000000000000737072696e67060000000000\
    0000537072696e6701000000ea0100000000000007000000000000000403020100000000";
const DISCOUNTED: &str = "01001b00000001000000000000000600000000000000737072696e670600000000000000537072696e67\
    01000000ea010000000000000403020100000000";
const PLACING: &str = "01000d000000ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacac\
    acacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb0100000000000000030000000000\
    0000746561030000000000000074656102000000fa00000000000000455552f401000000000000455552\
    000000000000000045555200000000000000004555520000f40100000000000045555200000000000000\
    0045555200000000000000004555520000000000000000455552f401000000000000455552010b000000\
    000000006140622e6578616d706c65010000000000000041010000000000000031010100000000000000\
    320100000000000000540001010000000000000031444500030000000000000073696d03000000000000\
    00746f6b0100000000000000070000000000000004030201000000000100000000000000000000000600\
    000000000000737072696e670600000000000000537072696e6701000000ea01000000000000";
const CART: &str = "
    020001acacacacacacacacacacacacacacacacacacacacacacacacacacacacacacacac455552000000000100
    00000000000003000000000000007465610300000000000000546561c2010000000000000200000000000000
    0000000000000000000000000403020100000000020000000000000000000000060000000000000073707269
    6e670600000000000000537072696e6700000000010000000000000000005a00000000000000000000000600
    000000000000737072696e670600000000000000537072696e6701000000ea01000000000000
";
const ORDER: &str = "
    020001ccccccccccccccccccccccccccccccccacacacacacacacacacacacacacacacacacacacacacacacacac
    acacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb000100000000000000030000000000000074656103
    0000000000000074656102000000fa00000000000000455552f4010000000000004555520000000000000000
    45555200000000000000004555520000f4010000000000004555520000000000000000455552000000000000
    00004555520000000000000000455552f401000000000000455552010b000000000000006140622e6578616d
    706c650100000000000000410100000000000000310101000000000000003201000000000000005400010100
    00000000000031444500030000000000000073696d0300000000000000746f6b010000000000000007000000
    00000000040302010000000000000000010000000000000000000000f4010000000000004555520000000000
    00000045555200000000000000004555520000000000000000455552f4010000000000004555520000000000
    0000000000000045555200000000000000004555520000000000000000455552000000000000000000000000
    0000000000000000000000000000000000000000000100000000000000000000000403020100000000040302
    01000000000100000000000000000000000600000000000000737072696e670600000000000000537072696e
    6701000000ea01000000000000
";
const CART_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00000000455552acacacacacacacacacacacacacacacac\
    acacacacacacacacacacacacacacacac0100000000000000030000000000000074656103000000000000\
    0054656102000000c201000000000000455552840300000000000045555284030000000000004555522a\
    030000000000004555520000040302010000000002000000000000000000000006000000000000007370\
    72696e670600000000000000537072696e6700000000010000000000000000005a000000000000000000\
    00000600000000000000737072696e670600000000000000537072696e6701000000ea01000000000000";
const ORDER_VIEW: &str = "020001aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00ccccccccccccccccccccccccccccccccacacacacacac\
    acacacacacacacacacacacacacacacacacacacacacacacacacacbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\
    000000000000000001000000000000000300000000000000746561030000000000000074656102000000\
    fa00000000000000455552f4010000000000004555520000000000000000455552000000000000000045\
    55520000000000000000000000000000f401000000000000455552000000000000000045555200000000\
    000000004555520000000000000000455552f401000000000000455552010b000000000000006140622e\
    6578616d706c650100000000000000410100000000000000310101000000000000003201000000000000\
    005400010100000000000000314445000000000000000000455552000000000000000045555200000000\
    000000000000000000000000000000000000000000000000000000000001000000000000000000000004\
    030201000000000403020100000000040302010000000001000000000000000000000006000000000000\
    00737072696e670600000000000000537072696e6701000000ea01000000000000";

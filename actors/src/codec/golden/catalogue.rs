use super::*;
use crate::domain::catalogue::{Listing, ProductName};
use crate::domain::money::{Currency, Money};
use crate::domain::product::{self, Product};
use crate::domain::shop::{self, Shop};

fn listing() -> Listing {
    let name = ProductName::try_from("Tea".to_owned()).unwrap();
    let price = |minor, code: &str| Money { minor, currency: code.parse().unwrap() };
    let prices = vec![price(700, "JPY"), price(450, "EUR")];
    Listing::new("tea".parse().unwrap(), name, prices).unwrap()
}

fn product() -> Product {
    Product { listing: Some(listing()) }
}

fn shop() -> Shop {
    Shop { default_currency: Some(Currency::EURO) }
}

fn product_events() -> Vec<product::Event> {
    let listed = product::Event::Listed { listing: listing(), at: AT };
    vec![listed, product::Event::Withdrawn { at: AT }]
}

fn product_commands() -> Vec<product::Command> {
    vec![product::Command::List { listing: listing() }, product::Command::Withdraw]
}

fn shop_events() -> Vec<shop::Event> {
    vec![shop::Event::DefaultCurrencySet { currency: Currency::EURO, at: AT }]
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let products = product_events().iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let commands = product_commands().iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let shops = shop_events().iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let records = vec![product().to_record(), shop().to_record()];
    [products, commands, shops, records].concat()
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = product::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(command) = product::Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(event) = shop::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = Product::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
    if let Ok(state) = Shop::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

#[test]
fn the_bytes_of_products_are_as_they_were() {
    check(
        &product_events(),
        "010000000000030000000000000074656103000000000000005465610200000000000000c2010000\
         00000000455552bc020000000000004a50590403020100000000 \
         0100010000000403020100000000",
    );
    check(
        &product_commands(),
        "010000000000030000000000000074656103000000000000005465610200000000000000c2010000\
         00000000455552bc020000000000004a5059 \
         010001000000",
    );
    let other = product::Rejection::OtherSku { sku: "tea".parse().unwrap() };
    check(&[other], "0100000000000300000000000000746561");
    check(&[product::Query::Listing], "010000000000");
    check_record(
        &product(),
        "010001030000000000000074656103000000000000005465610200000000000000c2010000000000\
         00455552bc020000000000004a5059",
    );
}

#[test]
fn the_bytes_of_the_shop_are_as_they_were() {
    check(&shop_events(), "0100000000004555520403020100000000");
    let command = shop::Command::SetDefaultCurrency { currency: Currency::EURO };
    check(&[command], "010000000000455552");
    check(&[shop::Rejection::OtherShop], "010000000000");
    check(&[shop::Query::Terms], "010000000000");
    check_record(&shop(), "010001455552");
}

#[test]
fn prices_out_of_order_are_damage() {
    let bytes = product().to_record();
    let (head, prices) = bytes.split_at(bytes.len() - 22);
    let (first, second) = prices.split_at(11);
    let swapped = [head, second, first].concat();
    check_refused(Product::from_record(&swapped), "do not decode");
}

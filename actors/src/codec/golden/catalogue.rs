use super::*;
use crate::domain::catalogue::{Choice, Listing, PriceBook, ProductName};
use crate::domain::money::{Currency, Money};
use crate::domain::names::{Label, TaxClass};
use crate::domain::prices::Prices;
use crate::domain::pricing::{NotPriced, Priced, PricingTerms};
use crate::domain::product::{self, Product};
use crate::domain::shipping::{Countries, ShippingOption};
use crate::domain::shop::{self, Shop};
use crate::domain::tax::{AppliedRate, Destination, Inclusion, TaxRate, TaxRateId};

/// As far as version 1 knew of one.
fn first_listing() -> Listing {
    let name = ProductName::try_from("Tea".to_owned()).unwrap();
    let price = |minor, code: &str| Money { minor, currency: code.parse().unwrap() };
    let prices = vec![price(700, "JPY"), price(450, "EUR")];
    Listing::new("tea".parse().unwrap(), name, prices).unwrap()
}

fn listing() -> Listing {
    let label = |text: &str| Label::try_from(text.to_owned()).unwrap();
    let choices = vec![Choice { option: label("Size"), value: label("100 g") }];
    first_listing()
        .in_tax_class("food".parse().unwrap())
        .on_page(Some("green-tea".parse().unwrap()))
        .weighing(Some(130.try_into().unwrap()))
        .choosing(choices)
        .unwrap()
}

fn product() -> Product {
    Product { listing: Some(listing()) }
}

fn shop() -> Shop {
    Shop { default_currency: Some(Currency::EURO) }
}

fn product_events(listing: Listing) -> Vec<product::Event> {
    let listed = product::Event::Listed { listing, at: AT };
    vec![listed, product::Event::Withdrawn { at: AT }]
}

fn product_commands(listing: Listing) -> Vec<product::Command> {
    vec![product::Command::List { listing }, product::Command::Withdraw]
}

fn shop_events() -> Vec<shop::Event> {
    vec![shop::Event::DefaultCurrencySet { currency: Currency::EURO, at: AT }]
}

/// A line with tax in its price and a carrier with tax on its own.
fn priced() -> Priced {
    let rate = |place: &str, inclusion| {
        let place = Destination { country: place.parse().unwrap(), region: None };
        let percent = 190_000.try_into().unwrap();
        let class = "food".parse().unwrap();
        TaxRate { id: TaxRateId { place, class }, applied: AppliedRate { percent, inclusion } }
    };
    let label = |text: &str| Label::try_from(text.to_owned()).unwrap();
    let euros = Prices::new(vec![Money { minor: 490, currency: Currency::EURO }]).unwrap();
    let parcel = ShippingOption {
        id: "parcel".parse().unwrap(),
        name: label("Parcel"),
        carrier: label("Post"),
        prices: euros,
        free_from: Prices::default(),
        countries: Countries::default(),
        tax_class: TaxClass::standard(),
    };
    let terms = PricingTerms {
        currency: Currency::EURO,
        group: None,
        at: AT,
        destination: Some(&Destination { country: "DE".parse().unwrap(), region: None }),
        shipping: Some(&parcel.id.clone()),
        codes: &[],
        may_be_first: true,
    };
    let book = PriceBook::new(Currency::EURO, vec![listing().on_page(None)])
        .unwrap()
        .with_tax_rates([rate("DE", Inclusion::Inclusive), rate("US", Inclusion::Exclusive)])
        .with_shipping_options([parcel]);
    book.quote(&terms, &[("tea".parse().unwrap(), 3.try_into().unwrap())]).unwrap().priced
}

fn not_priced() -> Vec<NotPriced> {
    let sku = || "tea".parse().unwrap();
    let option = || "parcel".parse().unwrap();
    let currency = Currency::EURO;
    vec![
        NotPriced::UnknownSku { sku: sku() },
        NotPriced::NoPrice { sku: sku(), currency },
        NotPriced::UnknownShipping { option: option() },
        NotPriced::ShippingNotPriced { option: option(), currency },
        NotPriced::NotShippedTo { option: option(), country: "DE".parse().unwrap() },
        NotPriced::LineTooLarge { sku: sku() },
        NotPriced::TotalTooLarge,
    ]
}

#[test]
fn the_bytes_of_what_was_priced_are_as_they_were() {
    check_whole(
        &priced(),
        "010001000000000000000300000000000000746561030000000000000054656103000000c20100\
         000000000045555246050000000000004555520000000000000000455552d80000000000000045\
         55520130e602000000000001060000000000000070617263656c06000000000000005061726365\
         6c0400000000000000506f7374ea01000000000000455552000000000000000045555200460500\
         00000000004555520000000000000000455552ea01000000000000455552d80000000000000045\
         55523007000000000000455552",
    );
    check(
        &not_priced(),
        "0100000000000300000000000000746561 \
         0100010000000300000000000000746561455552 \
         010002000000060000000000000070617263656c \
         010003000000060000000000000070617263656c455552 \
         010004000000060000000000000070617263656c4445 \
         0100050000000300000000000000746561 \
         010006000000",
    );
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let products = product_events(listing()).iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let commands = product_commands(listing()).iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let shops = shop_events().iter().map(Wire::to_bytes).collect::<Vec<_>>();
    let records = vec![product().to_record(), shop().to_record(), priced().to_bytes()];
    [products, commands, shops, records].concat()
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    let is_latest = bytes.starts_with(&[2]);
    if let Ok(event) = product::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes() == bytes, is_latest);
        assert_eq!(product::Event::from_bytes(&event.to_bytes()), Ok(event));
    }
    if let Ok(command) = product::Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes() == bytes, is_latest);
        assert_eq!(product::Command::from_bytes(&command.to_bytes()), Ok(command));
    }
    if let Ok(event) = shop::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = Product::from_record(bytes) {
        assert_eq!(state.to_record() == bytes, is_latest);
        assert_eq!(Product::from_record(&state.to_record()), Ok(state));
    }
    if let Ok(priced) = Priced::from_bytes(bytes) {
        assert_eq!(priced.to_bytes(), bytes);
    }
    if let Ok(state) = Shop::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

#[test]
fn the_bytes_of_products_are_as_they_were() {
    check(
        &product_events(listing()),
        "020000000000030000000000000074656103000000000000005465610200000000000000c20100\
         0000000000455552bc020000000000004a50590400000000000000666f6f640109000000000000\
         00677265656e2d7465610100000000000000040000000000000053697a65050000000000000031\
         3030206701820000000403020100000000 \
         0200010000000403020100000000",
    );
    let leave = product::Command::WithdrawFrom { page: "teas".parse().unwrap() };
    let commands = [product_commands(listing()), vec![leave]].concat();
    check(
        &commands,
        "020000000000030000000000000074656103000000000000005465610200000000000000c20100\
         0000000000455552bc020000000000004a50590400000000000000666f6f640109000000000000\
         00677265656e2d7465610100000000000000040000000000000053697a65050000000000000031\
         303020670182000000 \
         020001000000 \
         020002000000040000000000000074656173",
    );
    let sku = || "tea".parse().unwrap();
    let on_another =
        product::Rejection::OnAnotherPage { sku: sku(), page: "teas".parse().unwrap() };
    check(
        &[product::Rejection::OtherSku { sku: sku() }, on_another],
        "0100000000000300000000000000746561 \
         0100010000000300000000000000746561040000000000000074656173",
    );
    check(&[product::Query::Listing], "010000000000");
    check_record(
        &product(),
        "020001030000000000000074656103000000000000005465610200000000000000c20100000000\
         0000455552bc020000000000004a50590400000000000000666f6f640109000000000000006772\
         65656e2d7465610100000000000000040000000000000053697a65050000000000000031303020\
         670182000000",
    );
}

#[test]
fn products_of_version_1_are_read() {
    check_read(
        &product_events(first_listing()),
        "010000000000030000000000000074656103000000000000005465610200000000000000c2010000\
         00000000455552bc020000000000004a50590403020100000000 \
         0100010000000403020100000000",
    );
    check_read(
        &product_commands(first_listing()),
        "010000000000030000000000000074656103000000000000005465610200000000000000c2010000\
         00000000455552bc020000000000004a5059 \
         010001000000",
    );
    check_record_read(
        &Product { listing: Some(first_listing()) },
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
    let euros = bytes.windows(3).position(|code| code == b"EUR").unwrap();
    let (head, rest) = bytes.split_at(euros - 8);
    let (prices, tail) = rest.split_at(22);
    let (first, second) = prices.split_at(11);
    let swapped = [head, second, first, tail].concat();
    check_refused(Product::from_record(&swapped), "do not decode");
}

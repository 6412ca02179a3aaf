//! Worked examples.

use cluster::entity::Wire;

use super::*;
use crate::domain::catalogue::{Listing, ProductName};
use crate::domain::names::Label;
use crate::domain::price_list::{Audience, ListTerms, PriceList, Validity};
use crate::domain::prices::Prices;
use crate::domain::shipping::{Countries, ShippingOption};
use crate::domain::tax::{Inclusion, TaxRate, TaxRateId};

pub(super) const NOON: Timestamp = Timestamp::from_micros(1);

pub(super) fn money(minor: i64, currency: &str) -> Money {
    Money { minor, currency: currency.parse().unwrap() }
}

pub(super) fn listing(sku: &str, class: &str, prices: Vec<Money>) -> Listing {
    let name = ProductName::try_from(format!("The {sku}")).unwrap();
    let listing = Listing::new(sku.parse().unwrap(), name, prices).unwrap();
    listing.in_tax_class(class.parse().unwrap())
}

pub(super) fn rate(country: &str, class: &str, millionths: u32, inclusion: Inclusion) -> TaxRate {
    let id = TaxRateId { place: to(country), class: class.parse().unwrap() };
    TaxRate { id, applied: AppliedRate { percent: millionths.try_into().unwrap(), inclusion } }
}

pub(super) fn to(country: &str) -> Destination {
    Destination { country: country.parse().unwrap(), region: None }
}

pub(super) fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

pub(super) fn parcel(prices: Vec<Money>, free_from: Vec<Money>, to: &[&str]) -> ShippingOption {
    ShippingOption {
        id: "parcel".parse().unwrap(),
        name: label("Parcel"),
        carrier: label("Post"),
        prices: Prices::new(prices).unwrap(),
        free_from: Prices::new(free_from).unwrap(),
        countries: Countries::of(to.iter().map(|code| code.parse().unwrap())),
        tax_class: TaxClass::standard(),
    }
}

fn wholesale(sku: &str, price: Money) -> PriceList {
    let terms = ListTerms {
        id: "wholesale".parse().unwrap(),
        name: label("Wholesale"),
        currency: price.currency,
        audience: Audience::Group("wholesale".parse().unwrap()),
        validity: Validity::default(),
    };
    PriceList::new(terms, vec![(sku.parse().unwrap(), price.minor)]).unwrap()
}

/// Germany includes its taxes, the United States add theirs, Bahrain counts in thousandths.
fn book() -> PriceBook {
    use Inclusion::{Exclusive, Inclusive};
    let tea = [money(450, "EUR"), money(500, "USD"), money(700, "JPY"), money(1_250, "BHD")];
    let listings = vec![
        listing("tea", "food", tea.to_vec()),
        listing("cup", "standard", vec![money(1_299, "EUR"), money(1_499, "USD")]),
        listing("gold", "standard", vec![money(Listing::PRICE_MAX, "EUR")]),
    ];
    let rates = [
        rate("DE", "standard", 190_000, Inclusive),
        rate("DE", "food", 70_000, Inclusive),
        rate("US", "standard", 88_750, Exclusive),
        rate("JP", "food", 80_000, Exclusive),
        rate("BH", "food", 50_000, Exclusive),
    ];
    let parcel = parcel(
        vec![money(490, "EUR"), money(900, "USD"), money(500, "JPY")],
        vec![money(3_000, "EUR")],
        &["DE", "JP", "US"],
    );
    PriceBook::new(Currency::EURO, listings)
        .unwrap()
        .with_tax_rates(rates)
        .with_price_lists([wholesale("tea", money(333, "EUR"))])
        .with_shipping_options([parcel])
}

struct Terms {
    currency: &'static str,
    group: Option<&'static str>,
    destination: Option<&'static str>,
    shipping: Option<&'static str>,
}

const fn terms(currency: &'static str, destination: Option<&'static str>) -> Terms {
    Terms { currency, group: None, destination, shipping: Some("parcel") }
}

fn price(when: &Terms, lines: &[(&str, u32)]) -> Result<Priced, NotPriced> {
    let group = when.group.map(|group| group.parse().unwrap());
    let destination = when.destination.map(to);
    let shipping = when.shipping.map(|option| option.parse().unwrap());
    let terms = PricingTerms {
        currency: when.currency.parse().unwrap(),
        group: group.as_ref(),
        at: NOON,
        destination: destination.as_ref(),
        shipping: shipping.as_ref(),
        codes: &[],
        may_be_first: true,
    };
    let line =
        |(sku, count): &(&str, u32)| (sku.parse().unwrap(), Quantity::try_from(*count).unwrap());
    book().quote(&terms, &lines.iter().map(line).collect::<Vec<_>>()).map(|quote| quote.priced)
}

/// `then`: items, shipping, tax, grand.
#[track_caller]
fn check(when: &Terms, lines: &[(&str, u32)], then: [i64; 4]) {
    let Totals { items, discount, shipping, tax, grand } = price(when, lines).unwrap().totals;
    assert_eq!([items, shipping, tax, grand].map(|sum| sum.minor), then);
    assert_eq!(discount, Money::zero(items.currency));
}

#[test]
fn taxes_that_prices_include_are_shown_and_not_added() {
    // 900 / 1.07 * 0.07 = 58.88; 1299 / 1.19 * 0.19 = 207.40; 490 / 1.19 * 0.19 = 78.24
    let germany = terms("EUR", Some("DE"));
    check(&germany, &[("tea", 2), ("cup", 1)], [2_199, 490, 59 + 207 + 78, 2_689]);
}

#[test]
fn taxes_that_prices_do_not_include_are_added() {
    // Food is not taxed there: 0; 1499 * 0.08875 = 133.04; 900 * 0.08875 = 79.875
    let america = terms("USD", Some("US"));
    check(&america, &[("tea", 2), ("cup", 1)], [2_499, 900, 133 + 80, 3_612]);
}

#[test]
fn minor_units_are_the_currencys_own() {
    check(&terms("JPY", Some("JP")), &[("tea", 3)], [2_100, 500, 168, 2_768]);
    // Of 1.250 dinar 5 % are 0.0625, which is 0.063.
    let bahrain = Terms { shipping: None, ..terms("BHD", Some("BH")) };
    check(&bahrain, &[("tea", 1)], [1_250, 0, 63, 1_313]);
}

#[test]
fn nothing_is_taxed_before_it_is_known_where_it_goes() {
    check(&terms("EUR", None), &[("cup", 1)], [1_299, 490, 0, 1_789]);
    check(&terms("EUR", None), &[], [0, 490, 0, 490]);
    check(&Terms { shipping: None, ..terms("EUR", None) }, &[], [0; 4]);
}

#[test]
fn enough_items_travel_for_nothing() {
    check(&terms("EUR", None), &[("cup", 2)], [2_598, 490, 0, 3_088]);
    check(&terms("EUR", None), &[("cup", 2), ("tea", 1)], [3_048, 0, 0, 3_048]);
}

#[test]
fn a_group_pays_the_prices_of_its_list() {
    let group = |group| Terms { group: Some(group), shipping: None, ..terms("EUR", None) };
    check(&group("wholesale"), &[("tea", 2), ("cup", 1)], [1_965, 0, 0, 1_965]);
    check(&group("staff"), &[("tea", 2), ("cup", 1)], [2_199, 0, 0, 2_199]);
    let dollars = Terms { currency: "USD", ..group("wholesale") };
    check(&dollars, &[("tea", 2)], [1_000, 0, 0, 1_000]);
}

#[test]
fn what_has_no_price_is_named() {
    let (sku, option) = (|code: &str| code.parse().unwrap(), "parcel".parse().unwrap());
    let refused = |when: &Terms, lines: &[(&str, u32)]| price(when, lines).unwrap_err();
    let germany = terms("EUR", Some("DE"));
    let unknown = refused(&germany, &[("tea", 1), ("pot", 1)]);
    assert_eq!(unknown, NotPriced::UnknownSku { sku: sku("pot") });
    let yen: Currency = "JPY".parse().unwrap();
    let no_price = refused(&terms("JPY", None), &[("tea", 1), ("cup", 1)]);
    assert_eq!(no_price, NotPriced::NoPrice { sku: sku("cup"), currency: yen });
    let france = refused(&terms("EUR", Some("FR")), &[("tea", 1)]);
    assert_eq!(france, NotPriced::NotShippedTo { option, country: to("FR").country });
    let dinars = refused(&terms("BHD", None), &[("tea", 1)]);
    let (option, currency) = ("parcel".parse().unwrap(), "BHD".parse().unwrap());
    assert_eq!(dinars, NotPriced::ShippingNotPriced { option, currency });
    let boat = refused(&Terms { shipping: Some("boat"), ..germany }, &[("tea", 1)]);
    assert_eq!(boat, NotPriced::UnknownShipping { option: "boat".parse().unwrap() });
}

#[test]
fn a_total_past_the_largest_is_refused() {
    let gold = Terms { shipping: None, ..terms("EUR", None) };
    check(&gold, &[("gold", 9_007)], [9_007_000_000_000_000, 0, 0, 9_007_000_000_000_000]);
    assert_eq!(price(&gold, &[("gold", 9_008)]), Err(NotPriced::TotalTooLarge));
    assert_eq!(price(&gold, &[("gold", 9_999); 2_000]), Err(NotPriced::TotalTooLarge));
}

#[test]
fn sums_that_are_not_those_of_the_parts_are_damage() {
    let priced = price(&terms("USD", Some("US")), &[("tea", 2), ("cup", 1)]).unwrap();
    let bytes = priced.to_bytes();
    assert_eq!(Priced::from_bytes(&bytes).as_ref(), Ok(&priced));
    let spoilt: [fn(&mut Priced); 7] = [
        |priced| priced.totals.grand.minor += 1,
        |priced| priced.totals.tax.minor -= 1,
        |priced| priced.lines[1].line_total.minor += 1,
        |priced| priced.lines[1].tax.minor += 1,
        |priced| priced.lines[0].discount.minor += 1,
        |priced| priced.shipping = None,
        |priced| priced.totals.shipping.currency = Currency::EURO,
    ];
    for (at, spoil) in spoilt.iter().enumerate() {
        let mut spoiled = priced.clone();
        spoil(&mut spoiled);
        assert!(Priced::from_bytes(&spoiled.to_bytes()).is_err(), "{at}");
    }
}

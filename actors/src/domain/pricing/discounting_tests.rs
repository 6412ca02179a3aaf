//! What promotions take off: worked examples, and any shop against exact fractions.

use cluster::catalogue::{CatalogueReader, ChangedRecord};
use cluster::entity::{Catalogue, Entity};
use cluster::ids::{EntityKey, EntityRef};
use cluster::time::Span;
use proptest::prelude::*;

use super::tests::{NOON, label, listing, money, parcel, rate, to};
use super::*;
use crate::domain::catalogue::BookReader;
use crate::domain::category::Category;
use crate::domain::entry::{Content, Entry};
use crate::domain::names::Slug;
use crate::domain::page::{self, Page, ProductPage};
use crate::domain::price_list::Validity;
use crate::domain::prices::Prices;
use crate::domain::product::Product;
use crate::domain::promotion::{
    Benefit, Chosen, Promotion, Rebate, Scope, Shoppers, Stacking, Trigger,
};
use crate::domain::tax::Inclusion;
use crate::domain::translations::Translations;

pub(crate) fn promotion(id: &str, benefit: Benefit) -> Promotion {
    Promotion {
        id: id.parse().unwrap(),
        name: label(&format!("The {id}")),
        benefit,
        scope: Scope::Everything,
        minimum: Prices::default(),
        shoppers: Shoppers::Everyone,
        validity: Validity::default(),
        trigger: Trigger::Nothing,
        priority: 0,
        stacking: Stacking::Combinable,
    }
}

fn rebate(millionths: u32) -> Rebate {
    millionths.try_into().unwrap()
}

pub(crate) fn percent(id: &str, percent: u32) -> Promotion {
    promotion(id, Benefit::Percentage { off: rebate(percent * 10_000) })
}

fn euros(id: &str, minor: i64) -> Promotion {
    promotion(id, Benefit::Amount { off: prices(minor) })
}

fn prices(minor: i64) -> Prices {
    Prices::new(vec![money(minor, "EUR")]).unwrap()
}

fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

fn buy_get(id: &str, buy: u32, get: u32, from: Option<Scope>) -> Promotion {
    let (buy, get, off) = (quantity(buy), quantity(get), rebate(1_000_000));
    promotion(id, Benefit::BuyGet { buy, get, from, off })
}

fn skus(skus: &[&str]) -> Scope {
    Scope::Skus(Chosen::of(skus.iter().map(|sku| sku.parse().unwrap())).unwrap())
}

/// Taxes of 19 % are on prices, and a parcel costs 490 up to 3000.
fn book(promotions: Vec<Promotion>) -> PriceBook {
    let listings = [("cup", 1_299), ("pot", 2_500), ("tea", 450)]
        .map(|(sku, minor)| listing(sku, "standard", vec![money(minor, "EUR"), money(10, "JPY")]));
    PriceBook::new(Currency::EURO, listings.to_vec())
        .unwrap()
        .with_tax_rates([rate("US", "standard", 190_000, Inclusion::Exclusive)])
        .with_shipping_options([parcel(vec![money(490, "EUR")], vec![money(3_000, "EUR")], &[])])
        .with_promotions(promotions)
}

fn quote(book: &PriceBook, lines: &[(&str, u32)]) -> Quote {
    let (destination, shipping) = (to("US"), "parcel".parse().unwrap());
    let terms = PricingTerms {
        currency: Currency::EURO,
        group: None,
        at: NOON,
        destination: Some(&destination),
        shipping: Some(&shipping),
        codes: &[],
        may_be_first: true,
    };
    let line = |(sku, count): &(&str, u32)| (sku.parse().unwrap(), quantity(*count));
    book.quote(&terms, &lines.iter().map(line).collect::<Vec<_>>()).unwrap()
}

/// `then`: each discount with the shares of its lines.
#[track_caller]
fn check(promotions: Vec<Promotion>, lines: &[(&str, u32)], then: &[(&str, &[i64])]) {
    let quote = quote(&book(promotions), lines);
    let shares = |discount: &Discount| {
        let mut shares = discount::by_line(std::slice::from_ref(discount), lines.len()).unwrap();
        if let Granted::OfShipping { minor } = discount.granted {
            shares = vec![minor];
        }
        (discount.promotion.to_string(), shares)
    };
    let found: Vec<_> = quote.discounts.iter().map(shares).collect();
    let then = then.iter().map(|(id, shares)| ((*id).to_owned(), shares.to_vec()));
    assert_eq!(found, then.collect::<Vec<_>>());
    let by_line = discount::by_line(&quote.discounts, lines.len()).unwrap();
    assert!(quote.priced.lines.iter().map(|line| line.discount.minor).eq(by_line));
}

#[test]
fn a_percentage_is_rounded_once_and_split_over_the_lines() {
    // 10 % of 1299 + 900 are 219.9.
    check(vec![percent("ten", 10)], &[("cup", 1), ("tea", 2)], &[("ten", &[130, 90])]);
    // Of 450 and 1299 and 2500, 33 %: 1402.17; exactly 148.5, 428.67 and 825.
    let lines = [("tea", 1), ("cup", 1), ("pot", 1)];
    check(vec![percent("third", 33)], &lines, &[("third", &[148, 429, 825])]);
}

#[test]
fn taxes_are_taken_of_what_is_left_of_each_line() {
    let quote = quote(&book(vec![euros("five", 500)]), &[("cup", 1), ("tea", 2)]);
    // 500 of 2199: exactly 295.36 and 204.64.
    let lines: Vec<_> =
        quote.priced.lines.iter().map(|it| (it.discount.minor, it.tax.minor)).collect();
    // 1004 * 0.19 = 190.76 and 695 * 0.19 = 132.05
    assert_eq!(lines, [(295, 191), (205, 132)]);
    let totals = quote.priced.totals;
    let sums = [totals.items, totals.discount, totals.shipping, totals.tax, totals.grand];
    // And 93.1 of shipping.
    assert_eq!(sums.map(|sum| sum.minor), [2_199, 500, 490, 416, 1_699 + 490 + 416]);
}

#[test]
fn an_amount_takes_no_more_than_there_is() {
    let all = [("cup", 1), ("tea", 1)];
    check(vec![euros("all", 5_000)], &all, &[("all", &[1_299, 450])]);
    assert_eq!(quote(&book(vec![euros("all", 5_000)]), &all).priced.totals.grand.minor, 583);
    let of_cups = Promotion { scope: skus(&["cup", "pot"]), ..euros("cups", 2_000) };
    check(vec![of_cups], &all, &[("cups", &[1_299, 0])]);
    let yen = Prices::new(vec![money(500, "JPY")]).unwrap();
    check(vec![promotion("yen", Benefit::Amount { off: yen })], &all, &[]);
}

#[test]
fn the_cheapest_pieces_are_given() {
    // Of seven pieces two sets of three: two teas, though cups come first.
    check(vec![buy_get("3for2", 2, 1, None)], &[("cup", 4), ("tea", 3)], &[("3for2", &[0, 900])]);
    check(
        vec![buy_get("3for2", 2, 1, None)],
        &[("cup", 5), ("tea", 1)],
        &[("3for2", &[1_299, 450])],
    );
    check(vec![buy_get("3for2", 2, 1, None)], &[("tea", 2)], &[]);
    let with_pot =
        || Promotion { scope: skus(&["pot"]), ..buy_get("pot", 1, 2, Some(skus(&["cup", "tea"]))) };
    check(vec![with_pot()], &[("cup", 1), ("pot", 1), ("tea", 3)], &[("pot", &[0, 0, 900])]);
    check(vec![with_pot()], &[("cup", 1), ("pot", 2), ("tea", 1)], &[("pot", &[1_299, 0, 450])]);
    // A piece that may be given is not counted as bought.
    let itself = || buy_get("tea", 1, 1, Some(skus(&["tea"])));
    check(vec![itself()], &[("tea", 5)], &[]);
    check(vec![itself()], &[("cup", 1), ("tea", 5)], &[("tea", &[0, 450])]);
}

#[test]
fn given_pieces_are_worth_what_promotions_before_have_left_of_them() {
    let half = || Promotion { priority: 1, ..percent("half", 50) };
    let pair = || buy_get("pair", 1, 1, None);
    check(vec![half(), pair()], &[("tea", 2)], &[("half", &[450]), ("pair", &[225])]);
    // Half of 1299 and 450 is 874.5: rounded once for both lines.
    let off = rebate(500_000);
    let (buy, get) = (quantity(1), quantity(2));
    let rounded = promotion("half", Benefit::BuyGet { buy, get, from: None, off });
    check(vec![rounded], &[("cup", 1), ("pot", 1), ("tea", 1)], &[("half", &[650, 0, 225])]);
}

#[test]
fn free_shipping_is_itemised_at_what_it_would_have_cost() {
    let free = || promotion("free", Benefit::FreeShipping);
    check(vec![free()], &[("tea", 1)], &[("free", &[490])]);
    check(vec![free()], &[("pot", 2)], &[("free", &[0])]);
    let quote = quote(&book(vec![free()]), &[("tea", 1)]);
    assert_eq!(quote.priced.totals.shipping.minor, 0);
    assert_eq!(quote.priced.totals.discount.minor, 0);
}

#[test]
fn those_with_a_higher_priority_come_first_and_leave_less() {
    let first = Promotion { priority: 2, ..percent("b", 50) };
    let lines = [("tea", 2)];
    check(vec![percent("a", 10), first.clone()], &lines, &[("b", &[450]), ("a", &[45])]);
    check(vec![percent("c", 10), percent("a", 50)], &lines, &[("a", &[450]), ("c", &[45])]);
    let alone = Promotion { stacking: Stacking::Exclusive, ..percent("c", 10) };
    check(vec![alone.clone(), first], &lines, &[("b", &[450])]);
    check(vec![Promotion { priority: 3, ..alone }, percent("a", 50)], &lines, &[("c", &[90])]);
}

#[test]
fn an_exclusive_one_that_gives_nothing_leaves_room_for_others() {
    let idle =
        Promotion { scope: skus(&["pot"]), stacking: Stacking::Exclusive, ..percent("a", 10) };
    check(vec![idle, percent("b", 10)], &[("tea", 1)], &[("b", &[45])]);
}

#[test]
fn a_promotion_has_its_conditions() {
    let lines = [("cup", 1), ("tea", 1)];
    let enough = |minor| Promotion { minimum: prices(minor), ..percent("a", 10) };
    check(vec![enough(1_749)], &lines, &[("a", &[130, 45])]);
    check(vec![enough(1_750)], &lines, &[]);
    let of_tea = Promotion { scope: skus(&["tea"]), ..enough(451) };
    check(vec![of_tea], &lines, &[]);
    let yen = Prices::new(vec![money(1, "JPY")]).unwrap();
    check(vec![Promotion { minimum: yen, ..percent("a", 10) }], &lines, &[]);
    let staff = Shoppers::Group("staff".parse().unwrap());
    check(vec![Promotion { shoppers: staff, ..percent("a", 10) }], &lines, &[]);
    let first = Promotion { shoppers: Shoppers::FirstOrder, ..percent("a", 10) };
    check(vec![first], &lines, &[("a", &[130, 45])]);
    check(vec![Promotion { trigger: Trigger::Code, ..percent("a", 10) }], &lines, &[]);
    let later = NOON.plus(Span::from_micros(1));
    let over = Validity::new(None, Some(NOON)).unwrap();
    let yet = Validity::new(Some(later), None).unwrap();
    let holds = Validity::new(Some(NOON), Some(later)).unwrap();
    for (validity, then) in [(over, None), (yet, None), (holds, Some(("a", [130, 45].as_slice())))]
    {
        check(vec![Promotion { validity, ..percent("a", 10) }], &lines, then.as_slice());
    }
}

/// A record of the catalogue.
fn record<E: Entity>(key: EntityKey, state: &E) -> ChangedRecord {
    ChangedRecord { entity: EntityRef { kind: E::KIND, key }, state: state.to_record() }
}

fn entry<T: Content>(content: T) -> ChangedRecord {
    record(content.key(), &Entry { content: Some(content) })
}

fn category(id: &str, parent: Option<&str>) -> Category {
    Category {
        id: id.parse().unwrap(),
        name: label(id),
        parent: parent.map(|parent| parent.parse().unwrap()),
        position: 0,
        translations: Translations::default(),
    }
}

/// A page of tea, in a category.
fn page(category: &str) -> ProductPage {
    let page = Page::new(page::Content {
        slug: "teas".parse().unwrap(),
        title: label("Teas"),
        description: None,
        attributes: vec![],
        media: vec![],
        categories: vec![category.parse().unwrap()],
        seller: None,
        status: page::Status::Active,
        visibility: page::Visibility::Listed,
        translations: Translations::default(),
        variants: vec!["tea".parse().unwrap()],
    });
    ProductPage { page: Some(page.unwrap()) }
}

#[test]
fn what_is_in_a_category_is_in_those_above_it() {
    let slug: Slug = "teas".parse().unwrap();
    let tea = listing("tea", "standard", vec![money(450, "EUR")]).on_page(Some(slug.clone()));
    let cup = listing("cup", "standard", vec![money(1_299, "EUR")]);
    let (tea_sku, cup_sku) = (tea.sku().clone(), cup.sku().clone());
    let product = |it: Listing| record(it.sku().key(), &Product { listing: Some(it) });
    let of = |id: &str| Chosen::of([id.parse().unwrap()]).map(Scope::Categories).unwrap();
    let promoted = |id: &str| entry(Promotion { scope: of(id), ..percent(id, 10) });
    let records = [
        record(slug.key(), &page("oolong")),
        product(tea),
        product(cup),
        entry(category("drinks", None)),
        entry(category("oolong", Some("drinks"))),
        entry(category("cups", None)),
        promoted("drinks"),
        promoted("oolong"),
        promoted("cups"),
    ];
    let read = Catalogue { index: 1, content: BookReader.read(None, &records).unwrap() };
    let bought = [(&cup_sku, 1_299), (&tea_sku, 450)].map(|(sku, minor)| {
        let (quantity, unit_price) = (quantity(1), money(minor, "EUR"));
        Bought { sku, quantity, unit_price }
    });
    let (currency, at) = (Currency::EURO, NOON);
    let terms = PricingTerms {
        currency,
        group: None,
        at,
        destination: None,
        shipping: None,
        codes: &[],
        may_be_first: true,
    };
    let found = |catalogue: &Catalogue| -> Vec<(String, i64)> {
        let book: &PriceBook = catalogue.content().unwrap();
        let found = book.discounts(&terms, &bought);
        found.iter().map(|it| (it.promotion.to_string(), it.minor())).collect()
    };
    let both = [("drinks".to_owned(), 45), ("oolong".to_owned(), 41)];
    assert_eq!(found(&read), both);
    let key = promotion("drinks", Benefit::FreeShipping).key();
    let gone = record(key, &Entry::<Promotion>::default());
    let next = Catalogue { index: 2, content: BookReader.read(Some(&read), &[gone]).unwrap() };
    assert_eq!(found(&next), [("oolong".to_owned(), 45)]);
}

/// Of 0, 2 and 3 decimals.
const CURRENCIES: [(&str, u32); 3] = [("JPY", 0), ("EUR", 2), ("KWD", 3)];
const SKUS: usize = 5;

#[derive(Clone, Debug)]
enum Kind {
    Percentage(u32),
    Amount(i64),
    BuyGet(u32, u32, u32),
}

#[derive(Clone, Debug)]
struct Drawn {
    kind: Kind,
    scope: u8,
    minimum: Option<i64>,
    priority: u16,
    is_alone: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let part = || prop_oneof![1..=1_000_000_u32, (1..=20_u32).prop_map(|n| n * 50_000)];
    let kind = prop_oneof![
        part().prop_map(Kind::Percentage),
        (1..200_000_i64).prop_map(Kind::Amount),
        (1..4_u32, 1..3_u32, part()).prop_map(|(buy, get, off)| Kind::BuyGet(buy, get, off)),
    ];
    let minimum = prop::option::of(0..100_000_i64);
    let rest = (0..1_u8 << SKUS, minimum, 0..4_u16, prop::bool::weighted(0.1));
    (kind, rest).prop_map(|(kind, (scope, minimum, priority, is_alone))| Drawn {
        kind,
        scope,
        minimum,
        priority,
        is_alone,
    })
}

impl Drawn {
    fn has(&self, sku: usize) -> bool {
        self.scope == 0 || self.scope & (1 << sku) != 0
    }

    fn promotion(&self, nth: usize, currency: &str) -> Promotion {
        let sum = |minor| Prices::new(vec![money(minor, currency)]).unwrap();
        let benefit = match self.kind {
            Kind::Percentage(off) => Benefit::Percentage { off: rebate(off) },
            Kind::Amount(minor) => Benefit::Amount { off: sum(minor) },
            Kind::BuyGet(buy, get, off) => Benefit::BuyGet {
                buy: quantity(buy),
                get: quantity(get),
                from: None,
                off: rebate(off),
            },
        };
        let named = (0..SKUS).filter(|sku| self.has(*sku));
        let named = Chosen::of(named.map(|sku| format!("sku-{sku}").parse().unwrap())).unwrap();
        Promotion {
            scope: if self.scope == 0 { Scope::Everything } else { Scope::Skus(named) },
            minimum: self.minimum.map(sum).unwrap_or_default(),
            priority: self.priority,
            stacking: if self.is_alone { Stacking::Exclusive } else { Stacking::Combinable },
            ..promotion(&format!("p-{nth:02}"), benefit)
        }
    }
}

/// An exact number of major units, rounded to a count of the last decimal, halves up.
fn rounded(over: i128, under: i128, digits: u32) -> i128 {
    let scaled = over * 10_i128.pow(digits);
    (2 * scaled + under).div_euclid(2 * under)
}

proptest! {
    #[test]
    fn discounts_are_those_of_exact_arithmetic(
        currency in 0..CURRENCIES.len(),
        prices in prop::collection::vec(prop_oneof![0..2_000_i64, 0..1_000_000_000_i64], SKUS),
        lines in prop::collection::btree_map(0..SKUS, 1..=50_u32, 1..SKUS),
        all in prop::collection::vec(drawn(), 0..6),
        exclusive in any::<bool>(),
        tax in 0..300_000_u32,
    ) {
        let (code, digits) = CURRENCIES[currency];
        let one = 10_i128.pow(digits);
        let listings = prices.iter().enumerate().map(|(sku, minor)| {
            listing(&format!("sku-{sku}"), "standard", vec![money(*minor, code)])
        });
        let inclusion = if exclusive { Inclusion::Exclusive } else { Inclusion::Inclusive };
        let promotions = all.iter().enumerate().map(|(nth, drawn)| drawn.promotion(nth, code));
        let book = PriceBook::new(money(0, code).currency, listings.collect())
            .unwrap()
            .with_tax_rates([rate("DE", "standard", tax, inclusion)])
            .with_promotions(promotions);
        let destination = to("DE");
        let terms = PricingTerms {
            currency: money(0, code).currency,
            group: None,
            at: NOON,
            destination: Some(&destination),
            shipping: None,
            codes: &[], may_be_first: true,
        };
        let asked: Vec<_> = lines
            .iter()
            .map(|(sku, count)| (format!("sku-{sku}").parse().unwrap(), quantity(*count)))
            .collect();
        let quote = book.quote(&terms, &asked).unwrap();

        let totals: Vec<i128> =
            lines.iter().map(|(sku, count)| i128::from(prices[*sku]) * i128::from(*count)).collect();
        let mut left = totals.clone();
        let mut found = quote.discounts.iter();
        let mut in_order: Vec<_> = all.iter().enumerate().collect();
        in_order.sort_by_key(|(nth, drawn)| (std::cmp::Reverse(drawn.priority), *nth));
        let mut n_granted = 0;
        for (nth, drawn) in in_order {
            let places: Vec<_> =
                lines.keys().enumerate().filter(|(_, sku)| drawn.has(**sku)).map(|it| it.0).collect();
            let worth: i128 = places.iter().map(|at| totals[*at]).sum();
            let base: i128 = places.iter().map(|at| left[*at]).sum();
            let is_enough = drawn.minimum.is_none_or(|minimum| worth >= i128::from(minimum));
            if places.is_empty() || !is_enough || (drawn.is_alone && n_granted > 0) {
                continue;
            }
            let within = |at| if places.contains(&at) { left[at] } else { 0 };
            let mut weights: Vec<i128> = (0..left.len()).map(within).collect();
            let expected = match drawn.kind {
                Kind::Percentage(off) => rounded(base * i128::from(off), one * 1_000_000, digits),
                Kind::Amount(minor) => base.min(minor.into()),
                Kind::BuyGet(buy, get, off) => {
                    let mut pieces: Vec<_> = places
                        .iter()
                        .flat_map(|at| {
                            let (sku, count) = lines.iter().nth(*at).unwrap();
                            std::iter::repeat_n((prices[*sku], *at), *count as usize)
                        })
                        .collect();
                    pieces.sort_unstable();
                    let n_given = pieces.len() / (buy + get) as usize * get as usize;
                    let mut per_line = vec![0_i128; left.len()];
                    for (_, at) in pieces.into_iter().take(n_given) {
                        per_line[at] += 1;
                    }
                    for (at, pieces) in per_line.into_iter().enumerate() {
                        let count = i128::from(*lines.values().nth(at).unwrap());
                        weights[at] = rounded(left[at] * pieces, one * count, digits);
                    }
                    let worth: i128 = weights.iter().sum();
                    rounded(worth * i128::from(off), one * 1_000_000, digits)
                }
            };
            if expected == 0 {
                continue;
            }
            let discount = found.next().expect("one more is granted");
            prop_assert_eq!(discount.promotion.to_string(), format!("p-{nth:02}"));
            prop_assert_eq!(i128::from(discount.minor()), expected);
            let shares = discount::by_line(std::slice::from_ref(discount), left.len()).unwrap();
            for (at, share) in shares.into_iter().map(i128::from).enumerate() {
                let whole: i128 = weights.iter().sum();
                let apart = share * whole - expected * weights[at];
                prop_assert!(apart.abs() < whole.max(1), "{share} of {} of {whole}", weights[at]);
                prop_assert!(share <= left[at]);
                left[at] -= share;
            }
            n_granted += 1;
            if drawn.is_alone {
                break;
            }
        }
        prop_assert_eq!(found.next(), None);

        let (mut due, mut taxes) = (0, 0);
        for (line, left) in quote.priced.lines.iter().zip(&left) {
            let whole = if exclusive { 1_000_000 } else { 1_000_000 + i128::from(tax) };
            let exact = rounded(left * i128::from(tax), one * whole, digits);
            prop_assert_eq!(i128::from(line.tax.minor), exact);
            due += left + if exclusive { exact } else { 0 };
            taxes += exact;
        }
        let sums = quote.priced.totals;
        let off = totals.iter().sum::<i128>() - left.iter().sum::<i128>();
        prop_assert_eq!(i128::from(sums.discount.minor), off);
        prop_assert_eq!(i128::from(sums.tax.minor), taxes);
        prop_assert_eq!(i128::from(sums.grand.minor), due);
    }
}

//! Any book, any terms and any lines, against exact fractions of major units.

use proptest::prelude::*;

use super::tests::{NOON, listing, money, parcel, rate, to};
use super::*;
use crate::domain::tax::{Inclusion, Percent};

/// Of 0, 2 and 3 decimals.
const CURRENCIES: [(&str, u32); 3] = [("JPY", 0), ("EUR", 2), ("KWD", 3)];
const CLASSES: [&str; 3] = ["standard", "food", "books"];
const SKUS: usize = 6;

/// An exact number of major units. Never reduced: the parts here fit an `i128` as they are.
#[derive(Clone, Copy, Debug)]
struct Fraction {
    over: i128,
    under: i128,
}

impl Fraction {
    fn of(money: Money) -> Self {
        let digits = u32::from(money.currency.minor_digits());
        Self { over: money.minor.into(), under: 10_i128.pow(digits) }
    }

    fn times(self, over: i128, under: i128) -> Self {
        Self { over: self.over * over, under: self.under * under }
    }

    /// The nearest number with so many decimals, halves up, as a count of the last decimal.
    fn rounded(self, digits: u32) -> i128 {
        let scaled = self.over * 10_i128.pow(digits);
        (2 * scaled + self.under).div_euclid(2 * self.under)
    }
}

#[derive(Clone, Debug)]
struct Shop {
    currency: usize,
    prices: Vec<i64>,
    /// Per class: the rate in millionths, and how it is meant.
    rates: Vec<Option<(u32, Inclusion)>>,
    shipping: Option<(i64, i64)>,
    lines: Vec<(usize, u32)>,
}

fn shops() -> impl Strategy<Value = Shop> {
    let price = prop_oneof![0..100_000_i64, 0..1_000_000_000_i64];
    let rate = prop_oneof![
        (0..300_000_u32).boxed(),
        prop::sample::select(vec![50_000, 70_000, 88_750, 190_000, 200_000]).boxed(),
        (0..=Percent::MILLIONTHS_MAX).boxed(),
    ];
    let inclusion = prop::sample::select(vec![Inclusion::Inclusive, Inclusion::Exclusive]);
    let rates = prop::collection::vec(prop::option::of((rate, inclusion)), CLASSES.len());
    let shop = (
        0..CURRENCIES.len(),
        prop::collection::vec(price, SKUS),
        rates,
        prop::option::of((0..100_000_i64, 0..200_000_i64)),
        prop::collection::vec((0..SKUS, 1..=50_u32), 0..8),
    );
    shop.prop_map(|(currency, prices, rates, shipping, lines)| Shop {
        currency,
        prices,
        rates,
        shipping,
        lines,
    })
}

impl Shop {
    fn money(&self, minor: i64) -> Money {
        money(minor, CURRENCIES[self.currency].0)
    }

    fn book(&self) -> PriceBook {
        let prices = self.prices.iter().enumerate();
        let listings = prices.map(|(at, minor)| {
            let class = CLASSES[at % CLASSES.len()];
            listing(&format!("sku-{at}"), class, vec![self.money(*minor)])
        });
        let rates = CLASSES.iter().zip(&self.rates).filter_map(|(class, chosen)| {
            chosen.map(|(millionths, inclusion)| rate("DE", class, millionths, inclusion))
        });
        let shipping = self.shipping.map(|(price, free_from)| {
            parcel(vec![self.money(price)], vec![self.money(free_from)], &[])
        });
        PriceBook::new(Currency::EURO, listings.collect())
            .unwrap()
            .with_tax_rates(rates)
            .with_shipping_options(shipping)
    }

    fn quote(&self) -> Quote {
        let (destination, parcel) = (to("DE"), "parcel".parse().unwrap());
        let terms = PricingTerms {
            currency: self.money(0).currency,
            group: None,
            at: NOON,
            destination: Some(&destination),
            shipping: self.shipping.map(|_| &parcel),
            codes: &[],
            may_be_first: true,
        };
        let line = |(at, count): &(usize, u32)| {
            (format!("sku-{at}").parse().unwrap(), Quantity::try_from(*count).unwrap())
        };
        let lines: Vec<_> = self.lines.iter().map(line).collect();
        self.book().quote(&terms, &lines).unwrap()
    }

    /// The tax of an amount of a class by exact arithmetic, and what of it comes on top.
    fn expected_tax(&self, class: usize, amount: Money) -> (i128, i128) {
        let digits = CURRENCIES[self.currency].1;
        let exact = Fraction::of(amount);
        match self.rates[class] {
            None => (0, 0),
            Some((part, Inclusion::Exclusive)) => {
                let tax = exact.times(part.into(), 1_000_000).rounded(digits);
                (tax, tax)
            }
            Some((part, Inclusion::Inclusive)) => {
                let part = i128::from(part);
                (exact.times(part, 1_000_000 + part).rounded(digits), 0)
            }
        }
    }
}

fn minor(money: Money) -> i128 {
    money.minor.into()
}

proptest! {
    #[test]
    fn sums_are_those_of_exact_arithmetic(shop in shops()) {
        let priced = shop.quote().priced;
        let (mut items, mut tax, mut on_top) = (0, 0, 0);
        for ((at, count), line) in shop.lines.iter().zip(&priced.lines) {
            let line_total = i128::from(shop.prices[*at]) * i128::from(*count);
            prop_assert_eq!(minor(line.line_total), line_total);
            let (expected, added) = shop.expected_tax(at % CLASSES.len(), line.line_total);
            prop_assert_eq!(minor(line.tax), expected);
            items += line_total;
            tax += expected;
            on_top += added;
        }
        let shipping = shop.shipping.map(|(price, free_from)| {
            if items >= i128::from(free_from) { 0 } else { price }
        });
        if let Some(price) = shipping {
            let (expected, added) = shop.expected_tax(0, shop.money(price));
            tax += expected;
            on_top += added;
        }
        let shipping = i128::from(shipping.unwrap_or_default());
        let totals = priced.totals;
        prop_assert_eq!(minor(totals.items), items);
        prop_assert_eq!(minor(totals.discount), 0);
        prop_assert_eq!(minor(totals.shipping), shipping);
        prop_assert_eq!(minor(totals.tax), tax);
        prop_assert_eq!(minor(totals.grand), items + shipping + on_top);
        prop_assert_eq!(priced.lines.len(), shop.lines.len());
    }

    #[test]
    fn what_was_priced_is_read_back_as_it_was(shop in shops(), of in 0..4_usize, by in 1..9_i64) {
        use cluster::entity::Wire;
        let priced = shop.quote().priced;
        let read = Priced::from_bytes(&priced.to_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&priced));
        let mut spoilt = priced;
        let totals = &mut spoilt.totals;
        let sums =
            [&mut totals.items, &mut totals.shipping, &mut totals.tax, &mut totals.grand];
        sums.into_iter().nth(of).unwrap().minor += by;
        prop_assert!(Priced::from_bytes(&spoilt.to_bytes()).is_err());
    }
}

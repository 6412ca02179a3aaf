//! Which provider takes a payment whose shopper names none.
//!
//! **Invariants:** a choice is made before anything is sent, and the payment is opened with it; whatever
//! became of a call to that provider, no other is ever asked for the same payment. While no provider
//! rests, one payment is chosen the same however often it is asked for.
//!
//! The providers of one rule must know the same tokens: one vault, or accounts that share one.

use std::str::FromStr;

use actors::domain::payment::ProviderName;
use actors::domain::tax::CountryCode;
use actors::{Currency, Money};

use crate::providers::conditions::{range, words};

const RULES_MAX: usize = 100;
const PROVIDERS_MAX: usize = 10;
const WEIGHT_MAX: u32 = 1_000;

/// Rules in order: the first that fits a payment and has a provider which does not rest is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// Any, where there is none.
    currencies: Vec<Currency>,
    countries: Vec<CountryCode>,
    /// In minor units, both included.
    least: i64,
    most: i64,
    choices: Vec<Choice>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Choice {
    provider: ProviderName,
    weight: u32,
}

/// What a payment is, as far as rules go by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// What is left to pay.
    pub amount: Money,
    /// Where the goods go.
    pub country: CountryCode,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no rule such as currency=EUR,CHF country=DE amount=..50000 -> stripe*3 paypal")]
pub struct InvalidRule(String);

impl Routing {
    /// The provider for a payment. Who rests did not answer of late; when all do, one is chosen as if
    /// none did. The draw is the payment's own.
    pub fn choose(
        &self,
        subject: Subject,
        draw: u64,
        rests: impl Fn(&ProviderName) -> bool,
    ) -> Option<&ProviderName> {
        let fitting = || self.0.iter().filter(|rule| rule.fits(subject));
        let awake = fitting().find_map(|rule| rule.draw(draw, |provider| !rests(provider)));
        awake.or_else(|| fitting().find_map(|rule| rule.draw(draw, |_| true)))
    }

    /// Everybody whom a rule may choose.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.0.iter().flat_map(|rule| rule.choices.iter().map(|choice| &choice.provider))
    }
}

impl Rule {
    fn fits(&self, Subject { amount, country }: Subject) -> bool {
        (self.currencies.is_empty() || self.currencies.contains(&amount.currency))
            && (self.countries.is_empty() || self.countries.contains(&country))
            && (self.least..=self.most).contains(&amount.minor)
    }

    fn draw(&self, draw: u64, may: impl Fn(&ProviderName) -> bool) -> Option<&ProviderName> {
        let candidates = || self.choices.iter().filter(|choice| may(&choice.provider));
        let whole: u64 = candidates().map(|choice| u64::from(choice.weight)).sum();
        let mut at = draw.checked_rem(whole)?;
        for choice in candidates() {
            match at.checked_sub(u64::from(choice.weight)) {
                Some(rest) => at = rest,
                None => return Some(&choice.provider),
            }
        }
        None
    }
}

/// Rules separated by semicolons: `CONDITIONS -> PROVIDERS`.
impl FromStr for Routing {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        let rules = rules.map(str::parse).collect::<Result<Vec<_>, _>>()?;
        let fits = (1..=RULES_MAX).contains(&rules.len());
        if fits { Ok(Self(rules)) } else { Err(InvalidRule(text.chars().take(80).collect())) }
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let read = || {
            let (conditions, choices) = text.split_once("->")?;
            let choices: Option<Vec<_>> = choices.split_whitespace().map(choice).collect();
            let choices = choices.filter(|all| (1..=PROVIDERS_MAX).contains(&all.len()))?;
            let (currencies, countries) = (Vec::new(), Vec::new());
            let mut rule = Self { currencies, countries, least: 0, most: i64::MAX, choices };
            for condition in conditions.split_whitespace() {
                let (name, value) = condition.split_once('=')?;
                match name {
                    "currency" if rule.currencies.is_empty() => rule.currencies = words(value)?,
                    "country" if rule.countries.is_empty() => rule.countries = words(value)?,
                    "amount" if (rule.least, rule.most) == (0, i64::MAX) => {
                        (rule.least, rule.most) = range(value)?;
                    }
                    _ => return None,
                }
            }
            Some(rule)
        };
        read().ok_or_else(|| InvalidRule(text.chars().take(80).collect()))
    }
}

fn choice(text: &str) -> Option<Choice> {
    let (provider, weight) = text.split_once('*').unwrap_or((text, "1"));
    let weight = weight.parse().ok().filter(|weight| (1..=WEIGHT_MAX).contains(weight))?;
    Some(Choice { provider: provider.parse().ok()?, weight })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn subject(minor: i64, currency: &str, country: &str) -> Subject {
        let amount = Money { minor, currency: currency.parse().unwrap() };
        Subject { amount, country: country.parse().unwrap() }
    }

    fn routing(text: &str) -> Routing {
        text.parse().unwrap()
    }

    #[track_caller]
    fn check(rules: &str, subject: Subject, resting: &[&str], then: Option<&str>) {
        let routing = routing(rules);
        let chosen = routing.choose(subject, 0, |name| resting.contains(&name.as_str()));
        assert_eq!(chosen.map(ProviderName::as_str), then);
    }

    #[test]
    fn the_first_rule_that_fits_is_taken() {
        let rules = "currency=EUR,CHF country=DE amount=..500 -> a; currency=EUR -> b; \
                     amount=1000.. -> c";
        check(rules, subject(500, "EUR", "DE"), &[], Some("a"));
        check(rules, subject(500, "CHF", "DE"), &[], Some("a"));
        check(rules, subject(501, "EUR", "DE"), &[], Some("b"));
        check(rules, subject(500, "EUR", "AT"), &[], Some("b"));
        check(rules, subject(1_000, "USD", "US"), &[], Some("c"));
        check(rules, subject(999, "USD", "US"), &[], None);
    }

    #[test]
    fn who_rests_is_passed_over_while_another_does_not() {
        let rules = "currency=EUR -> a b; -> c";
        let euro = subject(1, "EUR", "DE");
        check(rules, euro, &["a"], Some("b"));
        check(rules, euro, &["a", "b"], Some("c"));
        check(rules, euro, &["a", "b", "c"], Some("a"));
        check(rules, subject(1, "USD", "DE"), &["c"], Some("c"));
    }

    #[test]
    fn weights_are_shares_and_one_payment_is_drawn_alike() {
        let routing = routing("-> a*3 b*1");
        let mut drawn: BTreeMap<&str, u32> = BTreeMap::new();
        for draw in 0..400 {
            let choose = || routing.choose(subject(1, "EUR", "DE"), draw, |_| false);
            assert_eq!(choose(), choose());
            *drawn.entry(choose().unwrap().as_str()).or_default() += 1;
        }
        assert_eq!(drawn, BTreeMap::from([("a", 300), ("b", 100)]));
        let all: Vec<_> = routing.providers().map(ProviderName::as_str).collect();
        assert_eq!(all, ["a", "b"]);
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for bad in [
            "",
            ";",
            "a",
            "->",
            "currency=EUR",
            "currency=eur -> a",
            "country=Germany -> a",
            "currency= -> a",
            "colour=red -> a",
            "currency=EUR currency=USD -> a",
            "amount=5 -> a",
            "amount=9..5 -> a",
            "amount=-1.. -> a",
            "-> a*0",
            "-> a*1001",
            "-> A",
            &"-> a;".repeat(101),
        ] {
            assert!(bad.parse::<Routing>().is_err(), "{bad:?}");
        }
    }
}

//! Rules that an operator wrote: which orders a person is to look at, and which are refused.
//!
//! **Invariants:** the first rule that fits decides; an order that none fits is allowed.

use std::str::FromStr;

use actors::Currency;
use actors::domain::fraud::{Question, Verdict};
use actors::domain::names::Label;
use actors::domain::tax::CountryCode;

use super::Judge;
use crate::providers::conditions::{range, words};
use crate::providers::door::ProviderFuture;

const RULES_MAX: usize = 1_000;

/// One a line: `CONDITIONS -> review`, `deny` or `allow`. What follows a `#` is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FraudRules(Vec<Rule>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    /// As it is written: what the shop is shown.
    text: Label,
    /// Any, where there is none.
    currencies: Vec<Currency>,
    /// Where the goods or the bill go.
    countries: Vec<CountryCode>,
    /// In minor units, both included.
    amounts: (i64, i64),
    pieces: (i64, i64),
    /// Of the e-mail address, or a domain above it.
    domains: Vec<Domain>,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Allow,
    Review,
    Deny,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Domain(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is no rule such as currency=EUR country=DE,AT amount=50000.. pieces=20.. email=mail.example -> review"
)]
pub struct InvalidFraudRule {
    line: usize,
}

impl FromStr for Domain {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let is_domain = text.contains('.') && text.split('.').all(|label| !label.is_empty());
        if is_domain { Ok(Self(text.to_lowercase())) } else { Err(()) }
    }
}

impl Domain {
    fn has(&self, email: &str) -> bool {
        let domain = email.rsplit_once('@').map(|(_, domain)| domain.to_lowercase());
        domain.is_some_and(|domain| {
            domain.strip_suffix(&self.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

impl FromStr for FraudRules {
    type Err = InvalidFraudRule;

    fn from_str(text: &str) -> Result<Self, InvalidFraudRule> {
        let mut rules = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            let rule = Rule::read(text).filter(|_| rules.len() < RULES_MAX);
            rules.push(rule.ok_or(InvalidFraudRule { line })?);
        }
        Ok(Self(rules))
    }
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        const ANY: (i64, i64) = (0, i64::MAX);
        let (conditions, then) = text.split_once("->")?;
        let then = match then.trim() {
            "allow" => Then::Allow,
            "review" => Then::Review,
            "deny" => Then::Deny,
            _ => return None,
        };
        let mut rule = Self {
            text: Label::of_what_fits(text),
            currencies: Vec::new(),
            countries: Vec::new(),
            amounts: ANY,
            pieces: ANY,
            domains: Vec::new(),
            then,
        };
        for condition in conditions.split_whitespace() {
            let (name, value) = condition.split_once('=')?;
            match name {
                "currency" if rule.currencies.is_empty() => rule.currencies = words(value)?,
                "country" if rule.countries.is_empty() => rule.countries = words(value)?,
                "email" if rule.domains.is_empty() => rule.domains = words(value)?,
                "amount" if rule.amounts == ANY => rule.amounts = range(value)?,
                "pieces" if rule.pieces == ANY => rule.pieces = range(value)?,
                _ => return None,
            }
        }
        Some(rule)
    }

    fn fits(&self, question: &Question) -> bool {
        let is_within = |(least, most): (i64, i64), n: i64| (least..=most).contains(&n);
        let contact = &question.contact;
        let billing = contact.billing.as_ref().map(|address| address.country);
        let mut countries = std::iter::once(contact.shipping.country).chain(billing);
        let email = contact.email.as_ref();
        (self.currencies.is_empty() || self.currencies.contains(&question.amount.currency))
            && (self.countries.is_empty() || countries.any(|it| self.countries.contains(&it)))
            && is_within(self.amounts, question.amount.minor)
            && is_within(self.pieces, i64::from(question.pieces))
            && (self.domains.is_empty()
                || email
                    .is_some_and(|it| self.domains.iter().any(|domain| domain.has(it.as_str()))))
    }
}

impl FraudRules {
    pub fn verdict(&self, question: &Question) -> Verdict {
        let Some(rule) = self.0.iter().find(|rule| rule.fits(question)) else {
            return Verdict::Allow;
        };
        let why = rule.text.clone();
        match rule.then {
            Then::Allow => Verdict::Allow,
            Then::Review => Verdict::Review { why },
            Then::Deny => Verdict::Deny { why },
        }
    }
}

impl Judge for FraudRules {
    fn judge(&self, question: Question) -> ProviderFuture<Verdict> {
        Box::pin(std::future::ready(Ok(self.verdict(&question))))
    }
}

#[cfg(test)]
mod tests {
    use actors::domain::contact::{Address, Contact};
    use actors::{Money, OrderId};

    use super::*;

    fn question(minor: i64, currency: &str, pieces: u32, country: &str, email: &str) -> Question {
        let label = |text: &str| Label::of_what_fits(text);
        let shipping = Address {
            name: label("A"),
            line1: label("1"),
            line2: None,
            city: label("T"),
            region: None,
            postal_code: None,
            country: country.parse().unwrap(),
        };
        let email = email.to_owned().try_into().ok();
        let amount = Money { minor, currency: currency.parse().unwrap() };
        let contact = Contact { email, shipping, billing: None };
        Question { order: OrderId::from_bytes([1; 16]), amount, pieces, contact }
    }

    #[track_caller]
    fn check(question: &Question, then: &str) {
        const RULES: &str = "
            # Those whom we know.
            email=friend.example -> allow
            currency=EUR amount=50000.. -> review  # a lot
            pieces=20.. -> review
            email=bad.example,worse.example -> deny
            country=KP -> deny
        ";
        let verdict = RULES.parse::<FraudRules>().unwrap().verdict(question);
        let then = match then {
            "" => Verdict::Allow,
            rule if rule.ends_with("deny") => Verdict::Deny { why: Label::of_what_fits(rule) },
            rule => Verdict::Review { why: Label::of_what_fits(rule) },
        };
        assert_eq!(verdict, then);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let (plain, friend) = ("a@mail.example", "a@Friend.example");
        check(&question(49_999, "EUR", 19, "DE", plain), "");
        check(&question(50_000, "EUR", 1, "DE", plain), "currency=EUR amount=50000.. -> review");
        check(&question(50_000, "JPY", 1, "DE", plain), "");
        check(&question(50_000, "EUR", 99, "DE", friend), "");
        check(&question(1, "EUR", 20, "DE", plain), "pieces=20.. -> review");
        let domains = "email=bad.example,worse.example -> deny";
        check(&question(1, "EUR", 1, "DE", "a@worse.example"), domains);
        check(&question(1, "EUR", 1, "DE", "a@mail.bad.example"), domains);
        check(&question(1, "EUR", 1, "DE", "a@notbad.example"), "");
        check(&question(1, "EUR", 1, "KP", "nobody"), "country=KP -> deny");
        let mut billed = question(1, "EUR", 1, "DE", plain);
        let there = question(1, "EUR", 1, "KP", plain).contact.shipping;
        billed.contact.billing = Some(there);
        check(&billed, "country=KP -> deny");
    }

    #[test]
    fn what_is_no_rule_is_refused_by_its_line() {
        assert_eq!("".parse::<FraudRules>(), Ok(FraudRules(vec![])));
        for bad in [
            "review",
            "-> perhaps",
            "amount=5 -> deny",
            "amount=9..5 -> deny",
            "country=Germany -> deny",
            "email=nowhere -> deny",
            "pieces=1.. pieces=2.. -> deny",
            "colour=red -> deny",
        ] {
            let text = format!("# two lines\n{bad}");
            assert_eq!(text.parse::<FraudRules>(), Err(InvalidFraudRule { line: 2 }), "{bad}");
        }
    }
}

//! Refunds: PayPal gives captures back, and a refund of ours may be of several.
//!
//! **Invariants:** the parts of one operation carry its reference and together are its amount; what of
//! them is made is not made again, whatever became of the key.

use std::collections::BTreeMap;

use actors::Money;
use actors::domain::payment::{
    CapturedPart, OperationReference, Outcome, ProviderReference, Refusal,
};
use cluster::runtime::ports::InDoubt;
use serde_json::{Value, json};

use super::access::Account;
use super::answers::{CUSTOM, is_named, issue, list, refunded, text, unclear};
use super::operations::refused;
use super::{amounts, escaped};

/// Some of one capture.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    capture: ProviderReference,
    amount: Money,
}

impl Account {
    pub(super) async fn refund(
        &self,
        key: &str,
        reference: OperationReference,
        amount: Money,
        authorisation: &ProviderReference,
        captures: &[CapturedPart],
    ) -> Result<Outcome, InDoubt> {
        let (parts, mut outcomes) = match captures {
            // Nobody need be asked what is left of the only one.
            [only] => (vec![Part { capture: only.capture.clone(), amount }], Vec::new()),
            _ => {
                let payments = self.payments_of(authorisation).await?;
                let Some(parts) = plan(&payments, reference, amount, captures) else {
                    return Ok(Outcome::Refused(Refusal::NotPossible));
                };
                let made = made(&payments, reference).map(refunded);
                (parts, made.collect::<Result<Vec<_>, _>>()?)
            }
        };
        for part in parts {
            // A capture is given back once for an operation, so its id tells the keys apart.
            let key = match captures {
                [_] => key.to_owned(),
                _ => format!("{key}-{}", part.capture.as_str()),
            };
            let outcome = self.give_back(&key, reference, &part, authorisation, amount).await?;
            outcomes.push(outcome);
        }
        together(outcomes)
    }

    async fn give_back(
        &self,
        key: &str,
        reference: OperationReference,
        part: &Part,
        authorisation: &ProviderReference,
        whole: Money,
    ) -> Result<Outcome, InDoubt> {
        let Some(amount) = amounts::written(part.amount) else {
            return Ok(Outcome::Refused(Refusal::NotPossible));
        };
        let body = json!({"amount": amount, "custom_id": reference.to_string()});
        let path = format!("/v2/payments/captures/{}/refund", escaped(part.capture.as_str()));
        let answer = self.ask(&path, key, &body).await?;
        match (answer.status.as_u16(), issue(&answer)) {
            (200 | 201, _) => refunded(&answer.body),
            (_, Some(issue)) => match self.find_refund(authorisation, reference, whole).await? {
                Some(outcome) => Ok(outcome),
                None => refused(issue, &answer),
            },
            (_, None) => Err(unclear(&answer)),
        }
    }

    /// What became of a refund; nothing where less than all of it was made.
    pub(super) async fn find_refund(
        &self,
        authorisation: &ProviderReference,
        reference: OperationReference,
        amount: Money,
    ) -> Result<Option<Outcome>, InDoubt> {
        let payments = self.payments_of(authorisation).await?;
        let parts = || made(&payments, reference);
        let sum = parts().filter_map(|refund| refund.get("amount").and_then(amounts::read));
        let sum: i64 = sum.map(|part| part.minor).fold(0, i64::saturating_add);
        if sum != amount.minor {
            return Ok(None);
        }
        together(parts().map(refunded).collect::<Result<Vec<_>, _>>()?).map(Some)
    }
}

/// The refunds that an operation made.
fn made(payments: &Value, reference: OperationReference) -> impl Iterator<Item = &Value> {
    list(payments, "refunds").iter().filter(move |refund| is_named(refund, CUSTOM, reference))
}

/// What is to be made yet; nothing where less is left of the captures.
fn plan(
    payments: &Value,
    reference: OperationReference,
    amount: Money,
    captures: &[CapturedPart],
) -> Option<Vec<Part>> {
    let mut given: BTreeMap<&str, i64> = BTreeMap::new();
    let mut due = amount.minor;
    for refund in list(payments, "refunds") {
        if matches!(text(refund, "status"), "FAILED" | "CANCELLED") {
            continue;
        }
        let minor = refund.get("amount").and_then(amounts::read)?.minor;
        if is_named(refund, CUSTOM, reference) {
            due -= minor;
        }
        let capture = list(refund, "links").iter().find(|link| text(link, "rel") == "up");
        let capture = capture.and_then(|link| text(link, "href").rsplit('/').next())?;
        *given.entry(capture).or_default() += minor;
    }
    let mut parts = Vec::new();
    for part in captures {
        let given = given.get(part.capture.as_str()).copied().unwrap_or(0);
        let minor = (part.amount.minor - given).min(due);
        if minor > 0 {
            due -= minor;
            let (capture, amount) = (part.capture.clone(), Money { minor, ..amount });
            parts.push(Part { capture, amount });
        }
    }
    (due == 0).then_some(parts)
}

/// A refund is done when all its parts are; one that is done in part and refused in part is neither.
fn together(outcomes: Vec<Outcome>) -> Result<Outcome, InDoubt> {
    let is_refused = |outcome: &&Outcome| matches!(outcome, Outcome::Refused(_));
    let n_refused = outcomes.iter().filter(is_refused).count();
    if n_refused > 0 && n_refused < outcomes.len() {
        return Err(InDoubt("paypal refused a part of a refund".to_owned()));
    }
    let pending = outcomes.iter().position(|outcome| matches!(outcome, Outcome::Pending { .. }));
    let nth = pending.unwrap_or(0);
    let told = outcomes.into_iter().nth(nth);
    told.ok_or_else(|| InDoubt("paypal was asked for nothing".to_owned()))
}

#[cfg(test)]
mod unit_tests {
    use super::*;
    use crate::providers::payment::samples::{euro, reference};

    fn refund(number: u32, capture: &str, value: &str, status: &str) -> Value {
        let up = format!("https://api-m.paypal.com/v2/payments/captures/{capture}");
        json!({
            "id": "R", "status": status, "custom_id": reference(number).to_string(),
            "amount": {"currency_code": "EUR", "value": value},
            "links": [{"rel": "self", "href": "x"}, {"rel": "up", "href": up}],
        })
    }

    #[test]
    fn a_refund_is_of_whatever_is_left_of_each_capture() {
        let captures = [("A", 60), ("B", 40)].map(|(capture, minor)| CapturedPart {
            capture: capture.parse().unwrap(),
            amount: euro(minor),
        });
        #[track_caller]
        fn check(
            refunds: Value,
            captures: &[CapturedPart],
            minor: i64,
            then: Option<&[(&str, i64)]>,
        ) {
            let payments = json!({"refunds": refunds});
            let parts = plan(&payments, reference(4), euro(minor), captures);
            let then = then.map(|parts| {
                let part = |(capture, minor): &(&str, i64)| Part {
                    capture: capture.parse().unwrap(),
                    amount: euro(*minor),
                };
                parts.iter().map(part).collect::<Vec<_>>()
            });
            assert_eq!(parts, then);
        }
        check(json!([]), &captures, 50, Some(&[("A", 50)]));
        check(json!([]), &captures, 100, Some(&[("A", 60), ("B", 40)]));
        check(json!([]), &captures, 101, None);
        let before = json!([refund(3, "A", "0.50", "COMPLETED")]);
        check(before.clone(), &captures, 50, Some(&[("A", 10), ("B", 40)]));
        check(before, &captures, 51, None);
        let failed = json!([refund(3, "A", "0.50", "FAILED")]);
        check(failed, &captures, 100, Some(&[("A", 60), ("B", 40)]));
        // The first part of this very refund was made before its answer was lost.
        let half = json!([refund(4, "A", "0.60", "PENDING")]);
        check(half, &captures, 100, Some(&[("B", 40)]));
        let all = json!([refund(4, "A", "0.60", "PENDING"), refund(4, "B", "0.40", "COMPLETED")]);
        check(all, &captures, 100, Some(&[]));
    }

    #[test]
    fn a_refund_is_done_when_all_its_parts_are() {
        let done = || Outcome::Done { reference: "D".parse().unwrap() };
        let pending = || Outcome::Pending { reference: "P".parse().unwrap() };
        let no = || Outcome::Refused(Refusal::NotPossible);
        assert_eq!(together(vec![done(), done()]).ok(), Some(done()));
        assert_eq!(together(vec![done(), pending()]).ok(), Some(pending()));
        assert_eq!(together(vec![no(), no()]).ok(), Some(no()));
        assert!(together(vec![done(), no()]).is_err());
        assert!(together(vec![]).is_err());
    }
}

//! Amounts as PayPal writes them: `{"currency_code": "EUR", "value": "12.99"}`.
//!
//! **Invariants:** an amount has one text and a text one amount; what PayPal cannot say is not said.

use actors::Money;
use serde_json::{Value, json};

use super::answers::text;

/// Three currencies have no decimals there, whatever they have elsewhere.
const WHOLE: [&str; 3] = ["HUF", "JPY", "TWD"];
const DIGITS_MAX: usize = 18;

/// Nothing where the amount has a part that PayPal has no digits for.
pub(super) fn written(amount: Money) -> Option<Value> {
    let digits = u32::from(amount.currency.minor_digits());
    let one = 10_i64.checked_pow(digits)?;
    let (major, rest) = (amount.minor / one, amount.minor % one);
    let code = amount.currency.as_str();
    let value = match (amount.minor, digits) {
        (..0, _) => return None,
        (_, 0) => major.to_string(),
        (_, _) if WHOLE.contains(&code) => (rest == 0).then(|| major.to_string())?,
        (_, _) => format!("{major}.{rest:0width$}", width = usize::try_from(digits).ok()?),
    };
    Some(json!({"currency_code": code, "value": value}))
}

pub(super) fn read(amount: &Value) -> Option<Money> {
    let currency: actors::Currency = text(amount, "currency_code").parse().ok()?;
    let (major, rest) = match text(amount, "value").split_once('.') {
        Some((major, rest)) => (major, rest),
        None => (text(amount, "value"), ""),
    };
    let digits = usize::from(currency.minor_digits());
    let are_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    // Zeros past the smallest unit change nothing.
    let (kept, beyond) = rest.split_at_checked(digits).unwrap_or((rest, ""));
    let is_plain = !major.is_empty() && major.len() + digits <= DIGITS_MAX;
    let is_exact = beyond.bytes().all(|byte| byte == b'0');
    if !is_plain || !is_exact || !are_digits(major) || !are_digits(kept) {
        return None;
    }
    let minor: i64 = format!("{major}{kept:0<digits$}").parse().ok()?;
    Some(Money { minor, currency })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn money(minor: i64, currency: &str) -> Money {
        Money { minor, currency: currency.parse().unwrap() }
    }

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (amount, value) in [
            (money(1_299, "EUR"), Some("12.99")),
            (money(5, "EUR"), Some("0.05")),
            (money(1_299, "JPY"), Some("1299")),
            (money(1_299, "KWD"), Some("1.299")),
            (money(1_200, "HUF"), Some("12")),
            (money(1_299, "HUF"), None),
            (money(-1, "EUR"), None),
        ] {
            let written = written(amount);
            assert_eq!(written.as_ref().map(|it| text(it, "value")), value, "{amount:?}");
            if let Some(written) = written {
                assert_eq!(read(&written), Some(amount));
            }
        }
        for (code, bad) in [
            ("EUR", ""),
            ("EUR", "."),
            ("EUR", ".5"),
            ("EUR", "-1.00"),
            ("EUR", "1.001"),
            ("EUR", "+1"),
            ("EUR", "1e3"),
            ("EUR", "99999999999999999999"),
            ("eur", "1.00"),
        ] {
            let amount = json!({"currency_code": code, "value": bad});
            assert_eq!(read(&amount), None, "{amount}");
        }
        let short = json!({"currency_code": "EUR", "value": "7.5"});
        assert_eq!(read(&short), Some(money(750, "EUR")));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(
            minor in 0..=(1_i64 << 53) - 1,
            currency in prop::sample::select(vec!["EUR", "JPY", "KWD", "USD", "BHD"]),
        ) {
            let amount = money(minor, currency);
            prop_assert_eq!(read(&written(amount).unwrap()), Some(amount));
        }

        #[test]
        fn any_text_is_an_amount_or_none(value in ".{0,24}", code in "[A-Z]{3}|.{0,4}") {
            let amount = json!({"currency_code": code, "value": value});
            if let Some(money) = read(&amount) {
                prop_assert!(money.minor >= 0);
                let again = written(money).and_then(|written| read(&written));
                prop_assert!(again.is_none_or(|again| again == money));
            }
        }
    }
}

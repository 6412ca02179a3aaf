//! The values that many bodies are made of, as bounded as their types are.

use actors::domain::catalogue::Grams;
use actors::domain::contact::Email;
use actors::domain::names::{Label, Slug};
use actors::domain::page::MediaUrl;
use actors::domain::payment::{ProviderName, ProviderToken};
use actors::domain::prices::Prices;
use actors::domain::tax::{Percent, Region};
use actors::domain::translations::Prose;
use actors::{Money, Payment, Quantity, Reason, SkuCode, Units};

use super::{Described, Schema, Text, integer, object, required};

/// One printable line, with room for what people write.
const LINE: &str = r"^[^\u0000-\u001f\u007f-\u009f]+$";
const PROSE: &str = r"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]+$";
const HANDLE: &str = "^[A-Za-z0-9._-]+$";
/// 26 digits of base 32; the first one holds what is left of 128 bits.
macro_rules! id_pattern {
    ($prefix:literal) => {
        concat!("^", $prefix, "_[0-7][0-9a-hjkmnp-tv-z]{25}$")
    };
}

/// A text of one form and of bounded length.
pub(in crate::http) const fn bounded(
    min: usize,
    max: usize,
    pattern: &'static str,
    such_as: &'static str,
) -> Schema {
    Schema::Text(Text { min, max: Some(max), pattern: Some(pattern), such_as })
}

/// A text of one form.
pub(in crate::http) const fn exact(pattern: &'static str, such_as: &'static str) -> Schema {
    Schema::Text(Text { min: 0, max: None, pattern: Some(pattern), such_as })
}

/// A text of this service's own making, or of no certain form.
pub(in crate::http) const fn text(such_as: &'static str) -> Schema {
    Schema::Text(Text { min: 0, max: None, pattern: None, such_as })
}

pub(in crate::http) const fn cart_id() -> Schema {
    exact(id_pattern!("cart"), "cart_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn order_id() -> Schema {
    exact(id_pattern!("ord"), "ord_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn payment_id() -> Schema {
    exact(id_pattern!("pay"), "pay_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn import_id() -> Schema {
    exact(id_pattern!("imp"), "imp_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn reservation_id() -> Schema {
    exact(id_pattern!("res"), "res_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn capture_id() -> Schema {
    exact(id_pattern!("cap"), "cap_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn refund_id() -> Schema {
    exact(id_pattern!("ref"), "ref_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

pub(in crate::http) const fn gift_card_id() -> Schema {
    exact(id_pattern!("gift"), "gift_01jzy5v3n8q2w4x6t7r9k0m1ab")
}

/// Spaces and hyphens do not count, so that no pattern says all.
pub(in crate::http) const fn gift_code() -> Schema {
    const CODE: &str = "^[A-Za-z0-9]{4}([ -]?[A-Za-z0-9]{4}){2,9}$";
    exact(CODE, "7Z0Z-0123-4567-89AB")
}

pub(in crate::http) const fn sku() -> Schema {
    bounded(1, SkuCode::BYTES_MAX, HANDLE, "tea-oolong-100")
}

/// The merchant's own name of something.
pub(in crate::http) const fn handle(such_as: &'static str) -> Schema {
    bounded(1, Slug::BYTES_MAX, HANDLE, such_as)
}

pub(in crate::http) const fn line(such_as: &'static str) -> Schema {
    bounded(1, Label::BYTES_MAX, LINE, such_as)
}

pub(in crate::http) const fn reason(such_as: &'static str) -> Schema {
    bounded(1, Reason::CHARS_MAX, LINE, such_as)
}

pub(in crate::http) const fn prose(such_as: &'static str) -> Schema {
    bounded(1, Prose::BYTES_MAX, PROSE, such_as)
}

pub(in crate::http) const fn email() -> Schema {
    // Of the domain's rules as much as a pattern can say.
    const EMAIL: &str = r"^[^@\s\u0000-\u001f\u007f-\u009f]{1,64}@[^@.\s\u0000-\u001f\u007f-\u009f]+(\.[^@.\s\u0000-\u001f\u007f-\u009f]+)+$";
    bounded(5, Email::BYTES_MAX, EMAIL, "a.shopper@example.org")
}

pub(in crate::http) const fn currency() -> Schema {
    exact("^[A-Z]{3}$", "EUR")
}

pub(in crate::http) const fn country() -> Schema {
    exact("^[A-Z]{2}$", "DE")
}

pub(in crate::http) const fn region() -> Schema {
    bounded(1, Region::BYTES_MAX, "^[A-Z0-9]+$", "BE")
}

pub(in crate::http) const fn language() -> Schema {
    exact("^[a-z]{2,3}(-[A-Z]{2})?$", "de")
}

pub(in crate::http) const fn tax_rate_id() -> Schema {
    exact("^[A-Z]{2}(-[A-Z0-9]{1,3})?[.][A-Za-z0-9._-]{1,64}$", "DE-BE.standard")
}

pub(in crate::http) const fn media_url() -> Schema {
    bounded(1, MediaUrl::BYTES_MAX, r"^(https://[!-~]*|/([!-.0-~][!-~]*)?)$", "/media/oolong.webp")
}

pub(in crate::http) const fn provider() -> Schema {
    bounded(1, ProviderName::BYTES_MAX, "^[a-z][a-z0-9_-]*$", "simulator")
}

pub(in crate::http) const fn provider_token() -> Schema {
    bounded(1, ProviderToken::BYTES_MAX, "^[A-Za-z][!-~]*$", "tok_visa")
}

pub(in crate::http) const fn instant() -> Schema {
    const INSTANT: &str = "^(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])\
        T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,6})?Z$";
    exact(INSTANT, "2026-01-31T23:59:59.000000Z")
}

pub(in crate::http) fn quantity() -> Schema {
    integer(1, i64::from(Quantity::MAX), 2)
}

pub(in crate::http) fn units(such_as: i64) -> Schema {
    integer(0, i64::from(Units::MAX), such_as)
}

pub(in crate::http) fn rate_millionths() -> Schema {
    integer(0, i64::from(Percent::MILLIONTHS_MAX), 190_000)
}

pub(in crate::http) fn grams() -> Schema {
    integer(0, i64::from(Grams::MAX), 100)
}

/// An amount that is charged for a thing, or not.
pub(in crate::http) fn price() -> Schema {
    amount(0, Prices::PRICE_MAX)
}

/// An amount by which something is cheaper.
pub(in crate::http) fn taken_off() -> Schema {
    amount(1, Prices::PRICE_MAX)
}

/// An amount that moves.
pub(in crate::http) fn moved() -> Schema {
    amount(1, Payment::AMOUNT_MAX)
}

pub(in crate::http) fn amount(min: i64, max: i64) -> Schema {
    object([required("amount", integer(min, max, 1_290)), required("currency", currency())])
}

impl Described for Money {
    fn name() -> String {
        "Money".to_owned()
    }

    fn schema() -> Schema {
        let minor =
            required("amount", Schema::Integer { min: i64::MIN, max: None, such_as: 1_290 });
        object([
            minor.about("In whole minor units, such as cents."),
            required("currency", currency()),
        ])
    }
}

//! The code of a gift card, which whoever has it may spend.
//!
//! **Invariants:** a code has one spelling, whatever case, spaces and hyphens it is written with; it is
//! never kept and never shown again: what is kept is an id that the cluster's secret makes of it, and its
//! last characters.

use std::fmt;
use std::str::FromStr;

use actors::GiftCardId;
use actors::domain::names::Label;

use super::app::App;
use super::keys;

/// Digits and letters that nobody takes for one another.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// Of codes that are made here: 80 bits that nobody guesses.
const LENGTH: usize = 16;
const GROUP: usize = 4;

/// Not `Debug`, so that it is in no log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GiftCode(String);

#[derive(Debug)]
pub(super) struct InvalidGiftCode;

impl fmt::Display for InvalidGiftCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (GiftCode::LENGTH_MIN, GiftCode::LENGTH_MAX);
        write!(f, "must be {min} to {max} letters and digits; spaces and hyphens do not count")
    }
}

impl GiftCode {
    /// Shorter ones could be guessed.
    pub(super) const LENGTH_MIN: usize = 12;
    pub(super) const LENGTH_MAX: usize = 40;
    /// With what may stand between.
    pub(super) const WRITTEN_MAX: usize = 2 * Self::LENGTH_MAX;

    /// The code that these random bytes are.
    pub(super) fn made_of(bytes: [u8; 16]) -> Self {
        let digit = |byte: &u8| {
            let digit = ALPHABET.get(usize::from(byte & 31));
            char::from(digit.copied().unwrap_or(b'0'))
        };
        Self(bytes.iter().take(LENGTH).map(digit).collect())
    }

    pub(super) fn id(&self, app: &App) -> GiftCardId {
        let digest = app.secrets.derive("gift card", &[self.0.as_bytes()]);
        let (slot, unique) = keys::slot_and_unique(keys::half(digest));
        GiftCardId::in_slot(slot, unique)
    }

    /// What its owner knows it by.
    pub(super) fn ending(&self) -> Label {
        let start = self.0.len().saturating_sub(GROUP);
        Label::of_what_fits(self.0.get(start..).unwrap_or_default())
    }

    /// In groups, as it is given to its owner.
    pub(super) fn in_groups(&self) -> String {
        let mut written = String::with_capacity(self.0.len() + self.0.len() / GROUP);
        for (nth, digit) in self.0.chars().enumerate() {
            if nth > 0 && nth % GROUP == 0 {
                written.push('-');
            }
            written.push(digit);
        }
        written
    }
}

impl FromStr for GiftCode {
    type Err = InvalidGiftCode;

    fn from_str(written: &str) -> Result<Self, InvalidGiftCode> {
        if written.len() > Self::WRITTEN_MAX {
            return Err(InvalidGiftCode);
        }
        let counts = written.chars().filter(|one| !matches!(one, ' ' | '-'));
        let code: String = counts.map(|one| one.to_ascii_uppercase()).collect();
        let is_plain = code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let fits = (Self::LENGTH_MIN..=Self::LENGTH_MAX).contains(&code.len());
        if is_plain && fits { Ok(Self(code)) } else { Err(InvalidGiftCode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_spelling() {
        let code = |written: &str| written.parse::<GiftCode>().ok().map(|code| code.0);
        assert_eq!(code("abcd-efgh jkmn").as_deref(), Some("ABCDEFGHJKMN"));
        assert_eq!(code("ABCDEFGHJKMN"), code("abcd efgh-jkmn"));
        for bad in ["", "abcd-efgh", "abcd_efgh_jkmn", "äbcdefghjkmn", "-----------------"] {
            assert_eq!(code(bad), None, "{bad}");
        }
        assert_eq!(code(&"a".repeat(GiftCode::LENGTH_MAX + 1)), None);
        assert_eq!(code(&"-".repeat(GiftCode::WRITTEN_MAX + 1)), None);
    }

    #[test]
    fn what_is_made_is_read_as_it_is_written() {
        let made = GiftCode::made_of([7, 255, 0, 31, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(made.in_groups(), "7Z0Z-0123-4567-89AB");
        assert!(made.in_groups().parse::<GiftCode>().ok() == Some(made.clone()));
        assert_eq!(made.ending().as_str(), "89AB");
    }
}

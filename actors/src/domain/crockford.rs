//! Sixteen bytes as 26 digits of Crockford's base 32, in lower case.
//!
//! **Invariants:** one value has one spelling, so a text that decodes encodes to itself; texts sort
//! as their bytes do. Aliases (`O` for `0`), capitals and hyphens are therefore refused.

use std::fmt::{self, Write as _};

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const DIGITS: u32 = 26;
const BITS_PER_DIGIT: u32 = 5;

pub(crate) fn write(bytes: [u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = u128::from_be_bytes(bytes);
    for place in (0..DIGITS).rev() {
        let digit = (value >> (place * BITS_PER_DIGIT)) & 31;
        let symbol = usize::try_from(digit).ok().and_then(|digit| ALPHABET.get(digit));
        f.write_char(symbol.map_or('0', |symbol| char::from(*symbol)))?;
    }
    Ok(())
}

pub(crate) fn parse(text: &str) -> Option<[u8; 16]> {
    if text.len() != DIGITS as usize {
        return None;
    }
    let mut value: u128 = 0;
    for symbol in text.bytes() {
        let digit = ALPHABET.iter().position(|known| *known == symbol)?;
        // The leading digit has three bits only: what would be shifted out is not a value.
        value = value.checked_mul(32)?.checked_add(digit as u128)?;
    }
    Some(value.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Shown([u8; 16]);

    impl fmt::Display for Shown {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write(self.0, f)
        }
    }

    #[track_caller]
    fn check(bytes: [u8; 16], text: &str) {
        assert_eq!(Shown(bytes).to_string(), text);
        assert_eq!(parse(text), Some(bytes));
    }

    #[test]
    fn values_have_a_fixed_spelling() {
        check([0; 16], "00000000000000000000000000");
        check([255; 16], "7zzzzzzzzzzzzzzzzzzzzzzzzz");
        check(31_u128.to_be_bytes(), "0000000000000000000000000z");
        check((1_u128 << 127).to_be_bytes(), "40000000000000000000000000");
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "0000000000000000000000000",
            "000000000000000000000000000",
            "80000000000000000000000000",
            "0000000000000000000000000Z",
            "0000000000000000000000000o",
            "0000000000000000000000000é",
            "000000000000000000000000-0",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

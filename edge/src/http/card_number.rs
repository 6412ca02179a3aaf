//! Card numbers in free text: they are refused, so that none is ever stored.
//!
//! **Invariants:** any 13 to 19 digits that pass the check digit and stand as whole groups are
//! found, whatever stands around them and whichever separators stand between the groups.

const DIGITS_MIN: usize = 13;
const DIGITS_MAX: usize = 19;
/// Groups of one number stand at most this many characters apart.
const GAP_MAX: usize = 2;

/// Whether a text holds what looks like a card number.
pub(super) fn is_in(text: &str) -> bool {
    let groups = groups(text);
    (0..groups.len()).any(|first| {
        let mut digits: Vec<u32> = Vec::with_capacity(DIGITS_MAX);
        for (nth, group) in groups.iter().skip(first).enumerate() {
            if nth > 0 && !group.follows {
                return false;
            }
            if digits.len() + group.digits.len() > DIGITS_MAX {
                return false;
            }
            digits.extend(&group.digits);
            if digits.len() >= DIGITS_MIN && passes_check(&digits) {
                return true;
            }
        }
        false
    })
}

/// Digits without anything between them.
#[derive(Default)]
struct Group {
    digits: Vec<u32>,
    /// Only separators stand between the group before and this one.
    follows: bool,
}

fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut gap = Some(GAP_MAX + 1);
    for character in text.chars() {
        match (character.to_digit(10), gap) {
            (Some(digit), Some(0)) => {
                if let Some(group) = groups.last_mut() {
                    group.digits.push(digit);
                }
            }
            (Some(digit), _) => {
                let follows = gap.is_some_and(|gap| gap <= GAP_MAX);
                groups.push(Group { digits: vec![digit], follows });
                gap = Some(0);
            }
            (None, _) if is_separator(character) => gap = gap.map(|gap| gap.saturating_add(1)),
            (None, _) => gap = None,
        }
    }
    groups
}

fn is_separator(character: char) -> bool {
    character.is_whitespace() || "-._/,:–—·".contains(character)
}

/// The check digit of ISO/IEC 7812: from the right, every second digit counts twice.
fn passes_check(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(nth, digit)| match (nth % 2, *digit) {
            (0, digit) => digit,
            (_, digit) if digit > 4 => 2 * digit - 9,
            (_, digit) => 2 * digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_numbers_are_found_however_they_are_written() {
        for text in [
            "4111111111111111",
            "paid with 4111 1111 1111 1111.",
            "4111-1111-1111-1111",
            "4111 1111 1111 1111 12/29",
            "7 4111 1111 1111 1111",
            "card:378282246310005!",
            "5555.5555.5555.4444",
            "4111\u{a0}1111\u{a0}1111\u{a0}1111",
            "4222222222222",
        ] {
            assert!(is_in(text), "{text}");
        }
    }

    #[test]
    fn other_numbers_pass() {
        for text in [
            "",
            "recount after 2026-01-17",
            "4111111111111112",
            "411111111111",
            "order 41111111111111111111111",
            "4111 1111 x 1111 1111",
            "found 12 in bin 4411-22",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}

//! 32 bytes as URL-safe base64 without padding, and back; nothing but the one text form is read.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const DIGITS: usize = 43;

pub(super) fn encode(bytes: &[u8; 32]) -> String {
    let mut text = String::with_capacity(DIGITS);
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for nth in 0..3 {
            bits = bits << 8 | u32::from(group.get(nth).copied().unwrap_or(0));
        }
        for nth in 0..=group.len() {
            let digit = bits >> (18 - 6 * nth) & 63;
            let digit = ALPHABET.get(digit as usize).copied().unwrap_or(b'A');
            text.push(char::from(digit));
        }
    }
    text
}

pub(super) fn decode(text: &[u8]) -> Option<[u8; 32]> {
    if text.len() != DIGITS {
        return None;
    }
    let mut bytes = [0; 32];
    for (group, digits) in bytes.chunks_mut(3).zip(text.chunks(4)) {
        let mut bits = 0_u32;
        for nth in 0..4 {
            bits = bits << 6 | digits.get(nth).map_or(Some(0), |digit| value(*digit))?;
        }
        let [_, first, second, third] = bits.to_be_bytes();
        for (byte, value) in group.iter_mut().zip([first, second, third]) {
            *byte = value;
        }
        // The last digit of a short group has bits to spare: only zeros are its text form.
        if digits.len() == 3 && third != 0 {
            return None;
        }
    }
    Some(bytes)
}

fn value(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_their_text() {
        let rising: [u8; 32] = std::array::from_fn(|nth| u8::try_from(nth * 8 + 5).unwrap());
        for bytes in [[0; 32], [255; 32], rising] {
            let text = encode(&bytes);
            assert_eq!(text.len(), DIGITS);
            assert_eq!(decode(text.as_bytes()), Some(bytes));
        }
        assert_eq!(encode(&[255; 32]), format!("{}8", "_".repeat(42)));
    }

    #[test]
    fn another_text_of_the_same_bytes_is_refused() {
        let text = encode(&[0; 32]);
        for bad in
            [&text[1..], &format!("{text}A"), &format!("{}B", &text[1..]), &text.replace('A', "+")]
        {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}

//! Numbers and runs of bytes as messages hold them.
//!
//! **Invariants:** a number has one encoding, the shortest; nothing is read past the end, and a
//! claimed length is checked against what is there before anything is reserved for it.

use crate::replication::codec::MessageError;

pub(crate) fn push_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    out.push(low_bits(number));
}

pub(crate) fn push_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    push_number(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn low_bits(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low & 0x7f
}

pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn byte(&mut self, what: &'static str) -> Result<u8, MessageError> {
        let (first, rest) = self.rest.split_first().ok_or(MessageError::Truncated(what))?;
        self.rest = rest;
        Ok(*first)
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, MessageError> {
        match self.byte(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(MessageError::Unknown(what)),
        }
    }

    pub(crate) fn number(&mut self, what: &'static str) -> Result<u64, MessageError> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if bits.leading_zeros() < shift {
                return Err(MessageError::TooLarge(what));
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 { Err(MessageError::Padded) } else { Ok(number) };
            }
        }
        Err(MessageError::TooLarge(what))
    }

    pub(crate) fn bytes(
        &mut self,
        what: &'static str,
        bytes_max: usize,
    ) -> Result<&'a [u8], MessageError> {
        let len = usize::try_from(self.number(what)?).ok().filter(|len| *len <= bytes_max);
        let len = len.ok_or(MessageError::TooLarge(what))?;
        let (bytes, rest) = self.rest.split_at_checked(len).ok_or(MessageError::Truncated(what))?;
        self.rest = rest;
        Ok(bytes)
    }

    /// A number of things that take `bytes_each` at least.
    pub(crate) fn count(
        &mut self,
        what: &'static str,
        bytes_each: usize,
    ) -> Result<usize, MessageError> {
        let count = usize::try_from(self.number(what)?).ok();
        let fits = |count: &usize| *count <= self.rest.len() / bytes_each.max(1);
        count.filter(fits).ok_or(MessageError::Truncated(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_encoding() {
        for number in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            push_number(&mut bytes, number);
            let mut reader = Reader::new(&bytes);
            assert_eq!((reader.number("n"), reader.left()), (Ok(number), 0));
        }
        let refused = |bytes: &[u8]| Reader::new(bytes).number("n");
        assert_eq!(refused(&[0x80, 0]), Err(MessageError::Padded));
        assert_eq!(refused(&[0x80]), Err(MessageError::Truncated("n")));
        assert_eq!(refused(&[0xff; 11]), Err(MessageError::TooLarge("n")));
        let over = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2];
        assert_eq!(refused(&over), Err(MessageError::TooLarge("n")));
    }

    #[test]
    fn a_claimed_length_must_be_there() {
        assert_eq!(Reader::new(&[3, 1, 2]).bytes("b", 9), Err(MessageError::Truncated("b")));
        assert_eq!(Reader::new(&[3, 1, 2, 3]).bytes("b", 2), Err(MessageError::TooLarge("b")));
        assert_eq!(Reader::new(&[9, 1, 2]).count("c", 1), Err(MessageError::Truncated("c")));
    }
}

//! How simulators misbehave: as often as told, and the same way in every run.
//!
//! **Invariants:** what happens follows from the seed, what it is about and the attempt alone.

/// A share of all cases: 0 to 100.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percent(u8);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a percentage is a whole number from 0 to 100")]
pub struct InvalidPercent;

impl TryFrom<u8> for Percent {
    type Error = InvalidPercent;

    fn try_from(percent: u8) -> Result<Self, InvalidPercent> {
        if percent <= 100 { Ok(Self(percent)) } else { Err(InvalidPercent) }
    }
}

impl Percent {
    /// Whether this case is one of the share: the same case always is, or never.
    pub(super) fn has(self, seed: u64, what: &str, of: &[u8], attempt: u32) -> bool {
        let parts = [&seed.to_le_bytes()[..], what.as_bytes(), of, &attempt.to_le_bytes()];
        mixed(parts.into_iter().flatten()) % 100 < u64::from(self.0)
    }
}

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Prompt,
    /// Nothing is done, and there is no answer.
    Lost,
    /// It is done, and there is no answer.
    Late,
}

/// FNV-1a, and a finish that spreads it; chance of this quality is enough here.
fn mixed<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

//! `Omni-Seq` and `Omni-Min-Seq`: places in the history of shards, as clients carry them.

use std::fmt::{self, Write};

use axum::http::{HeaderMap, HeaderName};
use cluster::ids::{Incarnation, Position, ShardId};

use super::code::Code;
use super::error::ApiError;

pub(super) const OMNI_SEQ: HeaderName = HeaderName::from_static("omni-seq");
pub(super) const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const OMNI_MIN_SEQ: HeaderName = HeaderName::from_static("omni-min-seq");
/// One for every shard that a client may have written to.
const POSITIONS_MAX: usize = 256;

/// Shows positions as `Omni-Seq` carries them.
pub(super) struct OmniSeq<'a>(pub(super) &'a [Position]);

impl fmt::Display for OmniSeq<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, Position { incarnation, shard, index }) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_char(',')?;
            }
            write!(f, "{}.{shard}:{index}", incarnation.0)?;
        }
        Ok(())
    }
}

/// The positions that a request wants to read at or past.
pub(super) fn wanted(headers: &HeaderMap, own: Incarnation) -> Result<Vec<Position>, ApiError> {
    let mut positions = Vec::new();
    for value in headers.get_all(OMNI_MIN_SEQ) {
        let text = value.to_str().map_err(|_| malformed())?;
        for part in text.split(',') {
            positions.push(parse(part.trim_matches([' ', '\t'])).ok_or_else(malformed)?);
            if positions.len() > POSITIONS_MAX {
                return Err(malformed());
            }
        }
    }
    if positions.iter().any(|position| position.incarnation != own) {
        return Err(ApiError::sequence_unknown());
    }
    Ok(positions)
}

fn parse(text: &str) -> Option<Position> {
    let (incarnation, rest) = text.split_once('.')?;
    let (shard, index) = rest.split_once(':')?;
    Some(Position {
        incarnation: Incarnation(u32::try_from(number(incarnation)?).ok()?),
        shard: ShardId(u32::try_from(number(shard)?).ok()?),
        index: number(index)?,
    })
}

/// Decimal digits and nothing else: the standard parser takes a sign.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn malformed() -> ApiError {
    ApiError::new(Code::MIN_SEQ_INVALID, "Omni-Min-Seq is a list of `incarnation.shard:index`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(OMNI_MIN_SEQ, value.parse().unwrap())])
    }

    #[test]
    fn positions_survive_their_text() {
        let own = Incarnation(3);
        let position = |shard, index| Position { incarnation: own, shard: ShardId(shard), index };
        let positions = [position(7, 99), position(0, u64::MAX)];
        let text = OmniSeq(&positions).to_string();
        assert_eq!(text, "3.7:99,3.0:18446744073709551615");
        assert_eq!(wanted(&headers(&text), own).unwrap(), positions);
        assert_eq!(wanted(&headers("3.7:99 ,\t3.7:100"), own).unwrap().len(), 2);
        assert_eq!(wanted(&HeaderMap::new(), own).unwrap(), []);
    }

    #[test]
    fn what_is_not_a_position_is_refused() {
        for bad in [
            "",
            "1",
            "1.2",
            "1.2:",
            "1.2:x",
            "1.2:+3",
            "-1.2:3",
            "1.2:3,",
            "1.2:3;4",
            "4294967296.1:1",
            "1.1:18446744073709551616",
        ] {
            let error = wanted(&headers(bad), Incarnation(1)).unwrap_err();
            assert_eq!(error.code(), Code::MIN_SEQ_INVALID, "{bad}");
        }
        let error = wanted(&headers("2.1:1"), Incarnation(1)).unwrap_err();
        assert_eq!(error.code(), Code::SEQUENCE_UNKNOWN);
    }
}

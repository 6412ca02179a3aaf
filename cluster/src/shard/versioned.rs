//! Reading what a shard keeps: a version, then the value of that version.

use serde::de::DeserializeOwned;
use storage::codec;

use crate::entity::DecodeError;

/// Reads a value of the one version there is so far.
pub(crate) fn decode<T: DeserializeOwned>(
    what: &'static str,
    known: u16,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let damaged = |why: String| DecodeError { what, why };
    let (version, body) =
        codec::split_version(bytes).map_err(|error| damaged(error.to_string()))?;
    if version != known {
        return Err(damaged(format!("version {version} is newer than {known}")));
    }
    codec::decode(body).map_err(|error| damaged(error.to_string()))
}

//! Envelopes, version prefixes, and blocks that are expanded.

use storage::codec;

use crate::allocation::bounded;
use crate::world::{choosing, chosen};

const FIXED_BYTES: usize = 8 << 20;
/// Past what any caller lets a block expand to.
const EXPANDED_BYTES_MAX: usize = 4 << 20;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    match choice {
        0 => envelope(bytes),
        1 => prefix(bytes),
        2 => block(bytes),
        _ => values(bytes),
    }
}

fn envelope(bytes: &[u8]) {
    if let Ok(envelope) = codec::open_envelope(bytes) {
        let sealed = codec::seal_envelope(envelope.type_id, envelope.version, envelope.body);
        assert_eq!(codec::open_envelope(&sealed).expect("sealed above"), envelope);
    }
}

fn prefix(bytes: &[u8]) {
    if let Ok((version, body)) = codec::split_version(bytes) {
        assert_eq!([&version.to_le_bytes(), body].concat(), bytes);
    }
}

fn block(bytes: &[u8]) {
    let Some((len, block)) = bytes.split_first_chunk::<4>() else { return };
    let len = usize::try_from(u32::from_le_bytes(*len)).expect("fits") % EXPANDED_BYTES_MAX;
    if let Ok(raw) = bounded(bytes.len(), FIXED_BYTES, || codec::decompress(block, len)) {
        assert_eq!(raw.len(), len);
        let again = codec::decompress(&codec::compress(&raw), len);
        assert_eq!(again.expect("compressed above"), raw);
    }
}

type Nested = (u8, Vec<Option<String>>, Vec<Vec<u64>>, [u8; 4], bool, char);

fn values(bytes: &[u8]) {
    let decoded = bounded(bytes.len(), FIXED_BYTES, || codec::decode::<Nested>(bytes));
    if let Ok(value) = decoded {
        assert_eq!(codec::encode(&value), bytes);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let raw: Vec<u8> = b"green tea ".iter().copied().cycle().take(300).collect();
    let len = u32::try_from(raw.len()).expect("small").to_le_bytes();
    let nested: Nested =
        (1, vec![None, Some("tea".to_owned())], vec![vec![7; 2], vec![]], *b"cups", true, 'ō');
    vec![
        choosing(0, &codec::seal_envelope(7, 1, b"body")),
        choosing(1, &codec::encode_versioned(1, &7_u64)),
        choosing(2, &[&len, codec::compress(&raw).as_slice()].concat()),
        choosing(3, &codec::encode(&nested)),
    ]
}

//! The codec's bytes are fixed, its decoders take any bytes, and the vault keeps what it seals.

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use storage::codec::{
    CodecError, ENVELOPE_BYTES, VALUE_BYTES_MAX, compress, decode, decompress, encode,
    encode_versioned, open_envelope, seal_envelope, split_version, try_encode,
};
use storage::seal::{Seal, SealError};
use storage::vault::{KeyCheck, KeyCheckError, KeyFileError, SEAL_OVERHEAD_BYTES, Vault};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    number: u64,
    quantity: u16,
    note: Option<String>,
    lines: Vec<Line>,
    tags: BTreeMap<String, i32>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Line {
    Sku { id: [u8; 4], price: i64 },
    Gift(String),
    Separator,
}

fn order() -> Order {
    Order {
        number: 7,
        quantity: 3,
        note: Some("tea".to_owned()),
        lines: vec![Line::Sku { id: *b"abcd", price: -2 }, Line::Separator],
        tags: BTreeMap::from([("x".to_owned(), 1)]),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_bytes_of_a_value_are_fixed() {
    let expected = "0700000000000000030001030000000000000074656102000000000000000000000061626364\
                    feffffffffffffff020000000100000000000000010000000000000078\
                    01000000";
    assert_eq!(hex(&encode(&order())), expected);
    assert_eq!(hex(&encode_versioned(0x0201, &5_u32)), "010205000000");
    assert_eq!(decode::<Order>(&encode(&order())).unwrap(), order());
}

#[test]
fn the_bytes_of_an_envelope_are_fixed() {
    let sealed = seal_envelope(0x0102, 3, b"tea");
    assert_eq!(hex(&sealed), "4f43455602010300030000008fb96396746561");
    let envelope = open_envelope(&sealed).unwrap();
    assert_eq!((envelope.type_id, envelope.version, envelope.body), (0x0102, 3, &b"tea"[..]));
}

#[test]
fn every_flipped_bit_of_an_envelope_is_noticed() {
    let sealed = seal_envelope(9, 1, b"two cups of tea");
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(open_envelope(&damaged).is_err(), "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(open_envelope(&sealed[..len]).is_err(), "length {len}");
    }
    let longer = [sealed.as_slice(), b"!"].concat();
    assert!(matches!(open_envelope(&longer), Err(CodecError::EnvelopeLength { .. })));
}

#[test]
fn bytes_left_over_and_bytes_missing_are_errors() {
    let mut bytes = encode(&order());
    bytes.push(0);
    assert!(matches!(decode::<Order>(&bytes), Err(CodecError::Decode { .. })));
    bytes.truncate(bytes.len() - 2);
    assert!(matches!(decode::<Order>(&bytes), Err(CodecError::Decode { .. })));
    assert!(matches!(split_version(&[1]), Err(CodecError::Truncated { .. })));
    assert_eq!(split_version(&[1, 2, 3]).unwrap(), (0x0201, &[3_u8][..]));
}

#[test]
fn a_claimed_length_takes_no_memory() {
    // Were the claim believed, this would ask for 16 EiB and end the process.
    let claims: [&[u8]; 3] = [&[0xff; 8], &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], &[0xff; 64]];
    for claim in claims {
        assert!(decode::<Vec<u64>>(claim).is_err());
        assert!(decode::<Vec<Vec<Vec<u8>>>>(claim).is_err());
        assert!(decode::<String>(claim).is_err());
        assert!(decode::<BTreeMap<u64, String>>(claim).is_err());
        assert!(decode::<std::collections::HashMap<u64, u64>>(claim).is_err());
    }
}

#[test]
fn a_value_beyond_the_limit_is_refused_when_it_is_encoded() {
    let fits = vec![1_u8; VALUE_BYTES_MAX - 8];
    assert_eq!(decode::<Vec<u8>>(&try_encode(&fits).unwrap()).unwrap(), fits);
    let too_long = vec![1_u8; VALUE_BYTES_MAX - 7];
    assert!(matches!(try_encode(&too_long), Err(CodecError::Encode(_))));
}

#[test]
fn a_block_expands_to_its_length_or_not_at_all() {
    let raw = b"tea tea tea tea tea tea tea tea tea tea tea tea".repeat(20);
    let block = compress(&raw);
    assert!(block.len() < raw.len() / 4);
    assert_eq!(decompress(&block, raw.len()).unwrap(), raw);
    for wrong in [0, 1, raw.len() - 1, raw.len() + 1] {
        assert!(matches!(decompress(&block, wrong), Err(CodecError::Decompress { .. })), "{wrong}");
    }
}

fn lines() -> impl Strategy<Value = Line> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<i64>()).prop_map(|(id, price)| Line::Sku { id, price }),
        ".{0,12}".prop_map(Line::Gift),
        Just(Line::Separator),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded(
        number: u64,
        quantity: u16,
        note in proptest::option::of(".{0,12}"),
        lines in proptest::collection::vec(lines(), 0..8),
        tags in proptest::collection::btree_map(".{0,6}", any::<i32>(), 0..4),
    ) {
        let order = Order { number, quantity, note, lines, tags };
        let bytes = encode(&order);
        let decoded: Order = decode(&bytes).unwrap();
        prop_assert_eq!(encode(&decoded), bytes);
        prop_assert_eq!(decoded, order);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), len in 0_usize..5000) {
        if let Ok(order) = decode::<Order>(&bytes) {
            prop_assert_eq!(encode(&order), bytes.clone());
        }
        prop_assert!(open_envelope(&bytes).is_err());
        prop_assert!(KeyCheck::verify(&bytes, None).is_err());
        prop_assert!(Vault::from_key([3; 32]).open(b"", &bytes).is_err());
        if let Ok(raw) = decompress(&bytes, len) {
            prop_assert_eq!(raw.len(), len);
        }
    }

    #[test]
    fn a_damaged_value_decodes_to_itself_or_not(at in 0_usize..90, bit in 0_u32..8) {
        let mut bytes = encode(&order());
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(decoded) = decode::<Order>(&bytes) {
            prop_assert_eq!(encode(&decoded), bytes);
        }
    }

    #[test]
    fn what_is_sealed_opens_under_the_same_place_only(
        plain in proptest::collection::vec(any::<u8>(), 0..200),
        aad in proptest::collection::vec(any::<u8>(), 0..20),
        bit in 0_usize..8000,
    ) {
        let vault = Vault::from_key([7; 32]);
        let sealed = vault.seal(&aad, &plain).unwrap();
        prop_assert_eq!(sealed.len(), plain.len() + SEAL_OVERHEAD_BYTES);
        prop_assert_eq!(vault.open(&aad, &sealed).unwrap(), plain.clone());
        prop_assert_ne!(vault.seal(&aad, &plain).unwrap(), sealed.clone());
        let elsewhere = [aad.as_slice(), b"!"].concat();
        prop_assert_eq!(vault.open(&elsewhere, &sealed), Err(SealError::Open));
        prop_assert_eq!(Vault::from_key([8; 32]).open(&aad, &sealed), Err(SealError::Open));
        let mut damaged = sealed;
        let bit = bit % (damaged.len() * 8);
        damaged[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(vault.open(&aad, &damaged), Err(SealError::Open));
    }
}

#[test]
fn a_sealed_unit_of_an_earlier_version_still_opens() {
    let vault = Vault::from_key([7; 32]);
    let sealed = hex_bytes(SEALED_BY_VERSION_1);
    assert_eq!(vault.open(b"place", &sealed).unwrap(), b"two cups of tea");
}

/// Made with another implementation of XChaCha20-Poly1305, nonce `00 01 .. 17`.
const SEALED_BY_VERSION_1: &str = "000102030405060708090a0b0c0d0e0f1011121314151617dc60c4a599692bd605a8e7679287cee9\
    8668630da1c7225f2dc361ce016fa9";

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect()
}

#[test]
fn a_key_file_is_read_or_refused_precisely() {
    let digits = "00ff".repeat(16);
    let vault = Vault::from_key_file(&format!("  {digits}\n")).unwrap();
    let mut key = [0; 32];
    key.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 0xff);
    assert_eq!(vault.key_id(), Vault::from_key(key).key_id());
    assert_eq!(Vault::from_key_file(" \n").unwrap_err(), KeyFileError::Empty);
    assert_eq!(Vault::from_key_file("00").unwrap_err(), KeyFileError::Length { found: 2 });
    let wrong = digits.replacen('f', "g", 1);
    assert_eq!(Vault::from_key_file(&wrong).unwrap_err(), KeyFileError::Digit { position: 3 });
    let wide = format!("é{}", &digits[1..]);
    assert_eq!(Vault::from_key_file(&wide).unwrap_err(), KeyFileError::Digit { position: 1 });
}

#[test]
fn neither_the_key_nor_the_cipher_is_printed() {
    let vault = Vault::from_key([0xab; 32]);
    let printed = format!("{vault:?} {vault:#?} {}", vault.key_id());
    assert!(!printed.contains("171") && !printed.contains("abab"), "{printed}");
    assert!(printed.contains(&vault.key_id().to_string()));
    assert_eq!(vault.key_id().to_string().len(), 16);
}

#[test]
fn a_folder_recognises_its_key() {
    let (ours, other) = (Vault::from_key([1; 32]), Vault::from_key([2; 32]));
    let sealed = KeyCheck::create(Some(&ours)).unwrap();
    let plain = KeyCheck::create(None).unwrap();
    KeyCheck::verify(&sealed, Some(&ours)).unwrap();
    KeyCheck::verify(&plain, None).unwrap();
    let none = KeyCheck::verify(&sealed, None).unwrap_err();
    assert!(none.to_string().ends_with("and no key was given"), "{none}");
    let another = KeyCheck::verify(&sealed, Some(&other)).unwrap_err();
    assert!(another.to_string().contains("with another key"), "{another}");
    assert!(another.to_string().contains(&ours.key_id().to_string()), "{another}");
    let surplus = KeyCheck::verify(&plain, Some(&ours)).unwrap_err();
    assert!(matches!(surplus, KeyCheckError::NotEncrypted { .. }), "{surplus}");
    let mut damaged = sealed;
    damaged[ENVELOPE_BYTES + 9] ^= 1;
    let damaged = KeyCheck::verify(&damaged, Some(&ours)).unwrap_err();
    assert!(matches!(damaged, KeyCheckError::Damaged(_)), "{damaged}");
}

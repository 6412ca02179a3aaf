//! Sealed units and the marker of a folder's key, under real encryption.

use storage::seal::Seal;
use storage::vault::{KeyCheck, SEAL_OVERHEAD_BYTES, Vault};

use crate::allocation::bounded;
use crate::world::{choosing, chosen};

const FIXED_BYTES: usize = 1 << 20;

fn vault() -> Vault {
    Vault::from_key([7; 32])
}

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let vault = vault();
    let (choice, bytes) = chosen(bytes);
    bounded(bytes.len(), FIXED_BYTES, || match choice {
        0 => unit(&vault, bytes),
        1 => {
            let (with, without) =
                (KeyCheck::verify(bytes, Some(&vault)), KeyCheck::verify(bytes, None));
            assert!(with.is_err() || without.is_err(), "a folder is encrypted or not");
        }
        _ => {
            let text = String::from_utf8_lossy(bytes);
            if let Ok(vault) = Vault::from_key_file(&text) {
                assert_eq!(text.trim().len(), 64);
                let sealed = vault.seal(b"", b"tea").expect("randomness");
                assert_eq!(vault.open(b"", &sealed).expect("sealed above"), b"tea");
            }
        }
    });
}

/// What opens must have been sealed under this key: here that is one unit, in the seeds.
fn unit(vault: &Vault, bytes: &[u8]) {
    if let Ok(plain) = vault.open(b"place", bytes) {
        assert_eq!(plain.len() + SEAL_OVERHEAD_BYTES, bytes.len());
        assert_eq!(plain, b"tea", "something was forged");
    }
    let sealed = vault.seal(b"place", bytes).expect("randomness");
    assert_eq!(vault.open(b"place", &sealed).expect("sealed above"), bytes);
    vault.open(b"elsewhere", &sealed).expect_err("another place");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let vault = vault();
    vec![
        choosing(0, &vault.seal(b"place", b"tea").expect("randomness")),
        choosing(1, &KeyCheck::create(None).expect("a marker")),
        choosing(1, &KeyCheck::create(Some(&vault)).expect("a marker")),
        choosing(2, "00112233445566778899aabbCCDDEEFF".repeat(2).as_bytes()),
    ]
}

//! Encryption at rest: the master key, and how a data folder remembers which key it needs.
//!
//! **Invariants:**
//! - every sealed unit has its own random 24-byte nonce, written before the ciphertext; a nonce is
//!   never derived from a position, because a cut tail uses its positions again;
//! - the associated data is authenticated: a unit moved to another place does not open;
//! - neither the key nor anything it can be computed from is printed, logged or written.
//!
//! Customer keys and their wrapping are not here: this vault covers whole files and records.

use std::fmt;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

use crate::codec::{self, CodecError};
use crate::seal::{Seal, SealError};

/// Bytes in front of every ciphertext.
const NONCE_BYTES: usize = 24;
/// Bytes behind every ciphertext.
const TAG_BYTES: usize = 16;
/// Bytes that sealing adds to a plain text.
pub const SEAL_OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

const KEY_BYTES: usize = 32;
/// The one fixed nonce: it encrypts only zeros, whose ciphertext is the key's fingerprint.
const KEY_ID_NONCE: [u8; NONCE_BYTES] = *b"omnicart key fingerprint";

const KEY_CHECK_TYPE: u16 = 0x4b43;
const KEY_CHECK_VERSION: u16 = 1;
const KEY_CHECK_AAD: &[u8] = b"omnicart key check";
const KEY_CHECK_PLAIN: &[u8] = b"the key of this data folder";

/// Why a key file does not hold a key. The contents are never quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// Nothing but white space.
    #[error("the key file is empty; it must hold 64 hexadecimal digits")]
    Empty,
    /// Too short or too long.
    #[error("the key file holds {found} characters; it must hold 64 hexadecimal digits")]
    Length { found: usize },
    /// Not hexadecimal.
    #[error("character {position} of the key file is not a hexadecimal digit")]
    Digit { position: usize },
}

/// Why a data folder cannot be used with the key given, or with none.
#[derive(Debug, thiserror::Error)]
pub enum KeyCheckError {
    #[error("the data folder is encrypted with key {folder} and no key was given")]
    NoKey { folder: KeyId },
    #[error("the data folder is encrypted with another key: it needs {folder}, {given} was given")]
    OtherKey { folder: KeyId, given: KeyId },
    #[error("a key was given ({given}), but the data folder was created without encryption")]
    NotEncrypted { given: KeyId },
    #[error(
        "the key marker of the data folder has format {found}, this version reads up to {KEY_CHECK_VERSION}"
    )]
    NewerFormat { found: u16 },
    #[error("the key marker of the data folder is damaged")]
    Damaged(#[source] Option<CodecError>),
    #[error("the key marker of the data folder cannot be written")]
    Create(#[source] SealError),
}

/// A short name of a key. It cannot be turned back into the key, so it may be printed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A master key, ready to seal and open.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
    key_id: KeyId,
}

impl Vault {
    /// The vault of a raw key.
    pub fn from_key(key: [u8; KEY_BYTES]) -> Self {
        let cipher = XChaCha20Poly1305::new(&key.into());
        let mut key_id = KeyId([0; 8]);
        // Encrypting nothing but zeros under a nonce used for nothing else yields bytes of the
        // cipher's key stream, which reveal neither the key nor any other stream.
        if let Ok(stream) = cipher.encrypt(&XNonce::from(KEY_ID_NONCE), [0; 8].as_slice())
            && let Some(first) = stream.first_chunk::<8>()
        {
            key_id = KeyId(*first);
        }
        Self { cipher, key_id }
    }

    /// The vault of a key file's contents: 64 hexadecimal digits, white space around them ignored.
    pub fn from_key_file(contents: &str) -> Result<Self, KeyFileError> {
        let digits = contents.trim();
        if digits.is_empty() {
            return Err(KeyFileError::Empty);
        }
        let mut key = [0_u8; KEY_BYTES];
        let found = digits.chars().count();
        if found != KEY_BYTES * 2 {
            return Err(KeyFileError::Length { found });
        }
        for (at, digit) in digits.chars().enumerate() {
            let value = digit.to_digit(16).and_then(|value| u8::try_from(value).ok());
            let (Some(value), Some(byte)) = (value, key.get_mut(at / 2)) else {
                return Err(KeyFileError::Digit { position: at + 1 });
            };
            *byte = *byte << 4 | value;
        }
        Ok(Self::from_key(key))
    }

    /// The key's printable name.
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// The marker written when a data folder is created, checked at every start.
#[derive(Debug)]
pub struct KeyCheck;

impl KeyCheck {
    /// The marker's bytes for a folder that will be sealed by `vault`, or not at all.
    pub fn create(vault: Option<&Vault>) -> Result<Vec<u8>, KeyCheckError> {
        let mut body = Vec::new();
        if let Some(vault) = vault {
            body.extend_from_slice(&vault.key_id.0);
            let proof =
                vault.seal(KEY_CHECK_AAD, KEY_CHECK_PLAIN).map_err(KeyCheckError::Create)?;
            body.extend_from_slice(&proof);
        }
        Ok(codec::seal_envelope(KEY_CHECK_TYPE, KEY_CHECK_VERSION, &body))
    }

    /// Compares the marker's bytes with the key given.
    pub fn verify(marker: &[u8], vault: Option<&Vault>) -> Result<(), KeyCheckError> {
        let envelope =
            codec::open_envelope(marker).map_err(|source| KeyCheckError::Damaged(Some(source)))?;
        if envelope.type_id != KEY_CHECK_TYPE {
            return Err(KeyCheckError::Damaged(None));
        }
        if envelope.version > KEY_CHECK_VERSION {
            return Err(KeyCheckError::NewerFormat { found: envelope.version });
        }
        let folder = envelope.body.split_first_chunk::<8>();
        match (folder, vault) {
            (None, None) if envelope.body.is_empty() => Ok(()),
            (None, Some(vault)) if envelope.body.is_empty() => {
                Err(KeyCheckError::NotEncrypted { given: vault.key_id })
            }
            (None, _) => Err(KeyCheckError::Damaged(None)),
            (Some((folder, _)), None) => Err(KeyCheckError::NoKey { folder: KeyId(*folder) }),
            (Some((folder, proof)), Some(vault)) => match vault.open(KEY_CHECK_AAD, proof) {
                Ok(plain) if plain == KEY_CHECK_PLAIN => Ok(()),
                Ok(_) => Err(KeyCheckError::Damaged(None)),
                Err(_) if vault.key_id.0 == *folder => Err(KeyCheckError::Damaged(None)),
                Err(_) => {
                    Err(KeyCheckError::OtherKey { folder: KeyId(*folder), given: vault.key_id })
                }
            },
        }
    }
}

impl Seal for Vault {
    fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce)
            .map_err(|error| SealError::Seal { reason: format!("no randomness: {error}") })?;
        let ciphertext = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: plain, aad })
            .map_err(|_| SealError::Seal { reason: format!("{} bytes refused", plain.len()) })?;
        let mut sealed = Vec::with_capacity(NONCE_BYTES + ciphertext.len());
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&ciphertext);
        Ok(sealed)
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, msg) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or(SealError::Open)?;
        self.cipher
            .decrypt(&XNonce::from(*nonce), Payload { msg, aad })
            .map_err(|_| SealError::Open)
    }
}

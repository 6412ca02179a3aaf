//! Encryption at rest, as the log sees it: bytes in, sealed bytes out.
//!
//! **Invariants:** `open` returns exactly what was given to `seal` under the same key and the same
//! associated data, or an error; it never returns other bytes.

/// Seals and opens single units of bytes. The vault implements it; tests bring their own.
pub trait Seal: Send + Sync {
    /// Seals `plain` so that it opens only together with the same `aad`.
    fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens what [`Seal::seal`] made.
    fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError>;
}

/// Why bytes could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Sealing failed, for want of randomness for instance.
    #[error("bytes cannot be sealed: {reason}")]
    Seal { reason: String },
    /// The key is another one, or the bytes or their associated data were changed.
    #[error("sealed bytes do not open: the key is another one or they were changed")]
    Open,
}

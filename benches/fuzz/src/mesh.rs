//! What other nodes send: greetings, frames, calls and what is in them.
//!
//! The first byte of an input says what the others are meant to be.

use cluster::wire::received::{Received, example, rewritten};

use crate::allocation::bounded;

/// Every list in a message may reserve this much before its elements are found missing.
const FIXED_BYTES: usize = 8 << 20;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    let what = Received::ALL[usize::from(*first) % Received::ALL.len()];
    let Some(again) = bounded(bytes.len(), FIXED_BYTES, || rewritten(what, bytes)) else { return };
    assert_eq!(rewritten(what, &again).as_ref(), Some(&again), "{what:?}");
}

pub fn seeds() -> Vec<Vec<u8>> {
    let seed = |(nth, what): (usize, Received)| {
        let mut bytes = vec![u8::try_from(nth).expect("few kinds")];
        bytes.extend(example(what));
        bytes
    };
    Received::ALL.into_iter().enumerate().map(seed).collect()
}

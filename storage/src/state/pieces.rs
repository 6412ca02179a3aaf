//! Values in pieces, so that sled keeps each of them in its log.
//!
//! sled 0.34.7 puts what is larger than a quarter of a segment, 128 KiB, be it a value or a leaf of the
//! tree with all its values, into a file of its own, and does that in the middle of a reservation in its
//! log. Where it fails, as without disk space, the reservation stays open, and whoever waits for the
//! log waits for ever. A leaf has 20 values at most.
//!
//! **Invariants:** the first piece of a value is under the record's key, the others are under keys of the
//! index's own; all but the last are [`PIECE_BYTES_MAX`] long; a value and its pieces change in one batch.

use std::borrow::Cow;

use sled::{Db, IVec};

use super::IndexFault;
use super::recent::Change;
use super::record;

pub(super) const PIECE_BYTES_MAX: usize = 5 * 1024;
const OWN_PIECE: u8 = b'p';

/// What stores a value whose predecessor had so many pieces.
pub(super) fn changes(full_key: &[u8], value: Option<&[u8]>, n_before: usize) -> Vec<Change> {
    let pieces = value.map(pieces_of).into_iter().flatten();
    let mut changes: Vec<_> = pieces
        .enumerate()
        .map(|(nth, piece)| (piece_key(full_key, nth), Some(piece.to_vec())))
        .collect();
    let gone = (changes.len()..n_before).map(|nth| (piece_key(full_key, nth), None));
    changes.extend(gone);
    changes
}

/// How many pieces a value is stored in.
pub(super) fn count(value: &[u8]) -> usize {
    pieces_of(value).count()
}

/// An empty value is a piece too.
fn pieces_of(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let empty = value.is_empty().then_some(value);
    empty.into_iter().chain(value.chunks(PIECE_BYTES_MAX))
}

/// The whole of a value whose first piece is this. What is longer than a piece was stored before there
/// were any.
pub(super) fn whole<'a>(
    db: &Db,
    full_key: &[u8],
    first: &'a [u8],
) -> Result<Cow<'a, [u8]>, IndexFault> {
    let mut value = Cow::Borrowed(first);
    for piece in others(db, full_key, first) {
        value.to_mut().extend_from_slice(&piece?);
    }
    Ok(value)
}

/// In how many pieces the value lies whose first piece is this.
pub(super) fn count_stored(db: &Db, full_key: &[u8], first: &[u8]) -> Result<usize, IndexFault> {
    others(db, full_key, first).try_fold(1, |count, piece| piece.map(|_| count + 1))
}

/// The pieces after the first.
fn others<'a>(
    db: &'a Db,
    full_key: &'a [u8],
    first: &[u8],
) -> impl Iterator<Item = Result<IVec, IndexFault>> + use<'a> {
    let mut last = first.len();
    (1..).map_while(move |nth| {
        if last != PIECE_BYTES_MAX {
            return None;
        }
        let piece = db.get(piece_key(full_key, nth)).map_err(IndexFault::sled("reading"));
        piece.inspect(|piece| last = piece.as_ref().map_or(0, |piece| piece.len())).transpose()
    })
}

fn piece_key(full_key: &[u8], nth: usize) -> Vec<u8> {
    if nth == 0 {
        return full_key.to_vec();
    }
    // The key's length in front, so that no key is the beginning of another's.
    let length = u32::try_from(full_key.len()).unwrap_or(u32::MAX);
    let mut key = record::own_key(OWN_PIECE, length);
    key.extend_from_slice(full_key);
    key.extend_from_slice(&u32::try_from(nth).unwrap_or(u32::MAX).to_be_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(length: usize) -> Vec<u8> {
        (0..length).map(|nth| u8::try_from(nth % 251).unwrap()).collect()
    }

    fn store(db: &Db, key: &[u8], value: Option<&[u8]>, n_before: usize) {
        for (key, value) in changes(key, value, n_before) {
            match value {
                Some(value) => {
                    assert!(value.len() <= PIECE_BYTES_MAX && db.insert(key, value).is_ok())
                }
                None => drop(db.remove(key).unwrap()),
            }
        }
    }

    #[test]
    fn a_value_of_any_length_comes_back_and_leaves_nothing_behind() {
        let db = sled::Config::new().temporary(true).open().unwrap();
        let at_the_edges = [0, 1, PIECE_BYTES_MAX - 1, PIECE_BYTES_MAX, PIECE_BYTES_MAX + 1];
        let longer = [3 * PIECE_BYTES_MAX, 3 * PIECE_BYTES_MAX + 7, 300_000];
        let lengths = at_the_edges.into_iter().chain(longer);
        let lengths: Vec<_> = lengths.clone().chain(lengths.rev()).collect();
        let mut n_before = 0;
        store(&db, b"cart-10", Some(&value(20_000)), 0);
        let others = db.len();
        for length in lengths {
            let value = value(length);
            store(&db, b"cart-1", Some(&value), n_before);
            n_before = count(&value);
            let first = db.get(b"cart-1").unwrap().unwrap();
            assert_eq!(whole(&db, b"cart-1", &first).unwrap(), value, "of {length}");
            assert_eq!(count_stored(&db, b"cart-1", &first).unwrap(), n_before);
            assert_eq!(db.len(), others + n_before);
        }
        store(&db, b"cart-1", None, n_before);
        assert_eq!(db.len(), others);
    }
}

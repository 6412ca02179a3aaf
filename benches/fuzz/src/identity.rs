//! The file that says who a data folder belongs to.

use cluster::runtime::identity::{Identity, Wish};
use storage::vault::KeyCheck;

use crate::allocation::bounded;
use crate::world::{disk_with, read};

const FILE: &str = "IDENTITY";
const KEY_CHECK_FILE: &str = "KEYCHECK";
const FIXED_BYTES: usize = 4 << 20;

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let marker = KeyCheck::create(None).expect("a marker");
    let files = [(FILE.to_owned(), bytes), (KEY_CHECK_FILE.to_owned(), &marker)];
    let disk = disk_with("", files);
    let found = bounded(bytes.len(), FIXED_BYTES, || Identity::read(&disk, None));
    if let Ok(identity) = found {
        let identity = identity.expect("the file is there");
        let again = Identity::read_or_create(&disk, None, wish(identity.n_shards));
        assert!(again.expect("read before") == identity);
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let disk = disk_with("", []);
    Identity::read_or_create(&disk, None, wish(4)).expect("a new folder");
    vec![read(&disk, FILE)]
}

fn wish(n_shards: u32) -> Wish {
    Wish { n_shards: Some(n_shards), ..Wish::default() }
}

//! The few things that the simulated shop sells, and at what price.
//!
//! **Invariants:** what is ordered is not also sold by the piece, so that each judge knows of all
//! that happens to its own.

use actors::domain::catalogue::Listing;
use actors::{Currency, Money, PriceBook, ProductName, SkuCode};
use cluster::entity::Catalogue;
use std::ops::Range;
use std::sync::Arc;

const NAMES: [&str; 10] = ["cup", "jug", "mug", "pot", "tea", "tin", "bed", "desk", "lamp", "map"];
/// In carts that are only filled, and in stocks that are reserved one by one.
pub(super) const N_PRODUCTS: u64 = 6;
/// In carts that are checked out.
pub(super) const ORDERED: Range<u64> = N_PRODUCTS..10;
const FREE: u64 = 9;
/// Of which orders get more than there is, so many pieces at once.
pub(super) const BACKORDERED: u64 = 7;
pub(super) const PROMISED_MAX: u32 = 4;

/// The number of a product is its place in the range.
pub(super) fn code(product: u64) -> SkuCode {
    let name = usize::try_from(product).ok().and_then(|nth| NAMES.get(nth));
    let code = name.unwrap_or(&"none").parse();
    code.unwrap_or_else(|_| unreachable!("the names are plain words"))
}

pub(super) fn number(code: &SkuCode) -> Option<u64> {
    (0..).zip(NAMES).find(|(_, name)| *name == code.as_str()).map(|(number, _)| number)
}

/// In minor units.
pub(super) fn price(product: u64) -> i64 {
    if product == FREE { 0 } else { 199 + 350 * product.cast_signed() }
}

pub(super) fn catalogue() -> Option<Catalogue> {
    let listing = |product| {
        let name = ProductName::try_from(format!("The {}", code(product))).ok()?;
        let price = Money { minor: price(product), currency: Currency::EURO };
        Listing::new(code(product), name, vec![price]).ok()
    };
    let listings = (0..ORDERED.end).map(listing).collect::<Option<Vec<_>>>()?;
    let book = PriceBook::new(Currency::EURO, listings).ok()?;
    Some(Catalogue { index: 1, content: Arc::new(book) })
}

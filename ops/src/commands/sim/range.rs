//! The few things that the simulated shop sells, and at what price.
//!
//! **Invariants:** what is ordered is not also sold by the piece, so that each judge knows of all
//! that happens to its own.

use actors::domain::catalogue::Listing;
use actors::domain::discount_code::CodeName;
use actors::domain::names::{Label, SellerId};
use actors::domain::page::{self, Page};
use actors::domain::price_list::Validity;
use actors::domain::prices::Prices;
use actors::domain::promotion::{Benefit, Scope, Shoppers, Stacking, Trigger};
use actors::domain::translations::Translations;
use actors::{Currency, DiscountCode, Money, PriceBook, ProductName, Promotion, SkuCode};
use cluster::entity::Catalogue;
use std::num::NonZeroU32;
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

/// How often the discount code may be used: by all customers, and by each.
pub(super) const CODE_LIMITS: (u32, u32) = (4, 2);
/// What it takes off, in hundredths.
const CODE_PERCENT: i64 = 10;

pub(super) fn discount_code() -> CodeName {
    let code = "SALE".parse();
    code.unwrap_or_else(|_| unreachable!("a plain word"))
}

/// What the code takes off a sum: halves of a minor unit count as a whole.
pub(super) fn taken_off(minor: i64) -> i64 {
    (minor * CODE_PERCENT * 2 + 100) / 200
}

fn promotion() -> Option<Promotion> {
    let off = u32::try_from(CODE_PERCENT * 10_000).ok()?.try_into().ok()?;
    Some(Promotion {
        id: "sale".parse().ok()?,
        name: Label::try_from("Sale".to_owned()).ok()?,
        benefit: Benefit::Percentage { off },
        scope: Scope::Everything,
        minimum: Prices::default(),
        shoppers: Shoppers::Everyone,
        validity: Validity::default(),
        trigger: Trigger::Code,
        priority: 0,
        stacking: Stacking::Combinable,
    })
}

/// Whose some of what is ordered is.
const SELLERS: [(u64, &str); 2] = [(N_PRODUCTS, "ann"), (N_PRODUCTS + 1, "bob")];

pub(super) fn sellers() -> Vec<SellerId> {
    SELLERS.iter().filter_map(|(_, seller)| seller.parse().ok()).collect()
}

pub(super) fn seller_of(sku: &SkuCode) -> Option<SellerId> {
    let product = number(sku)?;
    SELLERS.iter().find(|(sold, _)| *sold == product)?.1.parse().ok()
}

/// What a seller sells.
fn page((product, seller): (u64, &str)) -> Option<Page> {
    let sku = code(product);
    let content = page::Content {
        slug: sku.as_str().parse().ok()?,
        title: Label::try_from(sku.to_string()).ok()?,
        description: None,
        attributes: Vec::new(),
        media: Vec::new(),
        categories: Vec::new(),
        seller: seller.parse().ok(),
        status: page::Status::Active,
        visibility: page::Visibility::Listed,
        translations: Translations::default(),
        variants: vec![sku],
    };
    Page::new(content).ok()
}

/// In minor units.
pub(super) fn price(product: u64) -> i64 {
    if product == FREE { 0 } else { 199 + 350 * product.cast_signed() }
}

pub(super) fn catalogue() -> Option<Catalogue> {
    let listing = |product| {
        let name = ProductName::try_from(format!("The {}", code(product))).ok()?;
        let price = Money { minor: price(product), currency: Currency::EURO };
        let listing = Listing::new(code(product), name, vec![price]).ok()?;
        let is_sellers = SELLERS.iter().any(|(sold, _)| *sold == product);
        let page = is_sellers.then(|| code(product).as_str().parse()).transpose().ok()?;
        Some(listing.on_page(page))
    };
    let listings = (0..ORDERED.end).map(listing).collect::<Option<Vec<_>>>()?;
    let book = PriceBook::new(Currency::EURO, listings).ok()?;
    let book = book.with_pages(SELLERS.into_iter().map(page).collect::<Option<Vec<_>>>()?);
    let book = book.with_promotions([promotion()?]).with_discount_codes([DiscountCode {
        code: discount_code(),
        promotion: promotion()?.id,
        limit: NonZeroU32::new(CODE_LIMITS.0),
        limit_per_customer: NonZeroU32::new(CODE_LIMITS.1),
    }]);
    Some(Catalogue { index: 1, content: Arc::new(book) })
}

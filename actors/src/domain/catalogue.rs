//! What is for sale and at what price: the content of the fabric's catalogue as carts see it.
//!
//! **Invariants:** a book lists a SKU once; a book never changes: a new index is a new book.
//!
//! The entities that hold it are `product`, `shop` and their neighbours; `reader` makes a book of
//! them, `publishing` finds what they lack of one. What lines cost by it is `pricing`'s to say.

mod listing;
pub mod publishing;
mod reader;
mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::entity::{Context, NoCatalogue};
pub use listing::{Choice, Grams, Listing, ListingError};
pub use reader::BookReader;
use serde::{Deserialize, Serialize};

use shelf::{Named, Shelf};

use super::category::{Categories, Category};
use super::discount_code::{CodeName, DiscountCode};
use super::ids::SkuCode;
use super::location::StockLocation;
use super::money::Currency;
use super::names::{LocationId, PriceListId, SellerId, ShippingOptionId, Slug};
use super::page::{self, Page};
use super::price_list::PriceList;
use super::promotion::{Promotion, Promotions};
use super::seller::{Seller, Standing};
use super::shipping::ShippingOption;
use super::tax::{TaxRate, TaxRates};

/// A product's name as shown to shoppers: 1 to 255 bytes, no control characters. Carts hold copies
/// of it, so its size in bytes is what is bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ProductName(Box<str>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a product name is 1 to 255 bytes without control characters")]
pub struct InvalidProductName;

impl ProductName {
    pub const BYTES_MAX: usize = 255;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ProductName {
    type Error = InvalidProductName;

    fn try_from(text: String) -> Result<Self, InvalidProductName> {
        let fits = (1..=Self::BYTES_MAX).contains(&text.len());
        if fits && !text.chars().any(char::is_control) {
            Ok(Self(text.into_boxed_str()))
        } else {
            Err(InvalidProductName)
        }
    }
}

/// Everything that is for sale in a shop, and on which terms, at one catalogue index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceBook {
    default_currency: Currency,
    listings: Shelf<Listing>,
    pages: Shelf<Page>,
    // Shared by books that differ in other parts.
    categories: Arc<Categories>,
    sellers: Arc<BTreeMap<SellerId, Arc<Seller>>>,
    tax_rates: Arc<TaxRates>,
    price_lists: Arc<BTreeMap<PriceListId, Arc<PriceList>>>,
    shipping_options: Arc<BTreeMap<ShippingOptionId, Arc<ShippingOption>>>,
    promotions: Arc<Promotions>,
    /// There may be as many of them as listings.
    discount_codes: Shelf<DiscountCode>,
    stock_locations: Arc<BTreeMap<LocationId, Arc<StockLocation>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sku {sku} is listed twice")]
pub struct ListedTwice {
    pub sku: SkuCode,
}

impl Named for Listing {
    fn name(&self) -> &str {
        self.sku().as_str()
    }
}

impl Named for Page {
    fn name(&self) -> &str {
        self.slug.as_str()
    }
}

impl Named for DiscountCode {
    fn name(&self) -> &str {
        self.code.as_str()
    }
}

impl PriceBook {
    /// What everything is priced from, and its index, if this node may price.
    pub(crate) fn of<'a>(ctx: &Context<'a>) -> Result<(&'a Self, u64), NoCatalogue> {
        let catalogue = ctx.catalogue?;
        let book = catalogue.content().ok_or(NoCatalogue::Absent)?;
        Ok((book, catalogue.index))
    }

    pub fn new(
        default_currency: Currency,
        mut listings: Vec<Listing>,
    ) -> Result<Self, ListedTwice> {
        listings.sort_unstable_by(|left, right| left.sku().cmp(right.sku()));
        for (left, right) in listings.iter().zip(listings.iter().skip(1)) {
            if left.sku() == right.sku() {
                return Err(ListedTwice { sku: left.sku().clone() });
            }
        }
        let listings: Vec<_> = listings.into_iter().map(Arc::new).collect();
        Ok(Self { default_currency, listings: Shelf::of(&listings), ..Self::empty() })
    }

    /// Of a shop that lists nothing yet.
    pub fn empty() -> Self {
        Self {
            default_currency: Currency::EURO,
            listings: Shelf::default(),
            pages: Shelf::default(),
            categories: Arc::default(),
            sellers: Arc::default(),
            tax_rates: Arc::default(),
            price_lists: Arc::default(),
            shipping_options: Arc::default(),
            promotions: Arc::default(),
            discount_codes: Shelf::default(),
            stock_locations: Arc::default(),
        }
    }

    /// The same listings under other rates; the later of two of one id counts.
    #[must_use]
    pub fn with_tax_rates(self, rates: impl IntoIterator<Item = TaxRate>) -> Self {
        Self { tax_rates: Arc::new(rates.into_iter().collect()), ..self }
    }

    /// The same listings under other price lists; the later of two of one id counts.
    #[must_use]
    pub fn with_price_lists(self, lists: impl IntoIterator<Item = PriceList>) -> Self {
        let by_id = lists.into_iter().map(|list| (list.id().clone(), Arc::new(list)));
        Self { price_lists: Arc::new(by_id.collect()), ..self }
    }

    /// The same listings, shipped otherwise; the later of two of one id counts.
    #[must_use]
    pub fn with_shipping_options(self, options: impl IntoIterator<Item = ShippingOption>) -> Self {
        let by_id = options.into_iter().map(|option| (option.id.clone(), Arc::new(option)));
        Self { shipping_options: Arc::new(by_id.collect()), ..self }
    }

    /// The same listings, of other sellers; the later of two of one id counts.
    #[must_use]
    pub fn with_sellers(self, sellers: impl IntoIterator<Item = Seller>) -> Self {
        let by_id = sellers.into_iter().map(|seller| (seller.id.clone(), Arc::new(seller)));
        Self { sellers: Arc::new(by_id.collect()), ..self }
    }

    /// The same listings, with stock at other locations; the later of two of one id counts.
    #[must_use]
    pub fn with_stock_locations(self, locations: impl IntoIterator<Item = StockLocation>) -> Self {
        let by_id = locations.into_iter().map(|location| (location.id.clone(), Arc::new(location)));
        Self { stock_locations: Arc::new(by_id.collect()), ..self }
    }

    /// The same listings in other categories; the later of two of one id counts.
    #[must_use]
    pub fn with_categories(self, categories: impl IntoIterator<Item = Category>) -> Self {
        let categories = categories.into_iter().map(Arc::new).collect();
        Self { categories: Arc::new(categories), ..self }
    }

    /// The same listings under other promotions; the later of two of one id counts.
    #[must_use]
    pub fn with_promotions(self, promotions: impl IntoIterator<Item = Promotion>) -> Self {
        let promotions = promotions.into_iter().map(Arc::new).collect();
        Self { promotions: Arc::new(promotions), ..self }
    }

    /// The same listings on other pages; the later of two of one slug counts.
    #[must_use]
    pub fn with_pages(self, pages: impl IntoIterator<Item = Page>) -> Self {
        Self { pages: pages.into_iter().collect(), ..self }
    }

    /// The currency of a cart whose shopper did not choose one.
    pub fn default_currency(&self) -> Currency {
        self.default_currency
    }

    /// Of a SKU that is for sale: on no page, or on one that is active and of a seller who may sell.
    pub fn listing(&self, sku: &SkuCode) -> Option<&Listing> {
        self.any_listing(sku).filter(|listing| self.is_for_sale(listing))
    }

    /// For sale or not.
    pub fn any_listing(&self, sku: &SkuCode) -> Option<&Listing> {
        self.listings.get(sku.as_str()).map(AsRef::as_ref)
    }

    /// In order of SKU, for sale or not.
    pub fn listings(&self) -> impl ExactSizeIterator<Item = &Arc<Listing>> {
        self.listings.iter()
    }

    fn is_for_sale(&self, listing: &Listing) -> bool {
        let Some(page) = listing.page() else { return true };
        self.any_page(page).is_some_and(|page| self.is_open(page))
    }

    /// Whether what is on a page is shown and sold.
    fn is_open(&self, page: &Page) -> bool {
        let is_active = match page.status {
            page::Status::Active => true,
            page::Status::Draft | page::Status::Archived => false,
        };
        let seller = page.seller.as_ref().and_then(|seller| self.sellers.get(seller));
        is_active
            && seller.is_none_or(|seller| match seller.standing {
                Standing::Active => true,
                Standing::Suspended => false,
            })
    }

    /// Whose a SKU is, if it is not the shop's own.
    pub fn seller_of(&self, sku: &SkuCode) -> Option<&SellerId> {
        let page = self.any_listing(sku)?.page()?;
        self.any_page(page)?.seller.as_ref()
    }

    /// A page that shoppers may see.
    pub fn page(&self, slug: &Slug) -> Option<&Page> {
        self.any_page(slug).filter(|page| self.is_open(page))
    }

    /// Whether or not shoppers may see it.
    pub fn any_page(&self, slug: &Slug) -> Option<&Page> {
        self.pages.get(slug.as_str()).map(AsRef::as_ref)
    }

    /// The pages that lists show, in order of slug, from the one after a slug on.
    pub fn listed_pages(&self, after: Option<&Slug>) -> impl Iterator<Item = &Page> {
        self.all_pages(after).filter(|page| match page.visibility {
            page::Visibility::Listed => self.is_open(page),
            page::Visibility::Hidden => false,
        })
    }

    /// In order of slug, from the one after a slug on.
    pub fn all_pages(&self, after: Option<&Slug>) -> impl Iterator<Item = &Page> {
        // No slug is empty, so all of them come after an empty one.
        self.pages.after(after.map_or("", Slug::as_str)).map(AsRef::as_ref)
    }

    /// What a page's SKUs are listed as, in the page's order; without those that are on another.
    pub fn variants<'a>(&'a self, page: &'a Page) -> impl Iterator<Item = &'a Listing> {
        let listings = page.variants.iter().filter_map(|sku| self.any_listing(sku));
        listings.filter(|listing| listing.page() == Some(&page.slug))
    }

    pub fn categories(&self) -> &Categories {
        &self.categories
    }

    /// In order of id.
    pub fn sellers(&self) -> impl ExactSizeIterator<Item = &Arc<Seller>> {
        self.sellers.values()
    }

    pub fn tax_rates(&self) -> &TaxRates {
        &self.tax_rates
    }

    /// In order of id.
    pub fn price_lists(&self) -> impl ExactSizeIterator<Item = &Arc<PriceList>> {
        self.price_lists.values()
    }

    pub fn shipping_option(&self, id: &ShippingOptionId) -> Option<&ShippingOption> {
        self.shipping_options.get(id).map(AsRef::as_ref)
    }

    /// The same listings with other codes, in any order; the later of two of one name counts.
    #[must_use]
    pub fn with_discount_codes(self, codes: impl IntoIterator<Item = DiscountCode>) -> Self {
        Self { discount_codes: codes.into_iter().collect(), ..self }
    }

    pub fn discount_code(&self, code: &CodeName) -> Option<&DiscountCode> {
        self.discount_codes.get(code.as_str()).map(AsRef::as_ref)
    }

    /// In order of code.
    pub fn discount_codes(&self) -> impl ExactSizeIterator<Item = &Arc<DiscountCode>> {
        self.discount_codes.iter()
    }

    pub fn promotions(&self) -> &Promotions {
        &self.promotions
    }

    /// In order of id.
    pub fn shipping_options(&self) -> impl ExactSizeIterator<Item = &Arc<ShippingOption>> {
        self.shipping_options.values()
    }

    pub fn stock_location(&self, id: &LocationId) -> Option<&StockLocation> {
        self.stock_locations.get(id).map(AsRef::as_ref)
    }

    /// In order of id.
    pub fn stock_locations(&self) -> impl ExactSizeIterator<Item = &Arc<StockLocation>> {
        self.stock_locations.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Money;

    fn currency(code: &str) -> Currency {
        code.parse().unwrap()
    }

    fn listing(sku: &str, prices: &[(i64, &str)]) -> Result<Listing, ListingError> {
        let prices =
            prices.iter().map(|(minor, code)| Money { minor: *minor, currency: currency(code) });
        let name = ProductName::try_from(format!("The {sku}")).unwrap();
        Listing::new(sku.parse().unwrap(), name, prices.collect())
    }

    #[test]
    fn a_listing_is_found_with_its_price_in_each_currency() {
        let listings = ["tea", "cup", "pot"].map(|sku| listing(sku, &[(450, "EUR"), (70, "JPY")]));
        let book =
            PriceBook::new(currency("EUR"), listings.into_iter().map(Result::unwrap).collect());
        let book = book.unwrap();
        for sku in ["tea", "cup", "pot"] {
            let found = book.listing(&sku.parse().unwrap()).unwrap();
            assert_eq!(found.sku().as_str(), sku);
            assert_eq!(found.name().as_str(), format!("The {sku}"));
            assert_eq!(found.price_in(currency("JPY")).unwrap().minor, 70);
            assert_eq!(found.price_in(currency("USD")), None);
        }
        assert_eq!(book.listing(&"mug".parse().unwrap()), None);
        assert_eq!(book.default_currency(), currency("EUR"));
    }

    #[test]
    fn what_could_not_be_charged_is_refused() {
        for minor in [-1, Listing::PRICE_MAX + 1] {
            let refused = listing("tea", &[(1, "JPY"), (minor, "EUR")]);
            assert!(matches!(refused, Err(ListingError::PriceOutOfBounds { .. })));
        }
        let refused = listing("tea", &[(1, "EUR"), (1, "JPY"), (2, "EUR")]);
        assert!(matches!(refused, Err(ListingError::PricedTwice { .. })));
        let codes: Vec<_> =
            ('A'..='Z').flat_map(|c| ('A'..='Z').map(move |d| format!("{c}{d}A"))).collect();
        let prices: Vec<_> = codes.iter().take(257).map(|code| (1, code.as_str())).collect();
        let refused = listing("tea", &prices);
        assert!(matches!(refused, Err(ListingError::TooManyPrices { n_prices: 257, .. })));
        let twice = vec![listing("tea", &[]).unwrap(), listing("tea", &[]).unwrap()];
        let sku = "tea".parse().unwrap();
        assert_eq!(PriceBook::new(currency("EUR"), twice), Err(ListedTwice { sku }));
    }

    #[test]
    fn a_name_is_short_and_printable() {
        for bad in [String::new(), "a\nb".into(), "x".repeat(256)] {
            assert_eq!(ProductName::try_from(bad), Err(InvalidProductName));
        }
        assert!(ProductName::try_from("é".repeat(127)).is_ok());
    }
}

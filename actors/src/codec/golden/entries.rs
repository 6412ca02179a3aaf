use super::*;
use crate::domain::category::Category;
use crate::domain::entry::{Command, Content, Entry, Event, Lookup, Query, Rejection};
use crate::domain::location::StockLocation;
use crate::domain::money::{Currency, Money};
use crate::domain::names::{Label, TaxClass};
use crate::domain::page::{self, Attribute, Media, Page, ProductPage, Status, Visibility};
use crate::domain::price_list::{Audience, ListTerms, PriceList, Validity};
use crate::domain::prices::Prices;
use crate::domain::seller::{Seller, Standing};
use crate::domain::shipping::{Countries, ShippingOption};
use crate::domain::tax::{AppliedRate, Destination, Inclusion, TaxRate, TaxRateId};
use crate::domain::translations::{Prose, Translation, Translations};

fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

fn euros(minor: i64) -> Prices {
    Prices::new(vec![Money { minor, currency: Currency::EURO }]).unwrap()
}

fn prose(text: &str) -> Option<Prose> {
    Some(Prose::try_from(text.to_owned()).unwrap())
}

fn translations() -> Translations {
    let language = "de-AT".parse().unwrap();
    let one = Translation { language, name: label("Tee"), description: prose("Gr\u{fc}n") };
    Translations::new(vec![one]).unwrap()
}

fn category() -> Category {
    Category {
        id: "green".parse().unwrap(),
        name: label("Green"),
        parent: Some("tea".parse().unwrap()),
        position: 7,
        translations: translations(),
    }
}

fn tax_rate(inclusion: Inclusion) -> TaxRate {
    let region = Some("NY".parse().unwrap());
    let place = Destination { country: "US".parse().unwrap(), region };
    let percent = 88_750.try_into().unwrap();
    TaxRate {
        id: TaxRateId { place, class: "food".parse().unwrap() },
        applied: AppliedRate { percent, inclusion },
    }
}

fn price_list(audience: Audience) -> PriceList {
    let terms = ListTerms {
        id: "summer".parse().unwrap(),
        name: label("Summer"),
        currency: Currency::EURO,
        audience,
        validity: Validity::new(Some(AT), None).unwrap(),
    };
    PriceList::new(terms, vec![("tea".parse().unwrap(), 399)]).unwrap()
}

fn shipping_option() -> ShippingOption {
    ShippingOption {
        id: "parcel".parse().unwrap(),
        name: label("Parcel"),
        carrier: label("Post"),
        prices: euros(490),
        free_from: euros(5_000),
        countries: Countries::of(["DE".parse().unwrap()]),
        tax_class: TaxClass::standard(),
    }
}

fn stock_location() -> StockLocation {
    StockLocation { id: "berlin".parse().unwrap(), name: label("Berlin"), priority: 10 }
}

fn seller(standing: Standing) -> Seller {
    Seller { id: "ann".parse().unwrap(), name: label("Ann"), standing }
}

fn page(status: Status, visibility: Visibility) -> Page {
    Page::new(page::Content {
        slug: "teas".parse().unwrap(),
        title: label("Teas"),
        description: prose("Green.\nFresh."),
        attributes: vec![Attribute { name: label("Origin"), value: label("Uji") }],
        media: vec![Media { url: "/tea.jpg".parse().unwrap(), alt: Some(label("A cup")) }],
        categories: vec!["green".parse().unwrap()],
        seller: Some("ann".parse().unwrap()),
        status,
        visibility,
        translations: translations(),
        variants: vec!["tea".parse().unwrap()],
    })
    .unwrap()
}

fn whole_page() -> Page {
    page(Status::Active, Visibility::Listed)
}

fn listing() -> crate::domain::catalogue::Listing {
    let name = crate::domain::catalogue::ProductName::try_from("Tea".to_owned()).unwrap();
    crate::domain::catalogue::Listing::priced("tea".parse().unwrap(), name, euros(450))
        .on_page(Some("teas".parse().unwrap()))
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let written = |content| Event::Written { content, at: AT };
    let put = page::Command::Put { page: Box::new(whole_page()), variants: vec![listing()] };
    vec![
        written(category()).to_bytes(),
        written_bytes(tax_rate(Inclusion::Exclusive)),
        written_bytes(price_list(Audience::Everyone)),
        written_bytes(shipping_option()),
        written_bytes(seller(Standing::Active)),
        written_bytes(stock_location()),
        put.to_bytes(),
        ProductPage { page: Some(whole_page()) }.to_record(),
        Entry { content: Some(category()) }.to_record(),
    ]
}

fn written_bytes<T: Content>(content: T) -> Vec<u8> {
    Event::Written { content, at: AT }.to_bytes()
}

/// Whatever decodes is a value with exactly these bytes.
pub(super) fn decodes_to_itself(bytes: &[u8]) {
    entry_decodes_to_itself::<Category>(bytes);
    entry_decodes_to_itself::<TaxRate>(bytes);
    entry_decodes_to_itself::<PriceList>(bytes);
    entry_decodes_to_itself::<ShippingOption>(bytes);
    entry_decodes_to_itself::<StockLocation>(bytes);
    entry_decodes_to_itself::<Seller>(bytes);
    if let Ok(command) = page::Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(state) = ProductPage::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

pub(super) fn entry_decodes_to_itself<T: Content>(bytes: &[u8]) {
    if let Ok(event) = Event::<T>::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(state) = Entry::<T>::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
}

/// Checks everything of an entry that holds something: event, command, view and record.
#[track_caller]
pub(super) fn check_entry<T: Content>(content: &T, golden: [&str; 4]) {
    let [events, commands, view, record] = golden;
    let (again, more) = (content.clone(), content.clone());
    check(&[Event::Written { content: again, at: AT }, Event::Removed { at: AT }], events);
    check(&[Command::Put { content: more }, Command::Remove], commands);
    check_whole(&Lookup(Some(content.clone())), view);
    check_record(&Entry { content: Some(content.clone()) }, record);
}

#[test]
fn the_bytes_of_categories_are_as_they_were() {
    check_entry(
        &category(),
        [
            "0100000000000500000000000000677265656e0500000000000000477265656e01030000000000\
         0000746561070000000100000000000000050000000000000064652d4154030000000000000054\
         65650105000000000000004772c3bc6e0403020100000000 \
         0100010000000403020100000000",
            "0100000000000500000000000000677265656e0500000000000000477265656e01030000000000\
         0000746561070000000100000000000000050000000000000064652d4154030000000000000054\
         65650105000000000000004772c3bc6e \
         010001000000",
            "0100010500000000000000677265656e0500000000000000477265656e01030000000000000074\
         6561070000000100000000000000050000000000000064652d4154030000000000000054656501\
         05000000000000004772c3bc6e",
            "0100010500000000000000677265656e0500000000000000477265656e01030000000000000074\
         6561070000000100000000000000050000000000000064652d4154030000000000000054656501\
         05000000000000004772c3bc6e",
        ],
    );
}

#[test]
fn the_bytes_of_tax_rates_are_as_they_were() {
    let rate = tax_rate(Inclusion::Exclusive);
    check_entry(
        &rate,
        [
            "01000000000055530102000000000000004e590400000000000000666f6f64ae5a010001000000\
         0403020100000000 \
         0100010000000403020100000000",
            "01000000000055530102000000000000004e590400000000000000666f6f64ae5a010001000000 \
         010001000000",
            "01000155530102000000000000004e590400000000000000666f6f64ae5a010001000000",
            "01000155530102000000000000004e590400000000000000666f6f64ae5a010001000000",
        ],
    );
}

#[test]
fn the_bytes_of_price_lists_are_as_they_were() {
    let list = price_list(Audience::Group("wholesale".parse().unwrap()));
    check_entry(
        &list,
        [
            "010000000000060000000000000073756d6d6572060000000000000053756d6d65724555520100\
         0000090000000000000077686f6c6573616c650104030201000000000001000000000000000300\
         0000000000007465618f010000000000000403020100000000 \
         0100010000000403020100000000",
            "010000000000060000000000000073756d6d6572060000000000000053756d6d65724555520100\
         0000090000000000000077686f6c6573616c650104030201000000000001000000000000000300\
         0000000000007465618f01000000000000 \
         010001000000",
            "010001060000000000000073756d6d6572060000000000000053756d6d65724555520100000009\
         0000000000000077686f6c6573616c650104030201000000000001000000000000000300000000\
         0000007465618f01000000000000",
            "010001060000000000000073756d6d6572060000000000000053756d6d65724555520100000009\
         0000000000000077686f6c6573616c650104030201000000000001000000000000000300000000\
         0000007465618f01000000000000",
        ],
    );
}

#[test]
fn the_bytes_of_shipping_options_are_as_they_were() {
    check_entry(
        &shipping_option(),
        [
            "010000000000060000000000000070617263656c060000000000000050617263656c0400000000\
         000000506f73740100000000000000ea0100000000000045555201000000000000008813000000\
         0000004555520100000000000000444508000000000000007374616e6461726404030201000000\
         00 \
         0100010000000403020100000000",
            "010000000000060000000000000070617263656c060000000000000050617263656c0400000000\
         000000506f73740100000000000000ea0100000000000045555201000000000000008813000000\
         0000004555520100000000000000444508000000000000007374616e64617264 \
         010001000000",
            "010001060000000000000070617263656c060000000000000050617263656c0400000000000000\
         506f73740100000000000000ea0100000000000045555201000000000000008813000000000000\
         4555520100000000000000444508000000000000007374616e64617264",
            "010001060000000000000070617263656c060000000000000050617263656c0400000000000000\
         506f73740100000000000000ea0100000000000045555201000000000000008813000000000000\
         4555520100000000000000444508000000000000007374616e64617264",
        ],
    );
}

#[test]
fn the_bytes_of_sellers_are_as_they_were() {
    check_entry(
        &seller(Standing::Active),
        [
            "0100000000000300000000000000616e6e0300000000000000416e6e0000000004030201000000\
         00 \
         0100010000000403020100000000",
            "0100000000000300000000000000616e6e0300000000000000416e6e00000000 \
         010001000000",
            "0100010300000000000000616e6e0300000000000000416e6e00000000",
            "0100010300000000000000616e6e0300000000000000416e6e00000000",
        ],
    );
}

#[test]
fn the_bytes_of_stock_locations_are_as_they_were() {
    check_entry(
        &stock_location(),
        [
            "01000000000006000000000000006265726c696e06000000000000004265726c696e0a0000000403020100000000 \
             0100010000000403020100000000",
            "01000000000006000000000000006265726c696e06000000000000004265726c696e0a000000 \
             010001000000",
            "01000106000000000000006265726c696e06000000000000004265726c696e0a000000",
            "01000106000000000000006265726c696e06000000000000004265726c696e0a000000",
        ],
    );
}

#[test]
fn the_bytes_of_each_choice_are_as_they_were() {
    check_whole(
        &Lookup(Some(tax_rate(Inclusion::Inclusive))),
        "01000155530102000000000000004e590400000000000000666f6f64ae5a010000000000",
    );
    check_whole(
        &Lookup(Some(price_list(Audience::Everyone))),
        "010001060000000000000073756d6d6572060000000000000053756d6d65724555520000000001\
         040302010000000000010000000000000003000000000000007465618f01000000000000",
    );
    check_whole(
        &Lookup(Some(seller(Standing::Suspended))),
        "0100010300000000000000616e6e0300000000000000416e6e01000000",
    );
    check_whole(
        &page::Lookup(Some(page(Status::Draft, Visibility::Hidden))),
        "010001040000000000000074656173040000000000000054656173010d00000000000000477265\
         656e2e0a46726573682e010000000000000006000000000000004f726967696e03000000000000\
         00556a69010000000000000008000000000000002f7465612e6a70670105000000000000004120\
         63757001000000000000000500000000000000677265656e010300000000000000616e6e000000\
         00010000000100000000000000050000000000000064652d415403000000000000005465650105\
         000000000000004772c3bc6e01000000000000000300000000000000746561",
    );
    check_whole(
        &page::Lookup(Some(page(Status::Archived, Visibility::Hidden))),
        "010001040000000000000074656173040000000000000054656173010d00000000000000477265\
         656e2e0a46726573682e010000000000000006000000000000004f726967696e03000000000000\
         00556a69010000000000000008000000000000002f7465612e6a70670105000000000000004120\
         63757001000000000000000500000000000000677265656e010300000000000000616e6e020000\
         00010000000100000000000000050000000000000064652d415403000000000000005465650105\
         000000000000004772c3bc6e01000000000000000300000000000000746561",
    );
    check(&[Query::Content], "010000000000");
    let id = || "tea".parse().unwrap();
    let rejections = [
        Rejection::OtherKey,
        Rejection::CatalogueUnavailable,
        Rejection::UnknownParent { parent: id() },
        Rejection::BelowItself,
        Rejection::HasChildren { child: id() },
        Rejection::TooManyAutomatic,
        Rejection::NoPromotionWithCode { promotion: "sale".parse().unwrap() },
    ];
    check(
        &rejections,
        "010000000000 \
         010001000000 \
         0100020000000300000000000000746561 \
         010003000000 \
         0100040000000300000000000000746561 \
         010005000000 \
         010006000000040000000000000073616c65",
    );
}

#[test]
fn the_bytes_of_pages_are_as_they_were() {
    let put = page::Command::Put { page: Box::new(whole_page()), variants: vec![listing()] };
    check(
        &[put, page::Command::Remove],
        "010000000000040000000000000074656173040000000000000054656173010d00000000000000\
         477265656e2e0a46726573682e010000000000000006000000000000004f726967696e03000000\
         00000000556a69010000000000000008000000000000002f7465612e6a70670105000000000000\
         00412063757001000000000000000500000000000000677265656e010300000000000000616e6e\
         01000000000000000100000000000000050000000000000064652d415403000000000000005465\
         650105000000000000004772c3bc6e010000000000000003000000000000007465610100000000\
         000000030000000000000074656103000000000000005465610100000000000000c20100000000\
         000045555208000000000000007374616e64617264010400000000000000746561730000000000\
         00000000 \
         010001000000",
    );
    let written = page::Event::Written { page: Box::new(whole_page()), at: AT };
    check(
        &[written, page::Event::Removed { at: AT }],
        "010000000000040000000000000074656173040000000000000054656173010d00000000000000\
         477265656e2e0a46726573682e010000000000000006000000000000004f726967696e03000000\
         00000000556a69010000000000000008000000000000002f7465612e6a70670105000000000000\
         00412063757001000000000000000500000000000000677265656e010300000000000000616e6e\
         01000000000000000100000000000000050000000000000064652d415403000000000000005465\
         650105000000000000004772c3bc6e010000000000000003000000000000007465610403020100\
         000000 \
         0100010000000403020100000000",
    );
    check(&[page::Query::Page], "010000000000");
    let sku = || "tea".parse().unwrap();
    let rejections = [
        page::Rejection::OtherSlug,
        page::Rejection::ForeignVariant { sku: sku() },
        page::Rejection::UnlistedVariant { sku: sku() },
        page::Rejection::OnAnotherPage { sku: sku(), page: "teas".parse().unwrap() },
        page::Rejection::CatalogueUnavailable,
    ];
    check(
        &rejections,
        "010000000000 \
         0100010000000300000000000000746561 \
         0100020000000300000000000000746561 \
         0100030000000300000000000000746561040000000000000074656173 \
         010004000000",
    );
    check_record(
        &ProductPage { page: Some(whole_page()) },
        "010001040000000000000074656173040000000000000054656173010d00000000000000477265\
         656e2e0a46726573682e010000000000000006000000000000004f726967696e03000000000000\
         00556a69010000000000000008000000000000002f7465612e6a70670105000000000000004120\
         63757001000000000000000500000000000000677265656e010300000000000000616e6e010000\
         00000000000100000000000000050000000000000064652d415403000000000000005465650105\
         000000000000004772c3bc6e01000000000000000300000000000000746561",
    );
}

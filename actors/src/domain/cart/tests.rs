use std::sync::Arc;

use cluster::entity::{Catalogue, NoCatalogue};
use cluster::ids::Slot;

use super::*;
use crate::domain::catalogue::{Listing, PriceBook};
use crate::domain::promotion::Promotion;

pub(super) const INDEX: u64 = 7;
pub(super) const NOON: Timestamp = Timestamp::from_micros(43_200_000_000);
pub(super) const LATER: Timestamp = Timestamp::from_micros(43_200_000_001);
const OWNER: CartAccess = CartAccess::from_hash([9; 32]);

pub(super) fn currency(code: &str) -> Currency {
    code.parse().unwrap()
}

pub(super) fn sku(code: &str) -> SkuCode {
    code.parse().unwrap()
}

pub(super) fn id(number: u8) -> CartId {
    CartId::in_slot(Slot::from_bits(u16::from(number)), [number; 14])
}

pub(super) fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

pub(super) fn listing(code: &str, prices: &[(i64, &str)]) -> Listing {
    let money = |(minor, code): &(i64, &str)| Money { minor: *minor, currency: currency(code) };
    Listing::new(sku(code), name(code), prices.iter().map(money).collect()).unwrap()
}

pub(super) fn catalogue(index: u64, listings: Vec<Listing>) -> Catalogue {
    promoting(index, listings, vec![])
}

pub(super) fn promoting(
    index: u64,
    listings: Vec<Listing>,
    promotions: Vec<Promotion>,
) -> Catalogue {
    let book = PriceBook::new(currency("EUR"), listings).unwrap().with_promotions(promotions);
    Catalogue { index, content: Arc::new(book) }
}

fn name(code: &str) -> ProductName {
    format!("The {code}").try_into().unwrap()
}

/// Tea, a gem as dear as can be, something for Japan only, and a hundred beads.
pub(super) fn shop() -> Catalogue {
    let beads = (0..100).map(|number| listing(&format!("bead-{number:02}"), &[(1, "EUR")]));
    let others = [
        listing("tea", &[(450, "EUR"), (700, "JPY")]),
        listing("gem", &[(Listing::PRICE_MAX, "EUR")]),
        listing("fan", &[(900, "JPY")]),
    ];
    catalogue(INDEX, others.into_iter().chain(beads).collect())
}

pub(super) fn created() -> Event {
    Event::Created { currency: currency("EUR"), access: OWNER, at: NOON }
}

pub(super) fn deleted() -> Event {
    Event::Deleted { at: LATER }
}

pub(super) fn set(code: &str, count: u32, minor: i64) -> Event {
    Event::QuantitySet {
        sku: sku(code),
        quantity: quantity(count),
        unit_price: Money { minor, currency: currency("EUR") },
        name: name(code),
        catalogue_index: INDEX,
        at: LATER,
    }
}

pub(super) fn tea(count: u32) -> Event {
    set("tea", count, 450)
}

pub(super) fn beads() -> Vec<Event> {
    (0..100).map(|number| set(&format!("bead-{number:02}"), 1, 1)).collect()
}

fn create() -> Command {
    Command::Create { currency: currency("EUR"), access: OWNER }
}

pub(super) fn add(items: &[(&str, u32)]) -> Command {
    Command::AddItems { items: pairs(items) }
}

pub(super) fn pairs(items: &[(&str, u32)]) -> Vec<(SkuCode, Quantity)> {
    items.iter().map(|(code, count)| (sku(code), quantity(*count))).collect()
}

fn set_quantity(code: &str, count: u32) -> Command {
    Command::SetQuantity { sku: sku(code), quantity: quantity(count) }
}

pub(super) fn give_up(to: CartId) -> Command {
    Command::GiveUpLines { to, strategy: MergeStrategy::Sum }
}

pub(super) fn cart(given: &[Event]) -> Cart {
    let mut cart = Cart::default();
    for event in given {
        cart.apply(event);
    }
    cart
}

/// Cart 1 at `LATER`.
pub(super) fn decide(
    given: &[Event],
    when: Command,
    catalogue: Option<&Catalogue>,
) -> Result<Decision<Cart>, Rejection> {
    let me = Cart::address(id(1));
    let catalogue = catalogue.ok_or(NoCatalogue::Absent);
    let ctx = Context { now: LATER, me: &me, entropy: [0; 32], catalogue };
    cart(given).decide(when, &ctx)
}

#[track_caller]
pub(super) fn check(given: &[Event], when: Command, then: Result<&[Event], Rejection>) {
    let decided = decide(given, when, Some(&shop()));
    assert_eq!(decided.map(|decision| decision.events), then.map(<[_]>::to_vec));
}

#[test]
fn a_cart_is_created_once() {
    let created_later = Event::Created { currency: currency("EUR"), access: OWNER, at: LATER };
    check(&[], create(), Ok(&[created_later]));
    check(&[created(), tea(1)], create(), Ok(&[]));
    check(&[created(), deleted()], create(), Err(Rejection::Deleted));
    let access = CartAccess::from_hash([8; 32]);
    for other in [
        Command::Create { currency: currency("JPY"), access: OWNER },
        Command::Create { currency: currency("EUR"), access },
    ] {
        check(&[created()], other, Err(Rejection::AlreadyExists));
    }
}

#[test]
fn nothing_happens_to_a_cart_that_was_never_created() {
    for when in [
        add(&[("tea", 1)]),
        set_quantity("tea", 1),
        Command::RemoveLine { sku: sku("tea") },
        Command::Clear,
        Command::Delete,
        give_up(id(2)),
    ] {
        check(&[], when, Err(Rejection::NotFound));
    }
}

#[test]
fn items_are_added_to_what_is_there() {
    check(&[created()], add(&[("tea", 2)]), Ok(&[tea(2)]));
    check(&[created(), tea(2)], add(&[("tea", 3)]), Ok(&[tea(5)]));
    check(
        &[created()],
        add(&[("tea", 1), ("bead-00", 1), ("tea", 1)]),
        Ok(&[set("bead-00", 1, 1), tea(2)]),
    );
    check(&[created()], add(&[]), Ok(&[]));
}

#[test]
fn all_items_are_added_or_none() {
    let unknown = Rejection::UnknownSku { sku: sku("mug") };
    check(&[created()], add(&[("tea", 1), ("mug", 1)]), Err(unknown));
    let not_priced = Rejection::NotPriced { sku: sku("fan"), currency: currency("EUR") };
    check(&[created()], add(&[("tea", 1), ("fan", 1)]), Err(not_priced));
}

#[test]
fn a_quantity_is_set_whatever_it_was() {
    check(&[created()], set_quantity("tea", 3), Ok(&[tea(3)]));
    check(&[created(), tea(5)], set_quantity("tea", 3), Ok(&[tea(3)]));
    check(&[created(), tea(3)], set_quantity("tea", 3), Ok(&[]));
    // The same quantity at yesterday's price is a change.
    check(&[created(), set("tea", 3, 440)], set_quantity("tea", 3), Ok(&[tea(3)]));
}

#[test]
fn lines_are_removed_and_cleared() {
    let remove = || Command::RemoveLine { sku: sku("tea") };
    let removed = Event::LineRemoved { sku: sku("tea"), at: LATER };
    check(&[created(), tea(1)], remove(), Ok(std::slice::from_ref(&removed)));
    let missing = Rejection::LineNotFound { sku: sku("tea") };
    check(&[created(), tea(1), removed], remove(), Err(missing));
    check(&[created(), tea(1)], Command::Clear, Ok(&[Event::Cleared { at: LATER }]));
    check(&[created()], Command::Clear, Ok(&[]));
}

#[test]
fn a_deleted_cart_stays_deleted() {
    check(&[created(), tea(1)], Command::Delete, Ok(&[deleted()]));
    check(&[created(), deleted()], Command::Delete, Ok(&[]));
    check(&[created(), deleted()], add(&[("tea", 1)]), Err(Rejection::Deleted));
    check(&[created(), deleted()], Command::Clear, Err(Rejection::Deleted));
    assert_eq!(cart(&[created(), tea(1), deleted()]), cart(&[created(), deleted()]));
}

#[test]
fn a_cart_is_bounded() {
    let full: Vec<_> = [created()].into_iter().chain(beads()).collect();
    check(&full, add(&[("tea", 1)]), Err(Rejection::TooManyLines));
    check(&full, add(&[("bead-00", 1)]), Ok(&[set("bead-00", 2, 1)]));
    let many = vec![("tea", 1); 101];
    check(&[created()], add(&many), Err(Rejection::TooManyLines));
    let too_large = || Rejection::QuantityTooLarge { sku: sku("tea") };
    check(&[created(), tea(9_999)], add(&[("tea", 1)]), Err(too_large()));
    check(&[created()], add(&[("tea", 9_999), ("tea", 1)]), Err(too_large()));
    let gems = |count| set("gem", count, Listing::PRICE_MAX);
    check(&[created()], set_quantity("gem", 9_007), Ok(&[gems(9_007)]));
    check(&[created()], set_quantity("gem", 9_008), Err(Rejection::TotalTooLarge));
    check(&[created(), gems(9_007)], set_quantity("tea", 9_999), Ok(&[tea(9_999)]));
}

#[test]
fn prices_come_from_the_catalogue_or_not_at_all() {
    let unavailable = Some(Rejection::CatalogueUnavailable);
    let foreign = Catalogue { index: INDEX, content: Arc::new("not a price book") };
    for catalogue in [None, Some(&foreign)] {
        assert_eq!(decide(&[created()], add(&[("tea", 1)]), catalogue).err(), unavailable);
        assert!(decide(&[created(), tea(1)], Command::Clear, catalogue).is_ok());
    }
}

#[test]
fn a_catalogue_that_may_be_out_of_date_prices_nothing() {
    let me = Cart::address(id(1));
    let catalogue = Err(NoCatalogue::Stale);
    let ctx = Context { now: LATER, me: &me, entropy: [0; 32], catalogue };
    let cart = cart(&[created(), tea(1)]);
    for prices in [add(&[("tea", 1)]), set_quantity("cup", 1)] {
        assert_eq!(cart.decide(prices, &ctx).err(), Some(Rejection::CatalogueStale));
    }
    assert!(cart.decide(Command::Clear, &ctx).is_ok());
    assert!(Cart::is_momentary(&Rejection::CatalogueStale));
}

#[test]
fn the_reply_is_the_cart_after_the_command() {
    let decision = decide(&[created(), tea(1)], add(&[("bead-07", 2)]), Some(&shop())).unwrap();
    let view = decision.reply.0.unwrap();
    let euro = |minor| Money { minor, currency: currency("EUR") };
    assert_eq!((view.id, view.status, view.access), (id(1), Status::Open, OWNER));
    assert_eq!(view.totals, Totals { items: euro(452), grand: euro(452) });
    assert_eq!(view.updated_at, LATER);
    let lines: Vec<_> =
        view.lines.iter().map(|line| (line.sku.as_str(), line.line_total)).collect();
    assert_eq!(lines, [("bead-07", euro(2)), ("tea", euro(450))]);
}

#[test]
fn a_million_idle_carts_fit() {
    let line = |code: &str| Event::QuantitySet {
        sku: sku(code),
        quantity: quantity(2),
        unit_price: Money { minor: 450, currency: currency("EUR") },
        name: "Darjeeling First Flush, organic, 250 g tin".to_owned().try_into().unwrap(),
        catalogue_index: INDEX,
        at: LATER,
    };
    let cart = cart(&[
        created(),
        line("TEA-DARJEELING-250"),
        line("TEA-ASSAM-250"),
        line("TEA-CEYLON-250"),
    ]);
    let bytes = size_of::<Cart>() + cart.heap_bytes();
    assert!((500..=1_200).contains(&bytes), "{bytes} bytes");
}

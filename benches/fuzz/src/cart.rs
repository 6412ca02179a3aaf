//! Everything a cart has as bytes; and that a state which decodes can go on living.

use std::sync::{Arc, LazyLock};

use actors::domain::cart::{
    Cart, Command, Event, Lookup, MergeStrategy, OfferNumber, Query, Rejection,
};
use actors::domain::ids::CartId;
use cluster::entity::{Catalogue, Context, Entity, NoCatalogue, Wire};
use cluster::ids::Slot;
use cluster::time::Timestamp;

use crate::world::{choosing, choosing_each, chosen};
use crate::{golden, wire};

const NOON: Timestamp = Timestamp::from_micros(0x0506_0708);
const KINDS: u8 = 6;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let text = include_str!("../../../ops/src/demo/catalogue.json");
    let book = ops::catalogue::parse(text).expect("the demo's catalogue");
    Catalogue { index: 7, content: Arc::new(book) }
});

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    match choice {
        0 => wire::value::<Command>(bytes),
        1 => wire::value::<Event>(bytes),
        2 => wire::value::<Rejection>(bytes),
        3 => wire::value::<Query>(bytes),
        4 => wire::value::<Lookup>(bytes),
        _ => {
            if let Some(cart) = wire::record::<Cart>(bytes) {
                live_on(&cart);
            }
        }
    }
}

/// Whatever is asked of a decoded cart, its state is one that decodes.
fn live_on(cart: &Cart) {
    let me = Cart::address(CartId::in_slot(Slot::from_bits(1), [7; 14]));
    let ctx = Context { now: NOON, me: &me, entropy: [7; 32], catalogue: Ok(&CATALOGUE) };
    for query in [Query::Cart, Query::Offer { number: OfferNumber::FIRST }] {
        let view = cart.view(query, &ctx);
        assert_eq!(Lookup::from_bytes(&view.to_bytes()), Ok(view));
    }
    // Nobody lives to make the last offer that can be numbered; past it a cart does not decode.
    let last = (u64::MAX - 1).to_string();
    let offers = cart.view(Query::Cart, &ctx).0.and_then(|view| view.offer);
    if offers.is_some_and(|offer| offer.number.to_string() == last) {
        return;
    }
    wire::goes_on(cart, commands(), &ctx);
}

fn commands() -> Vec<Command> {
    let sku = |text: &str| text.parse().expect("a sku");
    let quantity = 3_u32.try_into().expect("a quantity");
    let to = CartId::in_slot(Slot::from_bits(2), [9; 14]);
    vec![
        Command::AddItems { items: vec![(sku("tea-oolong-100"), quantity)] },
        Command::SetQuantity { sku: sku("cup-stoneware"), quantity },
        Command::RemoveLine { sku: sku("tea") },
        Command::Clear,
        Command::Delete,
        Command::GiveUpLines { to, strategy: MergeStrategy::Sum },
        Command::ConfirmMerge { offer: OfferNumber::FIRST, into: to },
        Command::ExpectOffer { from: to },
        Command::RepeatOffer,
    ]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let golden = golden::bytes_in(include_str!("../../../actors/src/codec/golden/cart.rs"));
    let mut seeds = choosing_each(KINDS, &golden);
    let me = Cart::address(CartId::in_slot(Slot::from_bits(1), [7; 14]));
    let ctx = Context { now: NOON, me: &me, entropy: [7; 32], catalogue: Err(NoCatalogue::Absent) };
    let views = golden.iter().filter_map(|bytes| Cart::from_record(bytes).ok());
    seeds.extend(views.map(|cart| choosing(4, &cart.view(Query::Cart, &ctx).to_bytes())));
    seeds
}

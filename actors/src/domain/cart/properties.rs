//! Any sequence of commands to three carts that merge into each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use cluster::entity::{Catalogue, NoCatalogue, Wire};
use proptest::prelude::*;

use super::gift_cards_tests::ending;
use super::tests::{currency, id, listing, promoting, quantity};
use super::*;
use crate::domain::catalogue::Listing;
use crate::domain::pricing::discounting_tests::percent;

const CARTS: u8 = 3;
const SKUS: u32 = 120;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    Send {
        cart: u8,
        command: Command,
        prices: usize,
    },
    /// The oldest Tell that is under way to a cart arrives, or is set aside as unprocessable.
    Deliver {
        cart: u8,
        prices: usize,
        fate: Fate,
    },
    /// The timer of a cart fires.
    Fire {
        cart: u8,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Processed,
    Quarantined,
}

struct World {
    carts: Vec<Cart>,
    /// The same carts, made of the events' bytes.
    replicas: Vec<Cart>,
    /// The Tells to each cart.
    under_way: Vec<VecDeque<Vec<u8>>>,
    timers: Vec<Option<Timestamp>>,
    /// Who took whose lines, by the events.
    taken: BTreeMap<CartId, CartId>,
    catalogues: [Option<Catalogue>; 3],
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let priced = |factor: i64| {
            let price = move |number: i64| match number {
                0 => Listing::PRICE_MAX / factor,
                cheap => cheap * factor,
            };
            let listing = |number: u32| {
                let minor = price(i64::from(number));
                listing(&format!("sku-{number}"), &[(minor, "EUR"), (minor, "JPY")])
            };
            (0..SKUS).map(listing).collect()
        };
        Self {
            carts: vec![Cart::default(); usize::from(CARTS)],
            replicas: vec![Cart::default(); usize::from(CARTS)],
            under_way: vec![VecDeque::new(); usize::from(CARTS)],
            timers: vec![None; usize::from(CARTS)],
            taken: BTreeMap::new(),
            catalogues: [
                None,
                Some(promoting(1, priced(1), vec![percent("a", 10)])),
                Some(promoting(2, priced(3), vec![percent("a", 33), percent("b", 99)])),
            ],
            now: Timestamp::from_micros(1),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send { cart, command, prices } => self.send(cart, command, prices),
            Step::Deliver { cart, prices, fate } => self.deliver(cart, prices, fate),
            Step::Fire { cart } => self.fire(cart),
        }
    }

    fn deliver(&mut self, cart: u8, prices: usize, fate: Fate) {
        let Some(command) = self.under_way[usize::from(cart)].pop_front() else { return };
        match fate {
            Fate::Processed => self.send(cart, Command::from_bytes(&command).unwrap(), prices),
            Fate::Quarantined => {}
        }
    }

    fn fire(&mut self, cart: u8) {
        let Some(at) = self.timers[usize::from(cart)].take() else { return };
        self.now = self.now.max(at);
        self.send(cart, Cart::on_timer(Cart::UNANSWERED).unwrap(), 0);
    }

    fn send(&mut self, number: u8, command: Command, prices: usize) {
        let at_cart = usize::from(number);
        self.now = self.now.plus(Span::from_micros(1));
        let me = Cart::address(id(number));
        let catalogue = self.catalogues[prices].clone();
        let catalogue = catalogue.as_ref().ok_or(NoCatalogue::Absent);
        let ctx = Context { now: self.now, me: &me, entropy: [0; 32], catalogue };
        let Ok(decision) = self.carts[at_cart].decide(command.clone(), &ctx) else { return };
        for event in &decision.events {
            self.carts[at_cart].apply(event);
            self.replicas[at_cart].apply(&Event::from_bytes(&event.to_bytes()).unwrap());
        }
        for effect in decision.effects {
            match effect {
                Effect::Tell { to, command } => {
                    let to = (0..CARTS).find(|number| Cart::address(id(*number)) == to).unwrap();
                    self.under_way[usize::from(to)].push_back(command);
                }
                Effect::SetTimer { name: Cart::UNANSWERED, at } => self.timers[at_cart] = Some(at),
                Effect::CancelTimer { name: Cart::UNANSWERED } => self.timers[at_cart] = None,
                Effect::Publish { .. } => {}
                other @ (Effect::SetTimer { .. }
                | Effect::CancelTimer { .. }
                | Effect::Invoke { .. }) => panic!("{other:?}"),
            }
        }
        self.keep_account(id(number), &decision.events);
        let cart = &self.carts[at_cart];
        let is_expected = matches!(command, Command::ExpectOffer { .. });
        assert!(is_expected || decision.reply == cart.view(Query::Cart, &ctx));
        let is_merging = cart.existing.as_ref().is_some_and(|cart| cart.is_merging());
        assert_eq!(self.timers[at_cart].is_some(), is_merging, "frozen for ever");
        if !matches!(command, Command::AddItems { .. } | Command::RepeatOffer)
            && let Ok(again) = cart.decide(command, &ctx)
        {
            assert_eq!(again.events, [], "a repeat changed something");
        }
        check_invariants(cart, &ctx);
        assert_eq!(&self.replicas[at_cart], cart);
        let record = cart.to_record();
        let read = Cart::from_record(&record).unwrap();
        assert_eq!((&read, read.to_record()), (cart, record));
    }
}

impl World {
    /// Lines are taken once, and given back only by a cart that did not take them.
    fn keep_account(&mut self, me: CartId, events: &[Event]) {
        for event in events {
            match event {
                Event::LinesTaken { from, .. } => {
                    assert_eq!(self.taken.insert(*from, me), None, "taken twice");
                }
                Event::MergedAway { into, .. } => {
                    assert_eq!(self.taken.get(&me), Some(into), "lines were lost");
                }
                Event::LinesReturned { .. } => {
                    assert_eq!(self.taken.get(&me), None, "lines were doubled");
                }
                Event::Created { .. }
                | Event::QuantitySet { .. }
                | Event::LineRemoved { .. }
                | Event::Cleared { .. }
                | Event::Deleted { .. }
                | Event::LinesOffered { .. }
                | Event::OfferRepeated { .. }
                | Event::DiscountsSet { .. }
                | Event::CodeAdded { .. }
                | Event::CodeRemoved { .. }
                | Event::GiftCardAdded { .. }
                | Event::GiftCardRemoved { .. } => {}
                // `order` has its own.
                Event::CheckoutBegun { .. } | Event::Ordered { .. } | Event::Reopened { .. } => {
                    panic!("nobody checked out")
                }
            }
        }
    }

    /// Nothing is lost any more, and timers fire until no offer is open.
    fn settle(&mut self) {
        for _ in 0..4 {
            for cart in (0..CARTS).chain(0..CARTS).chain(0..CARTS) {
                while !self.under_way[usize::from(cart)].is_empty() {
                    self.deliver(cart, 1, Fate::Processed);
                }
            }
            (0..CARTS).for_each(|cart| self.fire(cart));
        }
    }
}

impl Existing {
    fn is_merging(&self) -> bool {
        matches!(self.status, Status::Merging { .. })
    }
}

fn check_invariants(cart: &Cart, ctx: &Context<'_>) {
    let Some(view) = cart.view(Query::Cart, ctx).0 else { return };
    assert!(view.lines.len() <= 100);
    assert!(view.lines.is_sorted_by(|left, right| left.sku < right.sku));
    let mut sum = 0;
    for line in &view.lines {
        assert_eq!(line.unit_price.currency, view.currency);
        let total = i128::from(line.unit_price.minor) * i128::from(line.quantity.get());
        assert_eq!(i128::from(line.line_total.minor), total);
        sum += total;
    }
    let off: i64 = view.discounts.iter().map(Discount::minor).sum();
    assert_eq!(i128::from(view.totals.grand.minor), sum - i128::from(off));
    assert!(view.totals.grand.minor >= 0);
    assert!((0..=(1 << 53) - 1).contains(&sum));
    let ended = matches!(view.status, Status::MergedAway { .. } | Status::Deleted);
    assert!(!ended || view.lines.is_empty() && view.gift_cards.is_empty());
    assert!(view.gift_cards.len() <= 5);
    let cards: BTreeSet<_> = view.gift_cards.iter().map(|given| given.card).collect();
    assert_eq!(cards.len(), view.gift_cards.len(), "a card is there twice");
    let is_open = view.offer.is_some_and(|offer| offer.outcome == OfferOutcome::Open);
    assert_eq!(is_open, matches!(view.status, Status::Merging { .. }));
}

fn quantities() -> impl Strategy<Value = Quantity> {
    prop_oneof![1..5_u32, Just(5_000), Just(Quantity::MAX)].prop_map(quantity)
}

/// The few at the front are met again and again; the last is not for sale.
fn skus() -> impl Strategy<Value = SkuCode> {
    prop_oneof![0..4_u32, 0..=SKUS].prop_map(|number| format!("sku-{number}").parse().unwrap())
}

fn strategies() -> impl Strategy<Value = MergeStrategy> {
    prop_oneof![Just(MergeStrategy::Sum), Just(MergeStrategy::Keep), Just(MergeStrategy::Replace)]
}

/// More than a cart takes.
fn gift_cards() -> impl Strategy<Value = GiftCardId> {
    (0..8_u8).prop_map(|number| GiftCardId::from_bytes([number; 16]))
}

fn commands() -> impl Strategy<Value = Command> {
    let create = || {
        let code = prop_oneof![9 => Just("EUR"), 1 => Just("JPY")];
        let access = CartAccess::from_hash([1; 32]);
        code.prop_map(move |code| Command::Create { currency: currency(code), access })
    };
    let items = || {
        prop_oneof![
            3 => prop::collection::vec((skus(), quantities()), 0..4),
            1 => prop::collection::vec((skus(), (1..3_u32).prop_map(quantity)), 60..105),
        ]
    };
    prop_oneof![
        4 => create(),
        5 => items().prop_map(|items| Command::AddItems { items }),
        4 => (skus(), quantities())
            .prop_map(|(sku, quantity)| Command::SetQuantity { sku, quantity }),
        2 => skus().prop_map(|sku| Command::RemoveLine { sku }),
        1 => Just(Command::Clear),
        1 => Just(Command::Delete),
        3 => (0..CARTS, strategies())
            .prop_map(|(to, strategy)| Command::GiveUpLines { to: id(to), strategy }),
        1 => (0..CARTS).prop_map(|from| Command::ExpectOffer { from: id(from) }),
        3 => gift_cards().prop_map(|card| Command::AddGiftCard { card, ending: ending() }),
        1 => gift_cards().prop_map(|card| Command::RemoveGiftCard { card }),
    ]
}

fn fates() -> impl Strategy<Value = Fate> {
    prop_oneof![5 => Just(Fate::Processed), 1 => Just(Fate::Quarantined)]
}

fn steps() -> impl Strategy<Value = Step> {
    let prices = || prop_oneof![1 => Just(0_usize), 6 => Just(1), 6 => Just(2)];
    prop_oneof![
        5 => (0..CARTS, commands(), prices())
            .prop_map(|(cart, command, prices)| Step::Send { cart, command, prices }),
        4 => (0..CARTS, prices(), fates())
            .prop_map(|(cart, prices, fate)| Step::Deliver { cart, prices, fate }),
        1 => (0..CARTS).prop_map(|cart| Step::Fire { cart }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_history_keeps_the_invariants_and_replays(
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.settle();
        for cart in world.carts.iter().filter_map(|cart| cart.existing.as_ref()) {
            prop_assert!(!cart.is_merging(), "frozen for ever");
        }
    }
}

//! Any sequence of commands to three carts that merge into each other.

use std::collections::VecDeque;

use cluster::entity::{Catalogue, Wire};
use proptest::prelude::*;

use super::tests::{catalogue, currency, id, listing, quantity};
use super::*;
use crate::domain::catalogue::Listing;

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
    /// The oldest Tell that is under way arrives.
    Deliver {
        prices: usize,
    },
}

struct World {
    carts: Vec<Cart>,
    /// The same carts, made of the events' bytes.
    replicas: Vec<Cart>,
    under_way: VecDeque<(EntityRef, Vec<u8>)>,
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
            under_way: VecDeque::new(),
            catalogues: [None, Some(catalogue(1, priced(1))), Some(catalogue(2, priced(3)))],
            now: Timestamp::from_micros(1),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send { cart, command, prices } => self.send(cart, command, prices),
            Step::Deliver { prices } => self.deliver(prices),
        }
    }

    fn deliver(&mut self, prices: usize) {
        if let Some((to, command)) = self.under_way.pop_front() {
            let cart = (0..CARTS).find(|number| Cart::address(id(*number)) == to).unwrap();
            self.send(cart, Command::from_bytes(&command).unwrap(), prices);
        }
    }

    fn send(&mut self, number: u8, command: Command, prices: usize) {
        let at = usize::from(number);
        self.now = self.now.plus(cluster::time::Span::from_micros(1));
        let me = Cart::address(id(number));
        let catalogue = self.catalogues[prices].as_ref();
        let ctx = Context { now: self.now, me: &me, entropy: [0; 32], catalogue };
        let Ok(decision) = self.carts[at].decide(command.clone(), &ctx) else { return };
        for event in &decision.events {
            self.carts[at].apply(event);
            self.replicas[at].apply(&Event::from_bytes(&event.to_bytes()).unwrap());
        }
        for effect in decision.effects {
            let Effect::Tell { to, command } = effect else { panic!("{effect:?}") };
            self.under_way.push_back((to, command));
        }
        let cart = &self.carts[at];
        assert_eq!(decision.reply, cart.view(Query::Cart, &ctx));
        if !matches!(command, Command::AddItems { .. })
            && let Ok(again) = cart.decide(command, &ctx)
        {
            assert_eq!(again.events, [], "a repeat changed something");
        }
        check_invariants(cart, &ctx);
        assert_eq!(&self.replicas[at], cart);
        let record = cart.to_record();
        let read = Cart::from_record(&record).unwrap();
        assert_eq!((&read, read.to_record()), (cart, record));
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
    assert_eq!(i128::from(view.totals.grand.minor), sum);
    assert!((0..=(1 << 53) - 1).contains(&sum));
    let ended = matches!(view.status, Status::MergedAway { .. } | Status::Deleted);
    assert!(!ended || view.lines.is_empty());
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
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let prices = || prop_oneof![1 => Just(0_usize), 6 => Just(1), 6 => Just(2)];
    prop_oneof![
        5 => (0..CARTS, commands(), prices())
            .prop_map(|(cart, command, prices)| Step::Send { cart, command, prices }),
        2 => prices().prop_map(|prices| Step::Deliver { prices }),
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
        while !world.under_way.is_empty() {
            world.deliver(1);
        }
        for cart in world.carts.iter().filter_map(|cart| cart.existing.as_ref()) {
            prop_assert!(!matches!(cart.status, Status::Merging { .. }), "frozen for ever");
        }
    }
}

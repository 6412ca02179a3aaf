//! Any sequence of what orders and others ask of a stock that promises, beside an account that knows
//! each order's pieces.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster::entity::{Catalogue, Effect, Wire};
use cluster::time::Span;
use proptest::prelude::*;

use super::*;
use crate::domain::catalogue::PriceBook;
use crate::domain::location::StockLocation;
use crate::domain::order;

const START: Timestamp = Timestamp::from_micros(1_000_000);

#[derive(Clone, Debug)]
enum Step {
    Send(Command),
    Wait(Span),
}

/// The pieces of one order, each in one place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pieces {
    asked: i64,
    waiting: i64,
    held: i64,
    sold: i64,
}

struct World {
    sku: Sku,
    replica: Sku,
    orders: BTreeMap<OrderId, Pieces>,
    /// What each order was told last of what it waits for.
    told: BTreeMap<OrderId, i64>,
    promised: Vec<OrderId>,
    /// When word was given last that few are left, and whether they have been few since.
    word: Option<(Timestamp, bool)>,
    low_timer: Option<Timestamp>,
    catalogue: Catalogue,
    now: Timestamp,
    me: EntityRef,
}

impl World {
    fn new() -> Self {
        Self {
            sku: Sku::default(),
            replica: Sku::default(),
            orders: BTreeMap::new(),
            told: BTreeMap::new(),
            promised: Vec::new(),
            word: None,
            low_timer: None,
            catalogue: Catalogue { index: 1, content: Arc::new(locations()) },
            now: START,
            me: Sku::address(&"tea".parse().unwrap()),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(command) => self.send(command),
            Step::Wait(span) => {
                self.now = self.now.plus(span);
                self.send(Command::ExpireDue);
                if self.low_timer.take_if(|at| *at <= self.now).is_some() {
                    self.send(Command::TellLowStock);
                }
            }
        }
    }

    fn send(&mut self, command: Command) {
        let mut before = None;
        if let Command::ForOrder { order, step: OrderStep::TakeBack { quantity } } = command {
            // No order takes back more than it has, or less than what has not left the stock.
            let (pieces, back) = (self.orders.get(&order), i64::from(quantity.get()));
            let pieces = pieces.copied().unwrap_or_default();
            if back > pieces.asked || back < pieces.waiting + pieces.held {
                return;
            }
            before = Some((order, pieces.asked - back));
        }
        let ctx = Context {
            now: self.now,
            me: &self.me,
            entropy: [0; 32],
            catalogue: Ok(&self.catalogue),
        };
        let Ok(decision) = self.sku.decide(command, &ctx) else { return };
        for event in &decision.events {
            self.account(event);
            self.sku.apply(event);
            self.replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
            assert!(self.sku.reserved <= self.sku.on_hand.unwrap_or_default(), "between events");
        }
        let mut has_word = false;
        for effect in decision.effects {
            match effect {
                Effect::Tell { to, command } => self.tell(&to, &command),
                Effect::Publish { .. } => has_word = true,
                Effect::SetTimer { name: Sku::LOW_STOCK, at } => self.low_timer = Some(at),
                Effect::SetTimer { .. } | Effect::CancelTimer { .. } => {}
                Effect::Invoke { .. } => panic!("{effect:?}"),
            }
        }
        if let Some((order, left)) = before {
            let pieces = Pieces { asked: left, sold: left, ..Pieces::default() };
            assert_eq!(self.orders.get(&order), Some(&pieces), "what was sent stays sold");
        }
        self.check_word(has_word);
        self.check(decision.reply.level);
    }

    fn check_word(&mut self, has_word: bool) {
        let is_low = self.sku.recorded().is_low();
        if has_word {
            assert!(is_low);
            if let Some((given, holds)) = self.word {
                assert!(!holds && self.now >= given.plus(Sku::LOW_STOCK_EVERY), "a flood");
            }
            self.word = Some((self.now, true));
        }
        if let Some((_, holds)) = &mut self.word {
            *holds &= is_low;
        }
        let is_known = self.word.is_some_and(|(_, holds)| holds) || self.low_timer.is_some();
        assert!(!is_low || is_known, "nobody hears of it");
    }

    /// Each event moves the pieces of orders from one place to the next.
    fn account(&mut self, event: &Event) {
        let by_id = |id: &ReservationId| OrderId::from_bytes(*id.as_bytes());
        match event {
            Event::Reserved { id, quantity, .. } => {
                let pieces = self.orders.entry(by_id(id)).or_default();
                pieces.held += i64::from(quantity.get());
                pieces.asked += i64::from(quantity.get());
            }
            Event::Promised { order, asked, waiting, backordered, at } => {
                assert!(*backordered <= self.sku.policy.promised_max(*at), "past the limit");
                let pieces = self.orders.entry(*order).or_default();
                pieces.waiting += i64::from(waiting.get());
                pieces.asked += i64::from(waiting.get());
                assert_eq!(pieces.asked, i64::from(asked.get()));
                self.promised.push(*order);
            }
            Event::PromisesKept { kept, .. } => {
                let oldest: Vec<_> = self.promised.iter().take(kept.len()).copied().collect();
                assert_eq!(kept.iter().map(|it| it.order).collect::<Vec<_>>(), oldest);
                for Kept { order, held, waiting } in kept {
                    let pieces = self.orders.get_mut(order).unwrap();
                    let come = i64::from(held.get()) - pieces.held;
                    assert!(come > 0);
                    pieces.held += come;
                    pieces.waiting -= come;
                    assert_eq!(pieces.waiting, i64::from(waiting.get()));
                }
                self.promised.retain(|it| self.orders[it].waiting > 0);
            }
            Event::PromiseWithdrawn { order, .. } => {
                let pieces = self.orders.get_mut(order).unwrap();
                pieces.asked -= std::mem::take(&mut pieces.waiting);
                self.promised.retain(|it| it != order);
            }
            Event::Confirmed { id, delta, .. } | Event::SoldFrom { id, delta, .. } => {
                let pieces = self.orders.get_mut(&by_id(id)).unwrap();
                assert_eq!(-delta.get(), pieces.held);
                pieces.sold += std::mem::take(&mut pieces.held);
            }
            Event::Released { id, .. } => {
                let pieces = self.orders.get_mut(&by_id(id)).unwrap();
                pieces.asked -= std::mem::take(&mut pieces.held);
            }
            Event::Expired { ids, .. } => {
                for id in ids {
                    self.orders.remove(&by_id(id));
                }
            }
            Event::OnHandSet { delta, reason, .. } => {
                for (order, pieces) in &mut self.orders {
                    if reason.as_str() == format!("returned from {order}") {
                        pieces.sold -= delta.get();
                        pieces.asked -= delta.get();
                    }
                }
            }
            Event::ReleasedEarly { .. }
            | Event::TakenOver { .. }
            | Event::PolicySet { .. }
            | Event::LowStockSet { .. }
            | Event::StockedAt { .. }
            | Event::Transferred { .. }
            | Event::RanLow { .. }
            | Event::RanLowNoMore { .. } => {}
        }
    }

    fn tell(&mut self, to: &EntityRef, command: &[u8]) {
        let order = OrderId::try_from(&to.key).unwrap();
        let Ok(order::Command::TakeStockNews { news, .. }) = order::Command::from_bytes(command)
        else {
            panic!("{command:?}");
        };
        match news {
            StockNews::Promised { waiting } => {
                self.told.insert(order, i64::from(waiting.get()));
            }
            StockNews::Arrived { waiting } => {
                self.told.insert(order, i64::from(waiting.get()));
            }
            StockNews::Reserved | StockNews::Released | StockNews::Restocked => {
                self.told.remove(&order);
            }
            StockNews::Refused(_) | StockNews::Sold => {}
        }
    }

    fn check(&self, level: Level) {
        assert_eq!(level, self.sku.recorded());
        assert!(level.reserved <= level.on_hand);
        assert_eq!(self.sku.reservations.pieces(), Some(self.sku.reserved));
        assert_eq!(self.sku.promises.pieces(), Some(self.sku.backordered));
        let whereabouts = self.sku.whereabouts();
        let lying: u32 = whereabouts.iter().map(|(_, there)| there.get()).sum();
        assert_eq!(lying, level.on_hand.get(), "{whereabouts:?}");
        let is_waited_for = self.sku.promises.iter().len() > 0;
        assert!(!is_waited_for || level.available == Units::ZERO, "kept from those who wait");
        for promise in self.sku.promises.iter() {
            let pieces = self.orders[&promise.order];
            assert_eq!(pieces.waiting, i64::from(promise.waiting.get()));
            assert_eq!(pieces.asked, i64::from(promise.asked.get()));
            assert_eq!(self.told[&promise.order], pieces.waiting, "the order knows");
        }
        for pieces in self.orders.values() {
            assert_eq!(pieces.asked, pieces.waiting + pieces.held + pieces.sold);
        }
        assert_eq!(self.replica, self.sku);
        let record = self.sku.to_record();
        let read = Sku::from_record(&record).unwrap();
        assert_eq!((&read, read.to_record()), (&self.sku, record));
    }
}

/// Each order asks for as many pieces as its number says, whenever it asks.
fn orders() -> impl Strategy<Value = Command> {
    (1..6_u8, 0..10_u8).prop_map(|(number, what)| {
        let pieces = if what == 9 { number.div_ceil(2) } else { number };
        let quantity = Quantity::try_from(u32::from(pieces)).unwrap();
        let step = match what {
            0..4 => OrderStep::Reserve { quantity },
            4 | 5 => OrderStep::Confirm,
            6 => OrderStep::Release,
            _ => OrderStep::TakeBack { quantity },
        };
        Command::ForOrder { order: OrderId::from_bytes([number; 16]), step }
    })
}

fn locations() -> PriceBook {
    let location = |name: &str| StockLocation {
        id: name.parse().unwrap(),
        name: name.to_owned().try_into().unwrap(),
        priority: 0,
    };
    PriceBook::empty().with_stock_locations(["north", "south"].map(location))
}

fn location() -> impl Strategy<Value = Option<LocationId>> {
    prop::option::of(prop::sample::select(vec!["north", "south"]))
        .prop_map(|name| name.map(|name| name.parse().unwrap()))
}

fn others() -> impl Strategy<Value = Command> {
    let policies = prop_oneof![
        1 => Just(Policy::Deny),
        4 => prop::option::of(0..9_u32).prop_map(|limit| {
            Policy::Backorder { limit: limit.map(|limit| limit.try_into().unwrap()) }
        }),
        2 => (0..400_u64, prop::option::of(0..9_u32)).prop_map(|(after, limit)| {
            let available_from = Some(START.plus(Span::from_micros(after)));
            let limit = limit.map(|limit| limit.try_into().unwrap());
            Policy::Preorder { available_from, limit }
        }),
    ];
    prop_oneof![
        4 => (-4..7_i64).prop_map(|change| Command::Adjust {
            delta: change.try_into().unwrap(),
            reason: "counted".to_owned().try_into().unwrap(),
        }),
        3 => (20..26_u8, 1..4_u32, 1..80_u64).prop_map(|(number, count, after)| Command::Reserve {
            id: ReservationId::from_bytes([number; 16]),
            quantity: count.try_into().unwrap(),
            holder: None,
            expires_at: Some(START.plus(Span::from_micros(after))),
        }),
        3 => (location(), -3..6_i64).prop_map(|(location, change)| Command::StockAt {
            location: location.unwrap_or_else(|| "north".parse().unwrap()),
            change: match Units::try_from(u32::try_from(change).unwrap_or(u32::MAX)) {
                Ok(there) if there.get() % 2 == 0 => Change::To(there),
                _ => Change::By(change.try_into().unwrap()),
            },
            reason: "counted".to_owned().try_into().unwrap(),
        }),
        2 => (location(), location(), 0..5_u32).prop_map(|(from, to, pieces)| Command::Transfer {
            from,
            to,
            pieces: pieces.try_into().unwrap(),
            reason: "moved".to_owned().try_into().unwrap(),
        }),
        2 => policies.prop_map(|policy| Command::SetPolicy { policy }),
        1 => prop::option::of(0..5_u32).prop_map(|threshold| Command::SetLowStock {
            threshold: threshold.map(|it| it.try_into().unwrap()),
        }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => orders().prop_map(Step::Send),
        7 => others().prop_map(Step::Send),
        2 => (1..20_u64).prop_map(|micros| Step::Wait(Span::from_micros(micros))),
        2 => (1..20_u64).prop_map(|minutes| Step::Wait(Span::from_secs(60 * minutes))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn every_piece_of_an_order_is_promised_reserved_sold_or_let_go(
        steps in prop::collection::vec(steps(), 1..60),
    ) {
        let mut world = World::new();
        world.run(Step::Send(Command::SetPolicy { policy: Policy::Backorder { limit: None } }));
        for step in steps {
            world.run(step);
        }
    }
}

//! Any sequence of commands to one stock, beside a plain account of the pieces.

use std::collections::{BTreeMap, BTreeSet};

use cluster::entity::Wire;
use cluster::ids::EntityKey;
use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_micros(1_000_000);

#[derive(Clone, Debug)]
enum Step {
    Send(Command),
    Wait(Span),
    /// The timer fires, if it is due.
    Fire,
}

/// Where the pieces went, reckoned from what was asked and granted alone.
#[derive(Default)]
struct Account {
    stock: i64,
    held: BTreeMap<ReservationId, (i64, Option<Timestamp>)>,
    sold: BTreeSet<ReservationId>,
}

impl Account {
    fn granted(&mut self, command: &Command, now: Timestamp) {
        self.held.retain(|_, (_, expires_at)| expires_at.is_none_or(|at| at > now));
        match command {
            Command::Adjust { delta, .. } => self.stock += delta.get(),
            Command::SetOnHand { on_hand, .. } => self.stock = i64::from(on_hand.get()),
            Command::Reserve { id, quantity, expires_at, .. } => {
                let pieces = i64::from(quantity.get());
                self.held.entry(*id).or_insert((pieces, *expires_at));
                self.sold.remove(id);
            }
            Command::Confirm { id } => match self.held.remove(id) {
                Some((pieces, _)) => {
                    self.stock -= pieces;
                    self.sold.insert(*id);
                }
                None => assert!(self.sold.contains(id), "confirmed what was never reserved"),
            },
            Command::Release { id } => drop(self.held.remove(id)),
            Command::TakeOver { id, .. } => self.held.get_mut(id).unwrap().1 = None,
            Command::ExpireDue => {}
        }
    }

    fn reserved(&self) -> i64 {
        self.held.values().map(|(pieces, _)| pieces).sum()
    }
}

struct World {
    sku: Sku,
    /// The same stock, made of the events' bytes.
    replica: Sku,
    account: Account,
    timer: Option<Timestamp>,
    now: Timestamp,
    me: EntityRef,
}

impl World {
    fn new() -> Self {
        Self {
            sku: Sku::default(),
            replica: Sku::default(),
            account: Account::default(),
            timer: None,
            now: START,
            me: Sku::address(&"tea".parse().unwrap()),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(command) => self.send(command),
            Step::Wait(span) => self.now = self.now.plus(span),
            Step::Fire => {
                if self.timer.take_if(|at| *at <= self.now).is_some() {
                    self.send(Sku::on_timer(Sku::EXPIRY).unwrap());
                }
            }
        }
    }

    fn send(&mut self, command: Command) {
        let ctx = Context { now: self.now, me: &self.me, entropy: [0; 32], catalogue: None };
        let Ok(decision) = self.sku.decide(command.clone(), &ctx) else { return };
        for event in &decision.events {
            self.sku.apply(event);
            self.replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
            assert!(self.sku.reserved <= self.sku.on_hand.unwrap_or_default(), "between events");
        }
        for effect in decision.effects {
            match effect {
                Effect::SetTimer { name: Sku::EXPIRY, at } => self.timer = Some(at),
                Effect::CancelTimer { name: Sku::EXPIRY } => self.timer = None,
                other @ (Effect::SetTimer { .. }
                | Effect::CancelTimer { .. }
                | Effect::Tell { .. }
                | Effect::Invoke { .. }
                | Effect::Publish { .. }) => panic!("{other:?}"),
            }
        }
        self.account.granted(&command, self.now);
        let level = View::Level(decision.reply);
        assert_eq!(level, self.sku.view(Query::Level, &ctx));
        self.check_invariants(decision.reply);
        if !matches!(command, Command::Adjust { .. })
            && let Ok(again) = self.sku.decide(command, &ctx)
        {
            assert_eq!(View::Level(again.reply), level, "a repeat changed the stock");
        }
        assert_eq!(self.replica, self.sku);
        let record = self.sku.to_record();
        let read = Sku::from_record(&record).unwrap();
        assert_eq!((&read, read.to_record()), (&self.sku, record));
    }

    fn check_invariants(&self, level: Level) {
        let (on_hand, reserved) = (i64::from(level.on_hand.get()), i64::from(level.reserved.get()));
        assert_eq!(on_hand, self.account.stock);
        assert_eq!(reserved, self.account.reserved());
        assert!(0 <= reserved && reserved <= on_hand, "oversold");
        assert_eq!(i64::from(level.available.get()), on_hand - reserved);
        assert_eq!(self.sku.reservations.pieces(), Some(self.sku.reserved));
        assert_eq!(self.timer, self.sku.reservations.first_expiry());
    }
}

fn ids() -> impl Strategy<Value = ReservationId> {
    (0..6_u8).prop_map(|number| ReservationId::from_bytes([number; 16]))
}

fn holders() -> impl Strategy<Value = Holder> {
    (0..2_u8).prop_map(|number| {
        let key = EntityKey::Number([number; 16]);
        Holder::try_from(&EntityRef { kind: EntityKind(1), key }).unwrap()
    })
}

fn commands() -> impl Strategy<Value = Command> {
    let reason = || Reason::try_from("counted".to_owned()).unwrap();
    let quantities = prop_oneof![1..8_u32, Just(Quantity::MAX)]
        .prop_map(|count| Quantity::try_from(count).unwrap());
    let expiries =
        prop::option::of((0..400_u64).prop_map(|after| START.plus(Span::from_micros(after))));
    prop_oneof![
        2 => (-6..12_i64).prop_map(move |change| {
            Command::Adjust { delta: change.try_into().unwrap(), reason: reason() }
        }),
        1 => prop_oneof![0..12_u32, Just(Units::MAX)].prop_map(move |count| {
            Command::SetOnHand { on_hand: count.try_into().unwrap(), reason: reason() }
        }),
        8 => (ids(), quantities, prop::option::of(holders()), expiries).prop_map(
            |(id, quantity, holder, expires_at)| {
                Command::Reserve { id, quantity, holder, expires_at }
            },
        ),
        3 => ids().prop_map(|id| Command::Confirm { id }),
        1 => ids().prop_map(|id| Command::Release { id }),
        2 => (ids(), holders()).prop_map(|(id, holder)| Command::TakeOver { id, holder }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => commands().prop_map(Step::Send),
        2 => (1..40_u64).prop_map(|micros| Step::Wait(Span::from_micros(micros))),
        1 => Just(Step::Fire),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn any_history_keeps_the_invariants_and_replays(
        steps in prop::collection::vec(steps(), 1..80),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
    }
}

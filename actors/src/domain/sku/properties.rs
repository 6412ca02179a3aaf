//! Any sequence of commands to one stock, beside a plain account of the pieces.

use std::collections::BTreeMap;

use cluster::entity::{Effect, NoCatalogue, Wire};
use cluster::ids::EntityKey;
use cluster::time::Span;
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

/// A reservation, reckoned from what was asked and granted alone.
struct Held {
    pieces: i64,
    holder: Option<Holder>,
    expires_at: Option<Timestamp>,
}

/// Where the pieces went, reckoned likewise.
#[derive(Default)]
struct Account {
    stock: i64,
    held: BTreeMap<ReservationId, Held>,
    ended: BTreeMap<ReservationId, (End, Timestamp)>,
}

impl Account {
    fn pass(&mut self, now: Timestamp) {
        let is_due = |held: &Held| held.expires_at.is_some_and(|at| at <= now);
        let due: Vec<_> =
            self.held.iter().filter(|(_, held)| is_due(held)).map(|(id, _)| *id).collect();
        for id in due {
            self.held.remove(&id);
            self.ended.insert(id, (End::Expired, now));
        }
        self.ended.retain(|_, (_, at)| now < at.plus(Ended::LIFE));
    }

    fn end(&mut self, id: ReservationId, holder: Option<Holder>, end: End, now: Timestamp) -> i64 {
        let Some(held) = self.held.remove(&id) else { return 0 };
        assert!(held.holder.is_none() || held.holder == holder, "ended by another");
        self.ended.insert(id, (end, now));
        held.pieces
    }

    fn granted(&mut self, command: &Command, now: Timestamp) {
        self.pass(now);
        match command {
            Command::Adjust { delta, .. } => self.stock += delta.get(),
            Command::SetOnHand { on_hand, .. } => self.stock = i64::from(on_hand.get()),
            Command::Reserve { id, quantity, holder, expires_at } => {
                assert!(!self.ended.contains_key(id), "began again");
                let (pieces, holder) = (i64::from(quantity.get()), *holder);
                let held = Held { pieces, holder, expires_at: *expires_at };
                self.held.entry(*id).or_insert(held);
            }
            Command::Confirm { id, holder } => {
                self.stock -= self.end(*id, *holder, End::Sold, now);
                let is_sold = matches!(self.ended.get(id), Some((End::Sold, _)));
                assert!(is_sold, "confirmed what was never reserved");
            }
            Command::Release { id, holder, if_unknown } => {
                self.end(*id, *holder, End::Released, now);
                let (end, _) = self.ended.entry(*id).or_insert_with(|| {
                    assert_eq!(*if_unknown, IfUnknown::RefuseItsReserve, "released nothing");
                    (End::ReleasedBefore, now)
                });
                assert_ne!(*end, End::Sold, "released what was sold");
            }
            Command::ForOrder { .. } => panic!("orders have properties of their own"),
            Command::TakeOver { id, holder } => {
                let held = self.held.get_mut(id).unwrap();
                let is_free = held.holder.is_none() || held.expires_at.is_some();
                assert!(is_free || held.holder == Some(*holder), "taken over from another");
                (held.holder, held.expires_at) = (Some(*holder), None);
            }
            Command::SetPolicy { .. }
            | Command::SetLowStock { .. }
            | Command::StockAt { .. }
            | Command::Transfer { .. }
            | Command::TellLowStock => {
                panic!("promises have properties of their own")
            }
            Command::ExpireDue => {}
        }
    }

    fn reserved(&self) -> i64 {
        self.held.values().map(|held| held.pieces).sum()
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
        let ctx = Context {
            now: self.now,
            me: &self.me,
            entropy: [0; 32],
            catalogue: Err(NoCatalogue::Absent),
        };
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
        let reply = decision.reply;
        assert_eq!(View::Level(reply.level), self.sku.view(Query::Level, &ctx));
        if let Some(held) = reply.reservation {
            let asked = self.sku.view(Query::Reservation { id: held.id }, &ctx);
            assert_eq!(View::Reservation(reply), asked);
            let granted = self.account.held[&held.id].expires_at;
            assert_eq!(held.expires_at, granted, "an expiry that was never granted");
        }
        self.check_invariants(reply.level);
        if !matches!(command, Command::Adjust { .. })
            && let Ok(again) = self.sku.decide(command, &ctx)
        {
            assert_eq!((again.events, again.reply), (vec![], reply), "a repeat changed the stock");
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
    let if_unknown = prop_oneof![Just(IfUnknown::Reject), Just(IfUnknown::RefuseItsReserve)];
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
        3 => (ids(), prop::option::of(holders()))
            .prop_map(|(id, holder)| Command::Confirm { id, holder }),
        2 => (ids(), prop::option::of(holders()), if_unknown).prop_map(
            |(id, holder, if_unknown)| Command::Release { id, holder, if_unknown },
        ),
        2 => (ids(), holders()).prop_map(|(id, holder)| Command::TakeOver { id, holder }),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        24 => commands().prop_map(Step::Send),
        8 => (1..40_u64).prop_map(|micros| Step::Wait(Span::from_micros(micros))),
        1 => Just(Step::Wait(Ended::LIFE)),
        4 => Just(Step::Fire),
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

use cluster::entity::NoCatalogue;
use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_micros(43_200_000_000);

fn order(number: u8) -> OrderId {
    OrderId::from_bytes([number; 16])
}

fn counted() -> Counted {
    Counted { code: "SPRING".parse().unwrap(), customer: Some(CustomerKey::from_bytes([7; 16])) }
}

fn hold(limit: u32) -> UseStep {
    UseStep::Hold { limit: NonZeroU32::new(limit) }
}

/// Decides, applies, and gives what the order was told.
#[track_caller]
fn ask(uses: &mut CodeUses, number: u8, step: UseStep, at: Timestamp) -> UseNews {
    let me = CodeUses::address(&counted());
    let ctx = Context { now: at, me: &me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) };
    let command = Command::ForOrder { order: order(number), step };
    let decision = uses.decide(command, &ctx).unwrap();
    for event in &decision.events {
        uses.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
    }
    assert_eq!(decision.reply, uses.view(Query::Uses, &ctx));
    let [Effect::Tell { to, command }] = decision.effects.as_slice() else { panic!() };
    assert_eq!(*to, Order::address(order(number)));
    let order::Command::TakeUseNews { counted: told, news } =
        order::Command::from_bytes(command).unwrap()
    else {
        panic!()
    };
    assert_eq!(told, counted());
    news
}

/// `then`: used and held.
#[track_caller]
fn check(steps: &[(u8, UseStep, UseNews)], then: (u32, u32)) {
    let mut uses = CodeUses::default();
    for (number, step, news) in steps {
        assert_eq!(ask(&mut uses, *number, *step, NOON), *news, "{number} {step:?}");
    }
    let View { used, held } = uses.level();
    assert_eq!((used, held), then);
}

const NO: UseNews = UseNews::Refused(NoUse::Exhausted);

#[test]
fn what_is_held_and_what_is_counted_are_limited_together() {
    use UseNews::{Counted, Held, Released, Returned};
    let (count, release, give_back) = (UseStep::Count, UseStep::Release, UseStep::Return);
    check(&[(1, hold(2), Held), (2, hold(2), Held), (3, hold(2), NO)], (0, 2));
    check(&[(1, hold(1), Held), (1, count, Counted), (2, hold(1), NO)], (1, 0));
    check(&[(1, hold(1), Held), (1, release, Released), (2, hold(1), Held)], (0, 1));
    let used = [(1, hold(1), Held), (1, count, Counted), (1, give_back, Returned)];
    check(&[used.as_slice(), &[(2, hold(1), Held)]].concat(), (0, 1));
    check(&[(1, hold(0), Held), (2, hold(0), Held)], (0, 2));
}

#[test]
fn a_repeat_changes_nothing() {
    use UseNews::{Counted, Held, Released};
    let (count, release) = (UseStep::Count, UseStep::Release);
    check(&[(1, hold(1), Held), (1, hold(1), Held)], (0, 1));
    check(&[(1, hold(1), Held), (1, count, Counted), (1, count, Counted)], (1, 0));
    check(&[(1, hold(2), Held), (1, release, Released), (1, release, Released)], (0, 0));
    check(&[(1, hold(2), Held), (1, count, Counted), (1, hold(2), NO)], (1, 0));
}

#[test]
fn a_hold_that_comes_after_its_release_is_refused_for_a_day() {
    let mut uses = CodeUses::default();
    assert_eq!(ask(&mut uses, 1, UseStep::Release, NOON), UseNews::Released);
    let day = NOON.plus(Endings::LIFE);
    let almost = Timestamp::from_micros(day.as_micros() - 1);
    assert_eq!(ask(&mut uses, 1, hold(9), almost), NO);
    assert_eq!(ask(&mut uses, 1, hold(9), day), UseNews::Held);
    assert_eq!(CodeUses::from_record(&uses.to_record()), Ok(uses));
}

#[test]
fn a_crowd_is_no_end_of_a_code() {
    let mut uses = CodeUses::default();
    for number in 0..CodeUses::HELD_MAX {
        let id = OrderId::from_bytes((number as u128).to_be_bytes());
        uses.apply(&Event::Held { order: id, at: NOON });
    }
    assert_eq!(ask(&mut uses, 0xff, hold(0), NOON), UseNews::Refused(NoUse::Crowded));
    assert!(uses.to_record().len() <= 64 << 10);
}

#[test]
fn what_is_counted_has_one_key() {
    let of_all = Counted { code: "A.B-1".parse().unwrap(), customer: None };
    let first = Counted::first_order_of(CustomerKey::from_bytes([7; 16]));
    let namesake = Counted { code: "first-order".parse().unwrap(), ..first.clone() };
    assert_ne!(first.key(), namesake.key());
    for counted in [counted(), of_all, first, namesake] {
        assert_eq!(Counted::of(&counted.key()), Some(counted));
    }
    assert_eq!(Counted::of(&EntityKey::Name("A:x".into())), None);
    assert_eq!(Counted::of(&EntityKey::Number([1; 16])), None);
}

fn steps() -> impl Strategy<Value = (u8, UseStep)> {
    let step =
        prop_oneof![(0..4_u32).prop_map(hold), Just(UseStep::Count), Just(UseStep::Release),];
    (0..6_u8, step)
}

proptest! {
    /// As orders ask: what was counted is returned once.
    #[test]
    fn limits_hold_and_replicas_agree(steps in prop::collection::vec(steps(), 0..60)) {
        let mut uses = CodeUses::default();
        let mut counted = BTreeSet::new();
        for (number, step) in steps {
            let View { used, held } = uses.level();
            let news = ask(&mut uses, number, step, NOON);
            if let (UseStep::Hold { limit: Some(limit) }, UseNews::Held) = (step, news) {
                prop_assert!(uses.level().used + uses.level().held <= limit.get().max(used + held));
            }
            if step == UseStep::Count && uses.level().used > used {
                prop_assert!(counted.insert(number), "counted twice");
            }
            prop_assert_eq!(CodeUses::from_record(&uses.to_record()), Ok(uses.clone()));
        }
        prop_assert_eq!(uses.used, u32::try_from(counted.len()).unwrap());
    }
}

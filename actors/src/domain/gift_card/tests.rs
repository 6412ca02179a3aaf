use cluster::entity::NoCatalogue;
use cluster::time::Span;
use proptest::prelude::*;

use super::*;

const NOON: Timestamp = Timestamp::from_micros(43_200_000_000);
const WORTH: i64 = 1_000;

fn id() -> GiftCardId {
    GiftCardId::from_bytes([3; 16])
}

fn order(number: u8) -> OrderId {
    OrderId::from_bytes([number; 16])
}

fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

fn issue(minor: i64) -> Command {
    Command::Issue { amount: euro(minor), ending: label("7XYZ"), expires_at: None, note: None }
}

fn adjust(minor: i64) -> Command {
    Command::Adjust { by: euro(minor), reason: label("goodwill") }
}

fn hold(most: i64) -> CardStep {
    CardStep::Hold { most: euro(most) }
}

fn step(number: u8, step: CardStep) -> Command {
    Command::ForOrder { order: order(number), step }
}

fn with_context<T>(at: Timestamp, run: impl FnOnce(&Context<'_>) -> T) -> T {
    let me = GiftCard::address(id());
    run(&Context { now: at, me: &me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) })
}

fn decide(
    card: &mut GiftCard,
    command: Command,
    at: Timestamp,
) -> Result<Decision<GiftCard>, Rejection> {
    let decision = with_context(at, |ctx| card.decide(command, ctx))?;
    for event in &decision.events {
        card.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
    }
    assert_eq!(decision.reply, with_context(at, |ctx| card.view(Query::Card, ctx)));
    assert_eq!(GiftCard::from_record(&card.to_record()).as_ref(), Ok(&*card));
    Ok(decision)
}

/// What the order is told.
#[track_caller]
fn ask(card: &mut GiftCard, number: u8, wanted: CardStep, at: Timestamp) -> CardNews {
    let decision = decide(card, step(number, wanted), at).unwrap();
    let [Effect::Tell { to, command }] = decision.effects.as_slice() else { panic!() };
    assert_eq!(*to, Order::address(order(number)));
    let order::Command::TakeCardNews { card, news } = order::Command::from_bytes(command).unwrap()
    else {
        panic!()
    };
    assert_eq!(card, id());
    news
}

fn issued() -> GiftCard {
    let mut card = GiftCard::default();
    decide(&mut card, issue(WORTH), NOON).unwrap();
    card
}

/// `then`: the balance and what is held.
#[track_caller]
fn check(steps: &[(u8, CardStep, CardNews)], then: (i64, i64)) {
    let mut card = issued();
    for (number, step, news) in steps {
        assert_eq!(ask(&mut card, *number, *step, NOON), *news, "{number} {step:?}");
    }
    let card = card.issued.unwrap();
    assert_eq!((card.book.balance(), card.all_held()), then);
}

fn held(minor: i64) -> CardNews {
    CardNews::Held { minor }
}

const EMPTY: CardNews = CardNews::Refused(NoMoney::Empty);
const CROWDED: CardNews = CardNews::Refused(NoMoney::Crowded);

#[test]
fn a_card_that_an_order_becomes_is_issued_once_and_the_order_is_told() {
    let issue = || Command::IssueFor {
        order: order(1),
        amount: euro(WORTH),
        ending: label("7XYZ"),
        note: None,
    };
    let told = |decision: &Decision<GiftCard>| {
        let [Effect::Tell { to, command }, ..] = decision.effects.as_slice() else { panic!() };
        assert_eq!(*to, Order::address(order(1)));
        order::Command::from_bytes(command).unwrap()
    };
    let news = |news| order::Command::TakeCardNews { card: id(), news };
    let mut card = GiftCard::default();
    let first = decide(&mut card, issue(), NOON).unwrap();
    assert_eq!((told(&first), &first.effects[1..]), (news(CardNews::Issued), &[listing()][..]));
    assert!(matches!(*first.events, [Event::Issued { .. }, Event::ListingAsked { .. }]));
    let second = decide(&mut card, issue(), NOON).unwrap();
    assert_eq!((told(&second), second.effects.len()), (news(CardNews::NotIssued), 1));
    assert!(second.events.is_empty());
    assert_eq!(card.issued.unwrap().book.balance(), WORTH);
}

fn listing() -> Effect {
    GiftCardList::tell(Listed { card: id(), issued_at: NOON })
}

#[test]
fn a_card_is_listed_in_the_entry_that_issues_it_and_never_again() {
    let mut card = GiftCard::default();
    let issued = decide(&mut card, issue(WORTH), NOON).unwrap();
    assert_eq!(issued.effects, [listing()]);
    assert!(decide(&mut card, adjust(5), NOON).unwrap().effects.is_empty());
}

#[test]
fn a_card_from_before_there_were_lists_is_listed_when_it_changes() {
    let mut card = GiftCard::default();
    let Command::Issue { amount, ending, expires_at, note } = issue(WORTH) else { panic!() };
    card.apply(&Event::Issued { amount, ending, expires_at, note, at: NOON });
    let later = NOON.plus(Span::from_secs(9));
    assert!(decide(&mut card, adjust(0), later).unwrap().effects.is_empty());
    assert_eq!(decide(&mut card, adjust(5), later).unwrap().effects, [listing()]);
    assert!(decide(&mut card, adjust(5), later).unwrap().effects.is_empty());
}

#[test]
fn a_card_is_in_one_state_at_a_time() {
    let mut card = issued();
    let mut check = |is_blocked, expires_at, by, then| {
        let terms = CardTerms { is_blocked, expires_at };
        decide(&mut card, Command::SetTerms { terms }, NOON).unwrap();
        let Lookup(view) = decide(&mut card, adjust(by), NOON).unwrap().reply;
        assert_eq!(view.unwrap().state(NOON), then);
    };
    check(false, None, 0, CardState::Active);
    check(true, Some(NOON), 0, CardState::Blocked);
    check(false, Some(NOON), 0, CardState::Expired);
    check(false, Some(NOON.plus(Span::from_secs(1))), -WORTH, CardState::Empty);
    check(true, None, 0, CardState::Blocked);
}

#[test]
fn orders_hold_what_there_is_and_no_more() {
    check(
        &[(1, hold(300), held(300)), (2, hold(900), held(700)), (3, hold(1), EMPTY)],
        (1_000, 1_000),
    );
    check(&[(1, hold(0), EMPTY)], (1_000, 0));
}

#[test]
fn what_is_spent_is_gone_and_the_rest_of_a_hold_is_free() {
    let spend = |minor| CardStep::Spend { minor };
    let first = [(1, hold(800), held(800)), (1, spend(500), CardNews::Spent)];
    check(&first, (500, 0));
    check(&[first.as_slice(), &[(2, hold(900), held(500))]].concat(), (500, 500));
    check(&[(1, hold(100), held(100)), (1, spend(500), CardNews::Spent)], (900, 0));
    check(
        &[first.as_slice(), &[(1, CardStep::GiveBack { minor: 200 }, CardNews::GivenBack)]]
            .concat(),
        (700, 0),
    );
}

#[test]
fn a_repeat_changes_nothing() {
    let spend = (1, CardStep::Spend { minor: 500 }, CardNews::Spent);
    let release = (1, CardStep::Release, CardNews::Released);
    check(&[(1, hold(500), held(500)), (1, hold(900), held(500))], (1_000, 500));
    check(&[(1, hold(500), held(500)), spend, spend], (500, 0));
    check(&[(1, hold(500), held(500)), release, release], (1_000, 0));
    // It had its turn.
    check(&[(1, hold(500), held(500)), spend, (1, hold(500), CROWDED)], (500, 0));
}

#[test]
fn a_hold_that_comes_after_its_release_is_refused_for_a_day() {
    let mut card = issued();
    assert_eq!(ask(&mut card, 1, CardStep::Release, NOON), CardNews::Released);
    let later = NOON.plus(Endings::LIFE);
    let earlier = Timestamp::from_micros(later.as_micros() - 1);
    assert_eq!(ask(&mut card, 1, hold(5), earlier), CROWDED);
    assert_eq!(ask(&mut card, 1, hold(5), later), held(5));
}

#[test]
fn a_card_that_is_blocked_or_expired_or_of_another_currency_pays_nothing() {
    let mut card = issued();
    let yen = Money { minor: 5, currency: "JPY".parse().unwrap() };
    let no = |why| CardNews::Refused(why);
    assert_eq!(ask(&mut card, 1, CardStep::Hold { most: yen }, NOON), no(NoMoney::OtherCurrency));
    assert_eq!(ask(&mut card, 2, hold(400), NOON), held(400));
    let terms = CardTerms { is_blocked: false, expires_at: Some(NOON) };
    decide(&mut card, Command::SetTerms { terms }, NOON).unwrap();
    assert_eq!(ask(&mut card, 3, hold(5), NOON), no(NoMoney::Expired));
    let terms = CardTerms { is_blocked: true, expires_at: None };
    decide(&mut card, Command::SetTerms { terms }, NOON).unwrap();
    assert_eq!(ask(&mut card, 3, hold(5), NOON), no(NoMoney::Blocked));
    // What is held already is spent all the same.
    assert_eq!(ask(&mut card, 2, CardStep::Spend { minor: 400 }, NOON), CardNews::Spent);
    let Lookup(view) = decide(&mut card, Command::SetTerms { terms }, NOON).unwrap().reply;
    let view = view.unwrap();
    assert_eq!((view.balance, view.available(NOON)), (euro(600), euro(0)));
}

#[test]
fn a_card_that_nobody_issued_has_nothing() {
    let mut card = GiftCard::default();
    assert_eq!(ask(&mut card, 1, hold(5), NOON), CardNews::Refused(NoMoney::Unknown));
    assert_eq!(ask(&mut card, 1, CardStep::Release, NOON), CardNews::Released);
    assert_eq!(decide(&mut card, adjust(5), NOON).unwrap_err(), Rejection::NotFound);
    assert!(!card.exists());
}

#[test]
fn operators_change_what_nobody_holds() {
    let mut card = issued();
    assert_eq!(decide(&mut card, issue(5), NOON).unwrap_err(), Rejection::AlreadyIssued);
    ask(&mut card, 1, hold(400), NOON);
    let too_little = Rejection::TooLittle { available: 600 };
    assert_eq!(decide(&mut card, adjust(-601), NOON).unwrap_err(), too_little);
    decide(&mut card, adjust(-600), NOON).unwrap();
    assert!(decide(&mut card, adjust(0), NOON).unwrap().events.is_empty());
    assert_eq!(
        decide(&mut card, adjust(GiftCard::BALANCE_MAX), NOON).unwrap_err(),
        Rejection::TooMuch
    );
    let yen = Money { minor: 5, currency: "JPY".parse().unwrap() };
    let other = Command::Adjust { by: yen, reason: label("goodwill") };
    let in_euro = Rejection::OtherCurrency { currency: Currency::EURO };
    assert_eq!(decide(&mut card, other, NOON).unwrap_err(), in_euro);
    for (minor, why) in
        [(0, Rejection::NotPositive), (GiftCard::BALANCE_MAX + 1, Rejection::TooMuch)]
    {
        assert_eq!(decide(&mut GiftCard::default(), issue(minor), NOON).unwrap_err(), why);
    }
}

#[test]
fn a_card_is_held_by_so_many_and_its_book_shows_the_newest() {
    let mut card = issued();
    for number in 0..GiftCard::HELD_MAX {
        let number = u8::try_from(number).unwrap();
        assert_eq!(ask(&mut card, number, hold(1), NOON), held(1));
    }
    assert_eq!(ask(&mut card, 200, hold(1), NOON), CROWDED);
    let mut card = issued();
    for _ in 0..Book::ENTRIES_MAX {
        decide(&mut card, adjust(1), NOON).unwrap();
    }
    let card = card.issued.unwrap();
    assert_eq!(card.book.entries().count(), Book::ENTRIES_MAX);
    assert_eq!(card.book.balance(), WORTH + 100);
}

fn any_command() -> impl Strategy<Value = Command> {
    let minor = -1_200_i64..1_200;
    let steps = prop_oneof![
        minor.clone().prop_map(hold),
        minor.clone().prop_map(|minor| CardStep::Spend { minor }),
        Just(CardStep::Release),
        (0_i64..300).prop_map(|minor| CardStep::GiveBack { minor }),
    ];
    prop_oneof![
        1 => minor.clone().prop_map(issue),
        2 => minor.prop_map(adjust),
        1 => any::<bool>().prop_map(|is_blocked| {
            Command::SetTerms { terms: CardTerms { is_blocked, expires_at: None } }
        }),
        12 => (0_u8..4, steps).prop_map(|(number, wanted)| step(number, wanted)),
    ]
}

proptest! {
    /// `decide` checks that the record, which knows the invariants, is read back.
    #[test]
    fn no_more_is_held_than_there_is(commands in prop::collection::vec(any_command(), 1..60)) {
        let mut card = issued();
        let mut now = NOON;
        for command in commands {
            now = now.plus(Span::from_secs(3_600));
            decide(&mut card, command, now).ok();
            let state = card.issued.as_ref().unwrap();
            prop_assert!(state.all_held() <= state.book.balance());
        }
    }
}

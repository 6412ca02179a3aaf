//! Places of gift cards, and the lines of a page.

use cluster::entity::NoCatalogue;

use super::*;

const AT: Timestamp = Timestamp::from_micros(1_000);

fn entry(nth: u8) -> Listed {
    let card = GiftCardId::in_slot(Slot::from_bits(0xABCD), [nth; 14]);
    Listed { card, issued_at: AT }
}

fn list() -> ListId {
    ListId::of(entry(1).card)
}

fn decide<E: Entity>(
    state: &mut E,
    key: EntityKey,
    command: E::Command,
) -> Result<Vec<Effect>, E::Rejection> {
    let me = EntityRef { kind: E::KIND, key };
    let ctx = Context { now: AT, me: &me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) };
    let decision = state.decide(command, &ctx)?;
    decision.events.iter().for_each(|event| state.apply(event));
    Ok(decision.effects)
}

#[test]
fn a_list_is_of_as_many_slots_as_any_other() {
    let of = |bits| ListId::of(GiftCardId::in_slot(Slot::from_bits(bits), [7; 14]));
    assert_eq!((of(0), of(1_023)), (ListId(0), ListId(0)));
    assert_eq!((of(1_024), of(u16::MAX)), (ListId(1), ListId(63)));
    assert_eq!(GiftCardPage::key(of(u16::MAX), 9).slot().bits() >> 10, 63);
    assert_eq!(ListId::all().last(), Some(ListId(63)));
}

#[test]
fn cards_are_listed_one_after_the_other_on_pages() {
    let (mut cards, key) = (GiftCardList::default(), GiftCardList::key(list()));
    for nth in 0..130_u8 {
        let entry = entry(nth);
        let effects = decide(&mut cards, key.clone(), Command::Add { entry }).unwrap();
        let add = PageCommand::Add { place: Place(u32::from(nth)), entry }.to_bytes();
        let to = GiftCardPage::address(list(), u32::from(nth) / 64);
        assert_eq!(effects, [Effect::Tell { to, command: add }]);
    }
    assert_eq!(cards.n_cards, 130);
}

#[test]
fn a_list_has_no_cards_of_others_and_no_more_than_can_be_counted() {
    let (mut cards, other) = (GiftCardList::default(), GiftCardList::key(ListId(0)));
    let add = || Command::Add { entry: entry(1) };
    assert_eq!(decide(&mut cards, other, add()), Err(Rejection::OtherList));
    let mut full = GiftCardList { n_cards: u32::MAX };
    assert_eq!(decide(&mut full, GiftCardList::key(list()), add()), Err(Rejection::Full));
}

#[test]
fn a_page_fills_line_by_line() {
    let mut page = GiftCardPage::default();
    let mut check = |place, nth, then| {
        let add = PageCommand::Add { place: Place(place), entry: entry(nth) };
        assert_eq!(decide(&mut page, GiftCardPage::key(list(), 1), add), then);
    };
    let other = Err(PageRejection::OtherPlace);
    check(65, 1, other.clone());
    check(64, 0, Ok(vec![]));
    check(64, 0, other.clone());
    check(65, 1, Ok(vec![]));
    check(67, 2, other);
    assert_eq!(page.entries, [entry(0), entry(1)]);
}

//! Lists of gift cards, and what a card keeps of them.

use cluster::ids::Slot;

use super::*;
use crate::domain::gift_card::{self, GiftCard};
use crate::domain::gift_card_list::{
    Command, Event, GiftCardList, GiftCardPage, ListId, Listed, PageCommand, PageEvent,
    PageRejection, PageView, Place, Rejection, View,
};
use crate::domain::ids::GiftCardId;

fn listed() -> Listed {
    Listed { card: GiftCardId::from_bytes([0xDD; 16]), issued_at: AT }
}

fn event() -> Event {
    Event::Added { card: listed().card, place: Place(3) }
}

fn added() -> PageEvent {
    PageEvent::Added { entry: listed() }
}

fn page() -> GiftCardPage {
    GiftCardPage { entries: vec![listed()] }
}

fn asked() -> gift_card::Event {
    gift_card::Event::ListingAsked { at: AT }
}

fn card() -> GiftCard {
    let mut card = gift_cards::card();
    card.apply(&asked());
    card
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let list = GiftCardList { n_cards: 4 };
    let lists = vec![event().to_bytes(), added().to_bytes(), list.to_record(), page().to_record()];
    [lists, vec![asked().to_bytes(), card().to_record()]].concat()
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(event) = PageEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(list) = GiftCardList::from_record(bytes) {
        assert_eq!(list.to_record(), bytes);
    }
    if let Ok(page) = GiftCardPage::from_record(bytes) {
        assert_eq!(page.to_record(), bytes);
        assert!(page.entries.len() <= 64);
    }
}

#[test]
fn lists_of_gift_cards_have_their_bytes() {
    check(&[Command::Add { entry: listed() }], &format!("010000000000{LISTED}"));
    check(&[event()], &format!("010000000000{ID}03000000"));
    check(&[Rejection::OtherList, Rejection::Full], "010000000000 010001000000");
    check_whole(&View { n_cards: 4 }, "010004000000");
    check_record(&GiftCardList { n_cards: 4 }, "010004000000");
    let last = ListId::of(GiftCardId::in_slot(Slot::from_bits(u16::MAX), [0; 14]));
    let key = GiftCardPage::key(last, 2);
    assert_eq!(key, EntityKey::Number(*b"\xfc\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02"));
}

#[test]
fn pages_of_gift_cards_have_their_bytes() {
    let (place, entry) = (Place(3), listed());
    check(&[PageCommand::Add { place, entry }], &format!("01000000000003000000{LISTED}"));
    check(&[added()], &format!("010000000000{LISTED}"));
    check(&[PageRejection::OtherPlace], "010000000000");
    check_whole(&PageView(vec![listed()]), &format!("01000100000000000000{LISTED}"));
    check_record(&page(), &format!("01000100000000000000{LISTED}"));
    let full = GiftCardPage { entries: vec![listed(); 65] };
    check_refused(GiftCardPage::from_record(&full.to_record()), "too many gift cards");
}

#[test]
fn a_card_that_is_listed_has_its_bytes() {
    check_each(&[asked()], "0100080000000403020100000000");
    let unlisted = gift_cards::card().to_record();
    let listed = format!("0200{}010000000000000000000000", hex(&unlisted[2..]));
    check_record(&card(), &listed);
    let nothing = format!("020000{}", "010000000000000000000000");
    check_refused(GiftCard::from_record(&unhex(&nothing)), "which card is listed");
    let twice = format!("0200{}02000000000000000000000000000000", hex(&unlisted[2..]));
    check_refused(GiftCard::from_record(&unhex(&twice)), "which card is listed");
}

const ID: &str = "dddddddddddddddddddddddddddddddd";
const LISTED: &str = "dddddddddddddddddddddddddddddddd0403020100000000";

use cluster::ids::{EntityKind, EntityRef};

use super::*;
use crate::domain::audit::{
    Act, AuditChain, AuditPage, By, Command, Digest, Event, InShard, Link, PageCommand, PageEvent,
    PageView, View,
};
use crate::domain::names::Label;

fn act() -> Act {
    let by = By {
        actor: "operator".parse().unwrap(),
        operation: "setStock".parse().unwrap(),
        path: Label::of_what_fits("/admin/v1/inventory/tea/set"),
    };
    let entity = EntityRef { kind: EntityKind(2), key: EntityKey::Name("tea".into()) };
    Act { at: AT, by, entity, seq: 7, key: Some([0xCC; 16]) }
}

fn link() -> Link {
    Link { act: act(), hash: Digest([0xDD; 32]) }
}

fn event() -> Event {
    Event::Added { place: 9, link: link() }
}

fn chain() -> AuditChain<InShard> {
    AuditChain::of(1, vec![link()])
}

fn page() -> AuditPage<InShard> {
    AuditPage::of(vec![link(); 32])
}

pub(super) fn samples() -> Vec<Vec<u8>> {
    let kept = PageEvent::Kept { links: vec![link()] };
    vec![event().to_bytes(), kept.to_bytes(), chain().to_record(), page().to_record()]
}

pub(super) fn decodes_to_itself(bytes: &[u8]) {
    if let Ok(event) = Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(event) = PageEvent::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(by) = By::from_bytes(bytes) {
        assert_eq!(by.to_bytes(), bytes);
    }
    if let Ok(chain) = AuditChain::<InShard>::from_record(bytes) {
        assert_eq!(chain.to_record(), bytes);
        assert!(chain.tail.len() < 64);
    }
    if let Ok(page) = AuditPage::<InShard>::from_record(bytes) {
        assert_eq!(page.to_record(), bytes);
        assert!(page.links.len() <= 32);
    }
}

#[test]
fn acts_have_their_bytes_and_their_hashes() {
    check_whole(&act().by, &format!("0100{BY}"));
    check_whole(&act(), &format!("0100{ACT}"));
    let hash = Digest([0xEE; 32]).and(&act());
    assert_eq!(hex(&hash.0), HASH);
}

#[test]
fn chains_of_acts_have_their_bytes() {
    check(&[Command::Add { act: act() }], &format!("010000000000{ACT}"));
    check(&[event()], &format!("0100000000000900000000000000{}", linked()));
    let view = View { n_links: 9, head: Digest([0xDD; 32]), tail: vec![link()] };
    let head = "dd".repeat(32);
    let golden = format!("01000900000000000000{head}0100000000000000{}", linked());
    check_whole(&view, &golden);
    check_record(&chain(), &format!("010001000000000000000100000000000000{}", linked()));
    let short = AuditChain::<InShard>::of(2, vec![link()]);
    check_refused(AuditChain::<InShard>::from_record(&short.to_record()), "other links");
}

#[test]
fn pages_of_acts_have_their_bytes() {
    let links = vec![link()];
    let golden = format!("0100000000000100000000000000{}", linked());
    check(&[PageCommand::Keep { links: links.clone() }], &golden);
    check(&[PageEvent::Kept { links: links.clone() }], &golden);
    check_whole(&PageView(links.clone()), &format!("01000100000000000000{}", linked()));
    check_record(&page(), &format!("01002000000000000000{}", linked().repeat(32)));
    let short = AuditPage::<InShard>::of(links);
    check_refused(AuditPage::<InShard>::from_record(&short.to_record()), "neither empty nor full");
}

fn linked() -> String {
    format!("{ACT}{}", "dd".repeat(32))
}

const BY: &str = "08000000000000006f70657261746f72080000000000000073657453746f636b1b000000000000002f61646d696e2f76312f696e76656e746f72792f7465612f736574";
const ACT: &str = "040302010000000008000000000000006f70657261746f72080000000000000073657453746f636b1b000000000000002f61646d696e2f76312f696e76656e746f72792f7465612f73657402010000000300000000000000746561070000000000000001cccccccccccccccccccccccccccccccc";
const HASH: &str = "4d4781c8fcd717b9d1dd8fe3bb19c1a3ba065a1e5506cc8858fd4700b3696f08";

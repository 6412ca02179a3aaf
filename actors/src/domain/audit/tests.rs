use cluster::entity::{Context, Effect, Entity, NoCatalogue, Wire};
use cluster::ids::{EntityKind, EntityRef};
use proptest::prelude::*;

use super::*;

const CHAIN: ChainId = ChainId::Shard(Slot::from_bits(0x400));

fn ctx(me: &EntityRef) -> Context<'_> {
    Context { now: Timestamp::ZERO, me, entropy: [0; 32], catalogue: Err(NoCatalogue::Absent) }
}

fn act(nth: u64) -> Act {
    let by = By {
        actor: "operator".parse().unwrap(),
        operation: "setStock".parse().unwrap(),
        path: Label::of_what_fits("/admin/v1/inventory/tea/set"),
    };
    let entity = EntityRef { kind: EntityKind(2), key: EntityKey::Name("tea".into()) };
    Act { at: Timestamp::from_micros(nth), by, entity, seq: nth + 1, key: None }
}

/// A chain, and the pages that it told.
#[derive(Default)]
struct World {
    chain: AuditChain<InShard>,
    pages: Vec<AuditPage<InShard>>,
}

impl World {
    fn of(n_acts: u64) -> Self {
        let mut world = Self::default();
        (0..n_acts).for_each(|nth| world.run(act(nth)));
        world
    }

    fn run(&mut self, act: Act) {
        let decided = self.chain.decide(Command::Add { act }, &ctx(&CHAIN.address())).unwrap();
        for event in &decided.events {
            self.chain.apply(event);
        }
        for effect in decided.effects {
            let Effect::Tell { to, command } = effect else { unreachable!("only told") };
            let (chain, page) = ChainId::of_page(&to).unwrap();
            assert_eq!((chain, page as usize), (CHAIN, self.pages.len()));
            let mut kept = AuditPage::default();
            let command = PageCommand::from_bytes(&command).unwrap();
            for event in kept.decide(command.clone(), &ctx(&to)).unwrap().events {
                kept.apply(&event);
            }
            assert_eq!(kept.decide(command, &ctx(&to)).unwrap_err(), PageRejection::Unfit);
            self.pages.push(kept);
        }
    }

    /// All links, as they are found in the states.
    fn links(&self) -> Vec<Link> {
        let mut links: Vec<_> = self.pages.iter().flat_map(|page| page.links.clone()).collect();
        let state = self.chain.to_record();
        let (_, first, tail) = links_of_state(&CHAIN.address(), &state).unwrap().unwrap();
        links.truncate(usize::try_from(first).unwrap());
        links.extend(tail);
        links
    }
}

fn flaws(links: &[Link]) -> Vec<(u64, Wrong)> {
    let mut evidence = Evidence::default();
    for (place, link) in links.iter().enumerate() {
        evidence.add(place as u64, link.clone(), ());
    }
    evidence.flaws(CHAIN).into_iter().map(|flaw| (flaw.place, flaw.wrong)).collect()
}

#[test]
fn every_act_is_in_the_chain_or_on_a_page() {
    for n_acts in [0, 1, 31, 32, 33, 63, 64, 65, 200] {
        let world = World::of(n_acts);
        let links = world.links();
        let acts: Vec<_> = links.iter().map(|link| link.act.clone()).collect();
        assert_eq!(acts, (0..n_acts).map(act).collect::<Vec<_>>());
        assert_eq!(flaws(&links), []);
        let view = world.chain.view(Query::Head, &ctx(&CHAIN.address()));
        let head = links.last().map_or(CHAIN.origin(), |link| link.hash);
        assert_eq!((view.n_links, view.head), (n_acts, head));
        assert_eq!(AuditChain::from_record(&world.chain.to_record()), Ok(world.chain));
    }
}

#[test]
fn chains_and_pages_have_addresses_of_their_own() {
    let chains = [CHAIN, ChainId::Shard(Slot::from_bits(0)), ChainId::Catalogue, ChainId::Cluster];
    for chain in chains {
        assert_eq!(ChainId::of_chain(&chain.address()), Some(chain));
        assert_eq!(ChainId::of_page(&chain.page_address(7)), Some((chain, 7)));
        assert_eq!(ChainId::of_page(&chain.address()), None);
        assert_eq!(ChainId::of_chain(&chain.page_address(7)), None);
        let others = chains.iter().filter(|other| **other != chain);
        assert!(others.into_iter().all(|other| other.origin() != chain.origin()));
    }
}

#[test]
fn a_chain_is_of_its_own_shard() {
    assert_ne!(flaws(&World::of(3).links()), [(0, Wrong::DoesNotFollow)]);
    let mut evidence = Evidence::default();
    for (place, link) in World::of(3).links().into_iter().enumerate() {
        evidence.add(place as u64, link, ());
    }
    assert_eq!(evidence.flaws(ChainId::Catalogue).len(), 1, "its first link begins another chain");
}

#[test]
fn sources_that_differ_are_told_apart() {
    let links = World::of(2).links();
    let mut evidence = Evidence::default();
    for (place, link) in [(0, 0), (1, 1), (1, 0)] {
        evidence.add(place, links[link].clone(), place * 10 + link as u64);
    }
    let flaw = Flaw { place: 1, wrong: Wrong::Differs, source: 10 };
    assert_eq!(evidence.flaws(CHAIN), [flaw]);
}

/// One thing about an act that is otherwise.
fn changed(link: &Link, what: u8) -> Link {
    let mut link = link.clone();
    let act = &mut link.act;
    match what {
        0 => act.at = Timestamp::from_micros(act.at.as_micros() ^ 1),
        1 => act.by.actor = "somebody".parse().unwrap(),
        2 => act.by.operation = "adjustStock".parse().unwrap(),
        3 => act.entity.kind = EntityKind(3),
        4 => act.entity.key = EntityKey::Name("te".into()),
        5 => act.seq ^= 1,
        6 => act.key = Some([0; 16]),
        7 => act.by.path = Label::of_what_fits("/admin/v1/inventory/tea"),
        _ => link.hash.0[usize::from(what) % 32] ^= 1,
    }
    link
}

proptest! {
    #[test]
    fn nothing_can_be_changed(
        n_acts in 1_u64..100,
        at in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        what in 0_u8..40,
    ) {
        let links = World::of(n_acts).links();
        let (at, other) = (at.index(links.len()), other.index(links.len()));
        let mut tampered = links.clone();
        tampered[at] = changed(&links[at], what);
        prop_assert!(!flaws(&tampered).is_empty());
        // Whoever changes an act and its hash has to change all that follow.
        let before = at.checked_sub(1).map_or(CHAIN.origin(), |before| links[before].hash);
        tampered[at].hash = before.and(&tampered[at].act);
        let is_last = at + 1 == links.len();
        prop_assert_eq!(flaws(&tampered).is_empty(), is_last || tampered == links);
        let mut swapped = links.clone();
        swapped.swap(at, other);
        prop_assert_eq!(flaws(&swapped).is_empty(), at == other);
        let mut shorter = links.clone();
        shorter.remove(at);
        prop_assert_eq!(flaws(&shorter).is_empty(), is_last);
        let mut longer = links.clone();
        longer.insert(at, changed(&links[at], 0));
        prop_assert!(!flaws(&longer).is_empty());
    }
}

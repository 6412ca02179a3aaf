//! The cluster entity and the planner together: whole lives of a cluster, without a network.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use crate::entity::{Context, Entity, NoCatalogue, Wire};
use crate::ids::{EntityKey, EntityRef, NodeId, ShardId, Slot};
use crate::placement::cluster::{
    Candidate, Cluster, Command, Event, Fewer, Place, Rejection, Reply,
};
use crate::placement::giving_up::given_up;
use crate::placement::member::{FolderId, Levels, NodeNumber, Standing, Start};
use crate::placement::planner::{Rule, plan};
use crate::time::Timestamp;

const META: ShardId = ShardId(1_000);
const SHARDS: u32 = 16;
const LEVELS: Levels = Levels { lowest: 1, highest: 2 };

fn candidate(number: u16, folder: u8) -> Candidate {
    Candidate {
        number: NodeNumber::try_from(u64::from(number)).expect("a number"),
        address: format!("10.0.0.{number}:7400"),
        zone: "one".to_owned(),
        levels: LEVELS,
        folder: FolderId([folder; 16]),
        start: Start { epoch: 1, run: 7 },
    }
}

fn rule() -> Rule {
    Rule { everywhere: BTreeSet::from([META]), moves_at_once: 4 }
}

/// A cluster and the hands that a running one has: the planner, and shards that do as wanted.
struct World {
    cluster: Cluster,
    silent: BTreeSet<NodeId>,
    index: u64,
    most_moving: usize,
}

impl World {
    fn founded() -> Self {
        let mut world =
            Self { cluster: Cluster::default(), silent: BTreeSet::new(), index: 0, most_moving: 0 };
        let shards = (0..SHARDS).map(ShardId).chain([META]).collect();
        let found = Command::Found { first: candidate(1, 1), shards, level: 1 };
        assert_eq!(world.run(found), Ok(Reply::Member(NodeId(1))));
        world
    }

    fn run(&mut self, command: Command) -> Result<Reply, Rejection> {
        let me =
            EntityRef { kind: Cluster::KIND, key: EntityKey::in_slot(Slot::from_bits(0), [0; 14]) };
        let ctx = Context {
            now: Timestamp::ZERO,
            me: &me,
            entropy: [0; 32],
            catalogue: Err(NoCatalogue::Absent),
        };
        let command = Command::from_bytes(&command.to_bytes()).expect("decodes");
        let decision = self.cluster.decide(command, &ctx)?;
        for event in &decision.events {
            self.cluster.apply(&Event::from_bytes(&event.to_bytes()).expect("decodes"));
        }
        assert_eq!(Cluster::from_record(&self.cluster.to_record()).as_ref(), Ok(&self.cluster));
        Ok(decision.reply)
    }

    fn join(&mut self, number: u16) -> NodeId {
        match self.run(Command::Join(candidate(number, u8::try_from(number).expect("small")))) {
            Ok(Reply::Member(node)) => node,
            other => panic!("{other:?}"),
        }
    }

    /// Plans and moves until there is nothing left to do.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            let wanted = plan(&self.cluster, &self.silent, &rule());
            let is_planned = !wanted.is_empty();
            let seen = self.cluster.version();
            self.run(Command::Arrange { seen, wanted }).expect("a fresh plan is taken");
            let moving: Vec<_> =
                self.cluster.places().filter(|(_, p)| p.is_moving()).map(|(s, _)| s).collect();
            self.most_moving = self.most_moving.max(moving.len());
            if !is_planned && moving.is_empty() {
                return;
            }
            for shard in moving {
                self.index += 1;
                let Place { wanted, voters, .. } = self.cluster.place(shard).expect("a shard");
                // A node that is not there takes no copy.
                if wanted.iter().any(|n| self.silent.contains(n) && !voters.contains(n)) {
                    continue;
                }
                let voters = wanted.iter().copied().collect();
                let report = Command::Report { shard, voters, at: self.index };
                self.run(report).expect("a report is taken");
            }
        }
        panic!("planning does not come to rest: {:?}", self.cluster);
    }

    fn held(&self) -> BTreeMap<NodeId, usize> {
        let sharded = self.cluster.places().filter(|(shard, _)| *shard != META);
        let mut held = BTreeMap::new();
        for node in sharded.flat_map(|(_, place)| &place.voters) {
            *held.entry(*node).or_default() += 1;
        }
        held
    }

    fn led(&self) -> BTreeMap<NodeId, usize> {
        let sharded = self.cluster.places().filter(|(shard, _)| *shard != META);
        let mut led = BTreeMap::new();
        for (_, place) in sharded {
            *led.entry(*place.wanted.first().expect("never empty")).or_default() += 1;
        }
        led
    }

    fn meta_voters(&self) -> usize {
        self.cluster.place(META).expect("the meta group").voters.len()
    }

    fn set_standing(&mut self, node: NodeId, to: Standing) -> Result<Reply, Rejection> {
        self.run(Command::SetStanding { node, to, fewer: Fewer::Refuse })
    }
}

#[track_caller]
fn assert_even(counts: &BTreeMap<NodeId, usize>, n_nodes: usize) {
    let (least, most) = (counts.values().min(), counts.values().max());
    assert_eq!(counts.len(), n_nodes, "{counts:?}");
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counts:?}");
}

#[test]
fn two_nodes_keep_one_voter_and_three_have_three() {
    let mut world = World::founded();
    world.join(2);
    world.settle();
    assert_eq!(world.held(), BTreeMap::from([(NodeId(1), 16)]));
    world.join(3);
    world.settle();
    assert_eq!(world.held().into_values().collect::<Vec<_>>(), [16, 16, 16]);
    assert_even(&world.led(), 3);
    assert_eq!(world.meta_voters(), 3);
    assert!(world.most_moving <= rule().moves_at_once, "{}", world.most_moving);
}

#[test]
fn a_fourth_node_takes_its_share() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
        world.settle();
    }
    assert_even(&world.held(), 4);
    assert_even(&world.led(), 4);
    assert_eq!(world.meta_voters(), 3, "an even number of voters is worse than one fewer");
}

#[test]
fn a_node_with_a_wiped_disk_comes_back_as_another_and_is_filled_again() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    let again = world.run(Command::Join(candidate(3, 3)));
    assert_eq!(again, Ok(Reply::Member(NodeId(3))), "a restart changes nothing");
    let wiped = world.run(Command::Join(candidate(3, 99)));
    let next = NodeId::of(NodeNumber::try_from(3).expect("a number"), 1);
    assert_eq!(wiped, Ok(Reply::Member(next)));
    world.settle();
    assert_eq!(world.held().keys().copied().collect::<Vec<_>>(), [NodeId(1), NodeId(2), next]);
    assert_even(&world.led(), 3);
}

#[test]
fn a_lost_node_is_replaced_and_a_silent_one_leads_nothing() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
    }
    world.settle();
    world.silent.insert(NodeId(2));
    world.settle();
    assert_eq!(world.led().get(&NodeId(2)), None);
    assert!(world.held().contains_key(&NodeId(2)), "its replicas wait for it");
    world.set_standing(NodeId(2), Standing::Lost).expect("a member");
    world.settle();
    assert_eq!(world.held().get(&NodeId(2)), None);
    assert_even(&world.held(), 3);
}

#[test]
fn a_drained_node_leads_nothing_and_a_resumed_one_its_share() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    world.set_standing(NodeId(1), Standing::Draining).expect("a member");
    world.settle();
    assert_eq!(world.led().keys().copied().collect::<Vec<_>>(), [NodeId(2), NodeId(3)]);
    assert_eq!(world.held().get(&NodeId(1)), Some(&16));
    assert_ne!(world.cluster.place(META).expect("meta").wanted.first(), Some(&NodeId(1)));
    world.set_standing(NodeId(1), Standing::Active).expect("a member");
    world.settle();
    assert_even(&world.led(), 3);
}

#[test]
fn three_nodes_become_fewer_only_by_a_clear_word() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    let refused = world.set_standing(NodeId(3), Standing::Leaving);
    assert_eq!(refused, Err(Rejection::TooFewRemain { left: 2 }));
    let leave =
        Command::SetStanding { node: NodeId(3), to: Standing::Leaving, fewer: Fewer::Accept };
    world.run(leave).expect("accepted");
    world.settle();
    assert_eq!(world.held().get(&NodeId(3)), None);
    assert!(world.cluster.places().all(|(_, place)| place.voters.len() == 1));
}

#[test]
fn what_is_lost_for_good_needs_a_clear_word_too() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    world.set_standing(NodeId(3), Standing::Lost).expect("a member");
    world.settle();
    let refused = world.set_standing(NodeId(3), Standing::Leaving);
    assert_eq!(refused, Err(Rejection::TooFewRemain { left: 2 }));
    assert!(world.cluster.places().all(|(_, place)| place.voters.len() == 3));
    let resumed = world.set_standing(NodeId(3), Standing::Active);
    assert_eq!(resumed, Err(Rejection::Lost { node: NodeId(3) }), "nobody has heard of it");
}

#[test]
fn a_removed_node_is_dropped_once_it_is_empty_and_never_comes_back_as_itself() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
    }
    world.settle();
    world.set_standing(NodeId(4), Standing::Leaving).expect("three remain");
    let early = world.set_standing(NodeId(4), Standing::Removed);
    assert!(matches!(early, Err(Rejection::StillHolds { node: NodeId(4), .. })), "{early:?}");
    assert_eq!(world.cluster.departed(), []);
    world.settle();
    assert_eq!(world.held().get(&NodeId(4)), None);
    assert_eq!(world.cluster.departed(), [NodeId(4)]);
    world.set_standing(NodeId(4), Standing::Removed).expect("nothing is left on it");
    let removed = Err(Rejection::Removed { node: NodeId(4) });
    for to in [Standing::Active, Standing::Draining, Standing::Leaving, Standing::Lost] {
        assert_eq!(world.set_standing(NodeId(4), to), removed);
    }
    assert_eq!(world.run(Command::Join(candidate(4, 4))), removed);
    let next = NodeId::of(NodeNumber::try_from(4).expect("a number"), 1);
    assert_eq!(world.run(Command::Join(candidate(4, 40))), Ok(Reply::Member(next)));
    assert_eq!(world.cluster.member(NodeId(4)).expect("known").standing, Standing::Removed);
}

#[test]
fn a_removal_can_be_called_off_while_it_lasts() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
    }
    world.settle();
    world.set_standing(NodeId(4), Standing::Leaving).expect("three remain");
    world.set_standing(NodeId(4), Standing::Active).expect("it is still there");
    world.settle();
    assert_even(&world.held(), 4);
}

#[test]
fn the_first_of_two_nodes_can_hand_everything_over_and_leave() {
    let mut world = World::founded();
    world.join(2);
    world.settle();
    let leave =
        Command::SetStanding { node: NodeId(1), to: Standing::Leaving, fewer: Fewer::Accept };
    world.run(leave).expect("accepted");
    world.settle();
    assert_eq!(world.held(), BTreeMap::from([(NodeId(2), 16)]));
    assert_eq!(world.cluster.departed(), [NodeId(1)]);
    let last =
        Command::SetStanding { node: NodeId(2), to: Standing::Leaving, fewer: Fewer::Accept };
    assert_eq!(world.run(last), Err(Rejection::TooFewRemain { left: 0 }));
}

#[test]
fn the_lead_is_transferred_to_a_node_that_may_take_it() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
    }
    world.settle();
    let shard = ShardId(0);
    let wanted = world.cluster.place(shard).expect("a shard").wanted.clone();
    let (second, third) = (wanted[1], wanted[2]);
    world.run(Command::Transfer { shard, to: second }).expect("it holds a replica");
    let place = world.cluster.place(shard).expect("a shard");
    assert_eq!((place.wanted[0], place.is_moving()), (second, false));
    let outside = (1..=4).map(NodeId).find(|node| !wanted.contains(node)).expect("a fourth");
    assert_eq!(
        world.run(Command::Transfer { shard, to: outside }),
        Err(Rejection::HoldsNoReplica { shard, node: outside })
    );
    assert_eq!(
        world.run(Command::Pin { shard, to: Some(outside) }),
        Err(Rejection::HoldsNoReplica { shard, node: outside })
    );
    world.set_standing(third, Standing::Draining).expect("a member");
    assert_eq!(
        world.run(Command::Transfer { shard, to: third }),
        Err(Rejection::MayNotLead { node: third })
    );
    world.run(Command::Pin { shard, to: Some(second) }).expect("it holds a replica");
    assert_eq!(
        world.run(Command::Transfer { shard, to: wanted[0] }),
        Err(Rejection::Pinned { shard, to: second })
    );
}

#[test]
fn a_replica_stays_where_its_shard_is_pinned() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    for shard in (0..SHARDS).map(ShardId) {
        world.run(Command::Pin { shard, to: Some(NodeId(2)) }).expect("known");
    }
    world.join(4);
    world.settle();
    assert_eq!(world.led(), BTreeMap::from([(NodeId(2), 16)]));
}

#[test]
fn copies_go_to_different_zones() {
    let mut world = World::founded();
    for (number, zone) in [(2, "one"), (3, "two"), (4, "three"), (5, "three")] {
        let zone = zone.to_owned();
        let joined = Candidate { zone, ..candidate(number, u8::try_from(number).expect("small")) };
        world.run(Command::Join(joined)).expect("joins");
    }
    world.settle();
    for (shard, place) in world.cluster.places().filter(|(shard, _)| *shard != META) {
        let zones: BTreeSet<_> = place
            .voters
            .iter()
            .map(|node| world.cluster.member(*node).expect("a member").zone.clone())
            .collect();
        assert_eq!(zones.len(), 3, "shard {shard}: {place:?}");
    }
}

#[test]
fn a_pinned_shard_is_led_where_it_is_pinned() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    for shard in (0..SHARDS).map(ShardId) {
        world.run(Command::Pin { shard, to: Some(NodeId(2)) }).expect("known");
    }
    world.settle();
    assert_eq!(world.led(), BTreeMap::from([(NodeId(2), 16)]));
}

#[test]
fn a_plan_for_another_version_is_refused() {
    let mut world = World::founded();
    let seen = world.cluster.version();
    world.join(2);
    let stale = world.run(Command::Arrange { seen, wanted: Vec::new() });
    assert_eq!(stale, Err(Rejection::StalePlan { version: seen + 1 }));
}

#[test]
fn the_level_rises_only_when_every_member_can() {
    let mut world = World::founded();
    let old = Candidate { levels: Levels { lowest: 1, highest: 1 }, ..candidate(2, 2) };
    world.run(Command::Join(old)).expect("level 1 is fine");
    let refused = world.run(Command::RaiseLevel { to: 2 });
    assert_eq!(refused, Err(Rejection::LevelTooHigh { node: NodeId(2), highest: 1 }));
    world.run(Command::Join(candidate(2, 2))).expect("restarted with a newer program");
    world.run(Command::RaiseLevel { to: 2 }).expect("all can");
    let old = Candidate { levels: Levels { lowest: 1, highest: 1 }, ..candidate(3, 3) };
    assert_eq!(world.run(Command::Join(old)), Err(Rejection::LevelUnknown { level: 2 }));
}

#[derive(Clone, Debug)]
enum Happening {
    Join(u16, u8),
    Stand(u16, Standing),
    Silence(u16),
    Hear(u16),
    Settle,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let standing = prop_oneof![
        Just(Standing::Active),
        Just(Standing::Draining),
        Just(Standing::Leaving),
        Just(Standing::Lost),
    ];
    let one = prop_oneof![
        (1..8_u16, 0..3_u8).prop_map(|(number, folder)| Happening::Join(number, folder)),
        (1..8_u16, standing).prop_map(|(number, standing)| Happening::Stand(number, standing)),
        (1..8_u16).prop_map(Happening::Silence),
        (1..8_u16).prop_map(Happening::Hear),
        Just(Happening::Settle),
    ];
    prop::collection::vec(one, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn planning_comes_to_rest_whatever_happens(happenings in happenings()) {
        let mut world = World::founded();
        for happening in happenings {
            match happening {
                Happening::Join(number, folder) => {
                    world.run(Command::Join(candidate(number, folder))).ok();
                }
                Happening::Stand(number, to) => {
                    world.set_standing(NodeId(u64::from(number)), to).ok();
                }
                Happening::Silence(number) => {
                    world.silent.insert(NodeId(u64::from(number)));
                }
                Happening::Hear(number) => {
                    world.silent.remove(&NodeId(u64::from(number)));
                }
                Happening::Settle => world.settle(),
            }
        }
        world.settle();
        for (_, place) in world.cluster.places() {
            prop_assert!(!place.wanted.is_empty());
            prop_assert!(place.wanted.iter().all(|node| world.cluster.member(*node).is_some()));
        }
        prop_assert!(world.most_moving <= rule().moves_at_once);
    }
}

#[test]
fn a_node_that_leaves_hears_of_the_cluster_until_its_last_shard_is_moved() {
    let mut world = World::founded();
    for number in 2..=4 {
        world.join(number);
    }
    world.settle();
    let fourth = NodeId(4);
    world.set_standing(fourth, Standing::Leaving).expect("three are left");
    let hears = |world: &World| {
        let meta = world.cluster.place(META).expect("the meta group");
        world.cluster.learners_everywhere(meta).contains(&fourth) || meta.wanted.contains(&fourth)
    };
    assert!(world.held().contains_key(&fourth) && hears(&world));
    world.settle();
    assert!(!world.held().contains_key(&fourth) && !hears(&world));
}

fn started(number: u16, folder: u8, epoch: u64, run: u64) -> Command {
    Command::Join(Candidate { start: Start { epoch, run }, ..candidate(number, folder) })
}

#[test]
fn a_folder_that_counts_less_than_is_remembered_is_an_older_copy() {
    let mut world = World::founded();
    let node = world.join(2);
    assert_eq!(world.run(started(2, 2, 5, 8)), Ok(Reply::Member(node)));
    let version = world.cluster.version();
    assert_eq!(world.run(started(2, 2, 5, 8)), Ok(Reply::Member(node)), "asked twice");
    assert_eq!(world.cluster.version(), version, "which changes nothing");
    for (epoch, run) in [(4, 8), (4, 9), (5, 9)] {
        let came = epoch;
        let refused = world.run(started(2, 2, epoch, run));
        assert_eq!(refused, Err(Rejection::OldCopy { known: 5, came }), "{epoch} of run {run}");
    }
    assert_eq!(world.run(started(2, 2, 6, 9)), Ok(Reply::Member(node)));
    // An empty folder comes back as another node, and the copy stays out.
    let next = world.run(started(2, 3, 1, 1));
    assert_eq!(next, Ok(Reply::Member(NodeId::of(candidate(2, 3).number, 1))));
    assert_eq!(world.run(started(2, 2, 9, 9)), Err(Rejection::GivenUp { node }));
}

#[test]
fn the_level_of_all_is_that_of_the_least_able_member() {
    let mut world = World::founded();
    let node = world.join(2);
    assert_eq!(world.cluster.level_of_all(), 2);
    let old = Candidate {
        levels: Levels { lowest: 1, highest: 1 },
        start: Start { epoch: 2, run: 7 },
        ..candidate(2, 2)
    };
    world.run(Command::Join(old)).expect("the level was not raised yet");
    assert_eq!(world.cluster.level_of_all(), 1);
    world.set_standing(node, Standing::Lost).expect("it was lost");
    assert_eq!(world.cluster.level_of_all(), 2);
}

#[test]
fn a_move_whose_target_is_gone_ends_elsewhere() {
    let mut world = World::founded();
    for number in 2..=3 {
        world.join(number);
    }
    world.settle();
    let fourth = world.join(4);
    let wanted = plan(&world.cluster, &world.silent, &rule());
    let seen = world.cluster.version();
    world.run(Command::Arrange { seen, wanted }).expect("a fresh plan is taken");
    assert!(world.cluster.places().any(|(_, place)| place.is_moving()));
    world.silent.insert(fourth);
    world.settle();
    assert_eq!(world.held().into_values().collect::<Vec<_>>(), [16, 16, 16]);
    world.silent.clear();
    world.settle();
    assert_even(&world.held(), 4);
}

/// Five nodes, some of which are silent for long; who is given up.
#[track_caller]
fn check_given_up(n_nodes: u16, silent: &[u64], then: Option<u64>) {
    let mut world = World::founded();
    for number in 2..=n_nodes {
        world.join(number);
    }
    world.settle();
    let after = Duration::from_secs(300);
    let silence = silent.iter().map(|node| (NodeId(*node), after)).collect();
    assert_eq!(given_up(&world.cluster, &silence, after), then.map(NodeId));
    let shorter = silent.iter().map(|node| (NodeId(*node), after / 2)).collect();
    assert_eq!(given_up(&world.cluster, &shorter, after), None);
}

#[test]
fn a_silent_node_is_given_up_where_others_can_take_its_place() {
    check_given_up(4, &[4], Some(4));
    check_given_up(5, &[2], Some(2));
    check_given_up(4, &[], None);
    // Nobody could take its place.
    check_given_up(3, &[3], None);
    check_given_up(4, &[3, 4], None);
}

#[test]
fn nodes_are_not_given_up_together_when_a_shard_needs_one_of_them() {
    check_given_up(5, &[4, 5], None);
}

#[test]
fn the_next_one_is_given_up_when_nothing_counts_on_the_last() {
    let mut world = World::founded();
    for number in 2..=5 {
        world.join(number);
    }
    world.settle();
    let after = Duration::from_secs(300);
    let mut silence = BTreeMap::from([(NodeId(5), after)]);
    world.silent.insert(NodeId(5));
    assert_eq!(given_up(&world.cluster, &silence, after), Some(NodeId(5)));
    let lost = Command::SetStanding { node: NodeId(5), to: Standing::Lost, fewer: Fewer::Accept };
    world.run(lost).expect("it is given up");
    silence.insert(NodeId(4), after);
    assert_eq!(given_up(&world.cluster, &silence, after), None, "its replicas are not made anew");
    world.settle();
    assert_eq!(given_up(&world.cluster, &silence, after), Some(NodeId(4)));
}

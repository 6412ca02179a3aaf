//! Groups that rest: they cost nothing, and nothing is later for it.

use crate::ids::{NodeId, ShardId};
use crate::shard::io::Input;
use crate::shard::kind::Kinds;
use crate::sim::cluster::{Cluster, ClusterOptions};
use crate::sim::node::WorldOptions;
use crate::sim::tally::Tally;
use crate::time::Span;

const SHARDS: u32 = 8;
const SEEDS: std::ops::Range<u64> = 0..24;
/// Long enough for elections, and for everything to come to rest.
const CALM: Span = Span::from_secs(20);
/// A wait for a leader, and elections with lost votes.
const ELECTION: Span = Span::from_secs(8);

fn calm(seed: u64) -> Cluster {
    let world = WorldOptions {
        governed: false,
        kinds: Kinds::default().with::<Tally>(),
        catalogue: None,
        n_shards: SHARDS,
        segment_bytes: 64 << 10,
        resident_bytes_max: 8 << 10,
    };
    let options = ClusterOptions { n_nodes: 3, n_clients: 1, world };
    let mut cluster = Cluster::new(seed, options).expect("a cluster");
    cluster.run(CALM).expect("nothing fails");
    cluster
}

fn n_resting(cluster: &Cluster) -> Vec<usize> {
    cluster.nodes.values().map(|slot| slot.node.around.n_resting()).collect()
}

fn n_frames(cluster: &Cluster) -> u64 {
    cluster.nodes.values().map(|slot| slot.node.stats.frames).sum()
}

fn leaders(cluster: &Cluster) -> Vec<Option<NodeId>> {
    (0..SHARDS).map(|shard| cluster.leader_of(ShardId(shard))).collect()
}

#[test]
fn a_calm_cluster_rests_and_a_frame_says_it_of_all_groups() {
    for seed in SEEDS {
        let mut cluster = calm(seed);
        assert_eq!(n_resting(&cluster), [SHARDS as usize; 3], "seed {seed}");
        let (before, seconds) = (n_frames(&cluster), 60);
        cluster.run(Span::from_secs(seconds)).expect("nothing fails");
        let per_second = (n_frames(&cluster) - before) / seconds;
        // Of six directions, at three ticks each.
        assert!(per_second <= 6 * 4, "seed {seed}: {per_second} frames a second");
        assert_eq!(n_resting(&cluster), [SHARDS as usize; 3], "seed {seed}");
    }
}

#[test]
fn resting_groups_elect_when_their_leader_dies() {
    for seed in SEEDS {
        let mut cluster = calm(seed);
        let led = leaders(&cluster);
        let dead = led[0].expect("it is led");
        cluster.kill(dead);
        cluster.run(ELECTION).expect("nothing fails");
        for (now, before) in leaders(&cluster).into_iter().zip(led) {
            let now = now.unwrap_or_else(|| panic!("seed {seed}:\n{}", cluster.describe()));
            assert!(now != dead && (before == Some(now) || before == Some(dead)), "seed {seed}");
        }
    }
}

#[test]
fn a_leader_that_is_cut_off_while_it_rests_is_replaced_and_steps_down() {
    for seed in SEEDS {
        let mut cluster = calm(seed);
        let led = leaders(&cluster);
        let cut = led[0].expect("it is led");
        for other in cluster.nodes.keys().copied().filter(|other| *other != cut) {
            cluster.net.cut(cut, other);
            cluster.net.cut(other, cut);
        }
        cluster.run(ELECTION).expect("nothing fails");
        for (now, before) in leaders(&cluster).into_iter().zip(led) {
            let now = now.unwrap_or_else(|| panic!("seed {seed}:\n{}", cluster.describe()));
            assert!(now != cut && (before == Some(now) || before == Some(cut)), "seed {seed}");
        }
        assert_eq!(cluster.nodes[&cut].node.cores.iter().filter(|core| core.leads()).count(), 0);
    }
}

#[test]
fn a_resting_leader_that_steps_down_leaves_nobody_asleep() {
    for seed in SEEDS {
        let mut cluster = calm(seed);
        let led = leaders(&cluster);
        for (shard, leader) in (0..).map(ShardId).zip(&led) {
            let leader = leader.expect("it is led");
            let slot = cluster.nodes.get_mut(&leader).expect("a node");
            slot.node.send(shard, Input::StepDown);
            cluster.want_turn(leader);
        }
        cluster.run(Span::from_millis(5)).expect("nothing fails");
        assert_eq!(leaders(&cluster), [None; SHARDS as usize], "seed {seed}");
        cluster.run(ELECTION).expect("nothing fails");
        let led = leaders(&cluster);
        assert!(led.iter().all(Option::is_some), "seed {seed}:\n{}", cluster.describe());
    }
}

#[test]
fn a_resting_group_is_handed_over_and_rests_again() {
    /// A few messages there and back.
    const HANDED_OVER: Span = Span::from_millis(200);
    for seed in SEEDS {
        let mut cluster = calm(seed);
        let led = leaders(&cluster);
        let heirs: Vec<_> = led
            .iter()
            .map(|leader| cluster.others(leader.expect("it is led"))[usize::from(seed % 2 == 0)])
            .collect();
        for ((shard, leader), heir) in (0..).map(ShardId).zip(&led).zip(&heirs) {
            let leader = leader.expect("it is led");
            let slot = cluster.nodes.get_mut(&leader).expect("a node");
            slot.node.send(shard, Input::TransferLead { to: *heir });
            cluster.want_turn(leader);
        }
        cluster.run(HANDED_OVER).expect("nothing fails");
        let now: Vec<_> = leaders(&cluster).into_iter().flatten().collect();
        assert_eq!(now, heirs, "seed {seed}:\n{}", cluster.describe());
        cluster.run(CALM).expect("nothing fails");
        assert_eq!(n_resting(&cluster), [SHARDS as usize; 3], "seed {seed}");
    }
}

//! What wakes a resting group, and what does not.

use super::*;

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const THIRD: NodeId = NodeId(3);
const GROUP: ShardId = ShardId(5);
const OTHER: ShardId = ShardId(6);
const HERE: Standstill = Standstill { term: 3, index: 40 };
const BUSY: Standstill = Standstill { term: 3, index: 41 };

fn leading() -> Rest {
    Rest { at: HERE, role: RestRole::Leads { followers: vec![PEER, THIRD] }, until: None }
}

fn following(leader: NodeId) -> Rest {
    Rest { at: HERE, role: RestRole::Follows { leader }, until: None }
}

fn resting(rest: Rest) -> Roll {
    let mut roll = Roll::new([GROUP, OTHER]);
    roll.rests(GROUP, rest);
    roll
}

/// What `GROUP` is given at each of so many ticks, if anything.
fn ticked(roll: &mut Roll, n: u64, mut meanwhile: impl FnMut(&mut Roll)) -> Vec<(u64, String)> {
    let mut given = Vec::new();
    for nth in 1..=n {
        meanwhile(roll);
        let mut inputs = Vec::new();
        roll.tick(Timestamp::ZERO, &mut inputs);
        let of_group = inputs.iter().filter(|(group, _)| *group == GROUP);
        given.extend(of_group.map(|(_, input)| (nth, format!("{input:?}"))));
    }
    given
}

fn beat(at: Standstill) -> Beat {
    Beat { resting: [(GROUP, at)].into(), ..Beat::default() }
}

/// What a beat of a peer makes of `GROUP`.
fn beaten(roll: &mut Roll, from: NodeId, beat: &Beat) -> Vec<String> {
    let mut inputs = Vec::new();
    roll.take_beat(from, beat, &mut inputs);
    inputs.iter().map(|(group, input)| format!("{} {input:?}", group.0)).collect()
}

const WOKEN: &str = "5 Wake { silent_ticks: 0 }";

#[test]
fn only_what_is_awake_is_ticked() {
    let mut roll = resting(Rest { role: RestRole::Outside, ..leading() });
    let mut inputs = Vec::new();
    roll.tick(Timestamp::ZERO, &mut inputs);
    assert!(matches!(inputs.as_slice(), [(OTHER, Input::Tick)]), "{inputs:?}");
    assert_eq!(roll.n_resting(), 1);
    roll.wakes(GROUP);
    assert_eq!(ticked(&mut roll, 1, |_| {}), [(1, "Tick".to_owned())]);
    assert_eq!(roll.n_resting(), 0);
}

#[test]
fn a_resting_shard_looks_at_itself_now_and_then() {
    let mut roll = resting(Rest { role: RestRole::Outside, ..leading() });
    let looks = ticked(&mut roll, 2 * SLOW_TICKS, |_| {});
    let nth = SLOW_TICKS - u64::from(GROUP.0);
    let look = |nth| (nth, "SlowTick".to_owned());
    assert_eq!(looks, [look(nth), look(nth + SLOW_TICKS)]);
}

#[test]
fn a_timer_wakes_its_shard_when_it_is_due() {
    let until = Timestamp::from_micros(1_000);
    let rest = Rest { role: RestRole::Leads { followers: vec![] }, ..leading() };
    let mut roll = resting(Rest { until: Some(until), ..rest });
    let mut given = |now| {
        let mut inputs = Vec::new();
        roll.tick(Timestamp::from_micros(now), &mut inputs);
        inputs.iter().any(|(group, input)| *group == GROUP && matches!(input, Input::Wake { .. }))
    };
    assert_eq!([999, 1_000, 1_001].map(&mut given), [false, true, false]);
}

#[test]
fn a_follower_wakes_when_its_leader_is_not_heard_of_and_counts_that_as_silence() {
    let mut roll = resting(following(PEER));
    let woken = ticked(&mut roll, SILENCE_TICKS, |_| {});
    let wake = format!("Wake {{ silent_ticks: {SILENCE_TICKS} }}");
    assert_eq!(woken, [(SILENCE_TICKS, wake)]);
    // Neither another node nor a beat about other groups speaks for the leader.
    let mut roll = resting(following(PEER));
    let woken = ticked(&mut roll, SILENCE_TICKS, |roll| {
        assert_eq!(beaten(roll, THIRD, &Beat::default()), [""; 0]);
    });
    assert_eq!(woken.len(), 1);
}

#[test]
fn a_follower_rests_on_while_its_leader_says_so() {
    let mut roll = resting(following(PEER));
    let given = ticked(&mut roll, SLOW_TICKS - 6, |roll| {
        if roll.ticks.is_multiple_of(BEAT_TICKS) {
            assert_eq!(beaten(roll, PEER, &beat(HERE)), [""; 0]);
        }
    });
    assert_eq!(given, []);
}

#[test]
fn a_follower_wakes_when_its_leader_says_anything_else() {
    let mut roll = resting(following(PEER));
    assert_eq!(beaten(&mut roll, PEER, &Beat::default()), [WOKEN]);
    let mut roll = resting(following(PEER));
    let asked = "5 LeaderRests { leader: NodeId(2), at: Standstill { term: 3, index: 41 } }";
    assert_eq!(beaten(&mut roll, PEER, &beat(BUSY)), [WOKEN, asked]);
    assert_eq!(roll.n_resting(), 0);
    assert_eq!(beaten(&mut roll, PEER, &beat(BUSY)), [asked], "one that is awake is asked");
}

#[test]
fn two_nodes_that_both_lead_find_out_awake() {
    let mut roll = resting(leading());
    let woken = beaten(&mut roll, PEER, &beat(HERE));
    assert_eq!(woken[0], WOKEN);
}

#[test]
fn a_leader_wakes_when_a_member_is_silent_or_objects() {
    let mut roll = resting(leading());
    let woken = ticked(&mut roll, SILENCE_TICKS + 1, |roll| roll.hear(PEER));
    assert_eq!(woken, [(SILENCE_TICKS + 1, "Wake { silent_ticks: 0 }".to_owned())]);
    let mut roll = resting(leading());
    let given = ticked(&mut roll, SLOW_TICKS - 6, |roll| {
        roll.hear(PEER);
        roll.hear(THIRD);
    });
    assert_eq!(given, []);
    let objects = Beat { objections: [GROUP, OTHER].into(), ..Beat::default() };
    assert_eq!(beaten(&mut roll, ME, &objects), [""; 0], "it is no member");
    assert_eq!(beaten(&mut roll, PEER, &objects), [WOKEN]);
    assert_eq!(beaten(&mut roll, PEER, &objects), [""; 0]);
}

#[test]
fn a_lost_peer_wakes_what_counts_on_it_and_nothing_else() {
    for (rest, lost, wakes) in [
        (following(PEER), PEER, true),
        (following(PEER), THIRD, false),
        (leading(), THIRD, true),
        (leading(), NodeId(9), false),
        (Rest { role: RestRole::Outside, ..leading() }, PEER, false),
    ] {
        let mut inputs = Vec::new();
        resting(rest.clone()).lose(lost, &mut inputs);
        assert_eq!(inputs.len(), usize::from(wakes), "{rest:?} {lost:?}");
    }
}

/// The beats due at some of the next ticks.
fn beats(roll: &mut Roll) -> Vec<(u64, BTreeMap<NodeId, Beat>)> {
    let mut beats = Vec::new();
    for _ in 0..2 * BEAT_TICKS {
        roll.tick(Timestamp::ZERO, &mut Vec::new());
        let due = roll.take_beats();
        if !due.is_empty() {
            beats.push((roll.ticks, due));
        }
    }
    beats
}

#[test]
fn nodes_beat_for_what_rests_between_them() {
    let mut roll = Roll::new([GROUP, OTHER]);
    assert_eq!(beats(&mut roll), []);
    roll.rests(GROUP, leading());
    roll.rests(OTHER, following(NodeId(4)));
    let said = BTreeMap::from([
        (PEER, beat(HERE)),
        (THIRD, beat(HERE)),
        // A follower's node lets the leader's node know that it is there.
        (NodeId(4), Beat::default()),
    ]);
    let (first, second) = (3 * BEAT_TICKS, 4 * BEAT_TICKS);
    assert_eq!(beats(&mut roll), [(first, said.clone()), (second, said)]);
}

#[test]
fn an_objection_is_said_once() {
    let mut roll = Roll::new([GROUP]);
    roll.objects(GROUP, PEER);
    let objects = Beat { objections: [GROUP].into(), ..Beat::default() };
    assert_eq!(beats(&mut roll), [(BEAT_TICKS, BTreeMap::from([(PEER, objects)]))]);
}

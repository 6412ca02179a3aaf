//! The cluster as its members agree on it: who belongs to it, and which nodes hold which shard.
//!
//! One entity of the `meta` group, which every node replicates.
//!
//! **Invariants**, true in every reachable state:
//! - a shard is wanted on at least one node, on each at most once, on members only;
//! - the version grows with every change;
//! - the level is one that every member that may hold replicas can work at.
//!
//! What is wanted is decided by `planner`; how a shard gets there by `steps`, on its own leader.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::entity::{Answer, Context, Decision, DecodeError, Entity, Home, Port, TimerName};
use crate::ids::{EntityKey, EntityKind, EntityRef, NodeId, ShardId, Slot};
use crate::placement::bytes;
use crate::placement::member::{FolderId, Levels, Member, NodeNumber, Standing, Start};

/// Fewer nodes than this hold one replica of each shard, more hold three.
pub const NODES_FOR_THREE: usize = 3;
/// A name of a host or a zone is no longer than this.
const TEXT_BYTES_MAX: usize = 255;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    pub(crate) version: u64,
    pub(crate) level: u32,
    pub(crate) members: BTreeMap<NodeId, Member>,
    pub(crate) places: BTreeMap<ShardId, Place>,
}

/// Where a shard is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The nodes that are to vote; the first is to lead.
    pub wanted: Vec<NodeId>,
    /// Who votes, as the shard's leader last reported.
    pub voters: BTreeSet<NodeId>,
    /// The log index of the shard at which that was so.
    pub reported_at: u64,
    /// Who is to lead, by an operator's word.
    pub pin: Option<NodeId>,
}

impl Place {
    /// Whether the shard is on its way from one set of voters to another.
    pub fn is_moving(&self) -> bool {
        self.wanted.len() != self.voters.len()
            || !self.wanted.iter().all(|node| self.voters.contains(node))
    }
}

/// A node that asks to belong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub number: NodeNumber,
    pub address: String,
    pub zone: String,
    pub levels: Levels,
    pub folder: FolderId,
    pub start: Start,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// The first node's: the cluster begins with it, holding every shard.
    Found {
        first: Candidate,
        shards: Vec<ShardId>,
        level: u32,
    },
    /// A node's at every start. One with a new folder gets a new id.
    Join(Candidate),
    SetStanding {
        node: NodeId,
        to: Standing,
        fewer: Fewer,
    },
    Pin {
        shard: ShardId,
        to: Option<NodeId>,
    },
    /// The planner's; void when the cluster changed since it looked. A group that every node is to
    /// replicate may be new.
    Arrange {
        seen: u64,
        wanted: Vec<(ShardId, Vec<NodeId>)>,
    },
    /// A shard's leader's.
    Report {
        shard: ShardId,
        voters: BTreeSet<NodeId>,
        at: u64,
    },
    RaiseLevel {
        to: u32,
    },
    /// An operator's: another of a shard's nodes is to lead, until there is reason to plan anew.
    Transfer {
        shard: ShardId,
        to: NodeId,
    },
}

/// Whether shards may be left with fewer replicas than three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fewer {
    Refuse,
    Accept,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    Founded { first: NodeId, member: Member, shards: Vec<ShardId>, level: u32 },
    Joined { node: NodeId, member: Member },
    StandingChanged { node: NodeId, standing: Standing },
    Pinned { shard: ShardId, to: Option<NodeId> },
    Arranged { shard: ShardId, wanted: Vec<NodeId> },
    Reported { shard: ShardId, voters: BTreeSet<NodeId>, at: u64 },
    LevelRaised { level: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    Done,
    Member(NodeId),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum Rejection {
    #[error("the cluster is not founded yet")]
    NotFounded,
    #[error("the cluster is founded already")]
    AlreadyFounded,
    #[error("node {} is not a member", .node.0)]
    UnknownNode { node: NodeId },
    #[error("there is no shard {shard}")]
    UnknownShard { shard: ShardId },
    #[error("{what} has {bytes} bytes: 1 to {TEXT_BYTES_MAX} are possible")]
    TextLength { what: Text, bytes: u64 },
    #[error("{left} nodes would remain: three replicas need {NODES_FOR_THREE}")]
    TooFewRemain { left: u64 },
    #[error("a plan must name members, each once, and at least one")]
    InvalidPlan,
    #[error("the cluster is at version {version}, not at the one the plan was made for")]
    StalePlan { version: u64 },
    #[error("the cluster works at level {level}, which the node cannot")]
    LevelUnknown { level: u32 },
    #[error("node {} works up to level {highest}", .node.0)]
    LevelTooHigh { node: NodeId, highest: u32 },
    #[error(
        "its data folder is an older copy: the cluster remembers count {known} of it, and it comes \
         with {came}. It has forgotten what it promised, so it may not vote: move it away and start \
         with an empty folder, which the other nodes fill"
    )]
    OldCopy { known: u64, came: u64 },
    #[error(
        "node {} was given up and its place taken. Move its data folder away and start with an \
         empty one, which the other nodes fill", .node.0
    )]
    GivenUp { node: NodeId },
    #[error("node {} was removed: with an empty folder it may join again, as another", .node.0)]
    Removed { node: NodeId },
    #[error("node {} was given up; it may join again with an empty folder", .node.0)]
    Lost { node: NodeId },
    #[error("{shards} shards are still on node {}", .node.0)]
    StillHolds { node: NodeId, shards: u64 },
    #[error("node {} is to hold no replica of shard {shard}", .node.0)]
    HoldsNoReplica { shard: ShardId, node: NodeId },
    #[error("node {} is not active, so it may not lead", .node.0)]
    MayNotLead { node: NodeId },
    #[error("shard {shard} is pinned to node {}", .to.0)]
    Pinned { shard: ShardId, to: NodeId },
}

/// What has a length that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Text {
    Address,
    Zone,
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Address => "the address",
            Self::Zone => "the zone",
        })
    }
}

/// The address of the one cluster that the `meta` group holds.
pub(crate) fn cluster_ref() -> EntityRef {
    EntityRef { kind: Cluster::KIND, key: EntityKey::in_slot(Slot::from_bits(0), [0; 14]) }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Query {
    Whole,
}

impl Entity for Cluster {
    const KIND: EntityKind = EntityKind(0);
    const NAME: &'static str = "cluster";
    const HOME: Home = Home::Everywhere(ShardId::META);
    type Command = Command;
    type Event = Event;
    type Reply = Reply;
    type Rejection = Rejection;
    type Query = Query;
    type View = Self;

    fn decide(&self, command: Command, _: &Context<'_>) -> Result<Decision<Self>, Rejection> {
        let founded = !self.members.is_empty();
        let events = match command {
            Command::Found { .. } if founded => return Err(Rejection::AlreadyFounded),
            Command::Found { first, shards, level } => {
                let (node, member) = (NodeId::of(first.number, 0), member(first)?);
                let event = Event::Founded { first: node, member, shards, level };
                return Ok(decided(vec![event], Reply::Member(node)));
            }
            _ if !founded => return Err(Rejection::NotFounded),
            Command::Join(candidate) => return self.join(candidate),
            Command::SetStanding { node, to, fewer } => self.set_standing(node, to, fewer)?,
            Command::Pin { shard, to } => self.pin(shard, to)?,
            Command::Arrange { seen, wanted } => self.arrange(seen, wanted)?,
            Command::Report { shard, voters, at } => self.report(shard, voters, at)?,
            Command::RaiseLevel { to } => self.raise_level(to)?,
            Command::Transfer { shard, to } => self.transfer(shard, to)?,
        };
        Ok(decided(events, Reply::Done))
    }

    fn exists(&self) -> bool {
        !self.members.is_empty()
    }

    fn is_momentary(rejection: &Rejection) -> bool {
        matches!(rejection, Rejection::NotFounded | Rejection::StalePlan { .. })
    }

    fn apply(&mut self, event: &Event) {
        self.version += 1;
        match event {
            Event::Founded { first, member, shards, level } => {
                self.level = *level;
                self.members.insert(*first, member.clone());
                let alone = Place {
                    wanted: vec![*first],
                    voters: BTreeSet::from([*first]),
                    ..Place::default()
                };
                self.places = shards.iter().map(|shard| (*shard, alone.clone())).collect();
            }
            Event::Joined { node, member } => {
                self.members.insert(*node, member.clone());
            }
            Event::StandingChanged { node, standing } => {
                if let Some(member) = self.members.get_mut(node) {
                    member.standing = *standing;
                }
            }
            Event::Pinned { shard, to } => self.place_mut(*shard).pin = *to,
            Event::Arranged { shard, wanted } => self.place_mut(*shard).wanted.clone_from(wanted),
            Event::Reported { shard, voters, at } => {
                let place = self.place_mut(*shard);
                place.voters.clone_from(voters);
                place.reported_at = *at;
            }
            Event::LevelRaised { level } => self.level = *level,
        }
    }

    fn view(&self, Query::Whole: Query, _: &Context<'_>) -> Self {
        self.clone()
    }

    fn to_record(&self) -> Vec<u8> {
        bytes::encode(self)
    }

    fn from_record(record: &[u8]) -> Result<Self, DecodeError> {
        bytes::decode("the cluster's record", record)
    }

    fn heap_bytes(&self) -> usize {
        const MEMBER: usize = size_of::<Member>() + 64;
        const PLACE: usize = size_of::<Place>() + 128;
        self.members.len() * MEMBER + self.places.len() * PLACE
    }

    fn on_timer(_: TimerName) -> Option<Command> {
        None
    }

    fn on_answer(_: Port, _: &Answer) -> Option<Command> {
        None
    }
}

impl Cluster {
    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn level(&self) -> u32 {
        self.level
    }

    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.get(&node)
    }

    pub fn members(&self) -> impl Iterator<Item = (NodeId, &Member)> {
        self.members.iter().map(|(node, member)| (*node, member))
    }

    pub fn place(&self, shard: ShardId) -> Option<&Place> {
        self.places.get(&shard)
    }

    pub fn places(&self) -> impl Iterator<Item = (ShardId, &Place)> {
        self.places.iter().map(|(shard, place)| (*shard, place))
    }

    /// Nodes that are to hold a replica of an everywhere group without a vote. One that leaves needs
    /// it until it has handed over the last shard: what it leads it moves by what the group says.
    pub fn learners_everywhere(&self, place: &Place) -> BTreeSet<NodeId> {
        let others = self.places.values().filter(|other| *other != place);
        let parts = others.flat_map(|other| other.wanted.iter().chain(&other.voters));
        let parts: BTreeSet<NodeId> = parts.copied().collect();
        let hands_over = |node: &NodeId, member: &Member| {
            member.standing == Standing::Leaving && parts.contains(node)
        };
        let held = self
            .members()
            .filter(|(node, member)| member.standing.may_hold() || hands_over(node, member));
        held.map(|(node, _)| node).filter(|node| !place.wanted.contains(node)).collect()
    }

    /// How many shards are on a node, or are to be.
    pub fn n_held(&self, node: NodeId) -> usize {
        let holds = |place: &&Place| place.voters.contains(&node) || place.wanted.contains(&node);
        self.places.values().filter(holds).count()
    }

    /// Nodes that were to leave and hold nothing any more.
    pub fn departed(&self) -> Vec<NodeId> {
        let leaving = self.members().filter(|(_, member)| member.standing == Standing::Leaving);
        leaving.map(|(node, _)| node).filter(|node| self.n_held(*node) == 0).collect()
    }

    fn join(&self, candidate: Candidate) -> Result<Decision<Self>, Rejection> {
        let Levels { lowest, highest } = candidate.levels;
        if !(lowest..=highest).contains(&self.level) {
            return Err(Rejection::LevelUnknown { level: self.level });
        }
        self.recall(&candidate)?;
        let number = candidate.number;
        let latest = self.members().filter(|(node, _)| node.number() == Some(number)).last();
        let (node, superseded, standing) = match latest {
            Some((node, known)) if known.folder == candidate.folder => (node, None, known.standing),
            Some((node, known)) => {
                let superseded = (known.standing != Standing::Removed).then_some(node);
                (NodeId::of(number, node.generation() + 1), superseded, Standing::Active)
            }
            None => (NodeId::of(number, 0), None, Standing::Active),
        };
        let member = Member { standing, ..member(candidate)? };
        let mut events = Vec::new();
        if let Some(node) = superseded {
            events.extend(self.standing_changed(node, Standing::Lost));
        }
        if self.members.get(&node) != Some(&member) {
            events.push(Event::Joined { node, member });
        }
        Ok(decided(events, Reply::Member(node)))
    }

    /// Whether anything is remembered that forbids a node to go on with its folder.
    pub fn recall(&self, candidate: &Candidate) -> Result<(), Rejection> {
        let of_folder = |(_, member): &(NodeId, &Member)| member.folder == candidate.folder;
        let Some((node, known)) = self.members().find(of_folder) else { return Ok(()) };
        match known.standing {
            Standing::Active | Standing::Draining | Standing::Leaving => {}
            Standing::Lost => return Err(Rejection::GivenUp { node }),
            Standing::Removed => return Err(Rejection::Removed { node }),
        }
        if !candidate.start.follows(known.start) {
            let (known, came) = (known.start.epoch, candidate.start.epoch);
            return Err(Rejection::OldCopy { known, came });
        }
        Ok(())
    }

    /// The highest level that every member can work at.
    pub fn level_of_all(&self) -> u32 {
        let there = self.members().filter(|(_, member)| member.standing.takes_part());
        there.map(|(_, member)| member.levels.highest).min().unwrap_or(self.level)
    }

    fn set_standing(
        &self,
        node: NodeId,
        to: Standing,
        fewer: Fewer,
    ) -> Result<Vec<Event>, Rejection> {
        let known = self.members.get(&node).ok_or(Rejection::UnknownNode { node })?.standing;
        match (known, to) {
            (known, to) if known == to => {}
            (Standing::Removed, _) => return Err(Rejection::Removed { node }),
            (Standing::Lost, Standing::Active | Standing::Draining) => {
                return Err(Rejection::Lost { node });
            }
            (_, Standing::Leaving) => self.check_enough_remain(node, fewer)?,
            (_, Standing::Removed) => {
                let shards = u64::try_from(self.n_held(node)).unwrap_or(u64::MAX);
                if known != Standing::Leaving || shards > 0 {
                    return Err(Rejection::StillHolds { node, shards });
                }
            }
            (_, Standing::Active | Standing::Draining | Standing::Lost) => {}
        }
        Ok(self.standing_changed(node, to).into_iter().collect())
    }

    fn check_enough_remain(&self, leaving: NodeId, fewer: Fewer) -> Result<(), Rejection> {
        let stays =
            |(node, member): &(NodeId, &Member)| *node != leaving && member.standing.may_hold();
        let left = self.members().filter(stays).count();
        let least = match fewer {
            Fewer::Refuse => NODES_FOR_THREE,
            Fewer::Accept => 1,
        };
        if left < least {
            let left = u64::try_from(left).unwrap_or(u64::MAX);
            return Err(Rejection::TooFewRemain { left });
        }
        Ok(())
    }

    fn standing_changed(&self, node: NodeId, standing: Standing) -> Option<Event> {
        let known = self.members.get(&node)?;
        (known.standing != standing).then_some(Event::StandingChanged { node, standing })
    }

    fn pin(&self, shard: ShardId, to: Option<NodeId>) -> Result<Vec<Event>, Rejection> {
        let place = self.places.get(&shard).ok_or(Rejection::UnknownShard { shard })?;
        if let Some(node) = to {
            if !self.members.contains_key(&node) {
                return Err(Rejection::UnknownNode { node });
            }
            if !place.wanted.contains(&node) {
                return Err(Rejection::HoldsNoReplica { shard, node });
            }
        }
        let changed = (place.pin != to).then_some(Event::Pinned { shard, to });
        Ok(changed.into_iter().collect())
    }

    fn transfer(&self, shard: ShardId, to: NodeId) -> Result<Vec<Event>, Rejection> {
        let place = self.places.get(&shard).ok_or(Rejection::UnknownShard { shard })?;
        let member = self.members.get(&to).ok_or(Rejection::UnknownNode { node: to })?;
        if !place.wanted.contains(&to) {
            return Err(Rejection::HoldsNoReplica { shard, node: to });
        }
        if !member.standing.may_lead() {
            return Err(Rejection::MayNotLead { node: to });
        }
        if let Some(pin) = place.pin.filter(|pin| *pin != to) {
            return Err(Rejection::Pinned { shard, to: pin });
        }
        let rest = place.wanted.iter().copied().filter(|node| *node != to);
        let wanted: Vec<_> = std::iter::once(to).chain(rest).collect();
        let changed = (place.wanted != wanted).then_some(Event::Arranged { shard, wanted });
        Ok(changed.into_iter().collect())
    }

    fn arrange(
        &self,
        seen: u64,
        wanted: Vec<(ShardId, Vec<NodeId>)>,
    ) -> Result<Vec<Event>, Rejection> {
        if seen != self.version {
            return Err(Rejection::StalePlan { version: self.version });
        }
        let mut events = Vec::with_capacity(wanted.len());
        for (shard, wanted) in wanted {
            let place = self.places.get(&shard);
            if place.is_none() && !shard.is_everywhere() {
                return Err(Rejection::UnknownShard { shard });
            }
            let distinct: BTreeSet<_> = wanted.iter().collect();
            let are_members = wanted.iter().all(|node| self.members.contains_key(node));
            if wanted.is_empty() || distinct.len() != wanted.len() || !are_members {
                return Err(Rejection::InvalidPlan);
            }
            if place.is_none_or(|place| place.wanted != wanted) {
                events.push(Event::Arranged { shard, wanted });
            }
        }
        Ok(events)
    }

    fn report(
        &self,
        shard: ShardId,
        voters: BTreeSet<NodeId>,
        at: u64,
    ) -> Result<Vec<Event>, Rejection> {
        let place = self.places.get(&shard).ok_or(Rejection::UnknownShard { shard })?;
        // A leader of before may report late.
        let is_news = at > place.reported_at && voters != place.voters;
        Ok(is_news.then_some(Event::Reported { shard, voters, at }).into_iter().collect())
    }

    fn raise_level(&self, to: u32) -> Result<Vec<Event>, Rejection> {
        let there = self.members().filter(|(_, member)| member.standing.takes_part());
        for (node, member) in there {
            let highest = member.levels.highest;
            if highest < to {
                return Err(Rejection::LevelTooHigh { node, highest });
            }
        }
        let raised = (to > self.level).then_some(Event::LevelRaised { level: to });
        Ok(raised.into_iter().collect())
    }

    fn place_mut(&mut self, shard: ShardId) -> &mut Place {
        self.places.entry(shard).or_default()
    }
}

fn decided(events: Vec<Event>, reply: Reply) -> Decision<Cluster> {
    Decision { events, effects: Vec::new(), reply }
}

fn member(candidate: Candidate) -> Result<Member, Rejection> {
    let Candidate { address, zone, levels, folder, start, number: _ } = candidate;
    for (what, text) in [(Text::Address, &address), (Text::Zone, &zone)] {
        if !(1..=TEXT_BYTES_MAX).contains(&text.len()) {
            let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
            return Err(Rejection::TextLength { what, bytes });
        }
    }
    Ok(Member { address, zone, levels, folder, start, standing: Standing::Active })
}

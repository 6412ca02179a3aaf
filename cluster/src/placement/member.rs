//! A node as the cluster knows it.
//!
//! **Invariants:** a node id is given out once. Its low bits are the number in the node's
//! certificate, the others count how often a node of that number came with an empty disk: a wiped
//! disk has forgotten its votes, so it may not come back as who it was.

use serde::{Deserialize, Serialize};

use crate::ids::NodeId;

/// What an operator calls a node: the number in its certificate, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeNumber(u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no node number: 1 to 65535 are")]
pub struct InvalidNodeNumber(u64);

impl TryFrom<u64> for NodeNumber {
    type Error = InvalidNodeNumber;

    fn try_from(number: u64) -> Result<Self, InvalidNodeNumber> {
        match u16::try_from(number) {
            Ok(0) | Err(_) => Err(InvalidNodeNumber(number)),
            Ok(number) => Ok(Self(number)),
        }
    }
}

impl NodeNumber {
    pub const FIRST: Self = Self(1);

    pub const fn get(self) -> u16 {
        self.0
    }
}

impl std::fmt::Display for NodeNumber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl NodeId {
    /// The node of a number at its `generation`th disk, counted from zero.
    pub fn of(number: NodeNumber, generation: u32) -> Self {
        Self(u64::from(generation) << 16 | u64::from(number.0))
    }

    /// The number in the node's certificate; `None` for an id that was never given out.
    pub fn number(self) -> Option<NodeNumber> {
        NodeNumber::try_from(self.0 & 0xffff).ok()
    }

    pub fn generation(self) -> u32 {
        u32::try_from(self.0 >> 16 & 0xffff_ffff).unwrap_or(u32::MAX)
    }
}

/// What a program can do, as one number that grows with every release that changes the log, the
/// wire or the disk: the cluster does nothing new before every member can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Levels {
    pub lowest: u32,
    pub highest: u32,
}

impl Levels {
    /// What this program can do.
    pub const OWN: Self = Self { lowest: 1, highest: 1 };
}

/// How often a node's folder was counted, at its starts and while it ran, and a number drawn for the
/// run that counted last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    pub epoch: u64,
    pub run: u64,
}

impl Start {
    /// Whether a folder that says this may be the one that said `before`, and not an older copy.
    pub fn follows(self, before: Self) -> bool {
        self.epoch > before.epoch || self == before
    }
}

/// Makes one data folder different from every other, that of a wiped node too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FolderId(pub [u8; 16]);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Where its mesh listens, as `host:port`.
    pub address: String,
    /// What fails together: replicas of a shard go to different zones while there are any.
    pub zone: String,
    pub levels: Levels,
    pub folder: FolderId,
    /// What its folder last said.
    pub start: Start,
    pub standing: Standing,
}

/// What is wanted of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Active,
    /// It leads nothing; its replicas stay.
    Draining,
    /// Its replicas are moved to other nodes for good.
    Leaving,
    /// It was silent for too long, or came back with an empty disk under its next id.
    Lost,
    /// It left, with nothing on it, and does not come back as who it was.
    Removed,
}

impl Standing {
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Draining, Self::Leaving, Self::Lost, Self::Removed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
            Self::Lost => "lost",
            Self::Removed => "removed",
        }
    }

    pub const fn may_hold(self) -> bool {
        matches!(self, Self::Active | Self::Draining)
    }

    pub const fn may_lead(self) -> bool {
        matches!(self, Self::Active)
    }

    /// Whether the others know such a node and talk to it.
    pub const fn takes_part(self) -> bool {
        matches!(self, Self::Active | Self::Draining | Self::Leaving)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_carries_its_number_and_its_generation() {
        let number = NodeNumber::try_from(7).expect("7 is a number");
        let id = NodeId::of(number, 3);
        assert_eq!((id.number(), id.generation()), (Some(number), 3));
        assert_eq!(NodeId::of(NodeNumber::FIRST, 0), NodeId(1));
        assert_eq!(NodeId(0).number(), None);
    }

    #[test]
    fn zero_and_what_does_not_fit_are_no_numbers() {
        assert_eq!(NodeNumber::try_from(0), Err(InvalidNodeNumber(0)));
        assert_eq!(NodeNumber::try_from(65_536), Err(InvalidNodeNumber(65_536)));
    }
}

//! The first words on a connection: who dials whom, for what, and the answer.
//!
//! **Invariants:** a greeting has a fixed size, so an unauthenticated peer can make nobody reserve
//! memory; its first bytes name the protocol and the layout, so another version of this program is
//! told apart from another program.

use std::fmt;

use crate::ids::NodeId;
use crate::wire::fields::Fields;
use crate::wire::{Lane, VERSION, WireError};

const MAGIC: [u8; 4] = *b"OCMH";
pub const HELLO_BYTES: usize = 64;
pub const REPLY_BYTES: usize = 64;

/// Names a cluster for ever; made with its first node.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterId(pub [u8; 16]);

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One run of a node's process: another number after each start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BootId(pub u64);

/// The feature levels a program can run at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Levels {
    pub min: u16,
    pub max: u16,
}

impl Levels {
    pub fn overlap(self, other: Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}", self.min, self.max)
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Lane(Lane),
    /// One question from a node that is no member yet, and its answer.
    Knock,
}

/// Said by the node that dials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// All zero when knocking: a newcomer does not know it.
    pub cluster: ClusterId,
    pub from: NodeId,
    /// Zero when knocking: a newcomer knows an address only.
    pub to: NodeId,
    pub boot: BootId,
    pub levels: Levels,
    pub purpose: Purpose,
    /// The credit the dialer grants for a start, in bytes.
    pub window: u64,
}

/// Said by the node that was dialed, when all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub boot: BootId,
    pub levels: Levels,
    pub window: u64,
}

/// Said by the node that was dialed, when the connection ends here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it belongs to another cluster")]
    OtherCluster,
    #[error("it is another node than the one dialed")]
    OtherNode,
    #[error("it does not know this node as a member")]
    UnknownNode,
    #[error("the certificate names another node than the greeting")]
    OtherName,
    #[error("it runs at other feature levels")]
    OtherLevels,
    #[error("the node with the lower number dials")]
    WrongDialer,
    #[error("it was granted less credit than one frame may need")]
    SmallWindow,
}

impl Refusal {
    const ALL: [Self; 7] = [
        Self::OtherCluster,
        Self::OtherNode,
        Self::UnknownNode,
        Self::OtherName,
        Self::OtherLevels,
        Self::WrongDialer,
        Self::SmallWindow,
    ];

    const fn number(self) -> u8 {
        match self {
            Self::OtherCluster => 1,
            Self::OtherNode => 2,
            Self::UnknownNode => 3,
            Self::OtherName => 4,
            Self::OtherLevels => 5,
            Self::WrongDialer => 6,
            Self::SmallWindow => 7,
        }
    }
}

pub type Reply = Result<Welcome, Refusal>;

const KNOCK: u8 = 255;

impl Hello {
    pub fn encode(&self) -> [u8; HELLO_BYTES] {
        let purpose = match self.purpose {
            Purpose::Lane(lane) => lane.number(),
            Purpose::Knock => KNOCK,
        };
        fixed(&[
            &MAGIC,
            &[VERSION, purpose],
            &self.levels.min.to_le_bytes(),
            &self.levels.max.to_le_bytes(),
            &self.cluster.0,
            &self.from.0.to_le_bytes(),
            &self.to.0.to_le_bytes(),
            &self.boot.0.to_le_bytes(),
            &self.window.to_le_bytes(),
        ])
    }

    pub fn decode(bytes: &[u8; HELLO_BYTES]) -> Result<Self, WireError> {
        let (mut fields, purpose) = opened("a greeting", bytes)?;
        let purpose = match Lane::of(purpose) {
            Some(lane) => Purpose::Lane(lane),
            None if purpose == KNOCK => Purpose::Knock,
            None => {
                return Err(WireError::Unknown {
                    what: "a greeting's lane",
                    found: purpose.into(),
                });
            }
        };
        let levels = levels(&mut fields)?;
        Ok(Self {
            purpose,
            levels,
            cluster: ClusterId(fields.array()?),
            from: node(&mut fields)?,
            to: NodeId(fields.u64()?),
            boot: BootId(fields.u64()?),
            window: fields.u64()?,
        })
    }
}

pub fn encode_reply(reply: &Reply) -> [u8; REPLY_BYTES] {
    match reply {
        Ok(welcome) => fixed(&[
            &MAGIC,
            &[VERSION, 0],
            &welcome.levels.min.to_le_bytes(),
            &welcome.levels.max.to_le_bytes(),
            &welcome.cluster.0,
            &welcome.node.0.to_le_bytes(),
            &welcome.boot.0.to_le_bytes(),
            &welcome.window.to_le_bytes(),
        ]),
        Err(refusal) => fixed(&[&MAGIC, &[VERSION, refusal.number()]]),
    }
}

pub fn decode_reply(bytes: &[u8; REPLY_BYTES]) -> Result<Reply, WireError> {
    let (mut fields, number) = opened("the answer to a greeting", bytes)?;
    if number != 0 {
        let refusal = Refusal::ALL.into_iter().find(|refusal| refusal.number() == number);
        let unknown = WireError::Unknown { what: "a refusal", found: number.into() };
        return refusal.map(Err).ok_or(unknown);
    }
    let levels = levels(&mut fields)?;
    Ok(Ok(Welcome {
        levels,
        cluster: ClusterId(fields.array()?),
        node: node(&mut fields)?,
        boot: BootId(fields.u64()?),
        window: fields.u64()?,
    }))
}

/// Checks what every greeting begins with, and reads the byte behind it.
fn opened<'a>(what: &'static str, bytes: &'a [u8]) -> Result<(Fields<'a>, u8), WireError> {
    let mut fields = Fields::of(what, bytes);
    if fields.array()? != MAGIC {
        return Err(WireError::Foreign { what });
    }
    let version = fields.u8()?;
    if version != VERSION {
        return Err(WireError::Version { what, found: version });
    }
    let number = fields.u8()?;
    Ok((fields, number))
}

fn levels(fields: &mut Fields<'_>) -> Result<Levels, WireError> {
    let levels = Levels { min: fields.u16()?, max: fields.u16()? };
    if levels.min > levels.max {
        return Err(WireError::Unknown { what: "a lowest level", found: levels.min.into() });
    }
    Ok(levels)
}

fn node(fields: &mut Fields<'_>) -> Result<NodeId, WireError> {
    match fields.u64()? {
        0 => Err(WireError::Unknown { what: "a node number", found: 0 }),
        id => Ok(NodeId(id)),
    }
}

/// The parts, and zeros behind them.
fn fixed<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello() -> Hello {
        Hello {
            cluster: ClusterId([7; 16]),
            from: NodeId(1),
            to: NodeId(2),
            boot: BootId(3),
            levels: Levels { min: 4, max: 5 },
            purpose: Purpose::Lane(Lane::Bulk),
            window: 6,
        }
    }

    #[test]
    fn the_layout_of_a_greeting_never_changes() {
        let mut golden = b"OCMH\x01\x03\x04\0\x05\0".to_vec();
        golden.extend([7; 16]);
        golden.extend(b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0");
        golden.extend(b"\x03\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0");
        golden.resize(HELLO_BYTES, 0);
        assert_eq!(hello().encode().as_slice(), golden);
    }

    #[test]
    fn greetings_and_answers_come_back_as_they_were() {
        for purpose in Lane::ALL.map(Purpose::Lane).into_iter().chain([Purpose::Knock]) {
            let hello = Hello { purpose, ..hello() };
            assert_eq!(Hello::decode(&hello.encode()), Ok(hello));
        }
        let welcome = Welcome {
            cluster: ClusterId([9; 16]),
            node: NodeId(2),
            boot: BootId(8),
            levels: Levels { min: 1, max: 1 },
            window: 1 << 40,
        };
        for reply in Refusal::ALL.map(Err).into_iter().chain([Ok(welcome)]) {
            assert_eq!(decode_reply(&encode_reply(&reply)), Ok(reply));
        }
    }

    #[test]
    fn another_protocol_another_layout_and_nobody_are_refused() {
        let mut other = hello().encode();
        other[0] = b'G';
        assert_eq!(Hello::decode(&other), Err(WireError::Foreign { what: "a greeting" }));
        let mut newer = hello().encode();
        newer[4] = 2;
        assert!(matches!(Hello::decode(&newer), Err(WireError::Version { found: 2, .. })));
        let nobody = Hello { from: NodeId(0), ..hello() }.encode();
        assert!(matches!(Hello::decode(&nobody), Err(WireError::Unknown { found: 0, .. })));
        let upside_down = Hello { levels: Levels { min: 3, max: 2 }, ..hello() }.encode();
        assert!(Hello::decode(&upside_down).is_err());
    }
}

//! The names in certificates: who a node is, and to which cluster it belongs.
//!
//! A node's certificate holds two DNS names: `node-<number>.<cluster>.omnicart`, which is its
//! identity, and `member.<cluster>.omnicart`, by which a newcomer knows that the address it was
//! given is some node of its cluster. The authority's holds `authority.<cluster>.omnicart`, so that
//! nodes can be added later without being told the cluster's name again. No name server ever sees
//! these names.
//!
//! **Invariants:** a cluster's name is one DNS label, so no name of one cluster is a name of another.

use std::fmt;
use std::str::FromStr;

use rustls::pki_types::{CertificateDer, ServerName};

use crate::ids::NodeId;
use crate::placement::member::NodeNumber;

const SUFFIX: &str = "omnicart";

/// What people call a cluster; part of every certificate's names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClusterName(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "cluster name {0:?}: 1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit"
)]
pub struct ClusterNameError(String);

/// What a certificate says about its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub cluster: ClusterName,
    pub holder: Holder,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    Node(NodeId),
    Authority,
}

impl FromStr for ClusterName {
    type Err = ClusterNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let inside = text.bytes().all(|byte| allowed(byte) || byte == b'-');
        let ends = [text.bytes().next(), text.bytes().last()];
        let bounded = ends.into_iter().all(|end| end.is_some_and(allowed));
        if inside && bounded && text.len() <= 63 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ClusterNameError(text.to_owned()))
        }
    }
}

impl fmt::Display for ClusterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ClusterName {
    /// The name of a node, whatever its generation: a certificate outlives a disk.
    pub fn node(&self, node: NodeId) -> String {
        let number = node.number().map_or(0, NodeNumber::get);
        format!("node-{number}.{}.{SUFFIX}", self.0)
    }

    pub fn member(&self) -> String {
        format!("member.{}.{SUFFIX}", self.0)
    }

    pub fn authority(&self) -> String {
        format!("authority.{}.{SUFFIX}", self.0)
    }

    /// Every name of the cluster lies under this one.
    pub fn domain(&self) -> String {
        format!("{}.{SUFFIX}", self.0)
    }
}

/// Reads a certificate's names; `None` when none of them is ours. Says nothing about who signed it.
pub fn named(certificate: &CertificateDer<'_>) -> Option<Named> {
    let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
    certificate.valid_dns_names().find_map(|name| {
        let (first, rest) = name.split_once('.')?;
        let (cluster, suffix) = rest.split_once('.')?;
        let cluster = cluster.parse().ok().filter(|_| suffix == SUFFIX)?;
        let holder = match first.strip_prefix("node-") {
            Some(number) => Holder::Node(NodeId(number.parse().ok().filter(|id| *id != 0)?)),
            None if first == "authority" => Holder::Authority,
            None => return None,
        };
        Some(Named { cluster, holder })
    })
}

pub(super) fn server_name(name: String) -> Option<ServerName<'static>> {
    ServerName::try_from(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_name_is_one_label() {
        for name in ["a", "shop", "shop-2", "9", &"a".repeat(63)] {
            assert!(name.parse::<ClusterName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "Shop", "a.b", "a_b", "ä", &"a".repeat(64)] {
            assert!(name.parse::<ClusterName>().is_err(), "{name}");
        }
    }
}

//! Who is at the other end of a connection.
//!
//! A peer is an IPv4 address or the network of an IPv6 host: one host has a whole /64 to itself, so
//! counting its addresses one by one would count nothing.

use std::net::{IpAddr, Ipv6Addr};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Peer(IpAddr);

impl From<IpAddr> for Peer {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                const HOST: u128 = u64::MAX as u128;
                Ipv6Addr::from_bits(address.to_bits() & !HOST).into()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(first: &str, second: &str, are_one: bool) {
        let [first, second] = [first, second].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(Peer::from(first) == Peer::from(second), are_one, "{first} and {second}");
    }

    #[test]
    fn a_peer_is_known_by_its_address_or_its_network() {
        check("192.0.2.1", "192.0.2.1", true);
        check("192.0.2.1", "192.0.2.2", false);
        check("192.0.2.1", "::ffff:192.0.2.1", true);
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
    }
}

//! Carriers as a person names them: `simulator=simulator+http://127.0.0.1:7691`, or
//! `simulator=built-in` for one inside this node.
//!
//! **Invariants:** what a carrier is told, names and addresses of shoppers, goes over no network in
//! the clear.

use std::collections::BTreeMap;

use actors::domain::payment::ProviderName;
use edge::providers::Origin;

use super::payments::{BUILT_IN, by_name, of_kind};

/// What a carrier is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CarrierKind {
    /// `omnicart carrier-simulator`.
    Simulator(Origin),
    /// A simulator inside the node, with its ledger in the data folder.
    BuiltIn,
}

pub(super) fn carriers(text: &str) -> Result<BTreeMap<ProviderName, CarrierKind>, String> {
    by_name(text, "simulator=simulator+http://127.0.0.1:7691", |name, address| {
        let kind = match address.split_once('+') {
            Some(("simulator", origin)) => of_kind(name, CarrierKind::Simulator, origin)?,
            None if address == BUILT_IN => CarrierKind::BuiltIn,
            Some(_) | None => {
                return Err(format!("{name}: an address begins with simulator+, or is {BUILT_IN}"));
            }
        };
        if let CarrierKind::Simulator(origin) = &kind
            && !origin.is_private()
        {
            return Err(format!("{name}: addresses would be sent in the clear; use https"));
        }
        Ok(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carrier_is_a_name_a_kind_and_an_address() {
        let three = "ass=simulator+https://ass.example, mule=simulator+http://127.0.0.1:7691, \
                     ox=built-in";
        let found = carriers(three).unwrap();
        let names: Vec<_> = found.keys().map(ProviderName::as_str).collect();
        assert_eq!(names, ["ass", "mule", "ox"]);
        assert_eq!(found.values().last(), Some(&CarrierKind::BuiltIn));
        for (bad, why) in [
            ("mule", "a name and an address"),
            ("Mule=built-in", "a-z"),
            ("mule=stripe+http://a", "begins with simulator+"),
            ("mule=simulator+http://mule.example", "in the clear"),
            ("a=built-in,a=built-in", "given twice"),
        ] {
            let error = carriers(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}

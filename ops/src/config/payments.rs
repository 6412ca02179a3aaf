//! Payment providers as a person names them: `simulator=simulator+http://127.0.0.1:7690`, or
//! `simulator=built-in` for one inside this node.
//!
//! **Invariants:** a name stands for one provider; a secret is not part of an address.

use std::collections::BTreeMap;

use actors::domain::payment::ProviderName;
use edge::providers::Origin;

/// What a provider is, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentKind {
    /// `omnicart payment-simulator`.
    Simulator(Origin),
    /// Stripe, or something that speaks like it.
    Stripe(Origin),
    /// PayPal, or something that speaks like it.
    PayPal(Origin),
    /// A simulator inside the node, with its ledger in the data folder.
    BuiltIn,
}

const BUILT_IN: &str = "built-in";

pub(super) fn providers(text: &str) -> Result<BTreeMap<ProviderName, PaymentKind>, String> {
    let mut providers = BTreeMap::new();
    for part in text.split(',') {
        let (name, address) = part
            .trim()
            .split_once('=')
            .ok_or("a name and an address, such as simulator=simulator+http://127.0.0.1:7690")?;
        let name: ProviderName = name.parse().map_err(|error| format!("{name:?}: {error}"))?;
        let of_kind = |kind: fn(Origin) -> PaymentKind, origin: &str| {
            origin.parse().map(kind).map_err(|error| format!("{name}: {error}"))
        };
        let kind = match address.split_once('+') {
            Some(("simulator", origin)) => of_kind(PaymentKind::Simulator, origin)?,
            Some(("stripe", origin)) => of_kind(PaymentKind::Stripe, origin)?,
            Some(("paypal", origin)) => of_kind(PaymentKind::PayPal, origin)?,
            None if address == BUILT_IN => PaymentKind::BuiltIn,
            Some(_) | None => {
                return Err(format!(
                    "{name}: an address begins with simulator+, stripe+ or paypal+, or is {BUILT_IN}"
                ));
            }
        };
        if let PaymentKind::Stripe(origin) | PaymentKind::PayPal(origin) = &kind
            && !origin.is_private()
        {
            return Err(format!("{name}: its key would be sent in the clear; use https"));
        }
        if providers.insert(name.clone(), kind).is_some() {
            return Err(format!("{name} is given twice"));
        }
    }
    Ok(providers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_name_a_kind_and_an_address() {
        let three = "sim=simulator+http://psp.example, other=stripe+https://api.stripe.com,\
                     pal=paypal+https://api-m.paypal.com";
        let found = providers(three).unwrap();
        let names: Vec<_> = found.keys().map(ProviderName::as_str).collect();
        assert_eq!(names, ["other", "pal", "sim"]);
        let inside = providers("sim=built-in").unwrap();
        assert!(inside.values().all(|kind| *kind == PaymentKind::BuiltIn));
        for (bad, why) in [
            ("sim", "a name and an address"),
            ("Sim=simulator+http://a", "a-z"),
            ("sim=http://a", "begins with simulator+"),
            ("sim=simulator+ftp://a", "such as http"),
            ("a=stripe+http://api.stripe.com", "in the clear"),
            ("a=paypal+http://api-m.paypal.com", "in the clear"),
            ("a=simulator+http://a,a=simulator+http://b", "given twice"),
        ] {
            let error = providers(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }
}

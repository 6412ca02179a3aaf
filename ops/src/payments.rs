//! Who takes payments: the providers of the settings, or the demo's simulator.
//!
//! **Invariants:** one provider at most is inside the node, for its ledger is one.

use std::collections::BTreeMap;
use std::sync::Arc;

use actors::domain::payment::ProviderName;
use anyhow::Context;
use edge::metrics::ProviderMetrics;
use edge::providers::payment::paypal::{Credentials, PayPal, WebhookId};
use edge::providers::payment::routing::Routing;
use edge::providers::payment::simulator::{Behaviour, InProcess, Simulator};
use edge::providers::payment::stripe::{ApiKey, Stripe};
use edge::providers::payment::{PaymentProvider, Providers};
use edge::providers::{Caller, NoticeSecret};

use crate::config::{Config, PaymentKind, Products};
use crate::failure::Failure;
use crate::providers::{Secrets, refused, roots};

/// The demo's own provider, as checkouts name it.
const DEMO: &str = "simulator";
/// Where the ledger of one inside the node lies, in the data folder.
const BUILT_IN_FOLDER: &str = "payment-simulator";

pub fn providers(config: &Config, metrics: ProviderMetrics) -> Result<Providers, Failure> {
    let mut providers: BTreeMap<ProviderName, Arc<dyn PaymentProvider>> = BTreeMap::new();
    for (name, kind) in &config.payment_providers {
        providers.insert(name.clone(), provider(config, name, kind)?);
    }
    let is_demo = config.products == Products::Demo && config.mesh.is_none();
    let demo = DEMO.parse::<ProviderName>().ok();
    let demo = demo.filter(|name| is_demo && !providers.contains_key(name));
    check_one(inside(config).chain(&demo))?;
    if let Some(name) = demo {
        providers.insert(name, Arc::new(built_in(config)));
    }
    let ruled = config.payment_rules.iter().flat_map(Routing::providers);
    if let Some(unknown) = ruled.into_iter().find(|name| !providers.contains_key(*name)) {
        let error =
            anyhow::anyhow!("--payment-rules name {unknown}, which --payment-provider does not");
        return Err(refused(error));
    }
    Ok(Providers::new(providers, metrics))
}

fn inside(config: &Config) -> impl Iterator<Item = &ProviderName> {
    let inside = config.payment_providers.iter().filter(|(_, kind)| **kind == PaymentKind::BuiltIn);
    inside.map(|(name, _)| name)
}

fn check_one<'a>(mut inside: impl Iterator<Item = &'a ProviderName>) -> Result<(), Failure> {
    let (Some(one), Some(other)) = (inside.next(), inside.next()) else { return Ok(()) };
    let error = anyhow::anyhow!(
        "payment providers {one} and {other} are both built-in, and a node has the ledger of one"
    );
    Err(refused(error))
}

fn built_in(config: &Config) -> InProcess {
    InProcess::new(config.data.join(BUILT_IN_FOLDER), Behaviour::default())
}

fn provider(
    config: &Config,
    name: &ProviderName,
    kind: &PaymentKind,
) -> Result<Arc<dyn PaymentProvider>, Failure> {
    let named = || format!("payment provider {name}");
    let origin = match kind {
        PaymentKind::Simulator(origin)
        | PaymentKind::Stripe(origin)
        | PaymentKind::PayPal(origin) => origin,
        // Its ledger is this node's own, and another node may go on with a payment.
        PaymentKind::BuiltIn if config.mesh.is_some() => {
            let error = anyhow::anyhow!("a node of a cluster has no provider of its own");
            return Err(refused(error.context(named())));
        }
        PaymentKind::BuiltIn => return Ok(Arc::new(built_in(config))),
    };
    let roots = origin.is_https().then(|| roots(&config.payment_roots)).transpose()?;
    let caller = Caller::new(origin.clone(), roots).with_context(named).map_err(refused)?;
    let secrets = Secrets { folder: config.payment_secrets.as_deref(), name };
    Ok(match kind {
        PaymentKind::Simulator(_) | PaymentKind::BuiltIn => {
            Arc::new(Simulator::new(caller, secrets.notices::<NoticeSecret>()?))
        }
        PaymentKind::Stripe(_) => {
            let (key, secret) = (secrets.key::<ApiKey>()?, secrets.notices::<NoticeSecret>()?);
            Arc::new(Stripe::new(caller, key, secret))
        }
        PaymentKind::PayPal(_) => {
            let (key, webhook) = (secrets.key::<Credentials>()?, secrets.notices::<WebhookId>()?);
            Arc::new(PayPal::new(caller, key, webhook))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Demo, RawConfig, Setting};

    #[track_caller]
    fn check(demo: Demo, given: &str, refusal: Option<&str>) {
        let flags = BTreeMap::from([(Setting::PaymentProvider, given.to_owned())]);
        let raw = RawConfig::gather(flags, |_| None, None).unwrap();
        let config = Config::parse(&raw, demo).unwrap();
        let error = providers(&config, ProviderMetrics::default()).err();
        let error = error.map(|failure| failure.error.to_string());
        assert_eq!(error.as_deref(), refusal);
    }

    #[test]
    fn one_provider_is_inside_the_node() {
        let refusal =
            "payment providers a and b are both built-in, and a node has the ledger of one";
        check(Demo::No, "a=built-in,b=built-in", Some(refusal));
        check(Demo::No, "a=built-in", None);
        check(Demo::Yes, "simulator=built-in", None);
        let refusal =
            "payment providers a and simulator are both built-in, and a node has the ledger of one";
        check(Demo::Yes, "a=built-in", Some(refusal));
        check(Demo::Yes, "a=built-in,simulator=simulator+http://127.0.0.1:7690", None);
    }
}

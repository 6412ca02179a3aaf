//! Who takes payments: the providers of the settings, or the demo's simulator.
//!
//! **Invariants:** secrets come from files alone and are shown nowhere; a secret that cannot be
//! read stops the start, because a shop that believes no notice learns of money late.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use actors::domain::payment::ProviderName;
use anyhow::Context;
use edge::metrics::PaymentMetrics;
use edge::providers::payment::paypal::{Credentials, PayPal, WebhookId};
use edge::providers::payment::routing::Routing;
use edge::providers::payment::simulator::{Behaviour, InProcess, Simulator};
use edge::providers::payment::stripe::{ApiKey, Stripe};
use edge::providers::payment::{NoticeSecret, PaymentProvider, Providers};
use edge::providers::{Caller, Roots};

use crate::config::{Config, PaymentKind, Products};
use crate::failure::{Exit, Failure};

/// The demo's own provider, as checkouts name it.
const DEMO: &str = "simulator";
/// Where the ledger of one inside the node lies, in the data folder.
const BUILT_IN_FOLDER: &str = "payment-simulator";

pub fn providers(config: &Config, metrics: PaymentMetrics) -> Result<Providers, Failure> {
    let mut providers: BTreeMap<ProviderName, Arc<dyn PaymentProvider>> = BTreeMap::new();
    for (name, kind) in &config.payment_providers {
        providers.insert(name.clone(), provider(config, name, kind)?);
    }
    let is_demo = config.products == Products::Demo && config.mesh.is_none();
    if is_demo && let Ok(name) = DEMO.parse::<ProviderName>() {
        providers.entry(name).or_insert_with(|| Arc::new(built_in(config)));
    }
    let ruled = config.payment_rules.iter().flat_map(Routing::providers);
    if let Some(unknown) = ruled.into_iter().find(|name| !providers.contains_key(*name)) {
        let error =
            anyhow::anyhow!("--payment-rules name {unknown}, which --payment-provider does not");
        return Err(refused(error));
    }
    Ok(Providers::new(providers, metrics))
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

fn refused(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Usage, error)
}

/// The files of one provider.
struct Secrets<'a> {
    folder: Option<&'a Path>,
    name: &'a ProviderName,
}

impl Secrets<'_> {
    /// What requests are signed with; nothing goes without it.
    fn key<T>(&self) -> Result<T, Failure>
    where
        T: for<'a> TryFrom<&'a str, Error: std::error::Error + Send + Sync + 'static>,
    {
        let name = self.name;
        let file = self.folder.map(|folder| folder.join(format!("{name}.key")));
        let file = file.context("--payment-secrets names no folder of its key");
        let file = file.with_context(|| format!("payment provider {name}")).map_err(refused)?;
        let key = fs::read_to_string(&file).map_err(anyhow::Error::new);
        let key = key.and_then(|key| Ok(T::try_from(key.trim())?));
        key.with_context(|| format!("key file {}", file.display())).map_err(refused)
    }

    /// What notices are known by; without it none is believed.
    fn notices<T>(&self) -> Result<Option<T>, Failure>
    where
        T: for<'a> TryFrom<&'a str, Error: std::error::Error + Send + Sync + 'static>,
    {
        let name = self.name;
        let file = self.folder.map(|folder| folder.join(format!("{name}.notices")));
        let secret = file.map(|file| read_secret(&file)).transpose()?.flatten();
        if secret.is_none() {
            tracing::warn!(payment.provider = %name, "without a secret its notices are refused");
        }
        Ok(secret)
    }
}

fn roots(file: &Path) -> Result<Roots, Failure> {
    let roots = fs::read(file).map_err(anyhow::Error::new);
    let roots = roots.and_then(|pem| Ok(Roots::from_pem(&pem)?));
    let roots = roots.with_context(|| format!("roots of payment providers {}", file.display()));
    roots.map_err(|error| Failure::new(Exit::Usage, error))
}

/// The secret in a file; nothing where there is no such file.
pub fn read_secret<T>(file: &Path) -> Result<Option<T>, Failure>
where
    T: for<'a> TryFrom<&'a str, Error: std::error::Error + Send + Sync + 'static>,
{
    let named = || format!("secret file {}", file.display());
    let contents = match fs::read_to_string(file) {
        Ok(contents) => contents,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(anyhow::Error::new(error).context(named()))),
    };
    let secret = T::try_from(contents.trim());
    secret.with_context(named).map(Some).map_err(refused)
}

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
use edge::providers::payment::simulator::{Behaviour, InProcess, Simulator};
use edge::providers::payment::{NoticeSecret, PaymentProvider, Providers};

use crate::config::{Config, PaymentKind, Products};
use crate::failure::{Exit, Failure};

/// The demo's own provider, as checkouts name it.
const DEMO: &str = "simulator";
/// Where its ledger lies, in the data folder.
const DEMO_FOLDER: &str = "payment-simulator";

pub fn providers(config: &Config) -> Result<Providers, Failure> {
    let mut providers: BTreeMap<ProviderName, Arc<dyn PaymentProvider>> = BTreeMap::new();
    for (name, kind) in &config.payment_providers {
        let secret = config.payment_secrets.as_deref().map(|folder| secret(folder, name));
        let secret = secret.transpose()?.flatten();
        if secret.is_none() {
            tracing::warn!(payment.provider = %name, "without a secret its notices are refused");
        }
        let PaymentKind::Simulator(origin) = kind;
        providers.insert(name.clone(), Arc::new(Simulator::new(origin.clone(), secret)));
    }
    // Its ledger is this node's own, which is of no use where another node may go on with a payment.
    let is_demo = config.products == Products::Demo && config.mesh.is_none();
    if is_demo && let Ok(name) = DEMO.parse::<ProviderName>() {
        let demo = || {
            let folder = config.data.join(DEMO_FOLDER);
            Arc::new(InProcess::new(folder, Behaviour::default())) as Arc<dyn PaymentProvider>
        };
        providers.entry(name).or_insert_with(demo);
    }
    Ok(Providers::new(providers))
}

/// What a provider signs its notices with, where there is a file of it.
fn secret(folder: &Path, name: &ProviderName) -> Result<Option<NoticeSecret>, Failure> {
    read_secret(&folder.join(format!("{name}.notices")))
}

/// The secret in a file; nothing where there is no such file.
pub fn read_secret(file: &Path) -> Result<Option<NoticeSecret>, Failure> {
    let named = || format!("secret file {}", file.display());
    let refused = |error| Failure::new(Exit::Usage, error);
    let contents = match fs::read_to_string(file) {
        Ok(contents) => contents,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(anyhow::Error::new(error).context(named()))),
    };
    let secret = NoticeSecret::try_from(contents.trim());
    secret.with_context(named).map(Some).map_err(refused)
}

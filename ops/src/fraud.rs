//! Who decides which orders look like fraud: the rules of a file, or nobody.

use std::fs;
use std::sync::Arc;

use actors::domain::fraud::{Question, Verdict};
use anyhow::Context;
use cluster::runtime::ports::InDoubt;
use edge::metrics::VerdictMetrics;
use edge::providers::ProviderFuture;
use edge::providers::fraud::rules::FraudRules;
use edge::providers::fraud::{Fraud, Judge};

use crate::config::Config;
use crate::failure::Failure;
use crate::providers::refused;

/// Asked where there is no file of rules, and another node took the order to be screened: it says
/// nothing, so that the order is held in the end, or is led by a node that knows.
struct Nobody;

impl Judge for Nobody {
    fn judge(&self, _: Question) -> ProviderFuture<Verdict> {
        let why = "this node has no rules about fraud, and another one has: give all the same file";
        Box::pin(async move { Err(InDoubt(why.to_owned())) })
    }
}

/// Who answers for the port, whether or not this node has orders screened.
pub fn port(screening: Option<&Fraud>, metrics: VerdictMetrics) -> Fraud {
    screening.cloned().unwrap_or_else(|| Fraud::new(Arc::new(Nobody), metrics))
}

/// Nothing where there is no file: all orders are allowed, and none waits for that.
pub fn rules(config: &Config, metrics: VerdictMetrics) -> Result<Option<Fraud>, Failure> {
    let Some(file) = &config.fraud_rules else { return Ok(None) };
    let rules = fs::read_to_string(file).map_err(anyhow::Error::new);
    let rules = rules.and_then(|text| Ok(text.parse::<FraudRules>()?));
    let rules = rules.with_context(|| format!("fraud rules {}", file.display()));
    Ok(Some(Fraud::new(Arc::new(rules.map_err(refused)?), metrics)))
}

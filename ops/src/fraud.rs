//! Who decides which orders look like fraud: the rules of a file, or nobody.

use std::fs;
use std::sync::Arc;

use anyhow::Context;
use edge::metrics::VerdictMetrics;
use edge::providers::fraud::Fraud;
use edge::providers::fraud::rules::FraudRules;

use crate::config::Config;
use crate::failure::Failure;
use crate::providers::refused;

/// Nothing where there is no file: all orders are allowed, and none waits for that.
pub fn rules(config: &Config, metrics: VerdictMetrics) -> Result<Option<Fraud>, Failure> {
    let Some(file) = &config.fraud_rules else { return Ok(None) };
    let rules = fs::read_to_string(file).map_err(anyhow::Error::new);
    let rules = rules.and_then(|text| Ok(text.parse::<FraudRules>()?));
    let rules = rules.with_context(|| format!("fraud rules {}", file.display()));
    Ok(Some(Fraud::new(Arc::new(rules.map_err(refused)?), metrics)))
}

//! What an operator writes: the settings file, single settings, the catalogue.

use std::collections::BTreeMap;
use std::path::Path;

use ops::config::{Config, Demo, RawConfig, Setting};

use crate::allocation::bounded;
use crate::world::{choosing, chosen};

const FIXED_BYTES: usize = 4 << 20;
const FILE: &str = "settings.toml";

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    bounded(bytes.len(), FIXED_BYTES, || match choice {
        0 => file(text),
        1 => {
            drop(ops::catalogue::parse(text));
        }
        _ => single(choice - 2, text),
    });
}

/// A refusal is told in words, and a secret is not in them.
fn file(text: &str) {
    let raw = RawConfig::gather(BTreeMap::new(), |_| None, Some((Path::new(FILE), text)));
    match raw.and_then(|raw| Config::parse(&raw, Demo::No)) {
        Ok(config) => assert!(config.segment_bytes.is_power_of_two() || config.segment_bytes > 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn single(nth: usize, text: &str) {
    let Some(setting) = Setting::ALL.get(nth % Setting::ALL.len()) else { return };
    let flags = BTreeMap::from([(*setting, text.to_owned())]);
    let raw = RawConfig::gather(flags, |_| None, None).expect("no file, no syntax");
    if let Err(error) = Config::parse(&raw, Demo::No) {
        let told = error.to_string();
        let is_secret = *setting == Setting::OperatorToken && text.len() > 16;
        assert!(!is_secret || !told.contains(text), "a secret was told");
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let settings = "listen = \"[::1]:80\"\nshards = 8\nsegment-size = \"64MiB\"\n\
        log-level = \"info,cluster=debug\"\nlog-format = \"json\"\nshutdown-grace = \"2s\"\n\
        operator-token = \"0123456789abcdef0123456789abcdef\"\n";
    let catalogue = include_str!("../../../ops/src/demo/catalogue.json");
    let mut seeds = vec![choosing(0, settings.as_bytes()), choosing(1, catalogue.as_bytes())];
    for (choice, setting) in (2..).zip(Setting::ALL) {
        let text = setting.describe().default.unwrap_or("8");
        seeds.push(choosing(choice, text.as_bytes()));
    }
    seeds
}

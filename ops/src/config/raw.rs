//! Settings as they were given: text, and where it stood.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{ConfigError, Setting};

/// Where a value stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Flag,
    Environment,
    File(PathBuf),
    Default,
}

#[derive(Clone)]
struct Given {
    text: String,
    source: Source,
}

/// The winning text of every setting that has one. Not `Debug`: it may hold a secret.
#[derive(Clone, Default)]
pub struct RawConfig {
    values: BTreeMap<Setting, Given>,
}

impl RawConfig {
    /// Lays the sources over each other, the strongest last.
    pub fn gather(
        flags: BTreeMap<Setting, String>,
        environment: impl Fn(&str) -> Option<String>,
        file: Option<(&Path, &str)>,
    ) -> Result<Self, ConfigError> {
        let mut raw = Self::default();
        for setting in Setting::ALL {
            if let Some(text) = setting.describe().default {
                raw.lay(setting, text.to_owned(), Source::Default);
            }
        }
        if let Some((path, contents)) = file {
            raw.lay_file(path, contents)?;
        }
        for setting in Setting::ALL {
            if let Some(text) = environment(&setting.variable()) {
                raw.lay(setting, text, Source::Environment);
            }
        }
        for (setting, text) in flags {
            raw.lay(setting, text, Source::Flag);
        }
        Ok(raw)
    }

    /// Where the value of a setting comes from; `None` when it has none.
    pub fn source(&self, setting: Setting) -> Option<&Source> {
        self.values.get(&setting).map(|given| &given.source)
    }

    fn lay(&mut self, setting: Setting, text: String, source: Source) {
        self.values.insert(setting, Given { text, source });
    }

    fn lay_file(&mut self, path: &Path, contents: &str) -> Result<(), ConfigError> {
        let table: toml::Table = contents.parse().map_err(|error: toml::de::Error| {
            let reason = error.message().to_owned();
            let line = error.span().map(|span| line_of(contents, span.start));
            let reason = line.map_or(reason.clone(), |line| format!("line {line}: {reason}"));
            ConfigError::Syntax { file: path.to_owned(), reason }
        })?;
        for (key, value) in table {
            let Some(setting) = Setting::from_key(&key) else {
                return Err(ConfigError::UnknownKey { file: path.to_owned(), key });
            };
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(_)
                | toml::Value::Boolean(_)
                | toml::Value::Datetime(_)
                | toml::Value::Array(_)
                | toml::Value::Table(_) => {
                    return Err(ConfigError::Invalid {
                        setting,
                        given: path.display().to_string(),
                        reason: "a string or a whole number is expected".to_owned(),
                    });
                }
            };
            self.lay(setting, text, Source::File(path.to_owned()));
        }
        Ok(())
    }

    pub(super) fn required<T>(
        &self,
        setting: Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        self.optional(setting, parse)?.ok_or_else(|| ConfigError::Invalid {
            setting,
            given: Source::Default.to_string(),
            reason: "a value is needed".to_owned(),
        })
    }

    pub(super) fn optional<T>(
        &self,
        setting: Setting,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(Given { text, source }) = self.values.get(&setting) else { return Ok(None) };
        parse(text).map(Some).map_err(|reason| {
            let place = match source {
                Source::Flag => format!("flag --{setting}"),
                Source::Environment => format!("environment variable {}", setting.variable()),
                Source::File(_) | Source::Default => source.to_string(),
            };
            let given = if setting.is_secret() { place } else { format!("{place} is {text:?}") };
            ConfigError::Invalid { setting, given, reason }
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("the command line"),
            Self::Environment => f.write_str("the environment"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("the defaults"),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

//! What is read of files for the providers that a shop asks.
//!
//! **Invariants:** secrets come from files alone and are shown nowhere; a secret that cannot be
//! read stops the start, because a shop that believes no notice learns of things late.

use std::fs;
use std::io;
use std::path::Path;

use actors::domain::payment::ProviderName;
use anyhow::Context;
use edge::providers::Roots;

use crate::failure::{Exit, Failure};

pub(crate) fn refused(error: anyhow::Error) -> Failure {
    Failure::new(Exit::Usage, error)
}

/// The files of one provider.
pub(crate) struct Secrets<'a> {
    pub(crate) folder: Option<&'a Path>,
    pub(crate) name: &'a ProviderName,
}

impl Secrets<'_> {
    /// What requests are signed with; nothing goes without it.
    pub(crate) fn key<T>(&self) -> Result<T, Failure>
    where
        T: for<'a> TryFrom<&'a str, Error: std::error::Error + Send + Sync + 'static>,
    {
        let name = self.name;
        let file = self.folder.map(|folder| folder.join(format!("{name}.key")));
        let file = file.context("--payment-secrets names no folder of its key");
        let file = file.with_context(|| format!("provider {name}")).map_err(refused)?;
        let key = fs::read_to_string(&file).map_err(anyhow::Error::new);
        let key = key.and_then(|key| Ok(T::try_from(key.trim())?));
        key.with_context(|| format!("key file {}", file.display())).map_err(refused)
    }

    /// What notices are known by; without it none is believed.
    pub(crate) fn notices<T>(&self) -> Result<Option<T>, Failure>
    where
        T: for<'a> TryFrom<&'a str, Error: std::error::Error + Send + Sync + 'static>,
    {
        let name = self.name;
        let file = self.folder.map(|folder| folder.join(format!("{name}.notices")));
        let secret = file.map(|file| read_secret(&file)).transpose()?.flatten();
        if secret.is_none() {
            tracing::warn!(provider = %name, "without a secret its notices are refused");
        }
        Ok(secret)
    }
}

pub(crate) fn roots(file: &Path) -> Result<Roots, Failure> {
    let roots = fs::read(file).map_err(anyhow::Error::new);
    let roots = roots.and_then(|pem| Ok(Roots::from_pem(&pem)?));
    let roots = roots.with_context(|| format!("roots of providers {}", file.display()));
    roots.map_err(|error| Failure::new(Exit::Usage, error))
}

/// The secret in a file; nothing where there is no such file.
pub(crate) fn read_secret<T>(file: &Path) -> Result<Option<T>, Failure>
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

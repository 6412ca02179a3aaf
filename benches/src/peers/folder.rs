//! The folder of a run, removed with everything in it when the run ends.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::TempDir;

pub(crate) struct Folder(TempDir);

impl Folder {
    /// In `parent`, which chooses the disk, or where the system keeps temporary files.
    pub(crate) fn create(parent: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("omnicart-bench-");
        let folder = match parent {
            Some(parent) => builder
                .tempdir_in(parent)
                .with_context(|| format!("cannot make a folder in {}", parent.display()))?,
            None => builder.tempdir().context("cannot make a temporary folder")?,
        };
        Ok(Self(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

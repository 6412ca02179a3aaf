//! A part of a scenario in a process of its own: this program again, one JSON value as its answer.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use anyhow::Context as _;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::peers::process::own_program;

/// Runs `benches task <arguments>` to its end and reads what it answered.
pub(crate) fn run<T: DeserializeOwned>(
    arguments: impl IntoIterator<Item = impl Into<OsString>>,
) -> anyhow::Result<T> {
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let name = arguments.first().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let output = Command::new(own_program()?)
        .arg("task")
        .args(&arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run the part {name}"))?;
    anyhow::ensure!(output.status.success(), "the part {name} ended with {}", output.status);
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the part {name} did not answer as expected"))
}

/// Answers the process that runs this part.
pub(crate) fn answer(value: &impl Serialize) -> anyhow::Result<()> {
    serde_json::to_writer(std::io::stdout().lock(), value).context("nobody takes the answer")
}

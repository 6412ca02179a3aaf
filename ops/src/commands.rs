//! What an operator runs beside a server: looks at a data folder that none uses or at a running
//! cluster, certificates, and clusters on this machine, real and simulated.
//!
//! **Invariants:** output is written as it is found, so a large folder needs no memory; with
//! `--json` every line is one JSON object with a member `what`.

pub mod carrier_simulator;
pub mod certs;
pub mod cluster;
pub mod dev;
pub mod inspect;
pub mod payment_simulator;
pub mod sim;
pub mod simulator;
pub mod verify;

use std::io::Write;

use serde_json::{Map, Value};

use crate::failure::{Exit, Failure};

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    Text,
    Json,
}

/// Prints findings one by one.
pub struct Printer<'a> {
    out: &'a mut dyn Write,
    output: Output,
}

impl<'a> Printer<'a> {
    pub fn new(out: &'a mut dyn Write, output: Output) -> Self {
        Self { out, output }
    }

    /// One finding: a line for people, or an object for machines.
    pub fn line(
        &mut self,
        what: &str,
        text: impl FnOnce() -> String,
        members: impl FnOnce() -> Vec<(&'static str, Value)>,
    ) -> Result<(), Failure> {
        let line = match self.output {
            Output::Text => text(),
            Output::Json => {
                let mut object = Map::new();
                object.insert("what".to_owned(), what.into());
                object.extend(members().into_iter().map(|(name, value)| (name.to_owned(), value)));
                Value::Object(object).to_string()
            }
        };
        // A reader that left, such as `head`, is no reason for a long story.
        writeln!(self.out, "{line}").map_err(|error| Failure::new(Exit::Failed, error))
    }
}

/// An error and everything behind it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

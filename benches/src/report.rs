//! What a run prints: text for people, and one JSON object as the last line, always.

use std::io::Write as _;

use serde::Serialize;
use serde_json::{Map, Value};

/// How much is printed besides the JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verbosity {
    Text,
    JsonOnly,
}

/// Whether the system under test kept its promises, as far as the scenario looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    Broken,
}

/// The figures of one scenario.
#[derive(Debug)]
pub(crate) struct Report {
    figures: Map<String, Value>,
    verdict: Verdict,
}

impl Report {
    pub(crate) fn of(scenario: &'static str) -> Self {
        let figures = Map::from_iter([("scenario".to_owned(), Value::from(scenario))]);
        Self { figures, verdict: Verdict::Kept }
    }

    pub(crate) fn add(&mut self, name: &str, value: impl Serialize) -> anyhow::Result<()> {
        self.figures.insert(name.to_owned(), serde_json::to_value(value)?);
        Ok(())
    }

    pub(crate) fn broken_if(&mut self, broken: bool) {
        if broken {
            self.verdict = Verdict::Broken;
        }
    }

    pub(crate) fn print(&self, verbosity: Verbosity) -> std::io::Result<Verdict> {
        let mut out = std::io::stdout().lock();
        if verbosity == Verbosity::Text {
            self.lines(&mut out)?;
        }
        serde_json::to_writer(&mut out, &self.figures)?;
        writeln!(out)?;
        Ok(self.verdict)
    }

    fn lines(&self, out: &mut impl std::io::Write) -> std::io::Result<()> {
        let width = self.figures.keys().map(String::len).max().unwrap_or(0);
        for (name, value) in &self.figures {
            if let Some(members) = value.as_object() {
                writeln!(out, "{name}")?;
                for (member, value) in members {
                    writeln!(out, "  {member:width$}  {value}")?;
                }
            } else if let Some(text) = value.as_str() {
                writeln!(out, "{name:width$}  {text}")?;
            } else {
                writeln!(out, "{name:width$}  {value}")?;
            }
        }
        Ok(())
    }
}

/// What is going on, for a person who waits.
pub(crate) fn progress(what: &str) {
    // Nobody reads it when this fails.
    writeln!(std::io::stderr(), "{what}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_shows_every_figure() {
        let mut report = Report::of("example");
        report.add("per_second", 12.5).unwrap();
        report.add("levels", serde_json::json!({"64": {"p50_us": 3}})).unwrap();
        report.broken_if(false);
        assert_eq!(report.verdict, Verdict::Kept);
        report.broken_if(true);
        report.broken_if(false);
        assert_eq!(report.verdict, Verdict::Broken);
        let mut text = Vec::new();
        report.lines(&mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        for part in ["scenario", "example", "12.5", "levels", "\"p50_us\":3"] {
            assert!(text.contains(part), "{part:?} is missing in {text}");
        }
    }
}

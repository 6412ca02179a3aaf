//! A stand-in for the next version: this program, able to work at one level more. Tests of rolling
//! upgrades run it beside `omnicart`; no release is built with it.

use std::process::ExitCode;

use cluster::placement::member::Levels;

fn main() -> ExitCode {
    let next = Levels { highest: Levels::OWN.highest + 1, ..Levels::OWN };
    match ops::cli::run_at(next) {
        Ok(code) => code,
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

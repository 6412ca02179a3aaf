//! The process: one command, and its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    match ops::cli::run() {
        Ok(code) => code,
        Err(failure) => {
            failure.report();
            failure.exit.into()
        }
    }
}

//! `omnicart sim` as its users meet it.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use cluster::sim::run::RunOptions;
use ops::commands::sim::{Purpose, Request, run_command};
use serde_json::Value;

fn request(first: u64, n_seeds: u64, purpose: Purpose) -> Request {
    let seeds = first..first + n_seeds;
    Request { seeds, options: RunOptions::default(), threads: None, purpose }
}

/// What was printed, and its last line as JSON.
#[track_caller]
fn run(request: &Request) -> (ExitCode, String, Value) {
    let mut out = Vec::new();
    let code = run_command(request, &mut out).expect("a result");
    let text = String::from_utf8(out).expect("text");
    let last = serde_json::from_str(text.lines().last().expect("a line")).expect("JSON");
    (code, text, last)
}

#[test]
fn a_seed_has_one_trace_whatever_runs_beside_it() {
    let hash = |threads| {
        let threads = NonZeroUsize::new(threads);
        let (code, text, last) = run(&Request { threads, ..request(20, 4, Purpose::Check) });
        assert_eq!(code, ExitCode::SUCCESS, "{text}");
        assert_eq!((&last["seeds"], &last["violations"]), (&4.into(), &0.into()));
        last["trace_hash"].as_str().expect("a hash").to_owned()
    };
    assert_eq!(hash(1), hash(3));
}

#[test]
fn a_trace_tells_what_happened() {
    let (code, text, last) = run(&request(20, 1, Purpose::Trace));
    assert_eq!((code, &last["seeds"]), (ExitCode::SUCCESS, &1.into()));
    for what in [" leads shard ", " loses power", " starts again", "MsgAppend", "client 3 begins"] {
        assert!(text.contains(what), "{what}");
    }
}

#[test]
fn a_run_in_which_nothing_happens_is_a_failed_one() {
    let idle = Request {
        options: RunOptions { n_ops: 0, ..RunOptions::default() },
        ..request(20, 1, Purpose::Check)
    };
    let (code, text, last) = run(&idle);
    assert_eq!((code, &last["violations"]), (ExitCode::from(1), &0.into()));
    assert_eq!(last["failed_seeds"], serde_json::json!([20]));
    assert!(text.contains("omnicart sim --seeds 1 --seed 20 --ops 0 --trace"), "{text}");
}

//! The program as a whole: a scenario from its start to its exit code.

use std::process::Command;

fn has_strace() -> bool {
    let found = Command::new("strace").arg("--version").output();
    let is_there = found.is_ok_and(|output| output.status.success());
    assert!(is_there || std::env::var("CI").as_deref() != Ok("true"), "CI needs strace");
    is_there
}

#[test]
fn a_minute_of_faults_at_three_nodes_loses_nothing() {
    let mut faults = "kill,pause,cut,cut_one_way,slow,wipe,delete_index,drain".to_owned();
    if has_strace() {
        faults.push_str(",failing_fsync");
    }
    let logs = tempfile::tempdir().expect("a temporary folder");
    let ran = Command::new(env!("CARGO_BIN_EXE_benches"))
        .args(["chaos", "--nodes", "3", "--seconds", "60", "--seed", "1", "--clients", "12"])
        .args(["--faults", &faults, "--json"])
        .arg("--logs")
        .arg(logs.path())
        .output()
        .expect("it runs");
    let (said, report) = (text(&ran.stderr), text(&ran.stdout));
    if !ran.status.success() {
        for node in 1..=3 {
            let log = logs.path().join(format!("node-{node}.log"));
            let log = std::fs::read_to_string(log).unwrap_or_default();
            println!("--- log of node {node}\n{log}");
        }
    }
    assert!(ran.status.success(), "{said}{report}");
    let figures: serde_json::Value = serde_json::from_str(&report).expect("a report");
    assert_eq!(figures["ledger_unmatched"], 0, "{report}");
    println!("{report}");
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

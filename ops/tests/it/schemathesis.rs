//! The demo shop, asked by a program that knows nothing of it but its description: whatever it makes
//! up, no answer is of the 5xx range, and none is other than described.

use std::process::Command;

use serde_json::Value;

use crate::server::{Server, Setup, TOKEN, available};

/// How many requests are made up in the phase that varies all of a request. Other phases come
/// before it: examples, and values at the edge of what is allowed.
const CASES: usize = 500;

#[test]
fn no_request_gets_an_answer_that_is_not_described() {
    let version = Command::new("schemathesis").arg("--version").output();
    if !available("schemathesis", version.is_ok_and(|output| output.status.success())) {
        return;
    }
    let cases = std::env::var("OMNICART_SCHEMATHESIS_CASES").ok();
    let cases = cases.map_or(CASES, |cases| cases.parse().expect("a number of cases"));
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(&folder.path().join("data")));
    let url = format!("http://{}/openapi.json", server.address);
    let each = cases.div_ceil(n_operations()).to_string();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/schemathesis.toml");
    let output = Command::new("schemathesis")
        .current_dir(folder.path())
        .args(["--config-file", config, "run", &url, "--checks", "all", "--seed", "1"])
        .args(["--max-examples", &each, "--generation-database", "none", "--no-color"])
        .args(["--header", &format!("Authorization: Bearer {TOKEN}")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = told.split_once(" SUMMARY ").map_or(&*told, |(_, summary)| summary);
    println!("{summary}");
    assert_eq!(server.terminate().code(), Some(0));
}

fn n_operations() -> usize {
    let document = edge::http::openapi::text().expect("it can be rendered");
    let document: Value = serde_json::from_slice(&document).expect("it is JSON");
    let paths = document["paths"].as_object().expect("it has paths");
    paths.values().filter_map(Value::as_object).map(serde_json::Map::len).sum()
}

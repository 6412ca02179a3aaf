//! Clusters of real processes, looked at and changed by the operator's commands.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::process::{Output, Stdio};

use serde_json::Value;
use storage::clock;
use tempfile::TempDir;

use crate::server::{BINARY, Server, Setup, TOKEN, clean, cluster, deadline, ended, signal};

struct Three {
    servers: Vec<Server>,
    _folders: Vec<TempDir>,
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Three {
    fn start() -> Self {
        let first = free_address().to_string();
        let (mut servers, mut folders) = (Vec::new(), Vec::new());
        for number in 1..=3_u64 {
            let folder = tempfile::tempdir().unwrap();
            let mesh = if number == 1 { first.clone() } else { free_address().to_string() };
            let number_text = number.to_string();
            let setup = Setup::demo(folder.path()).with(&[
                "--mesh-listen",
                &mesh,
                "--node-number",
                &number_text,
            ]);
            let setup = if number == 1 { setup } else { setup.with(&["--join", &first]) };
            servers.push(Server::start(&setup));
            folders.push(folder);
        }
        Self { servers, _folders: folders }
    }

    fn ask(&self, nth: usize, arguments: &[&str]) -> Output {
        let url = format!("http://{}", self.servers[nth].address);
        cluster(Some(TOKEN), &[arguments, &["--node", url.as_str()]].concat())
    }

    /// Asks again and again until the answer is as wanted.
    fn until(&self, nth: usize, arguments: &[&str], is_so: impl Fn(&Output) -> bool) -> Output {
        let end = deadline();
        loop {
            let output = self.ask(nth, arguments);
            if is_so(&output) {
                return output;
            }
            assert!(clock::monotonic() < end, "{}", text(&output));
        }
    }

    fn done(&self, nth: usize, arguments: &[&str]) {
        let output = self.ask(nth, arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    }

    fn refused(&self, nth: usize, arguments: &[&str], code: &str) {
        let output = self.ask(nth, arguments);
        let text = text(&output);
        assert_eq!(output.status.code(), Some(22), "{arguments:?}: {text}");
        assert!(text.contains(code), "{text}");
    }
}

fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

fn lines(output: &Output) -> Vec<Value> {
    let out = String::from_utf8_lossy(&output.stdout);
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_operator_drains_moves_and_diagnoses_three_nodes() {
    let mut three = Three::start();
    let healthy = |output: &Output| output.status.code() == Some(0);
    let is_whole = |output: &Output| text(output).contains("healthy: 3 nodes");
    three.until(0, &["doctor"], |output| healthy(output) && is_whole(output));
    let status = three.ask(1, &["status"]);
    assert!(text(&status).contains("\nfault tolerant"), "{}", text(&status));

    three.done(2, &["drain", "2"]);
    let shards = lines(&three.ask(0, &["shards", "--json"]));
    assert_eq!(shards.len(), 6);
    assert!(shards.iter().all(|shard| shard["what"] == "shard" && shard["leader"] != 2));
    assert!(shards.iter().all(|s| s["voters"].as_array().unwrap().contains(&2.into())));
    let status = lines(&three.ask(0, &["status", "--json"]));
    assert_eq!(status[0]["nodes"][1]["standing"], "draining");
    three.refused(0, &["transfer", "0", "2"], "node_may_not_lead");
    three.refused(1, &["remove", "2"], "too_few_nodes");
    three.refused(1, &["drain", "7"], "there is no node 7");
    three.done(1, &["resume", "2"]);

    three.done(0, &["pin", "1", "2"]);
    three.until(0, &["shards", "--json"], |output| lines(output)[1]["leader"] == 2);
    three.refused(0, &["transfer", "1", "3"], "shard_pinned");
    three.done(0, &["unpin", "1"]);
    three.done(0, &["transfer", "1", "3"]);

    let url = format!("http://{}", three.servers[0].address);
    let exit = |token, url: &str| cluster(token, &["status", "--node", url]).status.code();
    assert_eq!(exit(None, &url), Some(21));
    assert_eq!(exit(Some("another-token-than-that-of-the-cluster"), &url), Some(21));
    assert_eq!(exit(Some(TOKEN), &format!("http://{}", free_address())), Some(20));
    assert_eq!(exit(Some(TOKEN), "https://shop.example"), Some(2));

    three.servers.remove(2).kill();
    let found = three.until(0, &["doctor"], |output| {
        let text = text(output);
        output.status.code() == Some(1) && text.contains("node 3: silent")
    });
    assert!(text(&found).contains("not fault tolerant"), "{}", text(&found));
    // The two others elect leaders of what it led.
    three.until(1, &["doctor", "--json"], |output| {
        let findings = lines(output);
        findings.iter().all(|finding| {
            !finding["subject"].as_str().is_some_and(|subject| subject.starts_with("shard"))
                || finding["severity"] != "problem"
        })
    });
    three.servers.remove(1).kill();
    three.until(0, &["doctor"], |output| {
        text(output).contains("no quorum: 2 of its 3 voters are silent (nodes 2 and 3)")
    });
}

/// A port after which those of three nodes are free.
fn free_base() -> u16 {
    let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    let end = deadline();
    loop {
        let base = free_address().port();
        if base < 60_000 && [0, 1, 2, 100, 101, 102].into_iter().all(|n| is_free(base + n)) {
            return base;
        }
        assert!(clock::monotonic() < end, "no free ports");
    }
}

#[test]
fn a_cluster_for_trying_things_starts_and_stops_as_one() {
    let folder = tempfile::tempdir().unwrap();
    let base = free_base();
    let data = folder.path().display().to_string();
    let mut child = clean(BINARY)
        .args(["dev", "--nodes", "3", "--demo", "--base-port", &base.to_string()])
        .args(["--data", &data])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut seen = Vec::new();
    let token = lines.by_ref().find_map(|line| {
        let token = line.strip_prefix("operator token: ").map(str::to_owned);
        seen.push(line);
        token
    });
    let Some(token) = token else {
        child.kill().ok();
        child.wait().ok();
        panic!("{}", seen.join("\n"));
    };
    let rest = std::thread::spawn(move || lines.collect::<Vec<_>>());
    for number in 1..=3 {
        let url = format!("node {number}: http://127.0.0.1:{}", base + number - 1);
        assert!(seen.contains(&url), "{}", seen.join("\n"));
        assert!(seen.iter().any(|line| line.starts_with(&format!("{number} | "))));
    }
    let url = format!("http://127.0.0.1:{}", base + 2);
    let status = cluster(Some(&token), &["status", "--json", "--node", &url]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["nodes"].as_array().map(Vec::len), Some(3));
    signal(child.id(), "TERM");
    let status = ended(&mut child, "the cluster");
    let rest = rest.join().unwrap();
    assert_eq!(status.code(), Some(0), "{}", rest.join("\n"));
    let stopped: Vec<_> =
        rest.iter().filter(|line| line.starts_with("node ") && line.ends_with(" stops")).collect();
    assert_eq!(stopped, ["node 3 stops", "node 2 stops", "node 1 stops"]);
}

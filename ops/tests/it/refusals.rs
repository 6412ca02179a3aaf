//! Starts that must fail: each with its own exit code, and one line that says why.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::json;
use storage::codec;

use crate::client::{Ask, Client, Who};
use crate::server::{Server, Setup, omnicart};

#[track_caller]
fn refused(setup: &Setup, code: i32, parts: &[&str]) {
    let failed = setup.fails();
    let message = failed.message();
    assert_eq!(failed.code, Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    assert_eq!(message.lines().count(), 1);
}

/// A folder that a server made and left in order.
fn made(data: &Path) {
    made_by(&Setup::demo(data));
}

fn made_by(setup: &Setup) {
    assert_eq!(Server::start(setup).terminate().code(), Some(0));
}

#[test]
fn a_port_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let setup = Setup::demo(&data).with(&["--listen", &address]);
    refused(&setup, 10, &["cannot listen on", &address, "in use"]);
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn a_folder_that_cannot_be_made() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let data = file.join("data");
    let path = data.display().to_string();
    refused(&Setup::demo(&data), 11, &["cannot open the data folder", &path]);
}

#[test]
fn a_folder_of_somebody_else() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let path = folder.path().display().to_string();
    refused(&Setup::demo(folder.path()), 12, &[&path, "no OmniCart data", "thesis.txt"]);
}

#[test]
fn a_folder_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()));
    let path = folder.path().display().to_string();
    refused(&Setup::demo(folder.path()), 13, &[&path, "in use by another process"]);
    assert_eq!(server.terminate().code(), Some(0));
}

#[test]
fn a_newer_format() {
    let folder = tempfile::tempdir().unwrap();
    made(folder.path());
    let file = folder.path().join("IDENTITY");
    let bytes = fs::read(&file).unwrap();
    let envelope = codec::open_envelope(&bytes).unwrap();
    let newer = codec::seal_envelope(envelope.type_id, envelope.version + 1, envelope.body);
    fs::write(&file, newer).unwrap();
    refused(&Setup::demo(folder.path()), 14, &["format 3, newer than 2"]);
}

#[test]
fn a_wrong_key_and_a_missing_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = |name: &str, digit: &str| {
        let file = folder.path().join(name);
        fs::write(&file, digit.repeat(64)).unwrap();
        file.display().to_string()
    };
    let (right, wrong) = (key("right", "a"), key("wrong", "b"));
    let with = |file: &str| Setup::demo(&data).with(&["--key-file", file]);
    made_by(&with(&right));
    refused(&with(&wrong), 15, &["encrypted with another key"]);
    refused(&Setup::demo(&data), 15, &["is encrypted", "no key was given"]);
    made_by(&with(&right));
    refused(&with(&key("short", "")), 2, &["key file", "short", "64 hexadecimal digits"]);
    let plain = folder.path().join("plain");
    made(&plain);
    let keyed = Setup::demo(&plain).with(&["--key-file", &right]);
    refused(&keyed, 15, &["created without encryption"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()));
    let mut client = Client::new(server.address);
    for _ in 0..20 {
        client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await.expect(201);
    }
    assert_eq!(server.terminate().code(), Some(0));
    let offset = crate::folders::damage_log(folder.path());
    let path = folder.path().display().to_string();
    let offset = format!("offset {offset}");
    refused(&Setup::demo(folder.path()), 16, &[&path, "log/", "is damaged", &offset]);
}

#[test]
fn settings_that_make_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let file = folder.path().join("shop.toml");
    fs::write(&file, "shrads = 4").unwrap();
    let file = file.display().to_string();
    refused(&Setup::demo(&data).with(&["--config", &file]), 2, &["unknown setting shrads", &file]);
    refused(&Setup::demo(&data).with(&["--shutdown-grace", "soon"]), 2, &["shutdown-grace"]);
    made(&data);
    refused(&Setup::demo(&data).with(&["--shards", "8"]), 2, &["4 shards, not 8"]);
    assert_eq!(omnicart(&["brew"]).status.code(), Some(2));
}

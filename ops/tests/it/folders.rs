//! `inspect` and `verify` on real folders: they see what is there and change nothing.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};
use storage::disk::{Disk, RealDisk};
use storage::history::{Before, HistoryEntry, HistoryOptions, HistoryWriter, Reach, Stretch};
use storage::snapshot::{SnapshotItem, SnapshotMeta, SnapshotWriter};

use crate::client::{Ask, Client, Guest, Who};
use crate::server::{Server, Setup, omnicart};

/// A folder that a server filled and left in order.
async fn filled(setup: &Setup) {
    let server = Server::start(setup);
    let mut client = Client::new(server.address);
    for _ in 0..20 {
        let created = client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await;
        let guest = Guest::of(&created.expect(201));
        let add = json!({"sku": "tea-chai-250", "quantity": 1});
        let items = format!("{}/items", guest.path());
        client.ask(Ask::post(guest.who(), items, add)).await.expect(200);
    }
    assert_eq!(server.terminate().code(), Some(0));
}

/// Every path of a folder with a hash of what is there, and when it was last changed.
fn fingerprint(folder: &Path) -> BTreeMap<PathBuf, (u64, std::time::SystemTime)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::metadata(&path).unwrap();
            let hash = if metadata.is_dir() {
                folders.push(path.clone());
                0
            } else {
                let mut hasher = DefaultHasher::new();
                hasher.write(&fs::read(&path).unwrap());
                hasher.finish()
            };
            found.insert(path, (hash, metadata.modified().unwrap()));
        }
    }
    found
}

/// Runs a command that must not change the folder.
#[track_caller]
fn looked(folder: &Path, arguments: &[&str]) -> Output {
    let before = fingerprint(folder);
    let output = omnicart(arguments);
    assert!(fingerprint(folder) == before, "{arguments:?} changed the folder");
    output
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object")).collect()
}

#[track_caller]
fn verify(folder: &Path, more: &[&str], code: i32) -> Vec<Value> {
    let mut arguments = vec!["verify", folder.to_str().unwrap(), "--json"];
    arguments.extend(more);
    let output = looked(folder, &arguments);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    lines(&output)
}

#[track_caller]
fn inspect(folder: &Path, part: &str, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["inspect", part, folder.to_str().unwrap(), "--json"];
    arguments.extend(more);
    let output = looked(folder, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    lines(&output)
}

fn of<'a>(lines: &'a [Value], what: &'a str) -> impl Iterator<Item = &'a Value> {
    lines.iter().filter(move |line| line["what"] == what)
}

/// Changes one byte of a record in the middle of the log; returns where the record begins.
pub(crate) fn damage_log(folder: &Path) -> u64 {
    let records = inspect(folder, "log", &[]);
    let entries: Vec<_> = of(&records, "record").filter(|line| line["kind"] == "entry").collect();
    let middle = entries[entries.len() / 2];
    let offset = middle["offset"].as_u64().unwrap();
    // Within the head, so that it is the frame that does not verify, sealed or not.
    flip(&folder.join(middle["file"].as_str().unwrap()), offset + 12);
    offset
}

fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    let at = usize::try_from(at).unwrap();
    bytes[at] ^= 0x40;
    fs::write(file, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_folder_verifies_and_shows_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    filled(&Setup::demo(folder.path())).await;
    let report = verify(folder.path(), &[], 0);
    assert_eq!(of(&report, "damage").count(), 0);
    let verdict = of(&report, "verdict").next().unwrap();
    assert!(verdict["records"].as_u64().unwrap() > 40, "{verdict}");

    let log = inspect(folder.path(), "log", &[]);
    let totals = of(&log, "log").next().unwrap();
    assert_eq!(totals["records"].as_u64().unwrap(), of(&log, "record").count() as u64);
    let of_two = inspect(folder.path(), "log", &["--shard", "2"]);
    assert!(of(&of_two, "record").count() > 0);
    assert!(of(&of_two, "record").all(|line| line["shard"] == 2));
    assert_eq!(of(&inspect(folder.path(), "log", &["--files"]), "record").count(), 0);
    inspect(folder.path(), "state", &[]);
    let text = looked(folder.path(), &["inspect", "log", folder.path().to_str().unwrap()]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("segment log/") && text.contains(": entry shard 2 term "), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_in_the_log_is_found_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    filled(&Setup::demo(folder.path())).await;
    let offset = damage_log(folder.path());
    let report = verify(folder.path(), &[], 1);
    let damage: Vec<_> = of(&report, "damage").collect();
    assert_eq!(damage.len(), 1, "{damage:?}");
    assert_eq!(damage[0]["offset"].as_u64(), Some(offset));
    assert!(damage[0]["file"].as_str().unwrap().starts_with("log/"), "{damage:?}");
    let text = omnicart(&["verify", folder.path().to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&text.stdout).contains(&format!("offset {offset}: ")));
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_files_are_found() {
    let folder = tempfile::tempdir().unwrap();
    filled(&Setup::demo(folder.path())).await;
    let identity = folder.path().join("IDENTITY");
    let bytes = fs::read(&identity).unwrap();
    fs::remove_file(&identity).unwrap();
    let report = verify(folder.path(), &[], 1);
    assert_eq!(of(&report, "damage").next().unwrap()["file"], "IDENTITY");
    fs::write(&identity, &bytes[..bytes.len() - 1]).unwrap();
    let report = verify(folder.path(), &[], 1);
    assert_eq!(of(&report, "damage").next().unwrap()["file"], "IDENTITY");
    fs::write(&identity, &bytes).unwrap();
    flip(&folder.path().join("KEYCHECK"), 3);
    let report = verify(folder.path(), &[], 1);
    assert_eq!(of(&report, "damage").next().unwrap()["file"], "KEYCHECK");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_folder_needs_its_key_and_reveals_nothing_without() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let key = folder.path().join("key");
    fs::write(&key, "5".repeat(64)).unwrap();
    let key = key.to_str().unwrap();
    filled(&Setup::demo(&data).with(&["--key-file", key])).await;
    let sealed = of(&verify(&data, &["--key-file", key], 0), "damage").count();
    assert_eq!(sealed, 0);
    assert!(verify(&data, &[], 15).is_empty());
    let log = inspect(&data, "log", &["--key-file", key]);
    assert!(of(&log, "segment").all(|line| line["sealed"] == true));
    assert!(of(&log, "record").any(|line| line["detail"].is_string()));
    inspect(&data, "state", &["--key-file", key]);
    for (path, _) in fingerprint(&data) {
        let plain = b"Masala chai".as_slice();
        let is_in = |bytes: Vec<u8>| bytes.windows(plain.len()).any(|part| part == plain);
        assert!(!fs::read(&path).is_ok_and(is_in), "{} is readable", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_in_use_is_not_verified_and_a_foreign_one_is_not_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&Setup::demo(&data));
    let path = data.to_str().unwrap();
    let refused = omnicart(&["verify", path]);
    assert_eq!(refused.status.code(), Some(13));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("in use by another process"));
    let warned = omnicart(&["inspect", "log", path, "--files"]);
    assert!(warned.status.success());
    assert!(String::from_utf8_lossy(&warned.stderr).contains("in use"));
    assert_eq!(server.terminate().code(), Some(0));

    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter.txt"), "dear").unwrap();
    assert!(verify(&foreign, &[], 12).is_empty());
    let missing = folder.path().join("missing");
    assert_eq!(omnicart(&["verify", missing.to_str().unwrap()]).status.code(), Some(11));
    assert!(!missing.exists());
}

/// A snapshot and a history of shard 1, beside what the server wrote.
fn archive(folder: &Path) -> (String, String) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder).unwrap());
    let meta = SnapshotMeta { shard: 1, start: 7, start_term: 1, id: 99 };
    let mut writer = SnapshotWriter::create(Arc::clone(&disk), "snapshots", meta, None).unwrap();
    for n in 0..100_u64 {
        let key = n.to_be_bytes();
        let body = vec![b'x'; 100];
        writer.push(&SnapshotItem { key: &key, position: n, body: Some(&body) }).unwrap();
    }
    let snapshot = writer.finish(100).unwrap();
    let options = HistoryOptions::default();
    let mut writer = HistoryWriter::open(Arc::clone(&disk), "history", 3, None, options).unwrap();
    let entry = |index| {
        let entities = vec![b"someone".to_vec()];
        HistoryEntry { index, time_micros: index, entities, payload: Bytes::from(vec![b'y'; 200]) }
    };
    // Two syncs: what the last one covered could be an unfinished write.
    for from in [1_000_000, 1_000_025] {
        let entries: Vec<_> = (from + 1..=from + 25).map(entry).collect();
        writer.append(&entries).unwrap();
        writer.sync().unwrap();
    }
    let names = disk.list("history").unwrap();
    let history = names.iter().rfind(|name| name.contains("-0000000003-")).unwrap();
    (snapshot.path, format!("history/{history}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn history_that_is_still_fetched_is_noted_and_no_damage() {
    const SINCE: u64 = 1_000_000;
    let folder = tempfile::tempdir().unwrap();
    filled(&Setup::demo(folder.path())).await;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path()).unwrap());
    let entry = |index| {
        let entities = vec![b"someone".to_vec()];
        HistoryEntry { index, time_micros: index, entities, payload: Bytes::from(vec![b'y'; 200]) }
    };
    for (stretch, first) in [(Stretch::up_to(SINCE), 1), (Stretch::behind(SINCE), SINCE + 1)] {
        let options = HistoryOptions { stretch, ..HistoryOptions::default() };
        let mut writer =
            HistoryWriter::open(Arc::clone(&disk), "history", 2, None, options).unwrap();
        writer.append(&(first..first + 20).map(entry).collect::<Vec<_>>()).unwrap();
        writer.sync().unwrap();
    }
    let reach = Reach { since: SINCE, before: Before::Partial };
    reach.write(disk.as_ref(), "history", 2).unwrap();
    let report = verify(folder.path(), &[], 0);
    let noted: Vec<_> = of(&report, "note").collect();
    assert!(noted[0]["reason"].as_str().unwrap().contains("1000000"), "{noted:?}");
    assert_eq!(report.last().unwrap()["history_entries"], 40);
    let shown = inspect(folder.path(), "history", &["--shard", "2"]);
    let parts: Vec<_> = of(&shown, "history_shard").map(|line| &line["first_index"]).collect();
    assert_eq!(parts, [1, SINCE + 1]);
    assert_eq!(of(&shown, "history_missing").count(), 1);

    flip(&folder.path().join("history/reach-0000000002"), 20);
    let report = verify(folder.path(), &[], 1);
    assert_eq!(of(&report, "damage").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_and_histories_are_shown_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    filled(&Setup::demo(folder.path())).await;
    let (snapshot, history) = archive(folder.path());
    let verdict = verify(folder.path(), &[], 0).pop().unwrap();
    assert!(verdict["snapshots"].as_u64() >= Some(1), "{verdict}");
    assert!(verdict["history_entries"].as_u64() >= Some(50), "{verdict}");
    let shown = inspect(folder.path(), "snapshot", &["--shard", "1"]);
    assert!(of(&shown, "snapshot").any(|line| line["file"] == snapshot.as_str()));
    assert!(of(&shown, "record").count() >= 100);
    let shown = inspect(folder.path(), "history", &["--shard", "3"]);
    assert!(of(&shown, "entry").any(|line| line["index"] == 1_000_050));

    flip(&folder.path().join(&snapshot), 200);
    flip(&folder.path().join(&history), 100);
    let report = verify(folder.path(), &[], 1);
    let damaged: Vec<_> = of(&report, "damage").collect();
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    assert_eq!(damaged[0]["file"], snapshot.as_str());
    assert_eq!(damaged[1]["file"], history.as_str());
}

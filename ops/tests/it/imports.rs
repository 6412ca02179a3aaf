//! An import outlives whatever happens to the process, and ends as if nothing had.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use storage::clock;

use crate::client::{Ask, Client, Who};
use crate::fleet::{Fleet, Version};
use crate::server::{Server, Setup, deadline};

/// Enough for many steps, so that something is left to apply when most of what happens does.
const PRODUCTS: usize = 10_000;
const KILLS: usize = 4;
const IN_THE_MIDDLE_MIN: usize = 2;

/// Some products twice, some faulty.
fn rows() -> Bytes {
    let row = |n: usize| {
        if n % 50 == 7 {
            return format!("{{\"slug\": \"p{n}\"}}\n");
        }
        let product = n - n % 10 / 9 * 1_500.min(n);
        let variant = json!({"sku": format!("s{product}"), "name": "Thing", "prices": [
            {"amount": n, "currency": "EUR"}]});
        let slug = format!("p{product}");
        let product = json!({"slug": slug, "title": format!("Thing {n}"), "variants": [variant]});
        format!("{product}\n")
    };
    (0..PRODUCTS).map(row).collect::<String>().into()
}

/// Of each product what its last row says, by slug.
fn for_sale(lines: &[u8]) -> BTreeMap<String, (Value, Value)> {
    let products = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let products = products.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let products = products.filter(|product| product["title"].is_string());
    let said = |mut product: Value| {
        let slug = product["slug"].as_str().unwrap().to_owned();
        (slug, (product["title"].take(), product["variants"][0]["prices"].take()))
    };
    products.map(said).collect()
}

fn data(path: &str, data: Bytes) -> Ask<'static> {
    let path = format!("{path}/data");
    Ask { method: Method::PUT, data, ..Ask::get(Who::Operator, path) }
}

async fn opened(client: &mut Client) -> String {
    let ask = Ask::post(Who::Operator, "/admin/v1/imports", json!({"format": "jsonl"}));
    let json = client.ask(ask).await.expect(201).json();
    format!("/admin/v1/imports/{}", json["id"].as_str().unwrap())
}

async fn shown(client: &mut Client, path: &str) -> Value {
    client.ask(Ask::get(Who::Operator, path)).await.expect(200).json()
}

/// The import, once that is so.
async fn until(client: &mut Client, path: &str, so: impl Fn(&Value) -> bool) -> Value {
    let end = deadline();
    loop {
        let json = shown(client, path).await;
        if so(&json) {
            return json;
        }
        assert!(clock::monotonic() < end, "it stays at {json}");
    }
}

fn count(json: &Value, name: &str) -> u64 {
    json[name].as_u64().unwrap()
}

/// What is for sale in the end, and what was told of the rows.
async fn outcome(client: &mut Client, path: &str) -> (Value, Bytes, Bytes) {
    let json = until(client, path, |json| json["status"] == "done").await;
    let export = Ask::post(Who::Operator, "/admin/v1/exports", json!({"format": "jsonl"}));
    let exported = client.ask(export).await.expect(200).body;
    let errors = client.ask(Ask::get(Who::Operator, format!("{path}/errors"))).await.expect(200);
    (json, exported, errors.body)
}

async fn uninterrupted(folder: &Path) -> (Value, Bytes, Bytes) {
    let server = Server::start(&Setup::plain(folder));
    let mut client = Client::new(server.address);
    let path = opened(&mut client).await;
    client.ask(data(&path, rows())).await.expect(200);
    let outcome = outcome(&mut client, &path).await;
    assert_eq!(server.terminate().code(), Some(0));
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_is_killed_again_and_again_ends_as_one_that_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (calm, calm_export, calm_errors) = uninterrupted(&folder.path().join("calm")).await;
    assert_eq!(count(&calm, "refused"), PRODUCTS as u64 / 50, "{calm}");

    // Small, so that parts and products leave memory too.
    let setup = Setup::plain(&folder.path().join("killed"));
    let setup = setup.with(&["--snapshot-after", "64KiB", "--entity-memory", "1MiB"]);
    let server = Server::start(&setup);
    let mut client = Client::new(server.address);
    let path = opened(&mut client).await;
    let rows = rows();
    let half = rows.slice(..rows.len() / 2);
    let range = format!("bytes 0-{}/{}", half.len() - 1, rows.len());
    let sent = Ask { range: Some(range), ..data(&path, half) };
    let first = tokio::spawn(async move { client.send(&sent).await.is_ok() });
    let mut other = Client::new(server.address);
    let before = until(&mut other, &path, |json| count(json, "received_bytes") > 0).await;
    server.kill();
    drop(first.await);

    let mut server = Server::start(&setup);
    let mut client = Client::new(server.address);
    let there = shown(&mut client, &path).await;
    assert!(count(&there, "received_bytes") >= count(&before, "received_bytes"), "{there}");
    assert_eq!(there["status"], "receiving");
    let all = client.ask(data(&path, rows.clone())).await.expect(200).json();
    assert_eq!(count(&all, "received_bytes"), rows.len() as u64);
    let mut n_in_the_middle = 0;
    for _ in 0..KILLS {
        let from = count(&shown(&mut client, &path).await, "rows");
        let so = |json: &Value| count(json, "rows") > from || json["status"] == "done";
        let seen = until(&mut client, &path, so).await;
        server.kill();
        server = Server::start(&setup);
        client = Client::new(server.address);
        let kept = shown(&mut client, &path).await;
        assert!(count(&kept, "rows") >= count(&seen, "rows"), "{seen} became {kept}");
        n_in_the_middle += usize::from(kept["status"] == "applying");
    }
    assert!(n_in_the_middle >= IN_THE_MIDDLE_MIN, "only {n_in_the_middle} kills struck it");
    let (killed, export, errors) = outcome(&mut client, &path).await;
    assert_eq!(export, calm_export, "what is for sale is the same");
    assert_eq!(errors, calm_errors, "each faulty row is told once");
    for name in ["rows", "refused", "applied_bytes"] {
        assert_eq!(killed[name], calm[name], "{name}");
    }
    let applied = |json: &Value| count(json, "written") + count(json, "unchanged");
    assert_eq!(applied(&killed), applied(&calm));
    assert_eq!(server.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_goes_on_when_others_lead() {
    let mut fleet = Fleet::start(3);
    fleet.is_spread().await;
    let path = opened(&mut fleet.client(0)).await;
    fleet.client(0).ask(data(&path, rows())).await.expect(200);
    let mut n_in_the_middle = 0;
    for nth in 0..3 {
        let mut client = fleet.client((nth + 1) % 3);
        let from = count(&shown(&mut client, &path).await, "rows");
        let so = |json: &Value| count(json, "rows") > from || json["status"] == "done";
        until(&mut client, &path, so).await;
        // What it leads others lead from here on, the step that is under way with it.
        fleet.stop(nth);
        let left = shown(&mut client, &path).await;
        n_in_the_middle += usize::from(left["status"] == "applying");
        fleet.servers[nth] = Some(Server::start(&fleet.setup(nth, Version::Current)));
    }
    // Nodes that start slowly may find it done.
    assert!(n_in_the_middle > 0, "no stop struck it");
    let (json, exported, errors) = outcome(&mut fleet.client(0), &path).await;
    assert_eq!(count(&json, "rows"), PRODUCTS as u64);
    assert_eq!(count(&json, "refused"), PRODUCTS as u64 / 50);
    assert_eq!(errors.split(|byte| *byte == b'\n').count(), PRODUCTS / 50 + 1);
    let (expected, mut there) = (for_sale(&rows()), for_sale(&exported));
    // The shop had some before.
    there.retain(|slug, _| expected.contains_key(slug));
    assert_eq!(there, expected, "the last row of each product counts");
}

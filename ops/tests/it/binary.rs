//! The server as its users meet it: the tour, the way it stops, what it says about itself.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use storage::clock;

use crate::client::{Ask, Client, Guest, Who};
use crate::server::{DEADLINE, Server, Setup, TOKEN, available, deadline};

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_works_and_what_it_did_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::start(&Setup::demo(&data));
    let mut client = Client::new(server.address);

    let created =
        client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await.expect(201);
    let guest = Guest::of(&created);
    let add = json!({"sku": "tea-oolong-100", "quantity": 2});
    let items = format!("{}/items", guest.path());
    let added = client.ask(Ask::post(guest.who(), &items, add)).await.expect(200).json();
    assert_eq!(added["totals"]["grand"], json!({"amount": 2580, "currency": "EUR"}));
    let set = json!({"quantity": 1});
    let line = format!("{items}/cup-stoneware");
    let before = client.ask(Ask::put(guest.who(), &line, set)).await.expect(200);

    let stock = "/admin/v1/inventory/kettle-gooseneck";
    let adjust = json!({"delta": -2, "reason": "broken in the shop"});
    client.ask(Ask::post(Who::Operator, format!("{stock}/adjust"), adjust)).await.expect(200);
    client.ask(Ask::get(Who::Nobody, stock)).await.expect(401);
    client.ask(Ask::get(Who::Nobody, guest.path())).await.expect(404);
    assert_eq!(server.terminate().code(), Some(0));

    let server = Server::start(&Setup::demo(&data));
    let mut client = Client::new(server.address);
    let after = client.ask(Ask::get(guest.who(), guest.path())).await.expect(200);
    assert_eq!(after.body, before.body);
    let level = client.ask(Ask::get(Who::Operator, stock)).await.expect(200).json();
    assert_eq!(level["on_hand"], 3, "a second start does not stock up again");
    assert_eq!(server.terminate().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_is_finished_before_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()));
    let mut stream = TcpStream::connect(server.address).unwrap();
    let body = r#"{"currency": "JPY"}"#;
    let (first, second) = body.split_at(7);
    let head = format!(
        "POST /store/v1/carts HTTP/1.1\r\nhost: omnicart.test\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(first.as_bytes()).unwrap();
    in_flight(server.address, 2).await;
    server.ask_to_stop();
    let end = deadline();
    while TcpStream::connect(server.address).is_ok() {
        assert!(clock::monotonic() < end, "connections are still accepted");
    }
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let waiting = stream.read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(waiting, Err(ErrorKind::WouldBlock), "the connection is kept");
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.write_all(second.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0));
    assert!(server.log().contains("\"stopped\""));
}

/// Waits until so many requests are under way, the one that asks included.
async fn in_flight(address: SocketAddr, n: u32) {
    let mut client = Client::new(address);
    let line = format!("omnicart_edge_requests_in_flight {n}");
    let end = deadline();
    loop {
        let text = client.ask(Ask::get(Who::Nobody, "/metrics")).await.expect(200).body;
        if String::from_utf8_lossy(&text).lines().any(|found| found == line) {
            return;
        }
        assert!(clock::monotonic() < end, "there are never {n} requests under way");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_cover_every_layer() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()));
    let mut client = Client::new(server.address);
    client.ask(Ask::get(Who::Nobody, "/healthz")).await.expect(200);
    let text = client.ask(Ask::get(Who::Nobody, "/metrics")).await.expect(200).body;
    let text = String::from_utf8_lossy(&text);
    for metric in [
        "omnicart_ops_build_info{version=",
        "omnicart_ops_process_resident_memory_bytes ",
        "omnicart_edge_requests_total{",
        "omnicart_edge_request_duration_seconds_bucket{",
        "omnicart_storage_log_records_total ",
        "omnicart_storage_log_sync_duration_seconds_count ",
        "omnicart_storage_log_full 0",
        "omnicart_cluster_shards_led 4",
        "omnicart_cluster_catalogue_age_seconds ",
    ] {
        assert!(text.lines().any(|line| line.starts_with(metric)), "{metric} in\n{text}");
    }
    assert!(!server.log().contains(TOKEN), "the token is not logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_catalogue_nothing_is_for_sale_and_with_one_its_products_are() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let catalogue = folder.path().join("catalogue.json");
    let product = json!({"sku": "soap", "name": "Soap", "prices": {"CHF": 350}});
    let text = json!({"default_currency": "CHF", "products": [product]}).to_string();
    std::fs::write(&catalogue, text).unwrap();
    let soap = json!({"sku": "soap", "quantity": 3});
    let catalogue = catalogue.to_str().unwrap();
    for (setup, status) in
        [(Setup::plain(&data), 422), (Setup::plain(&data).with(&["--catalogue", catalogue]), 200)]
    {
        let server = Server::start(&setup);
        let mut client = Client::new(server.address);
        let created = client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await;
        let guest = Guest::of(&created.expect(201));
        let items = format!("{}/items", guest.path());
        let answer = client.ask(Ask::post(guest.who(), items, soap.clone())).await.expect(status);
        if status == 200 {
            let price = json!({"amount": 1050, "currency": "CHF"});
            assert_eq!(answer.json()["totals"]["grand"], price);
        }
        assert_eq!(server.terminate().code(), Some(0));
    }
}

#[test]
fn the_tour_of_the_readme_works_as_written() {
    let curl = Command::new("curl").arg("--version").output();
    if !available("curl", curl.is_ok_and(|output| output.status.success())) {
        return;
    }
    let readme = include_str!("../../../README.md");
    let (_, from_tour) = readme.split_once("SHOP=http://127.0.0.1:7600\n").unwrap();
    let (_, tour) = from_tour.split_once('\n').unwrap();
    let (tour, _) = tour.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()));
    let script = format!("set -eu\nSHOP=http://{}\nTOKEN={TOKEN}\n{tour}", server.address);
    let output = Command::new("bash").args(["-c", &script]).output().unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let seen = [r#""amount":3780"#, r#""on_hand":119"#, r#""reserved":3"#, "torn bag", "ready"];
    for part in seen.into_iter().chain(["gooseneck-kettle", r#""carrier":"Post""#]) {
        assert!(out.contains(part), "{part} is not in\n{out}");
    }
}

#[test]
fn a_demo_without_a_token_makes_one_and_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::demo(folder.path()).without_token());
    let log = server.log();
    let shown = log.lines().find_map(|line| line.strip_prefix("operator token of this run: "));
    let token = shown.expect("a token").to_owned();
    let mut stream = TcpStream::connect(server.address).unwrap();
    let request = format!(
        "GET /admin/v1/inventory/cup-stoneware HTTP/1.1\r\nhost: omnicart.test\r\n\
         authorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_token_the_admin_api_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&Setup::plain(folder.path()).without_token());
    let mut client = Client::new(server.address);
    client.ask(Ask::get(Who::Operator, "/admin/v1/inventory/tea")).await.expect(401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_waits_for_its_cluster_answers_probes_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let free = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    // Nobody is there to let it in.
    let (own, nobody) = (free(), free());
    let setup = Setup::plain(folder.path());
    let setup = setup.with(&["--mesh-listen", &own, "--node-number", "2", "--join", &nobody]);
    let server = Server::launch(&setup);
    let mut client = Client::new(server.address);
    client.ask(Ask::get(Who::Nobody, "/healthz")).await.expect(200);
    for path in ["/readyz", "/metrics", "/store/v1/carts/cart_x"] {
        let answer = client.ask(Ask::get(Who::Nobody, path)).await;
        assert_eq!(answer.expect(503).json()["code"], "not_ready", "{path}");
    }
    assert_eq!(server.terminate().code(), Some(0));
}

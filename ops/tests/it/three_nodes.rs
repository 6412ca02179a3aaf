//! Three nodes as the README starts them.

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::client::{Ask, Client, Guest, Who};
use crate::server::{Server, Setup};

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// The arguments of the README's commands, with ports of the test's own.
fn commands(folder: &Path, mesh: &[String; 3]) -> Vec<Setup> {
    let readme = include_str!("../../../README.md");
    let (_, from) = readme.split_once("## Three nodes\n").unwrap();
    let (_, block) = from.split_once("```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let lines: Vec<_> = block.lines().filter(|line| line.contains(" serve ")).collect();
    assert_eq!(lines.len(), 3, "{block}");
    lines.into_iter().map(|line| setup(line, folder, mesh)).collect()
}

fn setup(line: &str, folder: &Path, mesh: &[String; 3]) -> Setup {
    let (_, arguments) = line.split_once(" serve ").unwrap();
    let mut words = arguments.split_whitespace();
    let mut given = Vec::new();
    let mut data = None;
    while let Some(word) = words.next() {
        match word {
            "--data" => data = words.next(),
            // Each test server has one already.
            "--listen" => {
                words.next();
            }
            word => {
                let nth = word.strip_prefix("127.0.0.1:770");
                let nth = nth.map(|nth| nth.parse::<usize>().unwrap() - 1);
                given.push(nth.map_or(word, |nth| mesh[nth].as_str()));
            }
        }
    }
    Setup::plain(&folder.join(data.expect("a folder"))).with(&given)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_of_the_first_node_is_for_sale_at_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = [free_address(), free_address(), free_address()];
    let commands = commands(folder.path(), &mesh);
    let servers: Vec<_> = commands.iter().map(Server::start).collect();
    for server in &servers {
        let mut client = Client::new(server.address);
        let created = client.ask(Ask::post(Who::Nobody, "/store/v1/carts", json!({}))).await;
        let guest = Guest::of(&created.expect(201));
        let add = json!({"sku": "tea-oolong-100", "quantity": 2});
        let items = format!("{}/items", guest.path());
        let added = client.ask(Ask::post(guest.who(), items, add)).await.expect(200).json();
        assert_eq!(added["totals"]["grand"], json!({"amount": 2580, "currency": "EUR"}));
        let stock = "/admin/v1/inventory/tea-oolong-100";
        client.ask(Ask::get(Who::Operator, stock)).await.expect(200);
    }
    for server in servers.into_iter().rev() {
        assert_eq!(server.terminate().code(), Some(0));
    }
}

//! Several servers of one cluster, as processes with folders, certificates and ports of their own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::client::{Ask, Client, Guest, Who};
use crate::server::{DEADLINE, Server, Setup, deadline, omnicart};

/// Between looks at what comes about by itself.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Which program a server runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Current,
    Next,
}

pub(crate) struct Fleet {
    folder: TempDir,
    mesh: Vec<SocketAddr>,
    pub(crate) servers: Vec<Option<Server>>,
}

/// A free port: taken and given back, so that a server that restarts can have it again.
fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it has an address")
}

#[track_caller]
pub(crate) fn certs(arguments: &[&str]) {
    let made = omnicart(&[&["certs"], arguments].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a readable path")
}

impl Fleet {
    /// A cluster of so many servers, each shard on three of them.
    pub(crate) fn start(n: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mesh = (0..n).map(|_| free_address()).collect();
        let mut fleet = Self { folder, mesh, servers: Vec::new() };
        certs(&["ca", "--out", text(&fleet.authority()), "--cluster", "fleet"]);
        for nth in 0..n {
            fleet.make_certificate(nth, &fleet.certificates(nth), 365);
            let server = Server::start(&fleet.setup(nth, Version::Current));
            fleet.servers.push(Some(server));
        }
        fleet
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    pub(crate) fn certificates(&self, nth: usize) -> PathBuf {
        self.folder.path().join(format!("certificates-{}", nth + 1))
    }

    pub(crate) fn make_certificate(&self, nth: usize, out: &Path, days: u32) {
        let (authority, id, days) = (self.authority(), (nth + 1).to_string(), days.to_string());
        certs(&[
            "node",
            "--ca",
            text(&authority),
            "--id",
            &id,
            "--out",
            text(out),
            "--days",
            &days,
        ]);
    }

    pub(crate) fn data(&self, nth: usize) -> PathBuf {
        self.folder.path().join(format!("data-{}", nth + 1))
    }

    pub(crate) fn setup(&self, nth: usize, version: Version) -> Setup {
        let setup = self.setup_with(nth, Some(&self.certificates(nth)));
        match version {
            Version::Current => setup,
            Version::Next => setup.of_next_version(),
        }
    }

    fn setup_with(&self, nth: usize, certificates: Option<&Path>) -> Setup {
        let (number, mesh) = ((nth + 1).to_string(), self.mesh[nth].to_string());
        let setup = Setup::demo(&self.data(nth));
        let setup = setup.with(&["--node-number", &number, "--mesh-listen", &mesh]);
        let setup = match certificates {
            Some(folder) => setup.with(&["--certificates", text(folder)]),
            None => setup,
        };
        if nth == 0 { setup } else { setup.with(&["--join", &self.mesh[0].to_string()]) }
    }

    /// Room for one more server; gives its number, counted from zero.
    pub(crate) fn add_address(&mut self) -> usize {
        self.mesh.push(free_address());
        self.mesh.len() - 1
    }

    /// As if all were on one machine and nobody else could reach it.
    pub(crate) fn setup_without_certificates(&self, nth: usize) -> Setup {
        self.setup_with(nth, None)
    }

    pub(crate) fn server(&self, nth: usize) -> &Server {
        self.servers[nth].as_ref().expect("it runs")
    }

    pub(crate) fn stop(&mut self, nth: usize) {
        let status = self.servers[nth].take().expect("it runs").terminate();
        assert_eq!(status.code(), Some(0));
    }

    pub(crate) fn restart(&mut self, nth: usize, version: Version) {
        self.stop(nth);
        self.servers[nth] = Some(Server::start(&self.setup(nth, version)));
    }

    /// Waits until a server logged something.
    pub(crate) fn logs(&self, nth: usize, what: &str) {
        let end = deadline();
        while !self.server(nth).log().contains(what) {
            assert!(storage::clock::monotonic() < end, "server {nth} never logs {what:?}");
            std::thread::sleep(PAUSE);
        }
    }

    pub(crate) fn client(&self, nth: usize) -> Client {
        Client::new(self.server(nth).address)
    }

    /// The value of a metric, by its name and labels.
    pub(crate) async fn metric(&self, nth: usize, name: &str) -> Option<u64> {
        let answer = self.client(nth).ask(Ask::get(Who::Operator, "/metrics")).await.expect(200);
        let text = String::from_utf8(answer.body.to_vec()).expect("text");
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok())
    }

    /// Waits until each shard is on three nodes, as an entry that outlives any one of them shows.
    pub(crate) async fn is_spread(&self) {
        let end = deadline();
        loop {
            let mut led = Vec::new();
            for nth in 0..self.servers.len() {
                led.push(self.metric(nth, "omnicart_cluster_shards_led").await.unwrap_or(0));
            }
            if led.iter().all(|led| *led > 0) {
                return;
            }
            assert!(storage::clock::monotonic() < end, "shards are not spread: {led:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Carts that were created, with what is known to be in them.
#[derive(Default)]
pub(crate) struct Shop {
    carts: Vec<Guest>,
    n_unanswered: u64,
}

impl Shop {
    /// Creates a cart with one thing in it through a server, as often as it takes, under one key.
    pub(crate) async fn order(&mut self, client: &mut Client) -> bool {
        let nth = self.carts.len() as u64 + self.n_unanswered;
        let key = format!("a-key-that-is-a-secret-of-its-own-{nth}");
        let ask = Ask::post(Who::Nobody, "/store/v1/carts", json!({"currency": "EUR"})).keyed(key);
        let created = match client.send(&ask).await {
            Ok(answer) if answer.status == 201 => answer,
            Ok(answer) if answer.status == 503 => {
                println!("not now: {answer:?}");
                return false;
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(_broken) => return false,
        };
        let guest = Guest::of(&created);
        let path = format!("{}/items/cup-stoneware", guest.path());
        let put = Ask::put(guest.who(), path, json!({"quantity": 3}));
        let done = match client.send(&put).await {
            Ok(answer) if answer.status == 200 => true,
            Ok(answer) if answer.status == 503 => {
                println!("not now: {answer:?}");
                false
            }
            Ok(answer) => panic!("{answer:?}"),
            Err(_broken) => false,
        };
        if done {
            self.carts.push(guest);
        } else {
            self.n_unanswered += 1;
        }
        done
    }

    pub(crate) fn len(&self) -> usize {
        self.carts.len()
    }

    /// Every cart is there with what was put in it.
    pub(crate) async fn check(&self, client: &mut Client) {
        for guest in &self.carts {
            let cart =
                tokio::time::timeout(DEADLINE, client.ask(Ask::get(guest.who(), guest.path())));
            let cart = cart.await.expect("in time").expect(200);
            assert_eq!(Guest::quantity(&cart.json(), "cup-stoneware"), 3);
        }
    }
}

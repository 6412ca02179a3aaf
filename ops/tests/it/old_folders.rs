//! Folders that earlier versions wrote: a newer one starts on them, and nothing in them is lost.
//!
//! Of each, the identity and what was used of its only log segment are checked in. The state index
//! is not: it is rebuilt where it is missing.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Ask, Client, Guest};
use crate::server::{Server, Setup, omnicart};

/// A folder as an earlier version left it, and a cart in it with two pieces of tea.
struct Before {
    identity: &'static [u8],
    key_check: &'static [u8],
    /// How often the folder was counted, where that was done.
    starts: Option<&'static [u8]>,
    segment: &'static [u8],
    cart: &'static str,
    token: &'static str,
}

/// Before nodes held a `catalogue` group: one that was always alone.
const ALONE: Before = Before {
    identity: include_bytes!("old_folders/golden/alone/IDENTITY"),
    key_check: include_bytes!("old_folders/golden/alone/KEYCHECK"),
    starts: None,
    segment: include_bytes!("old_folders/golden/alone/segment"),
    cart: "cart_4cv7ctrd6qrym25vzaecsz0kr1",
    token: "Gnsj-dxbS-UFaVQtszHPVhCVYBG3ahFg2hwocAOcM8o",
};

/// A later one, still without the group: the founder of a cluster, before others joined.
const FOUNDED: Before = Before {
    identity: include_bytes!("old_folders/golden/founded/IDENTITY"),
    key_check: include_bytes!("old_folders/golden/founded/KEYCHECK"),
    starts: Some(include_bytes!("old_folders/golden/founded/STARTS")),
    segment: include_bytes!("old_folders/golden/founded/segment"),
    cart: "cart_2rzsrq7zqcsf5t580a03xgae37",
    token: "O55stjySS6vfql-QpQIpVsiQZlS5zZT2A0gU9ko2WRw",
};

const SEGMENT_BYTES: u64 = 4 << 20;
/// The number of the group that folders of before lack.
const CATALOGUE: u64 = 4_097;

impl Before {
    fn unpack(&self, folder: &Path) {
        fs::create_dir(folder.join("log")).unwrap();
        fs::write(folder.join("IDENTITY"), self.identity).unwrap();
        fs::write(folder.join("KEYCHECK"), self.key_check).unwrap();
        fs::write(folder.join("BORN"), []).unwrap();
        if let Some(starts) = self.starts {
            fs::write(folder.join("STARTS"), starts).unwrap();
        }
        let segment = folder.join("log/00000000000000000001.seg");
        fs::write(&segment, self.segment).unwrap();
        File::options().write(true).open(segment).unwrap().set_len(SEGMENT_BYTES).unwrap();
    }

    /// Starts on the folder and goes on with its cart.
    async fn goes_on(&self, setup: &Setup, folder: &Path, pieces: u32) {
        let server = Server::start(setup);
        let mut client = Client::new(server.address);
        let guest = Guest { cart: self.cart.to_owned(), token: self.token.to_owned() };
        let cart = client.ask(Ask::get(guest.who(), guest.path())).await.expect(200).json();
        assert_eq!(cart["items"][0]["quantity"], pieces, "{cart}");
        let add = json!({"sku": "tea-oolong-100", "quantity": 1});
        let items = format!("{}/items", guest.path());
        client.ask(Ask::post(guest.who(), items, add)).await.expect(200);
        assert_eq!(server.terminate().code(), Some(0));
        assert!(has_group(folder, CATALOGUE), "the group has begun");
        let report = omnicart(&["verify", folder.to_str().unwrap()]);
        assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stdout));
    }
}

/// Whether the log holds entries of a group.
fn has_group(folder: &Path, group: u64) -> bool {
    let output = omnicart(&["inspect", "log", folder.to_str().unwrap(), "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.any(|line| line["shard"] == group && line["kind"] == "entry")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_folder_without_a_catalogue_group_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    ALONE.unpack(folder.path());
    assert!(!has_group(folder.path(), CATALOGUE));
    let setup = Setup::demo(folder.path());
    ALONE.goes_on(&setup, folder.path(), 2).await;
    ALONE.goes_on(&setup, folder.path(), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_catalogue_group_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    FOUNDED.unpack(folder.path());
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let part = Setup::demo(folder.path()).with(&["--mesh-listen", &free]);
    FOUNDED.goes_on(&part, folder.path(), 2).await;
    FOUNDED.goes_on(&part, folder.path(), 3).await;
    // What began in a cluster goes on without one.
    FOUNDED.goes_on(&Setup::demo(folder.path()), folder.path(), 4).await;
}

//! A server whose data folder was set back to an older copy, in a cluster of real processes.

use std::fs;
use std::process::Command;

use crate::fleet::{Fleet, Shop, Version, text};
use crate::server::Server;

const NOT_ADMITTED: i32 = 17;

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_was_set_back_is_refused_and_an_empty_one_is_filled() {
    let mut fleet = Fleet::start(3);
    fleet.is_spread().await;
    fleet.stop(2);
    let (data, old) = (fleet.data(2), fleet.data(8));
    let copied = Command::new("cp").args(["-a", text(&data), text(&old)]).status();
    assert!(copied.expect("cp runs").success());
    fleet.servers[2] = Some(Server::start(&fleet.setup(2, Version::Current)));
    let mut shop = Shop::default();
    assert!(shop.order(&mut fleet.client(2)).await);
    fleet.stop(2);
    fs::remove_dir_all(&data).expect("removed");
    fs::rename(&old, &data).expect("set back");

    let failed = fleet.setup(2, Version::Current).fails();
    assert_eq!(failed.code, Some(NOT_ADMITTED), "{}", failed.message());
    for part in [text(&data), "older copy", "start with an empty folder"] {
        assert!(failed.message().contains(part), "{part:?} is not in {:?}", failed.message());
    }
    assert!(shop.order(&mut fleet.client(0)).await);

    fs::remove_dir_all(&data).expect("removed");
    fleet.servers[2] = Some(Server::start(&fleet.setup(2, Version::Current)));
    shop.check(&mut fleet.client(2)).await;
}

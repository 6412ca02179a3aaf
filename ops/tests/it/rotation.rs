//! Certificates of running servers: exchanged without a restart, and the only way in.

use std::fs;
use std::path::Path;

use crate::fleet::{Fleet, Shop, Version, certs, text};
use crate::server::{Server, deadline};

const CHANGED: &str = "SIGHUP: new certificates are in use";

/// Puts files in place of others, as an operator would: each whole or not at all.
fn replace(folder: &Path, files: &[(&str, Vec<u8>)]) {
    for (name, contents) in files {
        let new = folder.join(format!("{name}.new"));
        fs::write(&new, contents).expect("written");
        fs::rename(&new, folder.join(name)).expect("renamed");
    }
}

/// Tells a server to use its new files, and waits until it does.
fn reread(fleet: &Fleet, nth: usize, times: usize) {
    fleet.server(nth).signal("HUP");
    let end = deadline();
    while fleet.server(nth).log().matches(CHANGED).count() < times {
        assert!(storage::clock::monotonic() < end, "server {nth} does not use its new files");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_moves_to_another_authority_while_it_serves() {
    let mut fleet = Fleet::start(3);
    fleet.is_spread().await;
    let mut shop = Shop::default();
    assert!(shop.order(&mut fleet.client(0)).await);
    let expiry = "omnicart_cluster_mesh_certificate_expiry_timestamp_seconds";
    let before = fleet.metric(0, expiry).await.expect("a time");
    let next = fleet.data(9).join("authority");
    certs(&["ca", "--out", text(&next), "--cluster", "fleet"]);
    let old_authority = fs::read(fleet.authority().join("ca.pem")).expect("a file");
    let new_authority = fs::read(next.join("ca.pem")).expect("a file");
    // Both are believed before the first certificate of the new one is shown.
    let both = [old_authority, new_authority.clone()].concat();
    for nth in 0..3 {
        replace(&fleet.certificates(nth), &[("ca.pem", both.clone())]);
        reread(&fleet, nth, 1);
    }
    assert!(shop.order(&mut fleet.client(1)).await);
    for nth in 0..3 {
        let (made, id) = (fleet.data(9).join(format!("node-{nth}")), (nth + 1).to_string());
        certs(&["node", "--ca", text(&next), "--id", &id, "--out", text(&made), "--days", "700"]);
        let read = |name: &str| fs::read(made.join(name)).expect("a file");
        let files = [("node.key", read("node.key")), ("node.pem", read("node.pem"))];
        replace(&fleet.certificates(nth), &files);
        reread(&fleet, nth, 2);
    }
    assert!(shop.order(&mut fleet.client(2)).await);
    for nth in 0..3 {
        replace(&fleet.certificates(nth), &[("ca.pem", new_authority.clone())]);
        reread(&fleet, nth, 3);
        let after = fleet.metric(nth, expiry).await.expect("a time");
        assert!(after > before + 300 * 86_400, "{after} follows {before}");
    }
    // What is linked stays linked; what starts anew uses the new ones alone.
    for nth in 0..3 {
        fleet.restart(nth, Version::Current);
        assert!(shop.order(&mut fleet.client(nth)).await);
    }
    for nth in 0..3 {
        shop.check(&mut fleet.client(nth)).await;
    }
    // Files that cannot be used change nothing.
    replace(&fleet.certificates(0), &[("node.key", b"garbage".to_vec())]);
    fleet.server(0).signal("HUP");
    fleet.logs(0, "SIGHUP: the old certificates stay in use");
    assert!(shop.order(&mut fleet.client(0)).await);
}

/// A server with other certificates, or none, knocks at the door of a cluster of one.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_no_certificate_of_the_cluster_gets_nothing_processed() {
    let mut fleet = Fleet::start(1);
    let failures = "omnicart_cluster_mesh_handshakes_failed_total{direction=\"in\",reason=\"tls\"}";
    let foreign = fleet.data(9).join("authority");
    certs(&["ca", "--out", text(&foreign), "--cluster", "fleet"]);
    let stranger = fleet.add_address();
    let folder = fleet.certificates(stranger);
    certs(&["node", "--ca", text(&foreign), "--id", "2", "--out", text(&folder)]);
    for setup in
        [fleet.setup(stranger, Version::Current), fleet.setup_without_certificates(stranger)]
    {
        let before = fleet.metric(0, failures).await.unwrap_or(0);
        let knocking = Server::start_without_waiting(&setup);
        let end = deadline();
        while fleet.metric(0, failures).await.unwrap_or(0) <= before {
            assert!(storage::clock::monotonic() < end, "nobody was refused");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        knocking.kill();
    }
    assert!(!fleet.server(0).log().contains("a node joins"));
    assert!(!fleet.data(stranger).join("IDENTITY").exists());
    // Another node's certificate is refused by its own program already.
    fs::remove_dir_all(&folder).expect("removed");
    fleet.make_certificate(6, &folder, 365);
    let failed = fleet.setup(stranger, Version::Current).fails();
    assert_eq!(failed.code, Some(2), "{}", failed.message());
    assert!(failed.message().contains("node.pem is for node 7"), "{}", failed.message());
    // With the right one it is let in.
    fs::remove_dir_all(&folder).expect("removed");
    fleet.make_certificate(stranger, &folder, 365);
    fleet.servers.push(Some(Server::start(&fleet.setup(stranger, Version::Current))));
    fleet.logs(0, "a node joins");
}

//! `omnicart certs`: what it makes is what a node uses, and what exists it leaves alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use cluster::ids::NodeId;
use cluster::metrics::MeshMetrics;
use cluster::runtime::mesh::{Mesh, MeshConfig, MeshIdentity, MeshLimits, Protection};
use cluster::wire::greeting::{BootId, ClusterId, Levels};
use storage::disk::RealDisk;

use crate::server::omnicart;

fn authority(folder: &Path) -> Output {
    omnicart(&["certs", "ca", "--out", path(folder), "--cluster", "tea-shop"])
}

fn node(authority: &Path, id: &str, out: &Path) -> Output {
    omnicart(&["certs", "node", "--ca", path(authority), "--id", id, "--out", path(out)])
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
}

fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<_> =
        files.map(|path| (path.display().to_string(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

async fn bind(folder: &Path, id: u64) -> Result<(), String> {
    let config = MeshConfig {
        identity: MeshIdentity {
            cluster: ClusterId([1; 16]),
            node: NodeId(id),
            boot: BootId(1),
            levels: Levels { min: 1, max: 1 },
        },
        listen: "127.0.0.1:0".parse().unwrap(),
        protection: Protection::Certificates(Arc::new(RealDisk::open(folder).unwrap())),
        limits: MeshLimits::default(),
    };
    let bound = Mesh::bind(config, MeshMetrics::default()).await;
    bound.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_it_makes_a_node_uses() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, seven) = (folder.path().join("ca"), folder.path().join("nodes/7"));
    let made = authority(&ca);
    let lines = format!("{0}/ca.pem\n{0}/ca.key\n", ca.display());
    assert_eq!(String::from_utf8_lossy(&made.stdout), lines);
    let made = node(&ca, "7", &seven);
    let lines = format!("{0}/ca.pem\n{0}/node.pem\n{0}/node.key\n", seven.display());
    assert_eq!(String::from_utf8_lossy(&made.stdout), lines);
    for key in [ca.join("ca.key"), seven.join("node.key")] {
        assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(bind(&seven, 7).await, Ok(()));
    let other = "node.pem is for node 7, and this is node 8";
    assert_eq!(bind(&seven, 8).await, Err(other.to_owned()));
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, seven) = (folder.path().join("ca"), folder.path().join("7"));
    authority(&ca);
    let before = contents(&ca);
    refused(&authority(&ca), 1, &["cannot create", "ca.pem", "nothing is overwritten"]);
    assert_eq!(contents(&ca), before);
    fs::create_dir(&seven).unwrap();
    fs::write(seven.join("node.key"), "an older key").unwrap();
    refused(&node(&ca, "7", &seven), 1, &["cannot create", "node.key"]);
    let left = vec![(seven.join("node.key").display().to_string(), b"an older key".to_vec())];
    assert_eq!(contents(&seven), left);
}

#[test]
fn what_makes_no_sense_is_refused_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, other, out) =
        (folder.path().join("ca"), folder.path().join("other"), folder.path().join("out"));
    let missing = ca.join("ca.pem").display().to_string();
    refused(&node(&ca, "7", &out), 1, &["cannot read", &missing]);
    authority(&ca);
    authority(&other);
    refused(&node(&ca, "0", &out), 2, &["--id"]);
    fs::copy(other.join("ca.key"), ca.join("ca.key")).unwrap();
    refused(&node(&ca, "7", &out), 1, &["ca.pem and ca.key make no certificate"]);
    fs::write(ca.join("ca.pem"), "garbage").unwrap();
    refused(&node(&ca, "7", &out), 1, &["ca.pem is not in PEM format"]);
    assert!(!out.exists());
    let name = ["certs", "ca", "--out", path(&out), "--cluster", "Tea Shop"];
    refused(&omnicart(&name), 2, &["cluster name \"Tea Shop\"", "1 to 63"]);
    assert!(!out.exists());
}

#[test]
fn help_says_what_is_made() {
    let help = omnicart(&["certs", "--help"]);
    let help = String::from_utf8_lossy(&help.stdout);
    for part in ["ca ", "node ", "certificate authority", "move them over"] {
        assert!(help.contains(part), "{part:?} is not in {help:?}");
    }
}

//! What operators did outlives the process that wrote it down, and `verify` tells when it was changed.

use std::path::Path;
use std::sync::Arc;

use actors::domain::audit::{Act, AuditChain, By, ChainId, Digest, Event, InShard, Link};
use actors::domain::names::Label;
use cluster::entity::Entity;
use cluster::ids::{EntityKey, EntityKind, EntityRef, Slot};
use cluster::placement::shard_map::ShardMap;
use cluster::time::Timestamp;
use serde_json::{Value, json};
use storage::codec;
use storage::disk::{Disk, RealDisk};
use storage::snapshot::{SnapshotItem, SnapshotMeta, SnapshotWriter};

use crate::client::{Ask, Client, Who};
use crate::server::{Server, Setup, omnicart};

const SKUS: [&str; 3] = ["tea-oolong-100", "cup-stoneware", "tea-chai-250"];

async fn acts(server: &Server) -> Value {
    let list = Ask::get(Who::Operator, "/admin/v1/audit");
    Client::new(server.address).ask(list).await.expect(200).json()["data"].clone()
}

/// The lines that `verify` prints, and its exit code.
fn verify(folder: &Path) -> (Vec<Value>, Option<i32>) {
    let output = omnicart(&["verify", folder.to_str().unwrap(), "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (lines, output.status.code())
}

/// What is wrong with acts, each with the file it was read from.
fn flaws(lines: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let damages = lines.iter().filter(|line| line["what"] == "damage");
    damages.map(|line| (text(&line["file"]), text(&line["reason"]))).collect()
}

fn chain_of(slot: Slot) -> (u32, ChainId) {
    let map = ShardMap::even(4).unwrap();
    let shard = map.shard_of(slot);
    (shard.0, ChainId::of_group(shard, map.first_slot(shard)))
}

/// An act that nobody did, in the place of the first of a chain.
fn forged(chain: ChainId, hash: impl Fn(Digest, &Act) -> Digest) -> Link {
    let by = By {
        actor: "nobody".parse().unwrap(),
        operation: "setStock".parse().unwrap(),
        path: Label::of_what_fits("/"),
    };
    let entity = EntityRef { kind: EntityKind(2), key: EntityKey::Name("tea".into()) };
    let act = Act { at: Timestamp::from_micros(7), by, entity, seq: 1, key: None };
    Link { hash: hash(chain.origin(), &act), act }
}

/// A snapshot of a shard that has this link for the first of its chain.
fn put_into_snapshot(folder: &Path, shard: u32, chain: ChainId, link: Link) -> String {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder).unwrap());
    let meta = SnapshotMeta { shard, start: 7, start_term: 1, id: 99 };
    let mut writer = SnapshotWriter::create(disk, "snapshots", meta, None).unwrap();
    let mut state = AuditChain::<InShard>::default();
    state.apply(&Event::Added { place: 0, link });
    let entity = EntityRef { kind: AuditChain::<InShard>::KIND, key: chain.chain_key() };
    let key = codec::encode(&entity);
    let body = codec::encode_versioned(1, &(7_u64, 1_u64, None::<u8>, state.to_record()));
    writer.push(&SnapshotItem { key: &key, position: 7, body: Some(&body) }).unwrap();
    writer.finish(8).unwrap().path
}

#[tokio::test(flavor = "multi_thread")]
async fn acts_outlive_a_kill_and_a_forged_one_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Setup::demo(folder.path());
    let server = Server::start(&setup);
    let mut client = Client::new(server.address);
    for sku in SKUS {
        let body = json!({"on_hand": 9, "reason": "count"});
        let set = Ask::post(Who::Operator, format!("/admin/v1/inventory/{sku}/set"), body);
        client.ask(set).await.expect(200);
    }
    let before = acts(&server).await;
    assert_eq!(before.as_array().unwrap().len(), 3);
    server.kill();
    let server = Server::start(&setup);
    assert_eq!(acts(&server).await, before);
    assert_eq!(server.terminate().code(), Some(0));

    let (lines, code) = verify(folder.path());
    assert_eq!((code, &lines.last().unwrap()["acts"]), (Some(0), &json!(3)));

    // One that fits for itself, and one that fits nothing.
    let (shard, chain) = chain_of(Slot::of_name(SKUS[0]));
    let fitting = forged(chain, |before, act| before.and(act));
    let other_act = put_into_snapshot(folder.path(), shard, chain, fitting);
    let is_free = |(shard, _): &(u32, ChainId)| {
        SKUS.iter().all(|sku| chain_of(Slot::of_name(sku)).0 != *shard)
    };
    let mut shards = (0..4).map(|nth| chain_of(Slot::from_bits(nth << 14)));
    let (free, chain) = shards.find(is_free).unwrap();
    let unfit = forged(chain, |_, _| Digest([7; 32]));
    let out_of_chain = put_into_snapshot(folder.path(), free, chain, unfit);
    let (lines, code) = verify(folder.path());
    let found = flaws(&lines);
    assert_eq!((code, found.len()), (Some(1), 2), "{found:?}");
    let unfit =
        format!("act 0 does not follow from the one before it in the chain of shard-{free}");
    assert!(found.contains(&(out_of_chain, unfit)), "{found:?}");
    let differs = format!("act 0 is otherwise in another place in the chain of shard-{shard}");
    let places: Vec<_> = found.iter().filter(|(_, why)| *why == differs).collect();
    assert_eq!(places.len(), 1, "{found:?}");
    assert!(places[0].0 == other_act || places[0].0.starts_with("log/"), "{found:?}");
}

//! The operator's view of the cluster and what it may do to it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use cluster::placement::member::{Levels, NodeNumber};
use cluster::runtime::joining::MeshSettings;
use cluster::runtime::membership::PlacementRule;
use cluster::runtime::node::{Node, NodeConfig};
use edge::http::app::{App, OperatorToken, Settings, Signals};
use edge::http::router::router;
use edge::metrics::EdgeMetrics;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::shop::{Answer, Ask, OPERATOR, Shop, send};

const PATIENCE: Duration = Duration::from_secs(60);
const STEP: Duration = Duration::from_millis(50);
const CLUSTER: &str = "/system/v1/cluster";
const SHARDS: &str = "/system/v1/shards";

/// One of several nodes.
struct Member {
    router: Router,
    node: Node,
    _folder: TempDir,
}

fn free_address() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Member {
    async fn start(number: u64, listen: SocketAddr, join: Option<SocketAddr>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mesh = MeshSettings {
            number: NodeNumber::try_from(number).unwrap(),
            listen,
            advertise: listen.to_string(),
            zone: format!("zone-{number}"),
            certificates: None,
            join: join.iter().map(SocketAddr::to_string).collect(),
            placement: PlacementRule::default(),
            levels: Levels::OWN,
        };
        let config = NodeConfig {
            n_shards: Some(4),
            segment_bytes: 4 << 20,
            mesh: Some(mesh),
            ..NodeConfig::new(folder.path().to_owned(), actors::all_kinds())
        };
        let mut registry = Registry::default();
        let node = Node::start(config, &mut registry).await.unwrap();
        tokio::time::timeout(PATIENCE, node.ready()).await.unwrap();
        let metrics = EdgeMetrics::register(&mut registry);
        let signals = Signals { is_ready: Box::new(|| true), pressure_percent: Box::new(|| 0) };
        let token = OPERATOR.strip_prefix("Bearer ").unwrap().to_owned();
        let settings = Settings {
            operator_token: Some(OperatorToken::try_from(token).unwrap()),
            ..Settings::new("EUR".parse().unwrap())
        };
        let (fabric, operations) = (node.fabric(), node.operations());
        let app = App::new(fabric, operations, settings, signals, metrics, Arc::new(registry));
        Self { router: router(app), node, _folder: folder }
    }

    async fn send(&self, ask: Ask) -> Answer {
        send(self.router.clone(), ask.operator()).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send(Ask::get(path)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Ask::post(path).json(body)).await
    }

    async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let looked = tokio::time::timeout(PATIENCE, async {
            loop {
                let document = self.get(path).await;
                if is_so(&document) {
                    return document;
                }
                tokio::time::sleep(STEP).await;
            }
        });
        match looked.await {
            Ok(document) => document,
            Err(_) => panic!("not in time: {}", self.get(path).await),
        }
    }

    async fn metric(&self, line: &str) -> bool {
        let metrics = self.send(Ask::get("/metrics")).await;
        String::from_utf8(metrics.body.to_vec()).unwrap().lines().any(|found| found == line)
    }
}

async fn three() -> Vec<Member> {
    let first = free_address();
    let mut members = vec![Member::start(1, first, None).await];
    for number in 2..=3 {
        members.push(Member::start(number, free_address(), Some(first)).await);
    }
    members[0].until(CLUSTER, |cluster| cluster["fault_tolerant"] == true).await;
    members[0].until(SHARDS, all_served).await;
    members
}

fn list<'a>(document: &'a Value, name: &str) -> &'a [Value] {
    document[name].as_array().unwrap()
}

fn all_served(shards: &Value) -> bool {
    list(shards, "data").iter().all(|shard| shard["serving"] == "yes" && shard["moving"] == false)
}

fn node(cluster: &Value, id: u64) -> &Value {
    list(cluster, "nodes").iter().find(|node| node["id"] == id).unwrap()
}

#[tokio::test]
async fn a_node_that_is_alone_shows_itself_and_cannot_be_changed() {
    let shop = Shop::open().await;
    let cluster = shop.send(Ask::get(CLUSTER).operator()).await.json();
    assert_eq!((&cluster["fault_tolerant"], &cluster["complete"]), (&json!(false), &json!(true)));
    assert_eq!(node(&cluster, 1)["live"], true);
    assert_eq!(node(&cluster, 1)["standing"], Value::Null);
    let shards = shop.send(Ask::get(SHARDS).operator()).await.json();
    assert_eq!(list(&shards, "data").len(), 6);
    assert!(all_served(&shards), "{shards}");
    let drain = shop.send(Ask::post("/system/v1/nodes/1/drain").operator()).await;
    drain.problem(409, "not_clustered");
    shop.close().await;
}

#[tokio::test]
async fn only_an_operator_sees_or_changes_the_cluster() {
    let shop = Shop::open().await;
    for ask in [
        Ask::get(CLUSTER),
        Ask::get(SHARDS),
        Ask::post("/system/v1/nodes/1/drain"),
        Ask::post("/system/v1/nodes/1/resume"),
        Ask::post("/system/v1/nodes/1/remove"),
        Ask::post("/system/v1/shards/1/transfer").json(&json!({"to": 1})),
        Ask::post("/system/v1/shards/1/pin").json(&json!({"to": 1})),
        Ask::post("/system/v1/shards/1/unpin"),
    ] {
        shop.send(ask).await.problem(401, "unauthorized");
    }
    shop.close().await;
}

#[tokio::test]
async fn what_is_no_node_no_shard_or_no_member_of_a_body_is_refused() {
    let shop = Shop::open().await;
    for path in ["x/drain", "+1/drain", "01/resume", "18446744073709551616/remove"] {
        let ask = Ask::post(format!("/system/v1/nodes/{path}")).operator();
        shop.send(ask).await.problem(404, "node_not_found");
    }
    for path in ["x/unpin", "-1/unpin", "4294967296/unpin", "META/unpin"] {
        let ask = Ask::post(format!("/system/v1/shards/{path}")).operator();
        shop.send(ask).await.problem(404, "shard_not_found");
    }
    for (path, body, param) in [
        ("nodes/1/remove", json!({"accept_fewer": "yes"}), "accept_fewer"),
        ("nodes/1/remove", json!({"fewer": true}), "fewer"),
        ("nodes/1/drain", json!({"now": true}), "now"),
        ("shards/1/transfer", json!({}), "to"),
        ("shards/1/transfer", json!({"to": 0}), "to"),
        ("shards/meta/pin", json!({"to": "1"}), "to"),
        ("shards/1/unpin", json!({"to": 1}), "to"),
    ] {
        let ask = Ask::post(format!("/system/v1/{path}")).operator().json(&body);
        let problem = shop.send(ask).await.problem(422, "validation_failed");
        assert_eq!(problem["param"], param, "{path}");
    }
    shop.close().await;
}

/// Whichever node they were asked of, and once where they were repeated under a key.
async fn changes_are_audited(member: &Member) {
    let acts = member.get("/admin/v1/audit?entity=cluster/cluster&limit=100").await;
    let acts = list(&acts, "data");
    assert!(acts.iter().all(|act| act["chain"] == "cluster"), "{acts:?}");
    let n_acts = |path: &str| acts.iter().filter(|act| act["path"] == path).count();
    for path in ["shards/2/pin", "shards/2/unpin", "shards/meta/transfer"] {
        assert_eq!(n_acts(&format!("/system/v1/{path}")), 1, "{path}");
    }
    assert!((2..=3).contains(&n_acts("/system/v1/nodes/3/resume")), "{acts:?}");
    let keyed = acts.iter().filter(|act| !act["key"].is_null());
    assert_eq!(keyed.filter(|act| act["operation"] == "drainNode").count(), 1);
    let refused = ["/system/v1/nodes/2/remove", "/system/v1/shards/0/transfer"];
    assert_eq!(refused.map(n_acts), [0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_of_three_nodes_shows_and_changes_the_cluster() {
    let mut members = three().await;
    for member in &members {
        let cluster = member.get(CLUSTER).await;
        assert_eq!(cluster["current"], true, "{cluster}");
        let zones: BTreeSet<_> =
            list(&cluster, "nodes").iter().map(|node| node["zone"].as_str().unwrap()).collect();
        assert_eq!(zones, BTreeSet::from(["zone-1", "zone-2", "zone-3"]));
        assert!(list(&cluster, "nodes").iter().all(|node| node["live"] == true));
        assert!(list(&member.get(SHARDS).await, "data").iter().all(|shard| {
            list(shard, "voters").len() == 3 && list(shard, "replicas").len() == 3
        }));
    }
    let operator = &members[1];

    let drained = operator.post("/system/v1/nodes/3/drain", &json!({})).await;
    assert_eq!((drained.status, drained.json()), (200, json!({"id": 3, "standing": "draining"})));
    let tag = drained.header("etag").unwrap().to_owned();
    members[0].until(CLUSTER, |cluster| node(cluster, 3)["leads"] == 0).await;
    operator
        .post("/system/v1/shards/0/transfer", &json!({"to": 3}))
        .await
        .problem(409, "node_may_not_lead");
    let stale = Ask::post("/system/v1/nodes/3/resume").header("if-match", "\"1\"");
    operator.send(stale).await.problem(412, "precondition_failed");
    let bound = Ask::post("/system/v1/nodes/3/resume").header("if-match", tag);
    let resumed = operator.send(bound.key("resume-once")).await;
    // The planner may have changed the cluster since.
    assert!([200, 412].contains(&resumed.status), "{resumed:?}");
    operator.post("/system/v1/nodes/3/resume", &json!({})).await;
    let once = || Ask::post("/system/v1/nodes/3/drain").key("drain-once");
    let first = operator.send(once()).await;
    operator.post("/system/v1/nodes/3/resume", &json!({})).await;
    let again = members[2].send(once()).await;
    assert_eq!((again.is_replayed(), &again.body), (true, &first.body));
    members[2].until(CLUSTER, |cluster| node(cluster, 3)["leads"] != 0).await;

    let refused = operator.post("/system/v1/nodes/2/remove", &json!({})).await;
    let problem = refused.problem(409, "too_few_nodes");
    assert_eq!(problem["detail"], "2 nodes would remain: three replicas need 3");
    operator.post("/system/v1/nodes/9/remove", &json!({})).await.problem(404, "node_not_found");
    operator
        .post("/system/v1/shards/9/pin", &json!({"to": 1}))
        .await
        .problem(404, "shard_not_found");

    let pinned = operator.post("/system/v1/shards/2/pin", &json!({"to": 1})).await;
    assert_eq!(pinned.json(), json!({"id": 2, "to": 1}));
    let is_led_there = |shards: &Value| list(shards, "data")[2]["leader"] == 1;
    members[2].until(SHARDS, |shards| is_led_there(shards) && all_served(shards)).await;
    operator
        .post("/system/v1/shards/2/transfer", &json!({"to": 2}))
        .await
        .problem(409, "shard_pinned");
    let unpinned = operator.post("/system/v1/shards/2/unpin", &json!({})).await;
    assert_eq!(unpinned.json(), json!({"id": 2, "to": null}));
    operator.post("/system/v1/shards/meta/transfer", &json!({"to": 2})).await;
    changes_are_audited(&members[0]).await;
    let is_meta = |shard: &&Value| shard["meta"] == true;
    let meta = |shards: &Value| list(shards, "data").iter().find(is_meta).unwrap().clone();
    members[0].until(SHARDS, |shards| meta(shards)["leader"] == 2).await;

    assert!(operator.metric("omnicart_cluster_not_fault_tolerant 0").await);
    members.pop().unwrap().node.stop().await;
    let without = members[0].until(CLUSTER, |cluster| cluster["complete"] == false).await;
    assert_eq!((&without["unanswered"], &without["fault_tolerant"]), (&json!([3]), &json!(false)));
    let waited = tokio::time::timeout(PATIENCE, async {
        while !members[0].metric("omnicart_cluster_not_fault_tolerant 1").await {
            tokio::time::sleep(STEP).await;
        }
    });
    waited.await.expect("the gauge says so");
    for member in members {
        member.node.stop().await;
    }
}

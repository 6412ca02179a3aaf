//! What is for sale, on several nodes of one cluster: published on one of them, priced by all.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actors::{
    BookReader, Cart, CartId, Currency, Listing, Money, PriceBook, Product, ProductName, Sku,
};
use axum::Router;
use axum::http::Method;
use cluster::ids::{NodeId, ShardId};
use cluster::placement::member::{Levels, NodeNumber};
use cluster::placement::shard_map::ShardMap;
use cluster::runtime::joining::MeshSettings;
use cluster::runtime::membership::PlacementRule;
use cluster::runtime::mesh::LinkFault;
use cluster::runtime::node::{Node, NodeConfig};
use cluster::shard::kind::Kinds;
use edge::http::app::{App, Settings, Signals};
use edge::http::router::router;
use edge::metrics::EdgeMetrics;
use edge::publishing::publish;
use prometheus_client::registry::Registry;
use serde_json::Value;
use tempfile::TempDir;

use crate::shop::{Answer, Ask, Basket, send};

/// What anything that happens on its own may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(90);
const STEP: Duration = Duration::from_millis(50);
const SHARDS: u32 = 4;

struct Member {
    folder: TempDir,
    address: SocketAddr,
    number: u64,
    running: Option<Running>,
}

struct Running {
    node: Node,
    router: Router,
    registry: Arc<Registry>,
}

/// A free port: taken and given back.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Member {
    fn new(number: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, address: free_address(), number, running: None }
    }

    async fn start(&mut self, join: &[SocketAddr]) {
        let mesh = MeshSettings {
            number: NodeNumber::try_from(self.number).unwrap(),
            listen: self.address,
            advertise: self.address.to_string(),
            zone: "here".to_owned(),
            certificates: None,
            join: join.iter().map(SocketAddr::to_string).collect(),
            placement: PlacementRule::default(),
            levels: Levels::OWN,
        };
        let kinds = Kinds::default().with::<Cart>().with::<Sku>();
        let kinds = kinds.with::<Product>().with::<actors::Shop>();
        let config = NodeConfig {
            n_shards: Some(SHARDS),
            segment_bytes: 4 << 20,
            reader: Some(Arc::new(BookReader)),
            mesh: Some(mesh),
            ..NodeConfig::new(self.folder.path().to_owned(), kinds)
        };
        let mut registry = Registry::default();
        let node = Node::start(config, &mut registry).await.unwrap();
        tokio::time::timeout(PATIENCE, node.ready()).await.unwrap();
        let metrics = EdgeMetrics::register(&mut registry);
        let registry = Arc::new(registry);
        let signals = Signals { is_ready: Box::new(|| true), pressure_percent: Box::new(|| 0) };
        let settings = Settings { carts_per_second_max: None, ..Settings::new(Currency::EURO) };
        let app = App::new(
            node.fabric(),
            node.operations(),
            settings,
            signals,
            metrics,
            Arc::clone(&registry),
        );
        self.running = Some(Running { node, router: router(app), registry });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    fn node(&self) -> &Node {
        &self.running().node
    }

    fn id(&self) -> NodeId {
        NodeId::of(NodeNumber::try_from(self.number).unwrap(), 0)
    }

    async fn publish(&self, listings: &[(&str, i64)]) -> usize {
        publish(&self.node().fabric(), &book(listings)).await.unwrap()
    }

    async fn ask(&self, ask: Ask) -> Answer {
        send(self.running().router.clone(), ask).await
    }

    /// Whether it leads a shard.
    async fn leads(&self, shard: ShardId) -> bool {
        let all = self.node().status().await;
        usize::try_from(shard.0).ok().and_then(|nth| all.get(nth)).is_some_and(|s| s.leads)
    }

    /// Whether it leads any shard, which then needs prices here.
    async fn leads_any(&self) -> bool {
        self.node().status().await.iter().any(|shard| shard.leads)
    }

    /// A cart that this node decides about.
    async fn own_basket(&self) -> Basket {
        eventually("it leads a shard", async || self.leads_any().await).await;
        let map = ShardMap::even(SHARDS).unwrap();
        for _ in 0..500 {
            let created = self.ask(Ask::post("/store/v1/carts")).await;
            assert_eq!(created.status, 201, "{created:?}");
            let json = created.json();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let id: CartId = text(&json["cart"]["id"]).parse().unwrap();
            if self.leads(map.shard_of(id.key().slot())).await {
                return Basket { id: id.to_string(), token: text(&json["token"]) };
            }
        }
        panic!("it leads no shard");
    }

    /// Adds tea to a cart of its own until the unit price is this one.
    async fn sells_tea_for(&self, minor: i64) {
        let basket = self.own_basket().await;
        let sells = async {
            loop {
                let answer = self.ask(basket.add("tea", 1)).await;
                if answer.status == 200
                    && answer.json()["items"][0]["unit_price"]["amount"] == minor
                {
                    return;
                }
                tokio::time::sleep(STEP).await;
            }
        };
        let sold = tokio::time::timeout(PATIENCE, sells).await;
        assert!(sold.is_ok(), "node {} never sold tea for {minor}", self.number);
    }

    fn catalogue_age(&self) -> f64 {
        let mut text = String::new();
        let registry = &self.running().registry;
        prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
        let name = "omnicart_cluster_catalogue_age_seconds ";
        let age = text.lines().find_map(|line| line.strip_prefix(name));
        age.unwrap().parse().unwrap()
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().node.stop().await;
    }
}

fn book(listings: &[(&str, i64)]) -> PriceBook {
    let listing = |(sku, minor): &(&str, i64)| {
        let name = ProductName::try_from("Green tea".to_owned()).unwrap();
        let price = Money { minor: *minor, currency: Currency::EURO };
        Listing::new(sku.parse().unwrap(), name, vec![price]).unwrap()
    };
    PriceBook::new(Currency::EURO, listings.iter().map(listing).collect()).unwrap()
}

async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !is_so().await {
            tokio::time::sleep(STEP).await;
        }
    });
    assert!(waited.await.is_ok(), "never: {what}");
}

/// Nodes 1 to `n`, each of which leads a shard.
async fn cluster(n: u64) -> Vec<Member> {
    let mut members = vec![Member::new(1)];
    members[0].start(&[]).await;
    let seed = members[0].address;
    for number in 2..=n {
        let mut member = Member::new(number);
        member.start(&[seed]).await;
        members.push(member);
    }
    for member in &members {
        eventually("every node leads a shard", async || member.leads_any().await).await;
    }
    members
}

fn place_of_catalogue(member: &Member) -> Vec<NodeId> {
    let cluster = member.node().cluster().unwrap().known();
    cluster.place(ShardId::CATALOGUE).unwrap().voters.iter().copied().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_node_publishes_every_node_sells() {
    let mut members = cluster(3).await;
    let unknown = members[1].own_basket().await;
    members[1].ask(unknown.add("tea", 1)).await.problem(422, "sku_not_for_sale");
    assert_eq!(members[1].publish(&[("tea", 450), ("cup", 700)]).await, 2);
    for member in &members {
        member.sells_tea_for(450).await;
        assert_eq!(member.publish(&[("tea", 450), ("cup", 700)]).await, 0, "it is so already");
    }
    assert_eq!(members[2].publish(&[("tea", 500)]).await, 2);
    for member in &members {
        member.sells_tea_for(500).await;
        let basket = member.own_basket().await;
        eventually("the cup is withdrawn", async || {
            member.ask(basket.add("cup", 1)).await.status == 422
        })
        .await;
    }

    // A fourth one follows without a vote, and sells as the others do.
    let mut fourth = Member::new(4);
    fourth.start(&[members[0].address]).await;
    eventually("the fourth leads a shard", async || fourth.leads_any().await).await;
    fourth.sells_tea_for(500).await;
    let voters = place_of_catalogue(&fourth);
    assert!(voters.len() == 3 && !voters.contains(&fourth.id()), "{voters:?}");
    members.push(fourth);
    assert_eq!(members[3].publish(&[("tea", 550)]).await, 1);
    for member in &members {
        member.sells_tea_for(550).await;
    }

    // What was published outlives all of them.
    for member in &mut members {
        member.stop().await;
    }
    let seeds: Vec<_> = members.iter().map(|member| member.address).collect();
    join_all(members.iter_mut().map(|member| member.start(&seeds)).collect()).await;
    members[0].sells_tea_for(550).await;
    for member in &mut members {
        member.stop().await;
    }
}

/// Runs them side by side: none is ready before others are.
async fn join_all(starts: Vec<impl Future<Output = ()>>) {
    let mut starts: Vec<_> = starts.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        starts.retain_mut(|start| start.as_mut().poll(context).is_pending());
        if starts.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_hear_the_catalogues_leader_refuses_to_price() {
    let mut members = cluster(3).await;
    members[0].publish(&[("tea", 450)]).await;
    for member in &members {
        member.sells_tea_for(450).await;
    }
    // The founder leads the group; the third leads a shard with the second.
    let apart = members[2].own_basket().await;
    assert_eq!(members[2].ask(apart.add("tea", 1)).await.status, 200);
    let fault = LinkFault { cut_out: true, cut_in: true, ..LinkFault::default() };
    let spoil = |fault| {
        let spoil = |from: usize, to: usize| {
            let cluster = members[from].node().cluster().unwrap();
            cluster.set_link_fault(members[to].id(), fault);
        };
        spoil(2, 0);
        spoil(0, 2);
    };
    spoil(fault);
    eventually("the copy is out of date", async || {
        let answer = members[2].ask(apart.add("tea", 1)).await;
        answer.status == 503 && answer.json()["code"] == "catalogue_stale"
    })
    .await;
    let refused = members[2].ask(apart.add("tea", 1)).await;
    refused.problem(503, "catalogue_stale");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(members[2].catalogue_age() > 2.0);
    // What needs no price goes on, and so do the others.
    let emptied = members[2].ask(apart.item(Method::DELETE, "tea")).await;
    assert_eq!(emptied.status, 200, "{emptied:?}");
    members[1].sells_tea_for(450).await;

    // A price that changes meanwhile is the one that counts afterwards.
    members[0].publish(&[("tea", 500)]).await;
    spoil(LinkFault::default());
    members[2].sells_tea_for(500).await;
    for member in &mut members {
        member.stop().await;
    }
}

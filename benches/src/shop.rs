//! The shop that every scenario uses: what it sells, and a node of it in this process.
//!
//! **Invariants:** the real binary and the node in process sell the same things at the same prices.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actors::domain::cart::Command as CartCommand;
use actors::{
    Cart, CartAccess, CartId, Currency, Listing, Money, PriceBook, ProductName, Quantity, Sku,
    SkuCode,
};
use anyhow::Context as _;
use cluster::entity::Catalogue;
use cluster::fabric::{CommandError, Envelope, Fabric, Unavailable};
use cluster::ids::Slot;
use cluster::runtime::node::{Node, NodeConfig};
use cluster::shard::kind::Kinds;
use cluster::time::{Span, Timestamp};
use prometheus_client::registry::Registry;
use storage::clock;
use tokio::task::JoinSet;

/// What is for sale: SKU, name, price in minor units.
pub(crate) const PRODUCTS: [(&str, &str, i64); 5] = [
    ("tea-sencha-100", "Sencha, first flush, 100 g", 1_290),
    ("tea-assam-250", "Assam, second flush, 250 g", 1_450),
    ("pot-iron-08", "Cast iron pot, 0.8 l", 6_900),
    ("cup-glass-2", "Glass cups, set of two", 1_990),
    ("tin-black-1", "Tin, black, for 100 g", 590),
];
pub(crate) const CURRENCY: &str = "EUR";
/// Lines of an ordinary cart.
pub(crate) const LINES: usize = 3;
/// How long one command may take before a run counts it as failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The catalogue as the binary reads it.
pub(crate) fn catalogue_json() -> serde_json::Value {
    let product = |(sku, name, minor): (&str, &str, i64)| {
        let prices = serde_json::json!({CURRENCY: minor});
        serde_json::json!({"sku": sku, "name": name, "prices": prices})
    };
    let products: Vec<_> = PRODUCTS.into_iter().map(product).collect();
    serde_json::json!({"default_currency": CURRENCY, "products": products})
}

fn catalogue() -> anyhow::Result<Catalogue> {
    let currency: Currency = CURRENCY.parse()?;
    let listing = |(sku, name, minor): (&str, &str, i64)| {
        let name = ProductName::try_from(name.to_owned())?;
        Ok(Listing::new(sku.parse()?, name, vec![Money { minor, currency }])?)
    };
    let listings = PRODUCTS.into_iter().map(listing).collect::<anyhow::Result<_>>()?;
    Ok(Catalogue { index: 1, content: Arc::new(PriceBook::new(currency, listings)?) })
}

/// A node of the shop in this process.
pub(crate) struct Shop {
    pub(crate) node: Node,
    registry: Registry,
}

impl Shop {
    /// Opens the folder and waits until every shard is served.
    pub(crate) async fn open(
        data: &Path,
        configure: impl FnOnce(NodeConfig) -> NodeConfig,
    ) -> anyhow::Result<Self> {
        let kinds = Kinds::default().with::<Cart>().with::<Sku>();
        let config = NodeConfig {
            catalogue: Some(catalogue()?),
            ..configure(NodeConfig::new(data.to_owned(), kinds))
        };
        let mut registry = Registry::default();
        let node = Node::start(config, &mut registry)
            .await
            .with_context(|| format!("cannot start a node on {}", data.display()))?;
        node.ready().await;
        Ok(Self { node, registry })
    }

    pub(crate) fn metrics(&self) -> anyhow::Result<String> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }

    /// Makes the carts numbered `from..to`, each with its lines, many at a time.
    pub(crate) async fn fill_carts(&self, from: u64, to: u64) -> anyhow::Result<()> {
        const AT_A_TIME: usize = 512;
        let next = Arc::new(AtomicU64::new(from));
        let mut tasks = JoinSet::new();
        for _ in 0..AT_A_TIME {
            let (fabric, next) = (self.node.fabric(), Arc::clone(&next));
            tasks.spawn(async move {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= to {
                        return anyhow::Ok(());
                    }
                    fill_cart(&fabric, cart_id(nth)).await?;
                }
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }
}

/// Makes a cart with [`LINES`] lines.
pub(crate) async fn fill_cart(fabric: &Fabric, cart: CartId) -> anyhow::Result<()> {
    let one = Quantity::try_from(1)?;
    let skus = PRODUCTS.iter().take(LINES).map(|(sku, ..)| sku.parse::<SkuCode>());
    let items = skus.map(|sku| Ok((sku?, one))).collect::<anyhow::Result<_>>()?;
    let access = CartAccess::from_hash([7; 32]);
    let create = CartCommand::Create { currency: CURRENCY.parse()?, access };
    command(fabric, cart, create).await?;
    command(fabric, cart, CartCommand::AddItems { items }).await
}

/// Sends a command until the node takes it: one with little memory asks for patience while its
/// state index catches up.
pub(crate) async fn command(
    fabric: &Fabric,
    cart: CartId,
    command: CartCommand,
) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_millis(20);
    loop {
        match fabric.execute::<Cart>(cart.key(), envelope(), command.clone()).await {
            Ok(_) => return Ok(()),
            Err(CommandError::Unavailable(Unavailable::Busy { .. })) => {
                tokio::time::sleep(PATIENCE).await;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("a command for {cart}"));
            }
        }
    }
}

/// The cart with this number; neighbours lie in different slots.
pub(crate) fn cart_id(nth: u64) -> CartId {
    let spread = nth.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [high, low, ..] = spread.to_be_bytes();
    let mut unique = [0; 14];
    for (to, from) in unique.iter_mut().zip(nth.to_be_bytes()) {
        *to = from;
    }
    CartId::in_slot(Slot::from_bits(u16::from_be_bytes([high, low])), unique)
}

/// An unkeyed command with time enough.
pub(crate) fn envelope() -> Envelope {
    Envelope::until(deadline())
}

pub(crate) fn deadline() -> Timestamp {
    let patience = u64::try_from(PATIENCE.as_micros()).unwrap_or(u64::MAX);
    Timestamp::from_micros(clock::wall_micros()).plus(Span::from_micros(patience))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn carts_are_distinct_and_spread_over_slots() {
        let ids: BTreeSet<_> = (0..10_000).map(cart_id).collect();
        assert_eq!(ids.len(), 10_000);
        let shards: BTreeSet<_> = ids.iter().map(|id| id.key().slot().bits() / 1_024).collect();
        assert_eq!(shards.len(), 64);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_shop_fills_carts_and_counts_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let shop = Shop::open(folder.path(), |config| NodeConfig {
            n_shards: Some(4),
            segment_bytes: 1 << 20,
            ..config
        })
        .await
        .unwrap();
        shop.fill_carts(0, 20).await.unwrap();
        let status = shop.node.status().await;
        assert_eq!(status.iter().map(|shard| shard.entities).sum::<usize>(), 20);
        let log = crate::metrics::LogCounters::read(&shop.metrics().unwrap()).unwrap();
        assert!(log.records > 0 && log.syncs > 0);
        shop.node.stop().await;
    }
}

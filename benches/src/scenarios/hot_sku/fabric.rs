//! The hot SKU in this process: what the fabric itself can do.

use std::path::Path;

use actors::domain::sku::{Command, Query, Rejection, View};
use actors::{Quantity, Reason, Sku, SkuCode, Units};
use anyhow::Context as _;
use cluster::fabric::{CommandError, Fabric};
use tokio::task::JoinSet;

use super::{Arc, FEW, Ids, Ordering, PLENTY, Part, SellOut, Tally};
use crate::load::{User, Window, closed};
use crate::report::progress;
use crate::shop::{self, Shop};

const HOT: &str = "hot";
const SELL_OUT: &str = "sell-out";

pub(super) async fn run(
    data: &Path,
    clients: u16,
    window: Window,
) -> anyhow::Result<(Part, SellOut)> {
    progress("hot-sku: in process");
    let shop = Shop::open(data, |config| config).await?;
    let fabric = shop.node.fabric();
    let plenty = plenty(&fabric, clients, window).await?;
    let sell_out = sell_out(&fabric, clients).await?;
    shop.node.stop().await;
    Ok((plenty, sell_out))
}

async fn plenty(fabric: &Fabric, clients: u16, window: Window) -> anyhow::Result<Part> {
    let sku: SkuCode = HOT.parse()?;
    set_on_hand(fabric, &sku, PLENTY).await?;
    let tally = Arc::new(Tally::default());
    let buyers = (0..clients).map(|nth| Buyer::new(fabric, &sku, &tally, nth)).collect();
    let (_, measured) = closed::run(buyers, window).await;
    let oversold = difference(fabric, &sku, PLENTY, &tally).await?;
    Ok(Part { measured, oversold })
}

/// Everyone buys until there is nothing left.
async fn sell_out(fabric: &Fabric, clients: u16) -> anyhow::Result<SellOut> {
    let sku: SkuCode = SELL_OUT.parse()?;
    set_on_hand(fabric, &sku, FEW).await?;
    let tally = Arc::new(Tally::default());
    let mut buying = JoinSet::new();
    for nth in 0..clients {
        let mut buyer = Buyer::new(fabric, &sku, &tally, nth);
        buying.spawn(async move {
            while buyer.reserve().await? == Reserved::Yes {
                buyer.confirm().await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = buying.join_next().await {
        done??;
    }
    let oversold = difference(fabric, &sku, FEW, &tally).await?;
    let refused = tally.refused.load(Ordering::Relaxed);
    Ok(SellOut { stock: FEW, sold: tally.confirmed(), refused, oversold })
}

async fn set_on_hand(fabric: &Fabric, sku: &SkuCode, pieces: u32) -> anyhow::Result<()> {
    let reason = Reason::try_from("bench".to_owned())?;
    let set = Command::SetOnHand { on_hand: Units::try_from(pieces)?, reason };
    let executed = fabric.execute::<Sku>(sku.key(), shop::envelope(), set).await;
    executed.map(drop).context("cannot state the stock")
}

async fn difference(
    fabric: &Fabric,
    sku: &SkuCode,
    stock: u32,
    tally: &Tally,
) -> anyhow::Result<u64> {
    let viewed = fabric.query::<Sku>(sku.key(), &[], shop::deadline(), Query::Level).await?.view;
    let View::Level(level) = viewed else { anyhow::bail!("a level was asked for") };
    let (on_hand, reserved) = (level.on_hand.get(), level.reserved.get());
    Ok(tally.difference(stock, on_hand.into(), reserved.into()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reserved {
    Yes,
    SoldOut,
}

struct Buyer {
    fabric: Fabric,
    sku: SkuCode,
    tally: Arc<Tally>,
    ids: Ids,
    open: Option<actors::ReservationId>,
}

impl Buyer {
    fn new(fabric: &Fabric, sku: &SkuCode, tally: &Arc<Tally>, nth: u16) -> Self {
        let ids = Ids { buyer: nth.into(), nth: 0 };
        let (fabric, sku, tally) = (fabric.clone(), sku.clone(), Arc::clone(tally));
        Self { fabric, sku, tally, ids, open: None }
    }

    async fn reserve(&mut self) -> anyhow::Result<Reserved> {
        let id = self.ids.next();
        let quantity = Quantity::try_from(1)?;
        let reserve = Command::Reserve { id, quantity, holder: None, expires_at: None };
        let asked = self.fabric.execute::<Sku>(self.sku.key(), shop::envelope(), reserve);
        match asked.await {
            Ok(_) => {
                self.tally.reserved.fetch_add(1, Ordering::Relaxed);
                self.open = Some(id);
                Ok(Reserved::Yes)
            }
            Err(CommandError::Rejected { rejection: Rejection::OutOfStock { .. }, .. }) => {
                self.tally.refused.fetch_add(1, Ordering::Relaxed);
                Ok(Reserved::SoldOut)
            }
            Err(error) => Err(error).context("a reservation"),
        }
    }

    async fn confirm(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.open.take() else { return Ok(()) };
        let confirm = Command::Confirm { id, holder: None };
        let asked = self.fabric.execute::<Sku>(self.sku.key(), shop::envelope(), confirm);
        asked.await.context("a confirmation")?;
        self.tally.confirmed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl User for Buyer {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        self.confirm().await
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        match self.reserve().await? {
            Reserved::Yes => Ok(()),
            Reserved::SoldOut => anyhow::bail!("a stock of {PLENTY} was sold out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cluster::runtime::node::NodeConfig;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stock_is_sold_to_the_last_piece_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let small = |config| NodeConfig { n_shards: Some(4), segment_bytes: 4 << 20, ..config };
        let shop = Shop::open(folder.path(), small).await.unwrap();
        let fabric = shop.node.fabric();
        let sold = sell_out(&fabric, 64).await.unwrap();
        assert_eq!((sold.sold, sold.oversold), (u64::from(FEW), 0));
        assert_eq!(sold.refused, 64);
        let window = Window { warm_up: Duration::ZERO, measured: Duration::from_millis(200) };
        let part = plenty(&fabric, 8, window).await.unwrap();
        assert!(part.measured.latencies.count() > 0);
        assert_eq!((part.oversold, part.measured.failed), (0, 0));
        shop.node.stop().await;
    }
}

//! The hot SKU over HTTP: every reservation and confirmation is a request.

use std::net::SocketAddr;

use hyper::{Method, StatusCode};

use super::{Arc, Ids, Ordering, PLENTY, Part, Tally};
use crate::arguments::Common;
use crate::load::client::{Call, Caller};
use crate::load::{User, Window, closed};
use crate::peers::folder::Folder;
use crate::peers::omnicart::{self, Omnicart, StockLevel};
use crate::report::progress;

const HOT: &str = "hot";

pub(super) async fn run(
    common: &Common,
    folder: &Folder,
    clients: u16,
    window: Window,
) -> anyhow::Result<Part> {
    progress("hot-sku: over HTTP");
    let server = Omnicart::in_folder(common.omnicart.as_deref(), folder)?.start().await?;
    let address = server.address();
    let mut operator = Caller::new(address);
    operator.send(&omnicart::set_on_hand(HOT, PLENTY)?).await?.expect(StatusCode::OK)?;
    let tally = Arc::new(Tally::default());
    let mut buyers = Vec::with_capacity(usize::from(clients));
    for nth in 0..clients {
        let mut buyer = Buyer::new(address, &tally, nth);
        buyer.caller.connect().await?;
        buyers.push(buyer);
    }
    let (_, measured) = closed::run(buyers, window).await;
    let StockLevel { on_hand, reserved } = omnicart::stock_level(&mut operator, HOT).await?;
    Ok(Part { measured, oversold: tally.difference(PLENTY, on_hand, reserved) })
}

struct Buyer {
    caller: Caller,
    tally: Arc<Tally>,
    ids: Ids,
    open: Option<String>,
}

impl Buyer {
    fn new(address: SocketAddr, tally: &Arc<Tally>, nth: u16) -> Self {
        let ids = Ids { buyer: nth.into(), nth: 0 };
        Self { caller: Caller::new(address), tally: Arc::clone(tally), ids, open: None }
    }
}

fn reserve(id: &str) -> anyhow::Result<Call> {
    let body = serde_json::json!({"id": id, "quantity": 1});
    Ok(omnicart::inventory(Method::POST, HOT, "/reservations")?.json(&body))
}

fn confirm(id: &str) -> anyhow::Result<Call> {
    omnicart::inventory(Method::POST, HOT, &format!("/reservations/{id}/confirm"))
}

impl User for Buyer {
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let Some(id) = self.open.take() else { return Ok(()) };
        self.caller.send(&confirm(&id)?).await?.expect(StatusCode::OK)?;
        self.tally.confirmed.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn exchange(&mut self) -> anyhow::Result<()> {
        let id = self.ids.next().to_string();
        self.caller.send(&reserve(&id)?).await?.expect(StatusCode::CREATED)?;
        self.tally.reserved.fetch_add(1, Ordering::Relaxed);
        self.open = Some(id);
        Ok(())
    }
}

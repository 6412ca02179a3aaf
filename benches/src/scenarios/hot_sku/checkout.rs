//! The hot SKU through the whole checkout: every cart holds one piece of it and becomes an order.

use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use storage::clock;

use super::{PLENTY, Part};
use crate::arguments::Common;
use crate::load::client::Caller;
use crate::load::{Window, closed};
use crate::peers::folder::Folder;
use crate::peers::omnicart::{self, Omnicart, StockLevel};
use crate::report::progress;
use crate::scenarios::buyer::{Basket, Buyer};
use crate::shop::PRODUCTS;

/// Stocks let go of their pieces after the answer.
const SETTLES_WITHIN: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(
    common: &Common,
    folder: &Folder,
    clients: u16,
    window: Window,
) -> anyhow::Result<Part> {
    progress("hot-sku: through checkout");
    let server = Omnicart::in_folder(common.omnicart.as_deref(), folder)?;
    let server = server.with_flags(vec!["--payment-provider=simulator=built-in".to_owned()]);
    let server = server.start().await?;
    let [(hot, ..), ..] = PRODUCTS;
    let mut operator = Caller::new(server.address());
    operator.send(&omnicart::set_on_hand(hot, PLENTY)?).await?.expect(StatusCode::OK)?;
    let next = Arc::default();
    let buyer = |_| Buyer::new(server.address(), &next, Basket::Only(hot));
    let (buyers, measured) = closed::run((0..clients).map(buyer).collect(), window).await;
    let orders: u64 = buyers.iter().map(Buyer::orders).sum();
    let until = clock::monotonic() + SETTLES_WITHIN;
    loop {
        let StockLevel { on_hand, reserved } = omnicart::stock_level(&mut operator, hot).await?;
        let missing = u64::from(PLENTY).abs_diff(on_hand + orders) + reserved;
        if missing == 0 || clock::monotonic() >= until {
            return Ok(Part { measured, oversold: missing });
        }
        tokio::time::sleep(PAUSE).await;
    }
}

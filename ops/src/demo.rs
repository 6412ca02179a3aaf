//! A small shop to try things on: its products, and stock for each of them.
//!
//! **Invariants:** stock is stated once in the life of a data folder: a SKU that has one is left
//! alone, so a second start gives nothing back that was sold.

use actors::domain::sku;
use actors::{PriceBook, Reason, Sku, SkuCode, Units};
use anyhow::Context;
use cluster::fabric::{CommandError, Envelope, Fabric, Precondition};
use cluster::time::{Span, Timestamp};
use storage::clock;

/// The shop's catalogue, in the form anybody would write it.
const CATALOGUE: &str = include_str!("demo/catalogue.json");

/// What is in stock at first.
const STOCK: [(&str, u32); 12] = [
    ("tea-oolong-100", 120),
    ("tea-sencha-100", 80),
    ("tea-earl-grey-100", 200),
    ("tea-chai-250", 60),
    ("tea-rooibos-100", 150),
    ("coffee-house-500", 300),
    ("coffee-decaf-500", 40),
    ("coffee-single-250", 25),
    ("pot-glass-1l", 18),
    ("cup-stoneware", 96),
    ("dripper-ceramic", 30),
    ("kettle-gooseneck", 5),
];

/// What the demo shop sells.
pub fn price_book() -> anyhow::Result<PriceBook> {
    crate::catalogue::parse(CATALOGUE).context("the demo catalogue")
}

/// States the stock of every product that has none; returns how many that were.
pub async fn stock_up(fabric: &Fabric) -> anyhow::Result<usize> {
    let mut stated = 0;
    for (code, on_hand) in STOCK {
        let sku: SkuCode = code.parse()?;
        let failed = || format!("the stock of sku {sku}");
        let command = sku::Command::SetOnHand {
            on_hand: Units::try_from(on_hand)?,
            reason: Reason::try_from("demo".to_owned())?,
        };
        // Of two starts one wins.
        let precondition = Precondition::Absent;
        let envelope = Envelope { precondition, ..Envelope::until(deadline()) };
        match fabric.execute::<Sku>(sku.key(), envelope, command).await {
            Ok(_) => stated += 1,
            Err(CommandError::PreconditionFailed { .. }) => {}
            Err(CommandError::Rejected { rejection, .. }) => {
                return Err(rejection).with_context(failed);
            }
            Err(error) => return Err(anyhow::anyhow!("{error}")).with_context(failed),
        }
    }
    Ok(stated)
}

fn deadline() -> Timestamp {
    Timestamp::from_micros(clock::wall_micros()).plus(Span::from_secs(30))
}

#[cfg(test)]
mod tests {
    use actors::Money;
    use actors::domain::tax::Destination;

    use super::*;

    #[test]
    fn everything_in_stock_is_for_sale_in_every_currency() {
        let book = price_book().unwrap();
        for (code, _) in STOCK {
            let listing = book.listing(&code.parse().unwrap()).expect(code);
            for currency in ["EUR", "USD", "JPY"] {
                let price = listing.price_in(currency.parse().unwrap()).expect(code);
                assert!(price.minor > 0, "{code} in {currency}");
            }
        }
    }

    #[test]
    fn it_is_a_whole_shop() {
        let book = price_book().unwrap();
        let shown: usize = book.listed_pages(None).map(|page| book.variants(page).count()).sum();
        assert_eq!(shown, STOCK.len(), "each SKU is on a page");
        assert!(book.categories().iter().any(|category| category.parent.is_some()));
        let berlin = Destination { country: "DE".parse().unwrap(), region: None };
        for listing in book.listings() {
            assert!(book.tax_rates().applied(listing.tax_class(), &berlin).is_some());
        }
        for currency in ["EUR", "USD", "JPY"] {
            let items = Money { minor: 100, currency: currency.parse().unwrap() };
            assert!(book.shipping_options().any(|option| option.price_for(items).is_some()));
        }
        let for_sale = |sku| book.any_listing(sku).is_some();
        assert!(book.price_lists().all(|list| list.prices().all(|(sku, _)| for_sale(sku))));
        assert!(book.price_lists().len() > 0);
    }
}

//! Several clients that fill one cart.

use hyper::StatusCode;

use super::tale::{self, Subject};
use super::worker::{Worker, Write};
use crate::peers::omnicart::{self, CartHandle};
use crate::shop::PRODUCTS;

/// Makes a cart; `None` when the run is over first.
pub(super) async fn begin(worker: &mut Worker) -> anyhow::Result<Option<Subject>> {
    let key = worker.new_key();
    let call = omnicart::keyed(omnicart::create_cart(), &key)?;
    let Some(answer) = worker.asker.insist(&call).await else { return Ok(None) };
    worker.notes.counts.acknowledged += 1;
    Ok(Some(Subject::Cart(CartHandle::from_answer(answer)?)))
}

/// Does one thing with the cart.
pub(super) async fn step(worker: &mut Worker, cart: &CartHandle) -> anyhow::Result<()> {
    match worker.asker.random.within(0..20) {
        0..9 => {
            let write = add(worker, cart)?;
            worker.write_keyed(write).await?;
        }
        9..13 if worker.may_leave_open() => {
            let write = add(worker, cart)?;
            worker.write_once(write).await?;
        }
        9..17 => worker.read(cart.read()?, tale::cart_in).await?,
        17..19 => worker.read_own(cart.read()?, tale::cart_in).await?,
        _ => worker.repeat().await?,
    }
    Ok(())
}

fn add(worker: &mut Worker, cart: &CartHandle) -> anyhow::Result<Write> {
    let nth = usize::try_from(worker.asker.random.within(0..tale::CART_PRODUCTS as u64))?;
    let Some((sku, ..)) = PRODUCTS.get(nth) else {
        unreachable!("the number was drawn within the products")
    };
    let quantity = u32::try_from(worker.asker.random.within(1..30))?;
    Ok(Write {
        call: cart.add(sku, quantity)?,
        adds: tale::pieces(nth, quantity),
        status: StatusCode::OK,
        refusal: None,
        sum_of: tale::cart_in,
    })
}

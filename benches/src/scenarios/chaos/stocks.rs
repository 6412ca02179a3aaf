//! Several clients that reserve, sell, give back and correct one stock, which may be too small for
//! all of them.

use hyper::{Method, StatusCode};
use serde::Deserialize;

use super::tale::{self, Subject};
use super::worker::{SumOf, Worker, Write, Written};
use crate::load::client::Answer;
use crate::peers::omnicart::{self, StockLevel};

const LARGE: u64 = 100_000;
/// A stock that is sold out soon.
const SMALL: std::ops::Range<u64> = 20..80;
/// Reservations that one client holds at the same time.
const HELD_MAX: usize = 6;

/// A reservation that its holder has not ended.
pub(super) struct Held {
    id: String,
    pieces: i64,
}

#[derive(Deserialize)]
struct Reserved {
    inventory: StockLevel,
}

/// States a stock; `None` when the run is over first.
pub(super) async fn begin(worker: &mut Worker) -> anyhow::Result<Option<Subject>> {
    let is_small = worker.asker.random.one_in(2);
    let pieces = if is_small { worker.asker.random.within(SMALL) } else { LARGE };
    let sku = format!("sku-{}", worker.new_key());
    let write = Write {
        call: omnicart::set_on_hand(&sku, u32::try_from(pieces)?)?,
        adds: tale::stock(i64::try_from(pieces)?, 0),
        status: StatusCode::OK,
        refusal: None,
        sum_of: level_in,
    };
    let written = worker.write_keyed(write).await?;
    Ok((written == Written::Done).then_some(Subject::Stock(sku)))
}

/// Does one thing with the stock.
pub(super) async fn step(
    worker: &mut Worker,
    sku: &str,
    held: &mut Vec<Held>,
) -> anyhow::Result<()> {
    let read = || omnicart::inventory(Method::GET, sku, "");
    match worker.asker.random.within(0..20) {
        0..6 if held.len() < HELD_MAX => reserve(worker, sku, held).await?,
        0..10 => end(worker, sku, held, "confirm").await?,
        10..12 => end(worker, sku, held, "release").await?,
        12..14 if worker.may_leave_open() => {
            let pieces = worker.asker.random.within(1..9);
            let body = serde_json::json!({"delta": pieces, "reason": "found"});
            let write = Write {
                call: omnicart::inventory(Method::POST, sku, "/adjust")?.json(&body),
                adds: tale::stock(i64::try_from(pieces)?, 0),
                status: StatusCode::OK,
                refusal: None,
                sum_of: level_in,
            };
            worker.write_once(write).await?;
        }
        12..17 => worker.read(read()?, level_in).await?,
        17..19 => worker.read_own(read()?, level_in).await?,
        _ => worker.repeat().await?,
    }
    Ok(())
}

async fn reserve(worker: &mut Worker, sku: &str, held: &mut Vec<Held>) -> anyhow::Result<()> {
    let high = u128::from(worker.asker.random.number());
    let low = u128::from(worker.asker.random.number());
    let id = actors::ReservationId::from_bytes((high << 64 | low).to_be_bytes()).to_string();
    let pieces = i64::try_from(worker.asker.random.within(1..6))?;
    let body = serde_json::json!({"id": id, "quantity": pieces});
    let write = Write {
        call: omnicart::inventory(Method::POST, sku, "/reservations")?.json(&body),
        adds: tale::stock(0, pieces),
        status: StatusCode::CREATED,
        refusal: Some("out_of_stock"),
        sum_of: reserved_in,
    };
    if worker.write_keyed(write).await? == Written::Done {
        held.push(Held { id, pieces });
    }
    Ok(())
}

async fn end(
    worker: &mut Worker,
    sku: &str,
    held: &mut Vec<Held>,
    how: &str,
) -> anyhow::Result<()> {
    let Some(Held { id, pieces }) = held.pop() else { return Ok(()) };
    let sold = if how == "confirm" { -pieces } else { 0 };
    let write = Write {
        call: omnicart::inventory(Method::POST, sku, &format!("/reservations/{id}/{how}"))?,
        adds: tale::stock(sold, -pieces),
        status: StatusCode::OK,
        refusal: None,
        sum_of: level_in,
    };
    worker.write_keyed(write).await?;
    Ok(())
}

pub(super) const LEVEL_IN: SumOf = level_in;

fn level_in(answer: &Answer) -> anyhow::Result<i64> {
    tale::stock_of(answer.json()?)
}

fn reserved_in(answer: &Answer) -> anyhow::Result<i64> {
    tale::stock_of(answer.json::<Reserved>()?.inventory)
}

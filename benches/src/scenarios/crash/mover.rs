//! A mover: takes pieces from one SKU and puts them into another, and sells some.
//!
//! **Invariants:** pieces taken out are put in before anything else is asked, so whenever no
//! request is open, stock and sales together are what there was in the beginning.

use std::net::SocketAddr;

use hyper::{Method, StatusCode};

use super::line::{Asked, Line};
use super::{Client, Findings, Scope, Step};
use crate::load::client::{Answer, Call};
use crate::peers::omnicart::{self, StockLevel};
use crate::scenarios::random::Random;

/// What the first SKU of a pair begins with.
const STOCK: u64 = 10_000;
/// A resource remembers 256 keys, and each move takes up to two of one SKU.
const MOVES_PER_PAIR: u64 = 80;
const SOLD_ONE_IN: u64 = 5;
/// Pairs looked at after every restart; at the end all are.
const RECENT_PAIRS: usize = 2;

pub(super) struct Mover {
    name: String,
    line: Line,
    random: Random,
    n_keys: u64,
    pairs: Vec<Pair>,
    /// Asked in order, the first until it is answered.
    open: std::collections::VecDeque<Open>,
}

/// Two SKUs that nobody else touches.
struct Pair {
    from: Stock,
    to: Stock,
    sold: u64,
    moves: u64,
}

struct Stock {
    sku: String,
    /// Pieces that acknowledged requests left there.
    promised: u64,
}

struct Open {
    call: Call,
    change: Change,
    status: StatusCode,
}

#[derive(Clone, Copy)]
enum Change {
    Begin,
    TakeOut(u64),
    PutIn(u64),
    Reserve,
    Sell(u64),
}

impl Mover {
    pub(super) fn new(nth: u16, address: SocketAddr, mut random: Random) -> Self {
        let name = format!("mover-{nth}-{:016x}", random.number());
        let line = Line::new(address);
        Self { name, line, random, n_keys: 0, pairs: Vec::new(), open: Default::default() }
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.line.acknowledged
    }

    /// Queues one transaction: requests that only together leave the sum as it was.
    fn draw(&mut self) -> anyhow::Result<()> {
        let is_worn = |pair: &Pair| pair.moves >= MOVES_PER_PAIR;
        if self.pairs.last().is_none_or(is_worn) {
            return self.begin_pair();
        }
        let pieces = self.random.within(1..20);
        let is_sale = self.random.one_in(SOLD_ONE_IN);
        let reservation = self.reservation();
        let Some(pair) = self.pairs.last_mut() else { unreachable!("a pair was begun") };
        pair.moves += 1;
        let (from, to) = (pair.from.sku.clone(), pair.to.sku.clone());
        if is_sale {
            let body = serde_json::json!({"id": reservation, "quantity": pieces});
            let reserve = omnicart::inventory(Method::POST, &from, "/reservations")?.json(&body);
            self.push(reserve, Change::Reserve, StatusCode::CREATED)?;
            let rest = format!("/reservations/{reservation}/confirm");
            let confirm = omnicart::inventory(Method::POST, &from, &rest)?;
            return self.push(confirm, Change::Sell(pieces), StatusCode::OK);
        }
        let amount = i64::try_from(pieces)?;
        self.push(adjust(&from, -amount)?, Change::TakeOut(pieces), StatusCode::OK)?;
        self.push(adjust(&to, amount)?, Change::PutIn(pieces), StatusCode::OK)
    }

    fn begin_pair(&mut self) -> anyhow::Result<()> {
        let nth = self.pairs.len();
        let stock = |side: &str| Stock { sku: format!("{}-{nth}-{side}", self.name), promised: 0 };
        let pair = Pair { from: stock("from"), to: stock("to"), sold: 0, moves: 0 };
        let begin = omnicart::set_on_hand(&pair.from.sku, u32::try_from(STOCK)?)?;
        self.pairs.push(pair);
        self.push(begin, Change::Begin, StatusCode::OK)
    }

    fn push(&mut self, call: Call, change: Change, status: StatusCode) -> anyhow::Result<()> {
        self.n_keys += 1;
        let call = omnicart::keyed(call, &format!("{}-{}", self.name, self.n_keys))?;
        self.open.push_back(Open { call, change, status });
        Ok(())
    }

    fn reservation(&mut self) -> String {
        let high = u128::from(self.random.number());
        let low = u128::from(self.random.number());
        actors::ReservationId::from_bytes((high << 64 | low).to_be_bytes()).to_string()
    }

    fn take(&mut self, change: Change, answer: Answer, status: StatusCode) -> anyhow::Result<()> {
        answer.expect(status)?;
        let Some(pair) = self.pairs.last_mut() else { unreachable!("a pair was begun") };
        match change {
            Change::Begin => pair.from.promised = STOCK,
            Change::TakeOut(pieces) => pair.from.promised -= pieces,
            Change::PutIn(pieces) => pair.to.promised += pieces,
            Change::Reserve => {}
            Change::Sell(pieces) => {
                pair.from.promised -= pieces;
                pair.sold += pieces;
            }
        }
        Ok(())
    }
}

fn adjust(sku: &str, delta: i64) -> anyhow::Result<Call> {
    let body = serde_json::json!({"delta": delta, "reason": "moved"});
    Ok(omnicart::inventory(Method::POST, sku, "/adjust")?.json(&body))
}

impl Client for Mover {
    async fn step(&mut self) -> anyhow::Result<Step> {
        if self.open.is_empty() {
            self.draw()?;
        }
        let Some(open) = self.open.front() else { unreachable!("a transaction was drawn") };
        match self.line.ask(&open.call, &mut self.random).await {
            Asked::Answered(answer) => {
                let (change, status) = (open.change, open.status);
                self.open.pop_front();
                self.take(change, answer, status).map(|()| Step::Answered)
            }
            Asked::Unknown => Ok(Step::Unknown),
        }
    }

    fn has_open_request(&self) -> bool {
        !self.open.is_empty()
    }

    fn reconnect(&mut self, address: SocketAddr) {
        self.line.reconnect(address);
    }

    async fn repeat(&mut self, findings: &mut Findings) -> anyhow::Result<()> {
        self.line.repeat(findings).await
    }

    async fn compare(&mut self, scope: Scope, findings: &mut Findings) -> anyhow::Result<()> {
        let skipped = match scope {
            Scope::All => 0,
            Scope::Recent => self.pairs.len().saturating_sub(RECENT_PAIRS),
        };
        for pair in self.pairs.iter().skip(skipped) {
            for stock in [&pair.from, &pair.to] {
                let found = omnicart::stock_level(self.line.caller(), &stock.sku).await?;
                stock.compare(found, findings);
            }
        }
        Ok(())
    }
}

impl Stock {
    fn compare(&self, found: StockLevel, findings: &mut Findings) {
        let Self { sku, promised } = self;
        if (found.on_hand, found.reserved) != (*promised, 0) {
            findings.stock_errors += 1;
            findings.violated(|| format!("{sku} has {found:?} instead of {promised} on hand"));
        }
    }
}

/// Whether what was promised adds up to what there was: else the clients themselves are wrong.
pub(super) fn check_sum(movers: &[Mover], findings: &mut Findings) {
    let pairs = || movers.iter().flat_map(|mover| &mover.pairs);
    let there: u64 = pairs().map(|pair| pair.from.promised + pair.to.promised + pair.sold).sum();
    let began = STOCK * pairs().count() as u64;
    if there != began {
        findings.stock_errors += 1;
        findings.violated(|| format!("{there} pieces are left or sold of {began}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mover() -> Mover {
        Mover::new(1, "127.0.0.1:1".parse().unwrap(), Random::seeded(1))
    }

    fn answered(status: StatusCode) -> Answer {
        Answer { status, headers: Default::default(), body: bytes::Bytes::new() }
    }

    #[test]
    fn what_is_moved_and_sold_adds_up_after_every_transaction() {
        let mut mover = mover();
        let mut sold = 0;
        for _ in 0..500 {
            mover.draw().unwrap();
            while let Some(Open { change, status, .. }) = mover.open.pop_front() {
                mover.take(change, answered(status), status).unwrap();
            }
            let mut findings = Findings::default();
            check_sum(std::slice::from_ref(&mover), &mut findings);
            assert_eq!(findings, Findings::default());
            sold = mover.pairs.iter().map(|pair| pair.sold).sum();
        }
        assert!(sold > 0 && mover.pairs.len() > 5);
    }

    #[test]
    fn half_a_transaction_does_not_add_up() {
        let mut mover = mover();
        mover.begin_pair().unwrap();
        mover.take(Change::Begin, answered(StatusCode::OK), StatusCode::OK).unwrap();
        mover.take(Change::TakeOut(3), answered(StatusCode::OK), StatusCode::OK).unwrap();
        let mut findings = Findings::default();
        check_sum(&[mover], &mut findings);
        assert_eq!(findings.stock_errors, 1);
    }

    #[test]
    fn a_stock_is_exactly_what_was_promised() {
        let stock = Stock { sku: "tea".to_owned(), promised: 5 };
        for (on_hand, reserved, errors) in [(5, 0, 0), (4, 0, 1), (6, 0, 1), (5, 1, 1)] {
            let mut findings = Findings::default();
            stock.compare(StockLevel { on_hand, reserved }, &mut findings);
            assert_eq!(findings.stock_errors, errors, "{on_hand} {reserved}");
        }
    }
}

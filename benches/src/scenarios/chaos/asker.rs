//! Asks any node, and another one when that fails.
//!
//! **Invariants:** what was answered with a 5xx or not at all may have taken effect, unless the
//! request never left; after an error a connection is not used again.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cluster::time::Timestamp;
use serde::Deserialize;
use storage::clock;

use crate::load::client::{Answer, Call, Connection};
use crate::peers::cluster::Addresses;
use crate::scenarios::random::Random;

const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// A node that is paused or cut off may not answer for long, and another one would.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
const PAUSE_MS: std::ops::Range<u64> = 10..150;

pub(super) enum Attempt {
    Answered(Answer),
    /// It never left.
    NotSent,
    /// Nobody knows whether it took effect.
    Unknown,
}

pub(super) struct Asker {
    addresses: Addresses,
    connections: BTreeMap<SocketAddr, Connection>,
    pub(super) random: Random,
    began: Instant,
    /// After this nothing is tried again.
    give_up_at: Instant,
    /// Whether an attempt of the last request may take effect after its answer.
    pub(super) may_be_under_way: bool,
    /// What went wrong, by its name, and how often.
    pub(super) troubles: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
}

/// The stable code of an error.
pub(super) fn code_of(answer: &Answer) -> String {
    let problem = answer.json::<Problem>();
    problem.map_or_else(|_| answer.status.as_u16().to_string(), |problem| problem.code)
}

impl Asker {
    pub(super) fn new(
        addresses: Addresses,
        random: Random,
        began: Instant,
        give_up_at: Instant,
    ) -> Self {
        let (connections, troubles) = (BTreeMap::new(), BTreeMap::new());
        let may_be_under_way = false;
        Self { addresses, connections, random, began, give_up_at, may_be_under_way, troubles }
    }

    /// Time since the run began.
    pub(super) fn now(&self) -> Timestamp {
        let micros = self.began.elapsed().as_micros();
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Asks one node once.
    pub(super) async fn attempt(&mut self, call: &Call) -> Attempt {
        let addresses = self.addresses.all();
        let nth = self.random.within(0..addresses.len() as u64);
        let Some(address) = usize::try_from(nth).ok().and_then(|nth| addresses.get(nth)) else {
            return Attempt::NotSent;
        };
        let connection = match self.connections.remove(address) {
            Some(connection) => Some(connection),
            None => match tokio::time::timeout(CONNECT_WITHIN, Connection::open(*address)).await {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(_)) | Err(_) => None,
            },
        };
        let Some(mut connection) = connection else {
            self.trouble("not_connected");
            return Attempt::NotSent;
        };
        match tokio::time::timeout(ANSWER_WITHIN, connection.send(call)).await {
            Ok(Ok(answer)) => {
                if !closes(&answer) {
                    self.connections.insert(*address, connection);
                }
                if answer.status.is_server_error() {
                    self.trouble(&code_of(&answer));
                    return Attempt::Unknown;
                }
                Attempt::Answered(answer)
            }
            Ok(Err(_)) => {
                self.trouble("broken");
                Attempt::Unknown
            }
            Err(_elapsed) => {
                self.trouble("timeout");
                Attempt::Unknown
            }
        }
    }

    /// Asks until there is an answer; `None` when the run is over first.
    pub(super) async fn insist(&mut self, call: &Call) -> Option<Answer> {
        self.may_be_under_way = false;
        loop {
            let attempt = self.attempt(call).await;
            self.may_be_under_way |= matches!(attempt, Attempt::Unknown);
            if let Attempt::Answered(answer) = attempt {
                return Some(answer);
            }
            if clock::monotonic() >= self.give_up_at {
                self.trouble("given_up");
                return None;
            }
            let pause = self.random.within(PAUSE_MS);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn trouble(&mut self, what: &str) {
        *self.troubles.entry(what.to_owned()).or_default() += 1;
    }
}

fn closes(answer: &Answer) -> bool {
    answer.headers.get("connection").is_some_and(|value| value == "close")
}

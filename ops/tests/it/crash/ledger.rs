//! What clients know of their own writes, and what the server must therefore say.
//!
//! **Invariants:** a write whose answer was lost is sent again under its key or id until it is
//! answered; one without either may have happened or not, and both are allowed, once.

use std::sync::atomic::{AtomicU64, Ordering};

use actors::ReservationId;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::client::{Answer, Ask, Broken, Client, Guest, Who};

const KEYED: &str = "tea-oolong-100";
const UNKEYED: &str = "tea-sencha-100";
const SET: &str = "cup-stoneware";
/// A resource keeps 256 keys; some are left for what is sent again.
const KEYS_PER_RESOURCE: u64 = 200;
/// How many of the latest answers are asked for again.
const REPLAYED: usize = 5;

/// An answered write under a key, to be repeated.
struct Kept {
    key: String,
    status: u16,
    body: Bytes,
}

/// One shopper with one cart at a time.
pub(crate) struct Shopper {
    nth: usize,
    carts: Vec<Cart>,
}

struct Cart {
    guest: Guest,
    /// Writes under a key, all of which count once.
    keyed: u64,
    /// The key of a write whose answer was lost.
    in_doubt: Option<String>,
    kept: Vec<Kept>,
    /// At least and at most this many writes without a key.
    unkeyed: (u64, u64),
    /// The last quantity that was set, and those that may have been set after it.
    set: (u64, u64),
    next: u64,
}

impl Shopper {
    pub(crate) fn new(nth: usize) -> Self {
        Self { nth, carts: Vec::new() }
    }

    /// Creates a cart under a key, twice: it is the same cart.
    pub(crate) async fn take_new_cart(&mut self, client: &mut Client, round: u64) {
        let key = format!("a-key-that-is-a-secret-of-its-own-{}-{round}", self.nth);
        let ask = Ask::post(Who::Nobody, "/store/v1/carts", json!({"currency": "EUR"})).keyed(key);
        let created = client.ask(ask.clone()).await.expect(201);
        let again = client.ask(ask).await.expect(201);
        assert!(again.is_replayed());
        assert_eq!(again.body, created.body);
        let guest = Guest::of(&created);
        let (keyed, unkeyed, set, next) = (0, (0, 0), (0, 0), 0);
        let (in_doubt, kept) = (None, Vec::new());
        self.carts.push(Cart { guest, keyed, in_doubt, kept, unkeyed, set, next });
    }

    pub(crate) async fn write_until_broken(&mut self, client: &mut Client, written: &AtomicU64) {
        let cart = self.carts.last_mut().expect("a cart");
        while let Ok(status) = cart.write(client).await {
            assert_eq!(status, 200, "a shopper asks for nothing that may be refused");
            written.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Compares every cart with what is known of it.
    pub(crate) async fn check(&mut self, client: &mut Client) {
        for cart in &mut self.carts {
            cart.check(client).await;
        }
    }
}

impl Cart {
    /// The next write; returns its status.
    async fn write(&mut self, client: &mut Client) -> Result<u16, Broken> {
        self.next += 1;
        match self.next % 3 {
            0 if self.keyed < KEYS_PER_RESOURCE => {
                let key = format!("key-{}", self.next);
                self.in_doubt = Some(key.clone());
                let answer = client.send(&self.keyed_add(&key)).await?;
                self.settle(key, &answer);
                Ok(answer.status.as_u16())
            }
            1 => {
                self.set.1 = self.next;
                let path = format!("{}/items/{SET}", self.guest.path());
                let body = json!({"quantity": self.next});
                let answer = client.send(&Ask::put(self.guest.who(), path, body)).await?;
                if answer.status == 200 {
                    self.set.0 = self.next;
                } else {
                    self.set.1 = self.set.0;
                }
                Ok(answer.status.as_u16())
            }
            _ => {
                self.unkeyed.1 += 1;
                let answer = client.send(&self.add(UNKEYED)).await?;
                if answer.status == 200 {
                    self.unkeyed.0 += 1;
                } else {
                    self.unkeyed.1 -= 1;
                }
                Ok(answer.status.as_u16())
            }
        }
    }

    fn add(&self, sku: &str) -> Ask<'_> {
        let items = format!("{}/items", self.guest.path());
        Ask::post(self.guest.who(), items, json!({"sku": sku, "quantity": 1}))
    }

    fn keyed_add(&self, key: &str) -> Ask<'_> {
        self.add(KEYED).keyed(key)
    }

    /// A write under a key has its answer.
    fn settle(&mut self, key: String, answer: &Answer) {
        self.in_doubt = None;
        let status = answer.status.as_u16();
        if status == 200 {
            self.keyed += 1;
            self.kept.push(Kept { key, status, body: answer.body.clone() });
        }
    }

    async fn check(&mut self, client: &mut Client) {
        if let Some(key) = self.in_doubt.take() {
            let answer = client.ask(self.keyed_add(&key)).await.expect(200);
            self.settle(key, &answer);
        }
        for kept in self.kept.iter().rev().take(REPLAYED) {
            let again = client.ask(self.keyed_add(&kept.key)).await.expect(kept.status);
            assert!(again.is_replayed(), "key {} was answered before", kept.key);
            assert_eq!(again.body, kept.body, "the same key has the same answer");
        }
        let cart = client.ask(Ask::get(self.guest.who(), self.guest.path())).await.expect(200);
        let cart = cart.json();
        assert_eq!(Guest::quantity(&cart, KEYED), self.keyed, "writes under a key count once");
        let unkeyed = Guest::quantity(&cart, UNKEYED);
        let (least, most) = self.unkeyed;
        assert!((least..=most).contains(&unkeyed), "{unkeyed} is not in {least}..={most}");
        self.unkeyed = (unkeyed, unkeyed);
        let set = Guest::quantity(&cart, SET);
        assert!(set == self.set.0 || set == self.set.1, "{set} was not set, {:?} was", self.set);
        self.set = (set, set);
    }
}

/// One SKU, whose pieces are reserved, sold and released.
pub(crate) struct Warehouse {
    sku: &'static str,
    /// Pieces stated at first; zero until then.
    stated: u64,
    sold: u64,
    /// Reservations of one piece each, that are open.
    open: Vec<String>,
    in_doubt: Option<Step>,
    acknowledged: u64,
    next: u64,
}

#[derive(Clone)]
enum Step {
    Reserve { id: String },
    Confirm { id: String },
    Release { id: String },
}

impl Warehouse {
    const STATED: u64 = 100_000;

    pub(crate) fn new(sku: &'static str) -> Self {
        let (stated, sold, open, in_doubt) = (0, 0, Vec::new(), None);
        Self { sku, stated, sold, open, in_doubt, acknowledged: 0, next: 0 }
    }

    pub(crate) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    pub(crate) async fn write_until_broken(&mut self, client: &mut Client, written: &AtomicU64) {
        loop {
            let step = self.next_step();
            self.in_doubt = Some(step.clone());
            let Ok(answer) = client.send(&self.ask(&step)).await else { return };
            self.settle(step, answer);
            self.acknowledged += 1;
            written.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes that many times.
    pub(crate) async fn write(&mut self, client: &mut Client, times: usize) {
        for _ in 0..times {
            assert!(self.is_taken(client, 507).await, "there is space");
        }
    }

    /// Writes until the server refuses with this status, which is as if nothing had been asked.
    pub(crate) async fn write_until_refused(&mut self, client: &mut Client, refusal: u16) {
        while self.is_taken(client, refusal).await {}
    }

    async fn is_taken(&mut self, client: &mut Client, refusal: u16) -> bool {
        let step = self.next_step();
        let answer = client.ask(self.ask(&step)).await;
        let is_taken = answer.status.as_u16() != refusal;
        if is_taken {
            self.settle(step, answer);
            self.acknowledged += 1;
        }
        is_taken
    }

    fn next_step(&mut self) -> Step {
        self.next += 1;
        let oldest = self.open.first().cloned();
        match (self.next % 4, oldest) {
            (2, Some(id)) => Step::Confirm { id },
            (3, Some(id)) => Step::Release { id },
            (_, _) => {
                let mut bytes = [0; 16];
                bytes[8..].copy_from_slice(&self.next.to_be_bytes());
                Step::Reserve { id: ReservationId::from_bytes(bytes).to_string() }
            }
        }
    }

    /// Every second one under a key; the others are known by the reservation's id.
    fn ask(&self, step: &Step) -> Ask<'static> {
        let reservations = format!("/admin/v1/inventory/{}/reservations", self.sku);
        let (ask, id) = match step {
            Step::Reserve { id } => {
                let body = json!({"id": id, "quantity": 1});
                (Ask::post(Who::Operator, reservations, body), id)
            }
            Step::Confirm { id } => {
                let path = format!("{reservations}/{id}/confirm");
                (Ask::post(Who::Operator, path, json!({})), id)
            }
            Step::Release { id } => {
                let path = format!("{reservations}/{id}/release");
                (Ask::post(Who::Operator, path, json!({})), id)
            }
        };
        if self.next.is_multiple_of(2) && self.next <= 2 * KEYS_PER_RESOURCE {
            ask.keyed(format!("{}-{id}", self.next))
        } else {
            ask
        }
    }

    #[track_caller]
    fn settle(&mut self, step: Step, answer: Answer) {
        self.in_doubt = None;
        match step {
            Step::Reserve { id } => {
                answer.expect(201);
                self.open.push(id);
            }
            Step::Confirm { id } => {
                answer.expect(200);
                self.open.retain(|open| *open != id);
                self.sold += 1;
            }
            Step::Release { id } => {
                answer.expect(200);
                self.open.retain(|open| *open != id);
            }
        }
    }

    /// Nothing is lost and nothing appears: what is there, and what was sold, is what was stated.
    pub(crate) async fn check(&mut self, client: &mut Client) {
        if self.stated == 0 {
            let path = format!("/admin/v1/inventory/{}/set", self.sku);
            let body = json!({"on_hand": Self::STATED, "reason": "first count"});
            client.ask(Ask::post(Who::Operator, path, body)).await.expect(200);
            self.stated = Self::STATED;
        }
        if let Some(step) = self.in_doubt.take() {
            let answer = client.ask(self.ask(&step)).await;
            self.settle(step, answer);
        }
        let level = self.read(client, "").await;
        assert_eq!(level["on_hand"], self.stated - self.sold, "{level}");
        assert_eq!(level["reserved"], self.open.len(), "{level}");
        assert_eq!(level["available"], self.stated - self.sold - self.open.len() as u64);
        let mut listed = self.listed(client).await;
        let mut open = self.open.clone();
        listed.sort_unstable();
        open.sort_unstable();
        assert_eq!(listed, open);
    }

    async fn listed(&self, client: &mut Client) -> Vec<String> {
        let mut listed = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.read(client, &format!("/reservations?limit=100{after}")).await;
            for reservation in page["data"].as_array().expect("a list") {
                listed.push(reservation["id"].as_str().expect("an id").to_owned());
            }
            let Some(cursor) = page["next_cursor"].as_str() else { return listed };
            after = format!("&after={cursor}");
        }
    }

    async fn read(&self, client: &mut Client, rest: &str) -> Value {
        let path = format!("/admin/v1/inventory/{}{rest}", self.sku);
        client.ask(Ask::get(Who::Operator, path)).await.expect(200).json()
    }
}

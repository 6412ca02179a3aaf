//! Shops without a cluster: what happens is done by one pair of hands, which may be clumsy.

use std::collections::{BTreeMap, VecDeque};

use actors::domain::{cart, sku};
use cluster::entity::{Catalogue, Context, Decision, Effect, Entity, Wire};
use cluster::ids::{EntityKey, EntityRef};
use cluster::shard::io::Reply;
use cluster::sim::client::Wish;

use super::*;

/// What is done wrong, mostly once in [`CLUMSY_ONE_IN`] times that it could be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// Nothing is wrong, and clients do not hear of what was done or was not.
    Silence,
    AddedTwice,
    AdditionLost,
    /// As `AdditionLost`, and the client is told of a cart that nobody else sees.
    AdditionShownAndLost,
    Oversold,
    SaleForgotten,
    ExpiryKeepsStock,
    LinesTakenTwice,
    RepeatDoneAgain,
    /// A repeat is told of an earlier place than the first request.
    RepeatToldOtherwise,
}

const CLUMSY_ONE_IN: u64 = 10;
const N_OPERATIONS: u64 = 1_500;

struct Entry<E> {
    state: E,
    seq: u64,
}

impl<E: Entity> Default for Entry<E> {
    fn default() -> Self {
        Self { state: E::default(), seq: 0 }
    }
}

/// All entities in one hand.
struct Hands {
    fault: Fault,
    random: SplitMix64,
    catalogue: Catalogue,
    carts: BTreeMap<EntityKey, Entry<Cart>>,
    skus: BTreeMap<EntityKey, Entry<Sku>>,
    tells: VecDeque<(EntityRef, Vec<u8>)>,
    kept: BTreeMap<[u8; 16], Reply>,
    index: u64,
    now: Timestamp,
}

enum Times {
    Never,
    Once,
    Twice,
}

impl Hands {
    fn new(fault: Fault, seed: u64) -> Self {
        Self {
            fault,
            random: SplitMix64::new(seed),
            catalogue: range::catalogue().unwrap(),
            carts: BTreeMap::new(),
            skus: BTreeMap::new(),
            tells: VecDeque::new(),
            kept: BTreeMap::new(),
            index: 0,
            now: Timestamp::from_micros(1_000_000_000),
        }
    }

    fn is_clumsy(&mut self, fault: Fault) -> bool {
        self.fault == fault && self.random.one_in(CLUMSY_ONE_IN)
    }

    /// What the client is told, if anything.
    fn carry_out(&mut self, operation: &Operation) -> Option<Reply> {
        if self.is_clumsy(Fault::Silence) {
            if self.random.one_in(2) {
                self.obey(operation);
            }
            return None;
        }
        Some(self.obey(operation))
    }

    fn obey(&mut self, Operation { entity, wish }: &Operation) -> Reply {
        self.index += 1;
        let reply = match wish {
            Wish::Query { body, .. } => self.show(entity, body),
            Wish::Command { key, body } => {
                let scope = key.map(|key| key.scope);
                let kept = scope.and_then(|scope| self.kept.get(&scope).cloned());
                match kept.filter(|_| self.fault != Fault::RepeatDoneAgain) {
                    Some(kept) if self.fault == Fault::RepeatToldOtherwise => {
                        return replayed(kept, 1);
                    }
                    Some(kept) => return replayed(kept, 0),
                    None => self.decide(entity, body),
                }
            }
        };
        if let Wish::Command { key: Some(key), .. } = wish
            && !is_momentary(&reply)
        {
            self.kept.insert(key.scope, reply.clone());
        }
        while let Some((to, command)) = self.tells.pop_front() {
            self.decide(&to, &command);
            if self.fault == Fault::LinesTakenTwice {
                self.take_again(&to, &command);
            }
        }
        reply
    }

    fn show(&mut self, entity: &EntityRef, query: &[u8]) -> Reply {
        let (ctx, index) = (context(self.now, entity, &self.catalogue), self.index);
        let (view, seq) = if entity.kind == Cart::KIND {
            let Entry { state, seq } = self.carts.entry(entity.key.clone()).or_default();
            (state.view(cart::Query::from_bytes(query).unwrap(), &ctx).to_bytes(), *seq)
        } else {
            let Entry { state, seq } = self.skus.entry(entity.key.clone()).or_default();
            (state.view(sku::Query::from_bytes(query).unwrap(), &ctx).to_bytes(), *seq)
        };
        Reply::Viewed { view, seq, index }
    }

    fn decide(&mut self, entity: &EntityRef, command: &[u8]) -> Reply {
        if entity.kind == Cart::KIND {
            self.fill(entity, command)
        } else {
            self.sell(entity, command)
        }
    }

    fn fill(&mut self, entity: &EntityRef, command: &[u8]) -> Reply {
        let command = cart::Command::from_bytes(command).unwrap();
        let is_addition = matches!(command, cart::Command::AddItems { .. });
        let (doubled, lost, hidden) = (
            is_addition && self.is_clumsy(Fault::AddedTwice),
            is_addition && self.is_clumsy(Fault::AdditionLost),
            is_addition && self.is_clumsy(Fault::AdditionShownAndLost),
        );
        let ctx = context(self.now, entity, &self.catalogue);
        let entry = self.carts.entry(entity.key.clone()).or_default();
        let times = match (doubled, lost || hidden) {
            (true, _) => Times::Twice,
            (false, true) => Times::Never,
            (false, false) => Times::Once,
        };
        let before = entry.state.clone();
        let mut reply = apply(entry, command, &ctx, self.index, &mut self.tells, &times);
        if let (true, Reply::Accepted { reply: Some(told), seq, .. }) = (lost, &mut reply) {
            *told = before.view(cart::Query::Cart, &ctx).to_bytes();
            *seq = entry.seq;
        }
        reply
    }

    fn sell(&mut self, entity: &EntityRef, command: &[u8]) -> Reply {
        let command = sku::Command::from_bytes(command).unwrap();
        let is_sale = matches!(command, sku::Command::Confirm { .. });
        let forgets = is_sale && self.is_clumsy(Fault::SaleForgotten);
        let mut reserve = None;
        if let sku::Command::Reserve { id, quantity, expires_at, .. } = &command {
            let (id, quantity, expires_at) = (*id, *quantity, *expires_at);
            reserve = Some(sku::ReservationView { id, quantity, holder: None, expires_at });
        }
        let ctx = context(self.now, entity, &self.catalogue);
        let entry = self.skus.entry(entity.key.clone()).or_default();
        let times = if forgets { Times::Never } else { Times::Once };
        let reply = apply(entry, command, &ctx, self.index, &mut self.tells, &times);
        let (Some(reservation), Reply::Rejected { rejection, seq, index, .. }) = (reserve, &reply)
        else {
            return reply;
        };
        let is_sold_out =
            matches!(sku::Rejection::from_bytes(rejection), Ok(sku::Rejection::OutOfStock { .. }));
        let (seq, index) = (*seq, *index);
        let sku::View::Level(level) = entry.state.view(sku::Query::Level, &ctx) else {
            return reply;
        };
        if !is_sold_out || !self.is_clumsy(Fault::Oversold) {
            return reply;
        }
        let reserved = level.reserved.plus(reservation.quantity.into()).unwrap();
        let level = sku::Level { reserved, ..level };
        let oversold = sku::Reply { level, reservation: Some(reservation) };
        Reply::Accepted { reply: Some(oversold.to_bytes()), seq, index, replayed: false }
    }

    /// As if the cart had forgotten that it took these lines.
    fn take_again(&mut self, entity: &EntityRef, command: &[u8]) {
        let Ok(cart::Command::Merge { lines, .. }) = cart::Command::from_bytes(command) else {
            return;
        };
        let again = cart::Command::AddItems { items: lines };
        self.fill(entity, &again.to_bytes());
    }
}

fn replayed(mut reply: Reply, earlier: u64) -> Reply {
    if let Reply::Accepted { replayed, index, .. } | Reply::Rejected { replayed, index, .. } =
        &mut reply
    {
        (*replayed, *index) = (true, *index - earlier);
    }
    reply
}

fn is_momentary(reply: &Reply) -> bool {
    let Reply::Rejected { rejection, .. } = reply else { return false };
    cart::Rejection::from_bytes(rejection).is_ok_and(|why| Cart::is_momentary(&why))
}

fn context<'a>(now: Timestamp, me: &'a EntityRef, catalogue: &'a Catalogue) -> Context<'a> {
    Context { now, me, entropy: [0; 32], catalogue: Ok(catalogue) }
}

fn apply<E: Entity>(
    entry: &mut Entry<E>,
    command: E::Command,
    ctx: &Context<'_>,
    index: u64,
    tells: &mut VecDeque<(EntityRef, Vec<u8>)>,
    times: &Times,
) -> Reply {
    let again = command.to_bytes();
    let (replayed, before) = (false, entry.seq);
    let Decision { events, effects, reply } = match entry.state.decide(command, ctx) {
        Ok(decision) => decision,
        Err(rejection) => {
            let rejection = rejection.to_bytes();
            return Reply::Rejected { rejection, seq: before, index, replayed };
        }
    };
    let seq = before + u64::from(!events.is_empty());
    let reply = Reply::Accepted { reply: Some(reply.to_bytes()), seq, index, replayed };
    if let Times::Never = times {
        return reply;
    }
    events.iter().for_each(|event| entry.state.apply(event));
    entry.seq = seq;
    for effect in effects {
        if let Effect::Tell { to, command } = effect {
            tells.push_back((to, command));
        }
    }
    if let Times::Twice = times {
        apply(entry, E::Command::from_bytes(&again).unwrap(), ctx, index, tells, &Times::Once);
    }
    reply
}

/// What the judges say of a shop with such hands.
fn outcome(fault: Fault, seed: u64) -> Result<Counts, String> {
    let counts = SharedCounts::default();
    let (mut shop, mut hands) = (Shop::new(Arc::clone(&counts)), Hands::new(fault, seed));
    let mut random = SplitMix64::new(seed);
    let tell = |shop: &mut Shop, op: u64, invoked_at, done_at, reply| {
        shop.finish(Finished { op, invoked_at, done_at, reply, retried: false })
    };
    for op in 0..N_OPERATIONS {
        let operation = shop.draw(op, hands.now, &mut random);
        let reply = hands.carry_out(&operation);
        let invoked_at = hands.now;
        hands.now = hands.now.plus(Span::from_millis(20));
        tell(&mut shop, op, invoked_at, hands.now, reply)?;
    }
    hands.now = hands.now.plus(Span::from_secs(60));
    for (op, audit) in (N_OPERATIONS..).zip(shop.audits(N_OPERATIONS)) {
        let mut reply = hands.obey(&audit);
        if let (Fault::ExpiryKeepsStock, Reply::Viewed { view, .. }) = (fault, &mut reply)
            && let Ok(sku::View::Level(level)) = sku::View::from_bytes(view)
            && audit.entity.kind == Sku::KIND
        {
            *view = sku::View::Level(stuck(level)).to_bytes();
        }
        tell(&mut shop, op, hands.now, hands.now, Some(reply))?;
    }
    shop.judge()?;
    let found = *counts.lock().unwrap();
    Ok(found)
}

/// One piece more is reserved than anybody holds.
fn stuck(level: sku::Level) -> sku::Level {
    let one = actors::Units::try_from(1).unwrap();
    match level.available.minus(one) {
        Some(available) => {
            sku::Level { available, reserved: level.reserved.plus(one).unwrap(), ..level }
        }
        None => level,
    }
}

/// A fault is always found, and by this judge where no other was before it.
#[track_caller]
fn is_found(fault: Fault, told: &str) {
    let found = |seed| outcome(fault, seed).expect_err("a fault");
    let found: Vec<_> = (0..10).map(found).collect();
    assert!(found.iter().any(|why| why.contains(told)), "{fault:?} was told as: {found:#?}");
}

#[test]
fn what_is_done_right_is_right_and_everything_happens() {
    let mut all = Counts::default();
    for seed in 0..20 {
        let found = outcome(Fault::None, seed);
        all = all.plus(found.unwrap_or_else(|why| panic!("seed {seed}: {why}")));
    }
    let never: Vec<_> = all.named().into_iter().filter(|(_, count)| *count == 0).collect();
    assert_eq!(never, [("shop_unknown", 0)]);
}

#[test]
fn what_nobody_heard_of_may_have_been_done_or_not() {
    for seed in 0..20 {
        let found = outcome(Fault::Silence, seed);
        assert!(found.unwrap_or_else(|why| panic!("seed {seed}: {why}")).unknown > 50);
    }
}

#[test]
fn an_addition_that_is_done_twice_is_found() {
    is_found(Fault::AddedTwice, "holds");
}

#[test]
fn an_addition_that_is_lost_is_found() {
    is_found(Fault::AdditionLost, "made");
    is_found(Fault::AdditionShownAndLost, "saw another cart");
}

#[test]
fn a_stock_that_is_oversold_is_found() {
    is_found(Fault::Oversold, "the stock of product");
}

#[test]
fn stock_that_is_not_accounted_for_is_found() {
    is_found(Fault::SaleForgotten, "knew");
    is_found(Fault::ExpiryKeepsStock, "are held");
}

#[test]
fn lines_that_are_moved_twice_are_found() {
    is_found(Fault::LinesTakenTwice, "were added for sure");
}

#[test]
fn a_key_with_two_answers_is_found() {
    is_found(Fault::RepeatDoneAgain, "is there twice");
    is_found(Fault::RepeatToldOtherwise, "instead of");
}

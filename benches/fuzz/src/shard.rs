//! What a shard keeps: entries, its own record, the records of entities and their addresses.

use actors::domain::cart::{self, Cart};
use actors::domain::ids::{CartAccess, CartId};
use actors::domain::sku::{self, Sku};
use cluster::entity::{DecodeError, Wire};
use cluster::fabric::Precondition;
use cluster::ids::{EntityRef, Incarnation, NodeId, ShardId, Slot};
use cluster::placement::shard_map::ShardMap;
use cluster::replication::group::GroupState;
use cluster::shard::contents::{Content, rewritten};
use cluster::shard::core::{Base, ShardConfig, ShardCore};
use cluster::shard::entry::CommandId;
use cluster::shard::io::{Command, Input, Output};
use cluster::shard::kind::Kinds;
use cluster::shard::walk::{Walk, Walked};
use cluster::time::{Span, Timestamp};
use storage::codec;
use storage::log::Record;

use crate::allocation::bounded;
use crate::world::{choosing, chosen};

/// Every list in a value may reserve this much before its elements are found missing.
const FIXED_BYTES: usize = 8 << 20;
const NOON: Timestamp = Timestamp::from_micros(1_000_000);
const HEADER_KEY: &[u8] = b"header";

fn kinds() -> Kinds {
    Kinds::default().with::<Cart>().with::<Sku>()
}

fn cart() -> EntityRef {
    Cart::address(CartId::in_slot(Slot::from_bits(1), [7; 14]))
}

fn tea() -> EntityRef {
    Sku::address(&"tea".parse().expect("a sku"))
}

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    let kinds = kinds();
    let (cart_key, tea_key) = (codec::encode(&cart()), codec::encode(&tea()));
    let record = |key| Content::Record { key, kinds: &kinds };
    match choice {
        0 => same(Content::Entry, bytes),
        1 => {
            let restored =
                bounded(bytes.len(), FIXED_BYTES, || Base::default().restore_header(bytes).is_ok());
            assert_eq!(restored, settles(record(HEADER_KEY), bytes));
        }
        2 => entity(record(&cart_key), cart(), bytes, &kinds),
        3 => entity(record(&tea_key), tea(), bytes, &kinds),
        4 => same(Content::Address, bytes),
        // Of these an older format is read, too.
        5 => drop(settles(Content::Members, bytes)),
        _ => drop(settles(Content::Coverage, bytes)),
    }
}

/// What decodes has exactly these bytes.
fn same(content: Content<'_>, bytes: &[u8]) {
    if let Ok(again) = read(content, bytes) {
        assert_eq!(again, bytes);
    }
}

/// What decodes has bytes that are their own: maps may have stood in another order.
fn settles(content: Content<'_>, bytes: &[u8]) -> bool {
    let Ok(again) = read(content, bytes) else { return false };
    assert_eq!(read(content, &again).as_ref(), Ok(&again));
    true
}

fn read(content: Content<'_>, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    bounded(bytes.len(), FIXED_BYTES, || rewritten(content, bytes))
}

/// The ways in which a shard takes a record agree.
fn entity(content: Content<'_>, entity: EntityRef, bytes: &[u8], kinds: &Kinds) {
    let mut base = Base::default();
    let hot = base.restore_hot(entity.clone(), bytes, kinds).is_ok();
    assert_eq!(hot, settles(content, bytes));
    let cold = Base::default().restore_cold(entity, 1, bytes).is_ok();
    assert!(cold || !hot, "a state index could hold what memory can");
}

/// A shard that decided a few commands, and all it put into its log meanwhile.
fn busy_shard() -> (ShardCore, Vec<Vec<u8>>) {
    let config = ShardConfig {
        id: ShardId(0),
        node: NodeId(1),
        incarnation: Incarnation(1),
        shards: ShardMap::even(1).expect("one shard"),
        kinds: kinds(),
        resident_bytes_max: 1 << 30,
        entry_bytes_max: 1 << 20,
        log_cache_bytes_max: 1 << 20,
        rests_after: None,
        seed: [7; 32],
    };
    let state = GroupState::new(&[NodeId(1)]);
    let mut core = ShardCore::restart(config, Base::default(), state).expect("a new group");
    let (mut out, mut payloads) = (Vec::new(), Vec::new());
    core.start(NOON, &mut out);
    settle(&mut core, &mut out, &mut payloads);
    for (number, (entity, body)) in (1..).zip(commands()) {
        let id = CommandId { router: 1, number };
        let (not_after, key) = (NOON.plus(Span::from_secs(10)), key(number));
        let settled_below = number.saturating_sub(2);
        let precondition = Precondition::None;
        let command =
            Command { entity, id, settled_below, not_after, key, precondition, body, origin: None };
        core.step(NOON, Input::Command { token: number, command }, &mut out);
        core.flush(NOON, &mut out);
        settle(&mut core, &mut out, &mut payloads);
    }
    (core, payloads)
}

/// Every second command comes under a key.
fn key(number: u64) -> Option<cluster::fabric::OutcomeKey> {
    let not_after = NOON.plus(Span::from_secs(86_400));
    let scope = [u8::try_from(number).expect("few"); 16];
    (number % 2 == 0).then_some(cluster::fabric::OutcomeKey { scope, request: [1; 16], not_after })
}

fn commands() -> Vec<(EntityRef, Vec<u8>)> {
    let currency = "EUR".parse().expect("a currency");
    let create =
        |byte| cart::Command::Create { currency, access: CartAccess::from_hash([byte; 32]) };
    let other = CartId::in_slot(Slot::from_bits(2), [9; 14]);
    let reason = |text: &str| text.to_owned().try_into().expect("a reason");
    let give_up = cart::Command::GiveUpLines { to: other, strategy: cart::MergeStrategy::Sum };
    let on_hand = 9_u32.try_into().expect("units");
    let reserve = sku::Command::Reserve {
        id: actors::ReservationId::from_bytes([3; 16]),
        quantity: 2_u32.try_into().expect("a quantity"),
        holder: None,
        expires_at: Some(NOON.plus(Span::from_secs(60))),
    };
    vec![
        (cart(), create(1).to_bytes()),
        (cart(), create(2).to_bytes()),
        (tea(), sku::Command::SetOnHand { on_hand, reason: reason("count") }.to_bytes()),
        (tea(), reserve.to_bytes()),
        (cart(), give_up.to_bytes()),
        (cart(), cart::Command::Delete.to_bytes()),
    ]
}

/// Makes everything durable that the shard wants logged, until it wants nothing more.
fn settle(core: &mut ShardCore, out: &mut Vec<Output>, payloads: &mut Vec<Vec<u8>>) {
    while !out.is_empty() {
        for output in std::mem::take(out) {
            match output {
                Output::Append { number, records } => {
                    payloads.extend(records.iter().filter_map(|record| match record {
                        Record::Entry(entry) => Some(entry.payload.to_vec()),
                        _ => None,
                    }));
                    core.step(NOON, Input::Persisted { number }, out);
                }
                Output::Load { entity } => {
                    core.step(NOON, Input::Loaded { entity, stored: None }, out);
                }
                Output::Tell { tell, .. } => core.step(NOON, Input::Told(tell), out),
                _ => {}
            }
            core.flush(NOON, out);
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    let (core, payloads) = busy_shard();
    let mut seeds: Vec<_> = payloads.iter().map(|payload| choosing(0, payload)).collect();
    seeds.push(choosing(1, &core.stored_header().expect("a small header").bytes));
    for walked in core.walk_step(Walk::All, None).walked {
        let Walked::Record { entity, stored } = walked else { continue };
        let choice = if entity.kind == cart().kind { 2 } else { 3 };
        seeds.push(choosing(choice, &stored.bytes));
        seeds.push(choosing(4, &codec::encode(&entity)));
    }
    seeds.push(choosing(5, &codec::encode(&vec![1_u64, 2, 3])));
    seeds.push(choosing(6, &codec::encode(&(vec![1_u64], Some(9_u64)))));
    assert!(seeds.len() > 12, "only {} seeds", seeds.len());
    seeds
}

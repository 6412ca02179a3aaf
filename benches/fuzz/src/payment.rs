//! Everything a payment has as bytes, what its provider is asked and answers; and that a state which
//! decodes can go on living.

use actors::domain::ids::{CaptureId, PaymentId, RefundId};
use actors::domain::payment::{
    Command, Event, Fact, Lookup, Outcome, Payment, ProviderAnswer, ProviderRequest, Query,
    Refusal, Rejection,
};
use actors::{Currency, Money};
use cluster::entity::{Context, Entity, NoCatalogue, Wire};
use cluster::ids::Slot;
use cluster::time::Timestamp;

use crate::world::{choosing, choosing_each, chosen};
use crate::{golden, wire};

const NOON: Timestamp = Timestamp::from_micros(0x0506_0708);
const KINDS: u8 = 8;
/// Names the refunds of a cancellation, as no other is named.
const ENTROPY: [u8; 32] = [0xE7; 32];

/// # Panics
/// If a decoder breaks a promise.
pub fn check(bytes: &[u8]) {
    let (choice, bytes) = chosen(bytes);
    match choice {
        0 => wire::value::<Command>(bytes),
        1 => wire::value::<Event>(bytes),
        2 => wire::value::<Rejection>(bytes),
        3 => wire::value::<Query>(bytes),
        4 => wire::value::<Lookup>(bytes),
        5 => wire::value::<ProviderRequest>(bytes),
        6 => wire::value::<ProviderAnswer>(bytes),
        _ => {
            if let Some(payment) = wire::record::<Payment>(bytes) {
                live_on(&payment);
            }
        }
    }
}

/// Whatever is asked of a decoded payment, its state is one that decodes.
fn live_on(payment: &Payment) {
    let me = Payment::address(PaymentId::in_slot(Slot::from_bits(1), [7; 14]));
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &me, entropy: ENTROPY, catalogue };
    let view = payment.view(Query::Payment, &ctx);
    assert_eq!(Lookup::from_bytes(&view.to_bytes()), Ok(view.clone()));
    let under_way = view.0.and_then(|view| view.under_way);
    let number = under_way.map_or(1, |operation| operation.number.get());
    wire::goes_on(payment, commands(number), &ctx);
}

fn commands(number: u32) -> Vec<Command> {
    let amount = Money { minor: 3, currency: Currency::EURO };
    let (capture, refund) = (CaptureId::from_bytes([0x71; 16]), RefundId::from_bytes([0x72; 16]));
    let operation = number.try_into().expect("a number");
    let reference = || "done".parse().expect("a reference");
    let answered = |outcome| Command::Answered(ProviderAnswer { operation, outcome });
    let notified = |fact| Command::Notified { event: "evt".parse().expect("an event"), fact };
    vec![
        Command::Authorise,
        Command::Capture { capture, amount },
        Command::CaptureByHand { capture, amount },
        Command::Refund { refund, amount },
        Command::Cancel,
        Command::VoidByHand,
        Command::CheckRefunds,
        answered(Outcome::Done { reference: reference() }),
        answered(Outcome::Pending { reference: reference() }),
        answered(Outcome::Refused(Refusal::Declined)),
        notified(Fact::Done { operation, reference: reference(), amount: None }),
        notified(Fact::Refused { operation }),
    ]
}

pub fn seeds() -> Vec<Vec<u8>> {
    let golden = golden::bytes_in(include_str!("../../../actors/src/codec/golden/payment.rs"));
    let mut seeds = choosing_each(KINDS, &golden);
    let me = Payment::address(PaymentId::in_slot(Slot::from_bits(1), [7; 14]));
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: NOON, me: &me, entropy: ENTROPY, catalogue };
    let states = golden.iter().filter_map(|bytes| Payment::from_record(bytes).ok());
    let views = states.map(|state| state.view(Query::Payment, &ctx).to_bytes());
    seeds.extend(views.map(|view| choosing(4, &view)));
    seeds
}

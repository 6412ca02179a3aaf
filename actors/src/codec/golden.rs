//! The bytes of every version, checked in: whoever changes a shipped type fails here.

mod audit;
mod carriers;
mod cart;
mod catalogue;
mod codes;
mod corrections;
mod entries;
mod exchanges;
mod first_orders;
mod fraud;
mod gift_card_lists;
mod gift_cards;
mod imports;
mod order;
mod order_lists;
mod order_records;
mod payment;
mod promotions;
mod published;
mod sellers;
mod sku;
mod vouchers;

use std::fmt::Debug;

use cluster::entity::{DecodeError, Entity, Wire};
use cluster::ids::EntityKey;
use cluster::time::Timestamp;
use proptest::prelude::*;

use crate::domain::cart::{self as cart_domain, Cart};
use crate::domain::ids::{CartId, ReservationId};
use crate::domain::sku::{self as sku_domain, Sku};

const AT: Timestamp = Timestamp::from_micros(0x0102_0304);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.chars().map(|digit| digit.to_digit(16).unwrap()).collect();
    digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).unwrap()).collect()
}

/// The variant's number is taken from the bytes, so the list must be complete and in order.
#[track_caller]
fn check<T: Wire + PartialEq + Debug>(values: &[T], golden: &str) {
    for (at, value) in values.iter().enumerate() {
        assert_eq!(usize::from(value.to_bytes()[2]), at, "{value:?} is not variant {at}");
    }
    check_each(values, golden);
}

/// Of several values of one variant.
#[track_caller]
fn check_each<T: Wire + PartialEq + Debug>(values: &[T], golden: &str) {
    let golden: Vec<_> = golden.split_whitespace().collect();
    for (at, value) in values.iter().enumerate() {
        let (bytes, expected) = (value.to_bytes(), golden.get(at).copied().unwrap_or_default());
        assert_eq!(hex(&bytes), expected, "{value:?}");
        assert_eq!(T::from_bytes(&unhex(expected)).as_ref(), Ok(value));
    }
    assert_eq!(values.len(), golden.len());
}

/// Of a type without variants.
#[track_caller]
fn check_whole<T: Wire + PartialEq + Debug>(value: &T, golden: &str) {
    assert_eq!(hex(&value.to_bytes()), golden);
    assert_eq!(T::from_bytes(&unhex(golden)).as_ref(), Ok(value));
}

/// Bytes of an earlier version, which are read for ever and written no more.
#[track_caller]
fn check_read<T: Wire + PartialEq + Debug>(values: &[T], golden: &str) {
    let golden: Vec<_> = golden.split_whitespace().collect();
    for (value, bytes) in values.iter().zip(&golden) {
        assert_eq!(T::from_bytes(&unhex(bytes)).as_ref(), Ok(value));
    }
    assert_eq!(values.len(), golden.len());
}

#[track_caller]
fn check_record<E: Entity + PartialEq + Debug>(state: &E, golden: &str) {
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(hex(&state.to_record()), golden);
    assert_eq!(E::from_record(&unhex(&golden)).as_ref(), Ok(state));
}

#[track_caller]
fn check_record_read<E: Entity + PartialEq + Debug>(state: &E, golden: &str) {
    let golden: String = golden.split_whitespace().collect();
    assert_eq!(E::from_record(&unhex(&golden)).as_ref(), Ok(state));
}

#[track_caller]
fn check_refused<T: Debug>(decoded: Result<T, DecodeError>, why: &str) {
    let error = decoded.unwrap_err();
    assert!(error.why.contains(why), "{error}");
}

fn cart_id(byte: u8) -> CartId {
    CartId::try_from(&EntityKey::Number([byte; 16])).unwrap()
}

fn reservation(byte: u8) -> ReservationId {
    ReservationId::from_bytes([byte; 16])
}

/// Whatever decodes is a value with exactly these bytes.
fn decodes_to_itself(bytes: &[u8]) {
    catalogue::decodes_to_itself(bytes);
    payment::decodes_to_itself(bytes);
    order::decodes_to_itself(bytes);
    order_lists::decodes_to_itself(bytes);
    audit::decodes_to_itself(bytes);
    imports::decodes_to_itself(bytes);
    entries::decodes_to_itself(bytes);
    promotions::decodes_to_itself(bytes);
    published::decodes_to_itself(bytes);
    codes::decodes_to_itself(bytes);
    carriers::decodes_to_itself(bytes);
    fraud::decodes_to_itself(bytes);
    gift_card_lists::decodes_to_itself(bytes);
    gift_cards::decodes_to_itself(bytes);
    sellers::decodes_to_itself(bytes);
    if let Ok(event) = cart_domain::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(command) = cart_domain::Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(event) = sku_domain::Event::from_bytes(bytes) {
        assert_eq!(event.to_bytes(), bytes);
    }
    if let Ok(command) = sku_domain::Command::from_bytes(bytes) {
        assert_eq!(command.to_bytes(), bytes);
    }
    if let Ok(state) = Cart::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
    }
    if let Ok(state) = Sku::from_record(bytes) {
        assert_eq!(state.to_record(), bytes);
        assert!(state.reserved <= state.on_hand.unwrap_or_default());
    }
}

fn all_samples() -> Vec<Vec<u8>> {
    let shop = [cart::samples(), sku::samples(), catalogue::samples(), entries::samples()];
    let sold = [payment::samples(), order::samples(), order_records::samples()];
    let told = [imports::samples(), promotions::samples(), codes::samples(), published::samples()];
    let asked = [carriers::samples(), fraud::samples(), gift_cards::samples()];
    let told = [told.concat(), order_lists::samples(), asked.concat()];
    let told = [told.concat(), audit::samples(), sellers::samples(), corrections::samples()];
    let told = [told.concat(), vouchers::samples(), exchanges::samples()];
    let told = [told.concat(), gift_card_lists::samples()];
    [shop.concat(), sold.concat(), told.concat()].concat()
}

proptest! {
    #[test]
    fn no_bytes_are_taken_for_another_value(
        noise in prop::collection::vec(any::<u8>(), 0..300),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        decodes_to_itself(&noise);
        for version in [1, 2] {
            let versioned: Vec<u8> = [version, 0].into_iter().chain(noise.iter().copied()).collect();
            decodes_to_itself(&versioned);
        }
        for mut valid in all_samples() {
            let at = at.index(valid.len());
            valid[at] = to;
            decodes_to_itself(&valid);
            decodes_to_itself(&valid[..at]);
        }
    }
}

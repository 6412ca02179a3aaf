//! Values of the domain as bytes: one check for all of them.

use std::fmt::Debug;

use cluster::entity::{Context, Entity, Wire};

use crate::allocation::bounded;

/// Every list in a value may reserve this much before its elements are found missing.
pub(crate) const FIXED_BYTES: usize = 8 << 20;

/// Whatever decodes is a value with exactly these bytes.
pub(crate) fn value<T: Wire + PartialEq + Debug>(bytes: &[u8]) {
    if let Ok(value) = bounded(bytes.len(), FIXED_BYTES, || T::from_bytes(bytes)) {
        assert_eq!(value.to_bytes(), bytes, "{value:?}");
    }
}

/// Whatever decodes is a state with exactly these bytes.
pub(crate) fn record<E: Entity + PartialEq + Debug>(bytes: &[u8]) -> Option<E> {
    let state = bounded(bytes.len(), FIXED_BYTES, || E::from_record(bytes)).ok()?;
    assert_eq!(state.to_record(), bytes, "{state:?}");
    assert!(state.heap_bytes() < FIXED_BYTES);
    Some(state)
}

/// Whatever a decoded state decides, the state after it is one that decodes.
pub(crate) fn goes_on<E: Entity + PartialEq + Debug>(
    state: &E,
    commands: Vec<E::Command>,
    ctx: &Context<'_>,
) {
    for command in commands {
        let Ok(decision) = state.decide(command, ctx) else { continue };
        let mut after = state.clone();
        decision.events.iter().for_each(|event| after.apply(event));
        assert_eq!(E::from_record(&after.to_record()), Ok(after));
    }
}

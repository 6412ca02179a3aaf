//! What is put right of an order that was bought: whom it is for, and where it goes.
//!
//! **Invariants:** what was placed stays as it was; a corrected address is one that the order was priced
//! for, so that its taxes are right; nothing is said of pieces that are on their way.
//!
//! Lists keep the order where it was placed: under the e-mail address that it had then.

use serde::{Deserialize, Serialize};

use super::{Course, Event, Existing, Rejection};
use crate::domain::contact::{Address, Contact, Email};

/// What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Correction {
    pub email: Option<Email>,
    pub shipping: Option<Address>,
    pub billing: Option<Address>,
}

impl Correction {
    fn of(&self, contact: &Contact) -> Contact {
        Contact {
            email: self.email.clone().or_else(|| contact.email.clone()),
            shipping: self.shipping.clone().unwrap_or_else(|| contact.shipping.clone()),
            billing: self.billing.clone().or_else(|| contact.billing.clone()),
        }
    }
}

impl Course {
    pub(super) fn correct(&mut self, correction: &Correction) -> Result<(), Rejection> {
        let order = self.confirmed()?;
        let contact = correction.of(order.contact());
        if contact == *order.contact() {
            return Ok(());
        }
        if order.contact().shipping != contact.shipping {
            if !order.was_priced_for(&contact.shipping) {
                return Err(Rejection::OtherDestination);
            }
            if !order.has_unshipped() {
                return Err(Rejection::AlreadyShipped);
            }
        }
        self.happen(Event::Corrected { contact: Box::new(contact), at: self.now });
        Ok(())
    }
}

impl Existing {
    /// As it was placed, unless it was corrected since.
    pub(super) fn contact(&self) -> &Contact {
        self.corrected.as_deref().unwrap_or(&self.placed.terms.contact)
    }

    pub(super) fn was_priced_for(&self, to: &Address) -> bool {
        let placed = &self.placed.terms.contact.shipping;
        (to.country, &to.region) == (placed.country, &placed.region)
    }
}

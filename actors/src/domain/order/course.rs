//! One decision of an order: what happens, one event after the other, and what is to be done.

use cluster::entity::{Decision, Effect, TimerName, Wire};
use cluster::time::{Span, Timestamp};

use super::{Event, Existing, Lookup, Order, Rejection, Status, facts};
use crate::domain::cart::{self, Cart};
use crate::domain::ids::{OrderId, SkuCode};
use crate::domain::names::SellerId;
use crate::domain::payment::{self, Payment};
use crate::domain::seller_board::Consignment;
use crate::domain::sku::{self, OrderStep, Sku};
use cluster::entity::Entity;

pub(super) struct Course {
    pub(super) me: OrderId,
    pub(super) now: Timestamp,
    /// As its lists show it.
    pub(super) before: Option<Status>,
    /// As its sellers' boards show it.
    pub(super) consigned: Vec<(SellerId, Consignment)>,
    /// The order as the events so far make it.
    after: Order,
    events: Vec<Event>,
    effects: Vec<Effect>,
    /// What the world is told, after everybody who has a part in it.
    published: Vec<Effect>,
}

impl Course {
    pub(super) fn new(me: OrderId, before: Order, now: Timestamp) -> Self {
        let (events, effects, published) = (Vec::new(), Vec::new(), Vec::new());
        let after = before;
        let before = after.existing.as_ref().map(|order| order.status());
        let consigned = after.existing.iter().flat_map(|order| order.consignments());
        let consigned = consigned.map(|(seller, it)| (seller.clone(), it)).collect();
        Self { me, now, before, consigned, after, events, effects, published }
    }

    pub(super) fn order(&self) -> Option<&Existing> {
        self.after.existing.as_deref()
    }

    pub(super) fn found(&self) -> Result<&Existing, Rejection> {
        self.order().ok_or(Rejection::NotFound)
    }

    pub(super) fn happen(&mut self, event: Event) {
        self.after.apply(&event);
        let fact = self.order().and_then(|order| facts::fact_of(&event, order));
        self.published.extend(fact.map(Effect::from));
        self.events.push(event);
    }

    pub(super) fn has_happened(&self) -> bool {
        !self.events.is_empty()
    }

    pub(super) fn tell_stock(&mut self, sku: &SkuCode, step: OrderStep) {
        let command = sku::Command::ForOrder { order: self.me, step }.to_bytes();
        self.effects.push(Effect::Tell { to: Sku::address(sku), command });
    }

    pub(super) fn tell_payment(&mut self, command: &payment::Command) {
        let Some(payment) = self.order().map(|order| order.payment) else { return };
        let (to, command) = (Payment::address(payment), command.to_bytes());
        self.effects.push(Effect::Tell { to, command });
    }

    pub(super) fn tell_cart(&mut self, command: &cart::Command) {
        let Some(cart) = self.order().map(|order| order.cart) else { return };
        let (to, command) = (Cart::address(cart), command.to_bytes());
        self.effects.push(Effect::Tell { to, command });
    }

    /// What it asks of its payment is named by its own id; the first of a kind is the id itself.
    pub(super) fn name_of(&self, nth: usize) -> [u8; 16] {
        let mut name = *self.me.as_bytes();
        let [first, ..] = &mut name;
        *first ^= u8::try_from(nth).unwrap_or(u8::MAX);
        name
    }

    pub(super) fn does(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn set_timer(&mut self, name: TimerName, after: Span) {
        self.effects.push(Effect::SetTimer { name, at: self.now.plus(after) });
    }

    pub(super) fn cancel_timer(&mut self, name: TimerName) {
        self.effects.push(Effect::CancelTimer { name });
    }

    pub(super) fn decision(self) -> Decision<Order> {
        let reply = Lookup(self.after.existing.as_ref().map(|order| order.view(self.me)));
        let effects = self.effects.into_iter().chain(self.published).collect();
        Decision { events: self.events, effects, reply }
    }
}

//! What the simulator has done: its own account, to be compared with the orders'.
//!
//! **Invariants:** an operation is done once, whatever key it comes under; of an authorisation
//! `refunded <= captured` and `captured + held <= authorised`; an entry never changes.

use std::collections::BTreeMap;

use actors::Money;
use actors::domain::payment::ProviderReference;

use super::behaviour::Behaviour;
use super::wire::{Entry, Operation, Reason, Reference, ReferenceText, Result, SimulatedAction};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    by_reference: BTreeMap<Reference, usize>,
    by_key: BTreeMap<String, usize>,
    accounts: BTreeMap<ProviderReference, Account>,
}

/// One authorisation.
#[derive(Clone, Copy, Debug)]
struct Account {
    held: Money,
    captured: i64,
    refunded: i64,
}

/// What is to be done about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decided {
    /// Done before: this is what it came to.
    Known(Entry),
    /// To be written down, and then to be added.
    New(Entry),
}

/// The key or the reference stands for another operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict;

impl Ledger {
    /// All there are, in order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn find(&self, reference: Reference) -> Option<&Entry> {
        self.by_reference.get(&reference).and_then(|at| self.entries.get(*at))
    }

    pub(crate) fn decide(
        &self,
        behaviour: &Behaviour,
        key: &str,
        operation: &Operation,
    ) -> std::result::Result<Decided, Conflict> {
        let under_key = self.by_key.get(key).and_then(|at| self.entries.get(*at));
        if let Some(known) = under_key.or_else(|| self.find(operation.reference)) {
            let is_same = known.operation == *operation;
            return if is_same { Ok(Decided::Known(known.clone())) } else { Err(Conflict) };
        }
        let result = match self.refusal(behaviour, operation) {
            Some(reason) => Result::Refused { reason },
            None => Result::Done { id: id(operation) },
        };
        let number = u64::try_from(self.entries.len()).map_or(u64::MAX, |len| len + 1);
        let (key, operation) = (key.to_owned(), operation.clone());
        Ok(Decided::New(Entry { number, key, operation, result }))
    }

    fn refusal(&self, behaviour: &Behaviour, operation: &Operation) -> Option<Reason> {
        let is_enough = |authorisation: &ReferenceText, wanted: Option<Money>, has: HasRoom| {
            let account = self.accounts.get(&authorisation.0)?;
            let wanted = wanted.unwrap_or(Money { minor: 0, ..account.held });
            let fits = wanted.currency == account.held.currency && wanted.minor <= has(account);
            fits.then_some(())
        };
        let amount = operation.action.amount();
        let fits = match &operation.action {
            SimulatedAction::Authorise { token, .. } => {
                return behaviour.refusal(operation.reference, token.0.as_str());
            }
            SimulatedAction::Capture { authorisation, .. } => {
                is_enough(authorisation, amount, |account| account.held.minor)
            }
            SimulatedAction::Void { authorisation } => is_enough(authorisation, None, |_| 0),
            SimulatedAction::Refund { authorisation, .. } => {
                is_enough(authorisation, amount, |account| account.captured - account.refunded)
            }
        };
        fits.is_none().then_some(Reason::NotPossible)
    }

    /// Adds what was decided, or what was read from a file.
    pub(crate) fn add(&mut self, entry: Entry) {
        if let Result::Done { id } = &entry.result {
            self.account(id, &entry.operation.action);
        }
        let at = self.entries.len();
        self.by_reference.insert(entry.operation.reference, at);
        self.by_key.insert(entry.key.clone(), at);
        self.entries.push(entry);
    }

    fn account(&mut self, id: &ReferenceText, action: &SimulatedAction) {
        let authorisation = match action {
            SimulatedAction::Authorise { amount, .. } => {
                let account = Account { held: amount.0, captured: 0, refunded: 0 };
                self.accounts.insert(id.0.clone(), account);
                return;
            }
            SimulatedAction::Capture { authorisation, .. }
            | SimulatedAction::Void { authorisation }
            | SimulatedAction::Refund { authorisation, .. } => &authorisation.0,
        };
        let Some(account) = self.accounts.get_mut(authorisation) else { return };
        match action {
            SimulatedAction::Authorise { .. } => {}
            SimulatedAction::Capture { amount, .. } => {
                account.held.minor -= amount.0.minor;
                account.captured += amount.0.minor;
            }
            SimulatedAction::Void { .. } => account.held.minor = 0,
            SimulatedAction::Refund { amount, .. } => account.refunded += amount.0.minor,
        }
    }
}

type HasRoom = fn(&Account) -> i64;

/// Made of our reference, so that it is the same however often it is asked for.
fn id(operation: &Operation) -> ReferenceText {
    let kind = match operation.action {
        SimulatedAction::Authorise { .. } => "auth",
        SimulatedAction::Capture { .. } => "capture",
        SimulatedAction::Void { .. } => "void",
        SimulatedAction::Refund { .. } => "refund",
    };
    let text = format!("{kind}_{}", operation.reference.0);
    match ProviderReference::try_from(text) {
        Ok(reference) => ReferenceText(reference),
        Err(_) => unreachable!("a kind and a reference are printable and short"),
    }
}

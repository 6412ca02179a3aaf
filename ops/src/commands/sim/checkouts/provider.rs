//! A payment provider with an account for every payment.
//!
//! It declines, answers late, twice or not at all, says unasked what it did, and knows an operation
//! again for ever.
//!
//! **Invariants:** of an account no more is taken than is held, and no more given back than was
//! taken: whoever asks for that asks for what they may not; an operation is one thing, done once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actors::domain::payment::{
    Action, Command, Fact, OperationNumber, OperationReference, Outcome, PORT, ProviderAnswer,
    ProviderRequest, Refusal,
};
use actors::{Money, PaymentId};
use cluster::entity::{Port, Wire};
use cluster::sim::port::{Line, Provider};
use cluster::time::{Span, Timestamp};
use storage::sim_disk::SplitMix64;

/// One authorisation in so many is declined, and one later operation is refused.
const DECLINED_ONE_IN: u64 = 6;
const REFUSED_ONE_IN: u64 = 14;
/// One attempt in so many does not arrive, and one answer in so many.
const LOST_ONE_IN: u64 = 8;
const UNHEARD_ONE_IN: u64 = 4;
const TOLD_TWICE_ONE_IN: u64 = 6;
/// One operation in so many takes a while, and one until all is well again.
const SLOW_ONE_IN: u64 = 5;
const STUCK_ONE_IN: u64 = 14;
const SLOW_MS_MAX: u64 = 9_000;
/// Longer than a run, whatever its machines sleep.
const STUCK: Span = Span::from_secs(24 * 3_600);
const NOTICES_MAX: u32 = 3;

/// What the provider has of one payment, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) held: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
}

struct Operation {
    action: Action,
    outcome: Outcome,
    /// Nothing happens before, and nobody is told.
    done_at: Timestamp,
    /// Nobody is told before all is well again.
    is_stuck: bool,
    is_booked: bool,
    attempts: u32,
    answers: u32,
    notices: u32,
}

/// What is said unasked.
pub(super) struct Notice {
    pub(super) about: OperationReference,
    pub(super) command: Command,
    /// Whether no attempt was ever answered.
    pub(super) is_first: bool,
}

#[derive(Default)]
pub(super) struct Books {
    operations: BTreeMap<OperationReference, Operation>,
    accounts: BTreeMap<PaymentId, Account>,
    is_healed: bool,
    /// What was asked for and may not be, as far as it came to light between two attempts.
    fault: Option<String>,
}

/// The provider's books, which the judge looks into as well.
#[derive(Clone, Default)]
pub(super) struct SharedBooks(Arc<Mutex<Books>>);

impl SharedBooks {
    pub(super) fn open(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for SharedBooks {
    fn port(&self) -> Port {
        PORT
    }

    fn attempt(
        &mut self,
        request: &[u8],
        line: Line,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Result<Vec<Vec<u8>>, String> {
        let request = ProviderRequest::from_bytes(request).map_err(|error| error.to_string())?;
        let answer = self.open().attempt(request, line, now, random)?;
        Ok(answer.map_or(vec![], |(answer, times)| vec![answer.to_bytes(); times]))
    }

    fn heal(&mut self) {
        let mut books = self.open();
        books.is_healed = true;
        for operation in books.operations.values_mut() {
            operation.is_stuck &= !operation.is_booked;
            operation.done_at = Timestamp::ZERO;
        }
    }
}

impl Books {
    /// The answer, and how often it is heard.
    fn attempt(
        &mut self,
        request: ProviderRequest,
        line: Line,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Result<Option<(ProviderAnswer, usize)>, String> {
        let ProviderRequest { reference, action, .. } = request;
        let is_healed = self.is_healed;
        if !is_healed && random.one_in(LOST_ONE_IN) {
            return Ok(None);
        }
        let operation = match self.operations.get_mut(&reference) {
            Some(known) if known.action != action => {
                let before = &known.action;
                return Err(format!("{reference} was {before:?}, and is {action:?}"));
            }
            Some(known) => known,
            None => {
                let operation = Operation::begin(reference, action, is_healed, now, random);
                self.operations.entry(reference).insert_entry(operation).into_mut()
            }
        };
        operation.attempts += 1;
        let is_heard = line == Line::Heard && (is_healed || !random.one_in(UNHEARD_ONE_IN));
        if now < operation.done_at {
            return Ok(None);
        }
        operation.book(reference, &mut self.accounts)?;
        if !is_heard {
            return Ok(None);
        }
        operation.answers += 1;
        let (operation, outcome) = (reference.number, operation.outcome.clone());
        let times = if random.one_in(TOLD_TWICE_ONE_IN) { 2 } else { 1 };
        Ok(Some((ProviderAnswer { operation, outcome }, times)))
    }

    /// Something to say about an operation that is done: rather about one that nobody asked for since.
    pub(super) fn draw_notice(
        &mut self,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Option<Notice> {
        let is_due =
            |operation: &Operation| operation.done_at <= now && operation.notices < NOTICES_MAX;
        let mut due: Vec<_> = self.operations.iter_mut().filter(|(_, it)| is_due(it)).collect();
        if due.iter().any(|(_, operation)| operation.answers == 0) && random.one_in(2) {
            due.retain(|(_, operation)| operation.answers == 0);
        }
        let nth = usize::try_from(random.below(u64::try_from(due.len()).unwrap_or(1).max(1)));
        let (about, operation) = nth.ok().and_then(|nth| due.into_iter().nth(nth))?;
        let about = *about;
        if let Err(why) = operation.book(about, &mut self.accounts) {
            self.fault.get_or_insert(why);
        }
        operation.notices += 1;
        let event = format!("evt_{about}_{}", operation.notices).parse().ok()?;
        let number = about.number;
        let fact = match &operation.outcome {
            Outcome::Done { reference } => {
                let amount = operation.amount().filter(|_| random.one_in(2));
                Fact::Done { operation: number, reference: reference.clone(), amount }
            }
            Outcome::Refused(_) | Outcome::Pending { .. } => Fact::Refused { operation: number },
        };
        let is_first = operation.answers == 0 && matches!(fact, Fact::Done { .. });
        Some(Notice { about, command: Command::Notified { event, fact }, is_first })
    }

    /// Whether nobody was told of a payment's money for longer than its order waits.
    pub(super) fn is_stuck(&self, payment: PaymentId) -> bool {
        let first = OperationReference { payment, number: OperationNumber::FIRST };
        self.operations.get(&first).is_some_and(|operation| operation.is_stuck)
    }

    pub(super) fn fault(&self) -> Option<String> {
        self.fault.clone()
    }

    pub(super) fn account(&self, payment: PaymentId) -> Account {
        self.accounts.get(&payment).copied().unwrap_or_default()
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = PaymentId> {
        self.accounts.keys().copied()
    }

    /// Operations that were attempted more than once: their first answer was lost, or late.
    pub(super) fn doubts(&self) -> u64 {
        let doubted = self.operations.values().filter(|operation| operation.attempts > 1);
        u64::try_from(doubted.count()).unwrap_or(u64::MAX)
    }
}

impl Operation {
    fn begin(
        reference: OperationReference,
        action: Action,
        is_healed: bool,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Self {
        let refused_one_in = match action {
            Action::Authorise { .. } => DECLINED_ONE_IN,
            Action::Capture { .. }
            | Action::Void { .. }
            | Action::Refund { .. }
            | Action::CheckRefund { .. } => REFUSED_ONE_IN,
        };
        let is_refused = !is_healed && random.one_in(refused_one_in);
        let name = format!("op_{reference}").parse();
        let outcome = match (is_refused, name) {
            (false, Ok(reference)) => Outcome::Done { reference },
            (true, _) | (false, Err(_)) => Outcome::Refused(Refusal::Declined),
        };
        let is_stuck = !is_healed && random.one_in(STUCK_ONE_IN);
        let takes = match () {
            () if is_healed => Span::from_micros(0),
            () if is_stuck => STUCK,
            () if random.one_in(SLOW_ONE_IN) => Span::from_millis(random.below(SLOW_MS_MAX)),
            () => Span::from_micros(0),
        };
        let done_at = now.plus(takes);
        let (is_booked, attempts, answers, notices) = (false, 0, 0, 0);
        Self { action, outcome, done_at, is_stuck, is_booked, attempts, answers, notices }
    }

    /// How much it is about.
    fn amount(&self) -> Option<Money> {
        match &self.action {
            Action::Authorise { amount, .. }
            | Action::Capture { amount, .. }
            | Action::Refund { amount, .. } => Some(*amount),
            Action::Void { .. } | Action::CheckRefund { .. } => None,
        }
    }

    /// Moves the money, once.
    fn book(
        &mut self,
        reference: OperationReference,
        accounts: &mut BTreeMap<PaymentId, Account>,
    ) -> Result<(), String> {
        if std::mem::replace(&mut self.is_booked, true)
            || matches!(self.outcome, Outcome::Refused(_))
        {
            return Ok(());
        }
        let account = accounts.entry(reference.payment).or_default();
        let before = *account;
        let right = match &self.action {
            Action::Authorise { amount, .. } => {
                account.held += amount.minor;
                before == Account::default()
            }
            Action::Capture { amount, .. } => {
                account.held -= amount.minor;
                account.captured += amount.minor;
                account.held >= 0
            }
            Action::Void { captured, .. } => {
                account.held = 0;
                captured.minor == account.captured
            }
            Action::Refund { amount, captures, .. } => {
                account.refunded += amount.minor;
                let parts: i64 = captures.iter().map(|part| part.amount.minor).sum();
                account.refunded <= account.captured && parts == account.captured
            }
            // Refunds are done or refused at once here.
            Action::CheckRefund { .. } => false,
        };
        if right { Ok(()) } else { Err(format!("{reference} of {before:?} is {:?}", self.action)) }
    }
}

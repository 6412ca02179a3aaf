//! The bytes of payments, and of what their providers are asked and answer.

use cluster::entity::{DecodeError, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{damaged, encode, latest};
use crate::domain::ids::{CaptureId, OrderId, PaymentId, RefundId};
use crate::domain::money::Money;
use crate::domain::order;
use crate::domain::payment::{
    Authorisation, Cancellation, Command, Event, Intent, Lookup, News, Operation, OperationNumber,
    Payment, PaymentMethod, Progress, ProviderAnswer, ProviderReference, ProviderRequest, Query,
    Refusal, Rejection, Transfer,
};

const RECORD: &str = "a payment's record";

wire! {
    Command: "a payment's command",
    Event: "a payment's event",
    Rejection: "a payment's rejection",
    Query: "a payment's query",
    Lookup: "a payment's view",
    ProviderRequest: "a request to a payment provider",
    ProviderAnswer: "an answer of a payment provider",
}

/// What an order is told about its payment.
pub(crate) fn news_for_order(payment: PaymentId, news: &News) -> Vec<u8> {
    order::Command::TakePaymentNews { payment, news: news.clone() }.to_bytes()
}

#[derive(Serialize, Deserialize)]
struct PaymentRecordV1 {
    intent: Option<IntentV1>,
}

#[derive(Serialize, Deserialize)]
struct IntentV1 {
    order: OrderId,
    amount: Money,
    method: PaymentMethod,
    authorisation: AuthorisationV1,
    cancellation: CancellationV1,
    captured: Money,
    refunded: Money,
    captures: Vec<TransferV1<CaptureId>>,
    refunds: Vec<TransferV1<RefundId>>,
    under_way: Option<Operation>,
    last_operation: Option<OperationNumber>,
    updated_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
enum AuthorisationV1 {
    NotAsked,
    UnderWay,
    Declined(Refusal),
    Held(ProviderReference),
    Released(ProviderReference),
}

#[derive(Serialize, Deserialize)]
enum CancellationV1 {
    NotAsked,
    Asked,
    Failed,
    Ended,
}

#[derive(Serialize, Deserialize)]
struct TransferV1<I> {
    id: I,
    amount: Money,
    progress: Progress,
}

pub(crate) fn to_record(payment: &Payment) -> Vec<u8> {
    let intent = payment.intent.as_ref().map(|intent| IntentV1 {
        order: intent.order,
        amount: intent.amount,
        method: intent.method.clone(),
        authorisation: match &intent.authorisation {
            Authorisation::NotAsked => AuthorisationV1::NotAsked,
            Authorisation::UnderWay => AuthorisationV1::UnderWay,
            Authorisation::Declined(reason) => AuthorisationV1::Declined(*reason),
            Authorisation::Held(reference) => AuthorisationV1::Held(reference.clone()),
            Authorisation::Released(reference) => AuthorisationV1::Released(reference.clone()),
        },
        cancellation: match intent.cancellation {
            Cancellation::NotAsked => CancellationV1::NotAsked,
            Cancellation::Asked => CancellationV1::Asked,
            Cancellation::Failed => CancellationV1::Failed,
            Cancellation::Ended => CancellationV1::Ended,
        },
        captured: intent.captured,
        refunded: intent.refunded,
        captures: intent.captures.iter().map(transfer_to).collect(),
        refunds: intent.refunds.iter().map(transfer_to).collect(),
        under_way: intent.under_way,
        last_operation: intent.last_operation,
        updated_at: intent.updated_at,
    });
    encode(&PaymentRecordV1 { intent })
}

pub(crate) fn from_record(bytes: &[u8]) -> Result<Payment, DecodeError> {
    let PaymentRecordV1 { intent } = latest(RECORD, bytes)?;
    let intent = intent.map(intent_from);
    if let Some(intent) = &intent {
        intent.check().map_err(|why| damaged(RECORD, why))?;
    }
    Ok(Payment { intent })
}

fn intent_from(record: IntentV1) -> Intent {
    Intent {
        order: record.order,
        amount: record.amount,
        method: record.method,
        authorisation: match record.authorisation {
            AuthorisationV1::NotAsked => Authorisation::NotAsked,
            AuthorisationV1::UnderWay => Authorisation::UnderWay,
            AuthorisationV1::Declined(reason) => Authorisation::Declined(reason),
            AuthorisationV1::Held(reference) => Authorisation::Held(reference),
            AuthorisationV1::Released(reference) => Authorisation::Released(reference),
        },
        cancellation: match record.cancellation {
            CancellationV1::NotAsked => Cancellation::NotAsked,
            CancellationV1::Asked => Cancellation::Asked,
            CancellationV1::Failed => Cancellation::Failed,
            CancellationV1::Ended => Cancellation::Ended,
        },
        captured: record.captured,
        refunded: record.refunded,
        captures: record.captures.into_iter().map(transfer_from).collect(),
        refunds: record.refunds.into_iter().map(transfer_from).collect(),
        under_way: record.under_way,
        last_operation: record.last_operation,
        updated_at: record.updated_at,
    }
}

fn transfer_to<I: Copy>(transfer: &Transfer<I>) -> TransferV1<I> {
    let Transfer { id, amount, progress } = transfer;
    TransferV1 { id: *id, amount: *amount, progress: progress.clone() }
}

fn transfer_from<I>(TransferV1 { id, amount, progress }: TransferV1<I>) -> Transfer<I> {
    Transfer { id, amount, progress }
}

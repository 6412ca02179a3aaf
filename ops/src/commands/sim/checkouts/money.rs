//! The money of an order: what its payment took, what gift cards paid, and what became of both.
//!
//! **Invariants:** nothing is refunded beyond what was taken and paid; for pieces that were called off
//! nothing is kept; the order, its payment and the provider's account have the same money.

use actors::domain::order::{CaptureTime, Moment, RefundState, RefundView, Tender, View};
use actors::domain::payment;

use super::carts::capture_of;
use super::judge::is_still_bought;
use super::provider::Account;
use super::{cards, vouchers};

/// Whether no part is more than its whole.
pub(super) fn adds_up(order: u64, view: &View) -> bool {
    let is_of_payment = |refund: &&RefundView| {
        refund.state != RefundState::Failed
            && !view.to_cards.contains(&refund.id)
            && !view.vouchers.iter().any(|voucher| voucher.refund == refund.id)
    };
    let refunding = view.refunds.iter().filter(is_of_payment);
    let refunding: i64 = refunding.map(|refund| refund.amount.minor).sum();
    let captured = view.captured.minor;
    view.refunded.minor <= captured
        && refunding + vouchers::of_payment(view) <= captured
        && (captured == 0 || captures(order, view).contains(&captured))
        && cards::add_up(view)
        && vouchers::add_up(order, view)
}

/// Whether the order, its payment and the account have the same money, and as much as there is to be
/// in the end.
pub(super) fn is_settled(
    order: u64,
    view: &View,
    payment: Option<&payment::View>,
    account: Account,
) -> bool {
    let paid = payment.map_or((0, 0), |it| (it.captured.minor, it.refunded.minor));
    let told = (view.captured.minor, view.refunded.minor);
    let is_same = told == (account.captured, account.refunded) && told == paid;
    let is_done = payment.is_none_or(|payment| payment.under_way.is_none());
    is_same && is_done && is_taken(order, view, account) && keeps_what_is_due(view)
}

fn is_taken(order: u64, view: &View, account: Account) -> bool {
    let due = due(view);
    match capture_of(order) {
        CaptureTime::AtOnce if is_still_bought(view) => {
            (account.held, account.captured) == (0, due)
        }
        // Cards pay all that is left: what is held nobody will take.
        CaptureTime::OnFulfilment
            if is_still_bought(view) && view.shipments.is_empty() && called_off(view) >= due =>
        {
            (account.held, account.captured) == (0, 0)
        }
        CaptureTime::OnFulfilment if is_still_bought(view) => {
            let is_due = !view.shipments.is_empty();
            let is_whole = account.held + account.captured == due;
            let is_given_up = (account.held, account.captured) == (0, 0) && called_off(view) >= due;
            let may_lack = !is_due || is_capture_refused(view);
            let is_right = if account.captured == 0 {
                may_lack || captures(order, view).contains(&0)
            } else {
                is_due
            };
            is_right && (is_whole || is_given_up)
        }
        CaptureTime::AtOnce | CaptureTime::OnFulfilment => {
            account.held == 0 && account.captured == account.refunded
        }
    }
}

/// For pieces that were called off no money is kept, unless the provider would not give it back.
fn keeps_what_is_due(view: &View) -> bool {
    let is_of_provider =
        |refund: &RefundView| !view.vouchers.iter().any(|voucher| voucher.refund == refund.id);
    let failed = view.refunds.iter().filter(|refund| refund.state == RefundState::Failed);
    let is_refused = failed.into_iter().any(is_of_provider);
    let on_cards: i64 = view.tenders.iter().map(Tender::left).sum();
    let taken = view.captured.minor - view.refunded.minor - vouchers::of_payment(view);
    let called_off = called_off(view);
    called_off == 0 || is_refused || taken + on_cards <= view.totals.grand.minor - called_off
}

/// What cards leave for the payment, of an order that is bought.
fn due(view: &View) -> i64 {
    view.totals.grand.minor - cards::paid(view)
}

fn called_off(view: &View) -> i64 {
    view.cancellations.iter().map(|known| known.amount.minor).sum()
}

/// What may have been captured: what was due without the pieces that were called off until then.
fn captures(order: u64, view: &View) -> Vec<i64> {
    let mut left = due(view);
    let mut captures = vec![left];
    if capture_of(order) == CaptureTime::OnFulfilment {
        for known in &view.cancellations {
            left -= known.amount.minor;
            captures.push(left.max(0));
        }
    }
    captures
}

/// Whether the provider refused the money when it was asked for last.
fn is_capture_refused(view: &View) -> bool {
    let of_captures = |moment| matches!(moment, Moment::Captured | Moment::CaptureFailed);
    let last = view.timeline.iter().rev().find(|entry| of_captures(entry.moment));
    last.is_some_and(|entry| entry.moment == Moment::CaptureFailed)
}

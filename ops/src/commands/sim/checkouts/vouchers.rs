//! Gift cards that orders become when they are refunded.
//!
//! **Invariants:** which refunds become cards, and which card each is, follows from the numbers of the
//! order and of the refund.

use actors::GiftCardId;
use actors::domain::order::{RefundState, RefundView, View, Voucher};

use super::cards;
use super::orders::refund_id;

/// One refund in so many is to be a gift card.
const VOUCHER_ONE_IN: u64 = 2;
/// The first of one order in so many is to be a card that somebody else issues as well.
const TAKEN_ONE_IN: u64 = 3;
/// More than anybody asks for.
const REFUNDS_MAX: u64 = 16;

pub(super) fn is_voucher(order: u64, number: u16) -> bool {
    (order + u64::from(number)).is_multiple_of(VOUCHER_ONE_IN)
}

/// The number of the card that a refund is to be.
pub(super) fn card(order: u64, number: u16) -> u64 {
    let cards = cards::by_hand();
    if number <= 2 && order.is_multiple_of(TAKEN_ONE_IN) {
        return order / TAKEN_ONE_IN % cards.end;
    }
    cards.end + order * REFUNDS_MAX + u64::from(number)
}

/// Those that are cards, or may become some, each with its refund.
pub(super) fn good(view: &View) -> impl Iterator<Item = (&Voucher, &RefundView)> {
    let refund_of = |voucher: &Voucher| view.refunds.iter().find(|it| it.id == voucher.refund);
    let all = view.vouchers.iter().filter_map(move |it| Some((it, refund_of(it)?)));
    all.filter(|(_, refund)| refund.state != RefundState::Failed)
}

/// Each card that there is, and what it was issued for.
pub(super) fn issued(view: &View) -> impl Iterator<Item = (GiftCardId, i64)> {
    let done = good(view).filter(|(_, refund)| refund.state == RefundState::Done);
    done.map(|(voucher, refund)| (voucher.card, refund.amount.minor))
}

/// The numbers of those cards that nobody else issues.
pub(super) fn own(order: u64, view: &View) -> impl Iterator<Item = u64> {
    let numbers = (1..=u16::MAX).take_while(|number| u64::from(*number) < REFUNDS_MAX);
    let cards = numbers.filter(move |it| is_voucher(order, *it)).map(move |it| card(order, it));
    let cards = cards.filter(|card| !cards::by_hand().contains(card));
    cards.filter(|card| issued(view).any(|(known, _)| known == cards::id(*card)))
}

/// What the payment had taken and vouchers have.
pub(super) fn of_payment(view: &View) -> i64 {
    good(view).map(|(voucher, _)| voucher.from_payment).sum()
}

/// What the cards that paid would have got back and vouchers have.
pub(super) fn of_cards(view: &View) -> i64 {
    parts(view).map(|(_, minor)| minor).sum()
}

/// What vouchers have of each card that paid.
pub(super) fn parts(view: &View) -> impl Iterator<Item = (GiftCardId, i64)> {
    let parts = good(view).flat_map(|(voucher, _)| &voucher.from_cards);
    parts.filter_map(|(nth, minor)| Some((view.tenders.get(usize::from(*nth))?.card, *minor)))
}

/// Each of an order's vouchers is a refund of it that somebody asked for so, and of its own money alone.
pub(super) fn add_up(order: u64, view: &View) -> bool {
    let is_asked_for = |voucher: &Voucher| {
        (1..=u16::MAX).take_while(|number| u64::from(*number) < REFUNDS_MAX).any(|number| {
            is_voucher(order, number)
                && voucher.refund == refund_id(order, number)
                && voucher.card == cards::id(card(order, number))
        })
    };
    let is_whole = |voucher: &Voucher| {
        let refund = view.refunds.iter().find(|it| it.id == voucher.refund);
        let parts: i64 = voucher.from_cards.iter().map(|(_, minor)| minor).sum();
        refund.is_some_and(|refund| refund.amount.minor == voucher.from_payment + parts)
            && voucher.from_payment >= 0
            && voucher.from_cards.iter().all(|(_, minor)| *minor > 0)
    };
    view.vouchers.iter().all(|voucher| is_asked_for(voucher) && is_whole(voucher))
}

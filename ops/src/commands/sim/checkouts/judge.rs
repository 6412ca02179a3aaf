//! Holds orders, carts, stocks, payments and the provider's books against each other, at rest.
//!
//! **Invariants** that are judged: every checkout has ended, as was told; a cart becomes one order
//! at most; what orders took is what left the stocks; each payment has one account, of the same
//! money; what was acknowledged is there, what was refused is not.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::carrier::Whereabouts;
use actors::domain::cart::Status as CartStatus;
use actors::domain::order::{
    Failure, LineView, Moment, Parcel, ParcelState, RefundState, Status, StockStatus,
    TimelineEntry, View,
};
use actors::{Cart, Order, Sku};

use super::super::journal::{Fate, count};
use super::super::range;
use super::after_sale::is_of_pieces;
use super::carts::is_without_payment;
use super::counts::Counts;
use super::orders::{Deed, refund_id};
use super::provider::Books;
use super::{Checkouts, cards, codes, money, names, vouchers};

type Finals = BTreeMap<u64, Box<View>>;

impl Checkouts {
    pub(super) fn found(&self) -> Result<Counts, String> {
        let orders = self.orders.finals()?;
        let books = self.books.open();
        if let Some(why) = books.fault() {
            return Err(why);
        }
        self.check_existence(&orders)?;
        self.check_carts(&orders)?;
        let mut counts = self.check_journals()?;
        for (order, view) in &orders {
            counts = counts.plus(ended(*order, view)?);
            self.check_money(*order, view, &books)?;
        }
        self.check_accounts(&orders, &books)?;
        self.check_deeds(&orders)?;
        self.orders.check_called_off(&orders)?;
        self.stocks.check(&taken(&orders), &awaited(&orders))?;
        let bought = orders.iter().filter(|(_, view)| is_still_bought(view));
        let of_carts = bought.map(|(order, view)| (self.orders.cart_of(*order), view.as_ref()));
        self.codes.check(&codes::uses(of_carts))?;
        self.cards.check(orders.values().map(AsRef::as_ref))?;
        let listed = orders.iter().map(|(order, view)| {
            let cart = self.orders.cart_of(*order);
            (names::order(*order, cart), (cart, view.as_ref()))
        });
        let listed = listed.collect();
        self.lists.check(&listed)?;
        self.boards.check(&listed.into_iter().map(|(id, (_, view))| (id, view)).collect())?;
        let carts: Vec<_> = orders.keys().map(|order| self.orders.cart_of(*order)).collect();
        let once: BTreeSet<_> = carts.iter().collect();
        counts.second_tries = count(carts.iter()) - count(once.iter());
        counts.card_taken_away = self.carts.cards_taken_away();
        counts.provider_doubts = books.doubts();
        counts.notices_first = self.payments.notices_first;
        Ok(counts)
    }

    fn check_journals(&self) -> Result<Counts, String> {
        let carts = self.carts.journal.check_repeats::<Cart>()?;
        let orders = self.orders.journal.check_repeats::<Order>()?;
        let stocks = self.stocks.journal.check_repeats::<Sku>()?;
        let unknown = |fates: BTreeMap<u64, Fate>| {
            count(fates.into_values().filter(|fate| *fate == Fate::Unknown))
        };
        let repeats = carts + orders + stocks;
        let unknown = unknown(self.carts.journal.fates()) + unknown(self.orders.journal.fates());
        Ok(Counts { repeats, unknown, ..Counts::default() })
    }

    /// An order is there if its checkout was acknowledged, and is not if that was refused.
    fn check_existence(&self, orders: &Finals) -> Result<(), String> {
        let fates = self.carts.fates_of_orders();
        for (order, _) in self.orders.all() {
            let right = match fates.get(&order) {
                Some(Fate::Done) => orders.contains_key(&order),
                Some(Fate::Unknown) => true,
                Some(Fate::Refused) | None => !orders.contains_key(&order),
            };
            if !right {
                let fate = fates.get(&order);
                return Err(format!("order {order} was {fate:?} and is {:?}", orders.get(&order)));
            }
        }
        let numbers: BTreeSet<_> = orders.values().filter_map(|view| view.number).collect();
        if numbers.len() == orders.len() {
            return Ok(());
        }
        Err(format!("{} orders have {} numbers", orders.len(), numbers.len()))
    }

    /// A cart is what its shopper put into it and what its orders made of it.
    fn check_carts(&self, orders: &Finals) -> Result<(), String> {
        let finals = self.carts.finals()?;
        self.carts.check_lines(&finals)?;
        for (cart, view) in finals {
            let of_cart = orders.iter().filter(|(order, _)| self.orders.cart_of(**order) == cart);
            let bought: Vec<_> = of_cart.filter(|(_, order)| is_bought(order)).collect();
            let right = match (bought.as_slice(), view.status) {
                ([], CartStatus::Open) => true,
                ([(order, bought)], CartStatus::Ordered { order: id }) => {
                    let lines =
                        bought.lines.iter().map(|line| (&line.line.sku, line.line.quantity));
                    let own = view.gift_cards.iter().map(|given| given.card);
                    let mut cards: Vec<_> = own.collect();
                    let brought = cards::of_order(**order).into_iter();
                    cards.extend(brought.filter(|card| !cards.contains(card)).collect::<Vec<_>>());
                    id == names::order(**order, cart)
                        && lines.eq(view.lines.iter().map(|line| (&line.sku, line.quantity)))
                        && cards.into_iter().eq(bought.tenders.iter().map(|tender| tender.card))
                }
                (_, _) => false,
            };
            if !right {
                return Err(format!("cart {cart} is {view:?}, and was bought as {bought:?}"));
            }
        }
        Ok(())
    }

    fn check_money(&self, order: u64, view: &View, books: &Books) -> Result<(), String> {
        let account = books.account(view.payment);
        let payment = self.payments.finals()?.get(&view.payment);
        let is_in_time = !(is_bought(view) && books.is_stuck(view.payment));
        if is_in_time && money::is_settled(order, view, payment, account) {
            return Ok(());
        }
        Err(format!("the provider has {account:?} of order {order} {view:?} with {payment:?}"))
    }

    /// No account is of no order.
    fn check_accounts(&self, orders: &Finals, books: &Books) -> Result<(), String> {
        let payments: BTreeSet<_> = orders.values().map(|view| view.payment).collect();
        match books.accounts().find(|payment| !payments.contains(payment)) {
            Some(payment) => Err(format!("the provider has {payment} for nobody")),
            None => Ok(()),
        }
    }

    /// What was acknowledged is there; what is there was asked for.
    fn check_deeds(&self, orders: &Finals) -> Result<(), String> {
        let fates = self.orders.journal.fates();
        let mut asked_for: BTreeMap<(u64, Part), Fate> = BTreeMap::new();
        for (op, asked) in self.orders.journal.iter() {
            let (Some(part), Some(fate)) = (part_of(asked.deed), fates.get(&op)) else { continue };
            let known = asked_for.entry((asked.entity, part)).or_insert(*fate);
            *known = (*known).max(*fate);
        }
        for ((order, part), fate) in &asked_for {
            let is_there = orders.get(order).is_some_and(|view| has(*order, view, *part));
            // A cancellation and an order that came to nothing by itself look alike.
            let may_be_there = *fate > Fate::Refused || *part == Part::Cancellation;
            if (*fate == Fate::Done && !is_there) || (is_there && !may_be_there) {
                let view = orders.get(order);
                return Err(format!("{part:?} of order {order} was {fate:?}: {view:?}"));
            }
        }
        for (order, view) in orders {
            let is_asked = |part| asked_for.contains_key(&(*order, part));
            let n_asked =
                |part: fn(u16) -> Part| (1..=u16::MAX).take_while(|n| is_asked(part(*n))).count();
            let refunds = (1..=u16::MAX)
                .take_while(|n| is_asked(Part::Refund(*n)) || is_asked(Part::Voucher(*n)));
            if view.shipments.len() > n_asked(Part::Shipment)
                || view.returns.len() > n_asked(Part::Return)
                || view.refunds.len() - view.credits.len() > refunds.count()
            {
                return Err(format!("nobody asked for parts of order {order}: {view:?}"));
            }
        }
        Ok(())
    }
}

/// What a deed leaves in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Cancellation,
    Shipment(u16),
    Delivery(u16),
    Return(u16),
    Receipt(u16),
    Refund(u16),
    Voucher(u16),
}

fn part_of(deed: Deed) -> Option<Part> {
    match deed {
        Deed::Look
        // One is like the other.
        | Deed::CallOff { .. }
        | Deed::BookAgain { .. }
        | Deed::Approve
        | Deed::Reject => None,
        Deed::Cancel => Some(Part::Cancellation),
        Deed::Fulfil { number, .. } => Some(Part::Shipment(number)),
        Deed::Deliver { number } | Deed::Track { number, to: Whereabouts::Delivered } => {
            Some(Part::Delivery(number))
        }
        Deed::Track { .. } => None,
        Deed::AskReturn { number, .. } => Some(Part::Return(number)),
        Deed::Receive { number } => Some(Part::Receipt(number)),
        Deed::Refund { number, .. } => Some(Part::Refund(number)),
        Deed::RefundToCard { number, .. } => Some(Part::Voucher(number)),
    }
}

fn has(order: u64, view: &View, part: Part) -> bool {
    let shipment = |n| view.shipments.iter().find(|known| known.number == n);
    let returned = |n| view.returns.iter().find(|known| known.number == n);
    match part {
        Part::Cancellation => !is_still_bought(view) || !view.cancellations.is_empty(),
        Part::Shipment(n) => shipment(n).is_some(),
        Part::Delivery(n) => shipment(n).is_some_and(|known| known.delivered_at.is_some()),
        Part::Return(n) => returned(n).is_some(),
        Part::Receipt(n) => returned(n).is_some_and(|known| known.received_at.is_some()),
        Part::Refund(n) => view.refunds.iter().any(|known| known.id == refund_id(order, n)),
        Part::Voucher(n) => {
            let card = cards::id(vouchers::card(order, n));
            view.vouchers.iter().any(|it| (it.refund, it.card) == (refund_id(order, n), card))
        }
    }
}

/// Whether its checkout ended well, whatever became of it since.
pub(super) fn is_bought(view: &View) -> bool {
    let failure = view.settlement.as_ref().map(|settlement| &settlement.failure);
    match failure {
        Some(None) => true,
        // It was held, and bought all the same if somebody said so.
        Some(Some(Failure::UnderReview)) => {
            is_still_bought(view) || view.status == Status::Cancelled
        }
        Some(Some(_)) | None => false,
    }
}

/// Whether it is no order that came to nothing. One whose money is a gift card by now goes on, even where
/// all of its pieces are called off.
pub(super) fn is_still_bought(view: &View) -> bool {
    match view.status {
        Status::Confirmed
        | Status::Processing
        | Status::Shipped
        | Status::Delivered
        | Status::Returned => true,
        Status::Cancelled => !view.timeline.iter().any(|it| it.moment == Moment::CancelAsked),
        Status::Pending | Status::OnHold | Status::Cancelling | Status::Failed => false,
    }
}

/// An order at its end, and what came about in it.
fn ended(order: u64, view: &View) -> Result<Counts, String> {
    let Some(settlement) = &view.settlement else {
        return Err(format!("order {order} does not end: {view:?}"));
    };
    let stock = |line: StockStatus| match line {
        StockStatus::Sold | StockStatus::Backordered { .. } => is_still_bought(view),
        StockStatus::Released => !is_still_bought(view),
        StockStatus::Refused => true,
        StockStatus::Asked | StockStatus::Reserved => false,
    };
    let is_cancelled = view.status == Status::Cancelled;
    let is_over = is_still_bought(view) || is_cancelled || view.status == Status::Failed;
    let is_asked = view.refunds.iter().any(|refund| refund.state == RefundState::Asked);
    let is_told = is_bought(view) == (is_still_bought(view) || is_cancelled);
    // A carrier that is well answers.
    let is_open = view.parcels.iter().any(|parcel| parcel.state == ParcelState::Asked);
    if is_open
        || !is_over
        || !is_told
        || !cards::are_settled(view)
        || is_asked
        || !view.lines.iter().all(|line| stock(line.stock))
    {
        return Err(format!("order {order} stays {view:?}"));
    }
    let mut counts = Counts::default();
    let happened = match &settlement.failure {
        None if is_cancelled => &mut counts.cancelled,
        None => &mut counts.confirmed,
        // So many that a stock knows no more of them are never there.
        Some(Failure::OutOfStock | Failure::Crowded) => &mut counts.out_of_stock,
        Some(
            Failure::CodeExhausted { .. } | Failure::CodeUsedBefore { .. } | Failure::NotFirstOrder,
        ) => &mut counts.code_refused,
        Some(Failure::GiftCardRefused { .. }) => &mut counts.card_refused,
        Some(Failure::PaymentRequired { .. }) if is_without_payment(order) => {
            &mut counts.payment_required
        }
        Some(Failure::PaymentRequired { .. }) => {
            return Err(format!("order {order} says that nothing was to pay the rest of it"));
        }
        Some(Failure::StockSilent) => &mut counts.stock_silent,
        Some(Failure::Declined { .. }) => &mut counts.declined,
        Some(Failure::UnderReview) if is_bought(view) => &mut counts.approved,
        Some(Failure::UnderReview) => &mut counts.held_for_nothing,
        Some(Failure::FraudSuspected | Failure::ReviewRejected | Failure::ReviewExpired) => {
            &mut counts.denied
        }
        Some(Failure::PaymentSilent) => &mut counts.payment_silent,
        Some(Failure::CaptureFailed) => &mut counts.capture_failed,
        Some(Failure::CancelledInTime) => &mut counts.cancelled_in_time,
    };
    *happened += 1;
    counts.shortened = u64::from(settlement.failure.is_none() && !settlement.dropped.is_empty());
    Ok(counts.plus(paid(order, view)).plus(after_sale(view)))
}

/// What it was paid with, besides the payment.
fn paid(order: u64, view: &View) -> Counts {
    let is_bought = is_still_bought(view);
    let is_without = is_bought && is_without_payment(order) && view.totals.grand.minor > 0;
    Counts {
        code_used: u64::from(is_bought && !view.codes.is_empty()),
        card_paid: u64::from(is_bought && cards::paid(view) > 0),
        card_given_back: count(view.tenders.iter().filter(|tender| tender.given_back > 0)),
        paid_by_cart: u64::from(cards::paid_by_cart(order, view) > 0),
        paid_by_voucher: u64::from(cards::paid_by_vouchers(view) > 0),
        paid_without: u64::from(is_without),
        ..Counts::default()
    }
}

/// What became of it once it was bought.
fn after_sale(view: &View) -> Counts {
    let arrived = |entry: &&TimelineEntry| entry.moment == Moment::StockArrived;
    let moved = |it: &&Parcel| matches!(it.state, ParcelState::Moved(_));
    let refused = |it: &&Parcel| matches!(it.state, ParcelState::Refused(_)) || it.attempt > 1;
    let refunds = |state| count(view.refunds.iter().filter(|known| known.state == state));
    let pieces_called_off = count(view.cancellations.iter().filter(is_of_pieces));
    Counts {
        waiting: count(view.lines.iter().filter(|line| waiting(line) > 0)),
        arrivals: count(view.timeline.iter().filter(arrived)),
        shipments: count(view.shipments.iter()),
        called_off: count(view.cancellations.iter()) - pieces_called_off,
        pieces_called_off,
        parcels: count(view.parcels.iter()),
        parcels_moved: count(view.parcels.iter().filter(moved)),
        parcels_refused: count(view.parcels.iter().filter(refused)),
        returns: count(view.returns.iter().filter(|known| known.received_at.is_some())),
        refunds: refunds(RefundState::Done),
        refunds_failed: refunds(RefundState::Failed),
        vouchers: count(vouchers::issued(view)),
        vouchers_of_cards: count(vouchers::parts(view)),
        vouchers_refused: count(view.vouchers.iter()) - count(vouchers::good(view)),
        ..Counts::default()
    }
}

/// Pieces of each product that orders have in the end.
fn taken(orders: &Finals) -> BTreeMap<u64, i64> {
    let mut taken = BTreeMap::new();
    for view in orders.values().filter(|view| is_still_bought(view)) {
        let is_sold = |line: &&LineView| {
            matches!(line.stock, StockStatus::Sold | StockStatus::Backordered { .. })
        };
        for line in view.lines.iter().filter(is_sold) {
            let product = range::number(&line.line.sku).unwrap_or(0);
            let pieces = i64::from(line.line.quantity.get()) - waiting(line);
            *taken.entry(product).or_insert(0) += pieces;
        }
        let received = view.returns.iter().filter(|it| it.received_at.is_some());
        let called_off = view.cancellations.iter().flat_map(|it| &it.items);
        for (sku, quantity) in received.flat_map(|it| &it.items).chain(called_off) {
            let product = range::number(sku).unwrap_or(0);
            *taken.entry(product).or_insert(0) -= i64::from(quantity.get());
        }
    }
    taken
}

/// Pieces of each product that orders still wait for in the end.
fn awaited(orders: &Finals) -> BTreeMap<u64, i64> {
    let mut awaited = BTreeMap::new();
    for view in orders.values() {
        for line in &view.lines {
            let product = range::number(&line.line.sku).unwrap_or(0);
            *awaited.entry(product).or_insert(0) += waiting(line);
        }
    }
    awaited
}

/// Pieces of a line that are still to come.
pub(super) fn waiting(line: &LineView) -> i64 {
    match line.stock {
        StockStatus::Backordered { pieces } => i64::from(pieces.get()),
        StockStatus::Asked
        | StockStatus::Reserved
        | StockStatus::Refused
        | StockStatus::Sold
        | StockStatus::Released => 0,
    }
}

//! An order that was placed, and what events make of it.

use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::records::{Cancellation, Note, Pieces, RefundRecord, RefundState, Return, Shipment};
use super::timeline::Timeline;
use super::{
    Event, Exchange, Failure, Listing, Parcel, Placed, ReturnNumber, Review, SellerLines,
    ShipmentNumber, Shortage, Tender, Use, Voucher,
};
use crate::domain::contact::Contact;
use crate::domain::ids::{CartAccess, CartId, OrderId, PaymentId, RefundId, SkuCode};
use crate::domain::money::{Currency, Money};
use crate::domain::order_numbers::OrderNumber;
use crate::domain::pricing::{Discount, PricedLine, Totals};
use crate::domain::quantity::{Quantity, Units};
use crate::mutants::Mutant;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Existing {
    pub(crate) cart: CartId,
    pub(crate) access: CartAccess,
    pub(crate) payment: PaymentId,
    pub(crate) number: Option<OrderNumber>,
    /// As it was checked out: never changes.
    pub(crate) placed: Placed,
    pub(crate) stage: Stage,
    /// One for each line that was placed, in order.
    pub(crate) lines: Vec<LineState>,
    /// Of the lines that were not dropped.
    pub(crate) totals: Totals,
    pub(crate) money: Funds,
    pub(crate) shipments: Vec<Shipment>,
    pub(crate) returns: Vec<Return>,
    pub(crate) refunds: Vec<RefundRecord>,
    pub(crate) notes: Vec<Note>,
    /// Of pieces, while others were wanted still.
    pub(crate) cancellations: Vec<Cancellation>,
    /// Those refunds that gave back what cancelled pieces had cost.
    pub(crate) credits: Vec<RefundId>,
    /// Once its lists were asked for places.
    pub(crate) listing: Option<Listing>,
    /// What the shopper was told of the checkout; see [`Settlement`].
    pub(crate) settlement: Option<Settlement>,
    pub(crate) timeline: Timeline,
    pub(crate) updated_at: Timestamp,
    /// What promotions took off the lines that were not dropped.
    pub(crate) discounts: Vec<Discount>,
    /// Of discount codes.
    pub(crate) uses: Vec<Use>,
    /// Of shipments that a carrier was asked to bring, in order.
    pub(crate) parcels: Vec<Parcel>,
    /// Of an order that somebody is to look at before it is paid.
    pub(crate) review: Option<Review>,
    /// Whose the lines are; those of the shop itself are nobody's.
    pub(crate) sellers: Vec<SellerLines>,
    /// Gift cards that pay some of it.
    pub(crate) tenders: Vec<Tender>,
    /// Those refunds that gift cards got.
    pub(crate) to_cards: Vec<RefundId>,
    /// Those refunds that became gift cards.
    pub(crate) vouchers: Vec<Voucher>,
    /// Whom it is for and where it goes, where that was put right.
    pub(crate) corrected: Option<Box<Contact>>,
    pub(crate) exchanges: Vec<Exchange>,
    /// The order some of whose pieces this one is had for.
    pub(crate) in_place_of: Option<OrderId>,
}

/// Where an order is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Stocks are asked.
    Reserving,
    /// The payment is asked for the money.
    Authorising,
    /// The payment is asked to take it; stocks let their pieces go.
    Capturing,
    /// The shopper bought it.
    Confirmed,
    /// The payment is being undone, and the order ends after it.
    Ending(Ending),
    Failed(Failure),
    Cancelled,
    /// Stocks have the pieces; somebody is asked whether it looks like fraud.
    Reviewing,
}

/// How an order ends once its payment is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ending {
    /// It never was confirmed.
    Fails(Failure),
    /// It was, and is called off.
    IsCancelled,
}

/// The end of a checkout as it was told, whatever became of the order since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub failure: Option<Failure>,
    /// Stocks that lacked pieces.
    pub shortages: Vec<(SkuCode, Shortage)>,
    /// What was bought less than asked for.
    pub dropped: Vec<SkuCode>,
    pub totals: Totals,
    pub captured: Money,
    pub number: Option<OrderNumber>,
    pub at: Timestamp,
    /// Pieces that were bought and were still to come. In bytes they come after the rest of the order,
    /// see `codec::order`.
    #[serde(skip)]
    pub awaited: Vec<(SkuCode, Quantity)>,
}

/// The pieces of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LineState {
    Asked,
    Reserved,
    Refused(Shortage),
    /// The stock is told to let them go.
    Selling,
    Sold,
    /// The stock is told to keep them.
    Releasing,
    /// Nothing is held any more.
    Released,
    /// What was sold is told to the stock to be there again.
    Returning,
    /// These pieces are to come, and the others are reserved.
    Promised {
        waiting: Quantity,
    },
    /// These pieces are to come, and the stock is told to let the others go.
    PartlySold {
        waiting: Quantity,
    },
}

impl LineState {
    /// Pieces that are still to come.
    pub(crate) const fn waiting(self) -> Option<Quantity> {
        match self {
            Self::Promised { waiting } | Self::PartlySold { waiting } => Some(waiting),
            Self::Asked
            | Self::Reserved
            | Self::Refused(_)
            | Self::Selling
            | Self::Sold
            | Self::Releasing
            | Self::Released
            | Self::Returning => None,
        }
    }
}

/// What the payment said of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Funds {
    /// Whether the payment was ever asked for anything that it may still do.
    pub(crate) asked: Asked,
    pub(crate) authorised: Money,
    pub(crate) captured: Money,
    pub(crate) refunded: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Asked {
    Nothing,
    /// It may have the money, or get it.
    Open,
    /// It ended with nothing.
    Closed,
    /// It is being given up, or could not be: it may have the money, and gets no more.
    Closing,
}

impl Funds {
    /// Whether the payment has the money, or may have.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.asked, Asked::Open | Asked::Closing)
    }

    /// The payment ended with nothing: what was taken was given back.
    fn undo(&mut self) {
        self.asked = Asked::Closed;
        self.refunded = self.captured;
    }

    /// Whether a payment can have said so.
    pub(crate) fn is_sound(&self, currency: Currency) -> bool {
        let Self { asked: _, authorised, captured, refunded } = *self;
        let parts = [refunded, captured, authorised];
        parts.iter().all(|money| money.currency == currency)
            && parts.is_sorted_by_key(|money| money.minor)
            && refunded.minor >= 0
    }
}

impl Existing {
    pub(super) fn new(
        cart: CartId,
        access: CartAccess,
        payment: PaymentId,
        placed: Placed,
    ) -> Self {
        let (at, totals) = (placed.at, placed.totals());
        let zero = Money::zero(placed.currency());
        let money =
            Funds { asked: Asked::Nothing, authorised: zero, captured: zero, refunded: zero };
        let lines = vec![LineState::Asked; placed.lines().len()];
        let mut timeline = Timeline::default();
        timeline.placed(at);
        Self {
            cart,
            access,
            payment,
            number: None,
            placed,
            stage: Stage::Reserving,
            lines,
            totals,
            money,
            shipments: Vec::new(),
            returns: Vec::new(),
            refunds: Vec::new(),
            notes: Vec::new(),
            cancellations: Vec::new(),
            credits: Vec::new(),
            listing: None,
            settlement: None,
            timeline,
            updated_at: at,
            discounts: Vec::new(),
            uses: Vec::new(),
            parcels: Vec::new(),
            review: None,
            sellers: Vec::new(),
            tenders: Vec::new(),
            to_cards: Vec::new(),
            vouchers: Vec::new(),
            corrected: None,
            exchanges: Vec::new(),
            in_place_of: None,
        }
    }

    pub(super) fn apply(&mut self, event: &Event) {
        // Where it is listed is nothing of its own.
        if let Event::PlacesAsked { status, .. } = event {
            self.listing = Some(Listing::asked(*status));
        } else if let Event::PlaceTaken { list, place, .. } = event {
            self.take_place(*list, *place);
        } else {
            self.timeline.take(event);
            self.updated_at = event.at();
            self.change(event);
        }
    }

    #[expect(clippy::too_many_lines, reason = "a table of all events")]
    fn change(&mut self, event: &Event) {
        match event {
            Event::Placed { .. }
            | Event::CaptureFailed { .. }
            | Event::PaymentInDoubt { .. }
            | Event::PlacesAsked { .. }
            | Event::PlaceTaken { .. } => {}
            Event::Numbered { number, .. } => self.number = Some(*number),
            Event::StockReserved { sku, .. } => self.set(sku, LineState::Reserved),
            Event::StockPromised { sku, waiting, .. } => {
                self.set(sku, LineState::Promised { waiting: *waiting });
            }
            Event::StockArrived { sku, waiting, .. } => self.arrive(sku, *waiting),
            Event::StockRefused { sku, shortage, .. } => {
                self.set(sku, LineState::Refused(*shortage));
            }
            Event::StockSold { sku, .. } => self.set(sku, LineState::Sold),
            Event::StockReleased { sku, .. } | Event::StockReturned { sku, .. } => {
                self.set(sku, LineState::Released);
            }
            Event::LinesDropped { .. } if Mutant::DroppedLinesPaid.is_planted() => {}
            Event::LinesDropped { skus, totals, .. } => self.drop_lines(skus, *totals),
            Event::PaymentAsked { .. } => {
                self.money.asked = Asked::Open;
                self.stage = Stage::Authorising;
            }
            Event::Authorised { amount, .. } => self.money.authorised = *amount,
            Event::CaptureAsked { .. } => self.capture(),
            Event::Captured { total, .. } => self.money.captured = *total,
            Event::Confirmed { at } => self.confirm(*at),
            Event::Failed { why, at } => self.fail(why, *at),
            Event::EndingAsked { why, .. } => self.leave(Stage::Ending(Ending::Fails(why.clone()))),
            Event::CancelAsked { .. } => self.leave(Stage::Ending(Ending::IsCancelled)),
            Event::Cancelled { .. } => self.cancel(),
            Event::PaymentUndone { .. } => self.money.undo(),
            Event::Shipped { shipment, items, carrier, tracking, at } => {
                let way = (carrier.clone(), tracking.clone());
                self.shipments.push(Shipment::sent(*shipment, items.clone(), way, *at));
            }
            Event::Delivered { shipment, at } => self.deliver(*shipment, *at),
            Event::ReturnAsked { number, items, reason, at } => {
                self.returns.push(Return::asked(*number, items.clone(), reason.clone(), *at));
            }
            Event::ReturnReceived { number, at } => self.receive(*number, *at),
            Event::Refunded { refund, refunded, .. } => {
                self.money.refunded = *refunded;
                self.end_refund(*refund, RefundState::Done);
            }
            Event::RefundFailed { refund, .. } => self.end_refund(*refund, RefundState::Failed),
            Event::Discounted { discounts, .. } => self.discounts.clone_from(discounts),
            Event::UsesAsked { redemptions, .. } => self.uses = Use::all_asked(redemptions),
            Event::SellersNamed { sellers, .. } => self.sellers.clone_from(sellers),
            Event::UseBecame { nth, state, .. } => self.use_becomes(*nth, *state),
            Event::NoteAdded { text, at } => self.notes.push(Note { text: text.clone(), at: *at }),
            Event::PiecesCancelled { by, items, amount, reason, at } => {
                let (items, reason) = (items.clone(), reason.clone());
                self.take_cancellation(Cancellation {
                    by: *by,
                    items,
                    amount: *amount,
                    reason,
                    at: *at,
                });
            }
            Event::RefundAsked { refund, amount, reason, at }
            | Event::CreditAsked { refund, amount, reason, at } => {
                self.refunds.push(RefundRecord::asked(*refund, *amount, reason, *at));
                let is_credit = matches!(event, Event::CreditAsked { .. });
                self.credits.extend(is_credit.then_some(*refund));
            }
            Event::PaymentVoidAsked { .. } | Event::PaymentUndoFailed { .. } => {
                self.money.asked = Asked::Closing;
            }
            Event::Review { step, at } => self.review_becomes(step, *at),
            Event::Parcel { shipment, step, at } => self.parcel_becomes(*shipment, step, *at),
            Event::Tender { step, at } => self.tender_becomes(step, *at),
            Event::Voucher { step, at } => self.voucher_becomes(step, *at),
            Event::Exchange { step, .. } => self.exchange_becomes(step),
            Event::Corrected { contact, .. } => self.corrected = Some(contact.clone()),
        }
    }

    fn drop_lines(&mut self, skus: &[SkuCode], totals: Totals) {
        self.totals = totals;
        let dropped: Vec<_> = skus.iter().filter_map(|sku| self.placed.place_of(sku)).collect();
        for discount in &mut self.discounts {
            *discount = discount.without(&dropped);
        }
    }

    fn confirm(&mut self, at: Timestamp) {
        self.sell();
        self.stage = Stage::Confirmed;
        self.settle(None, at);
    }

    fn fail(&mut self, why: &Failure, at: Timestamp) {
        self.leave(Stage::Failed(why.clone()));
        self.settle(Some(why.clone()), at);
    }

    /// Of a checkout it is the step before the last; with the first shipment it is not.
    fn capture(&mut self) {
        if self.stage == Stage::Authorising {
            self.sell();
            self.stage = Stage::Capturing;
        }
    }

    /// Nothing is bought, or not any more.
    fn leave(&mut self, stage: Stage) {
        self.let_go();
        self.stage = stage;
    }

    fn cancel(&mut self) {
        self.stage = Stage::Cancelled;
        if Mutant::EndToldOtherwise.is_planted() {
            self.settlement = None;
        }
    }

    fn deliver(&mut self, number: ShipmentNumber, at: Timestamp) {
        if let Some(known) = self.shipments.iter_mut().find(|known| known.number == number) {
            known.delivered_at = Some(at);
        }
    }

    fn receive(&mut self, number: ReturnNumber, at: Timestamp) {
        if let Some(known) = self.returns.iter_mut().find(|known| known.number == number) {
            known.received_at = Some(at);
        }
    }

    /// What is reserved leaves the stock.
    fn sell(&mut self) {
        self.count_uses();
        self.spend_cards();
        for line in &mut self.lines {
            *line = match *line {
                LineState::Reserved => LineState::Selling,
                LineState::Promised { waiting } => LineState::PartlySold { waiting },
                other @ (LineState::Asked
                | LineState::Refused(_)
                | LineState::Selling
                | LineState::Sold
                | LineState::Releasing
                | LineState::Released
                | LineState::Returning
                | LineState::PartlySold { .. }) => other,
            };
        }
    }

    /// What was promised is there, or some of it.
    fn arrive(&mut self, sku: &SkuCode, waiting: Units) {
        let waiting = Quantity::try_from(waiting.get()).ok();
        let (promised, sold) = match waiting {
            Some(waiting) => (LineState::Promised { waiting }, LineState::PartlySold { waiting }),
            None => (LineState::Reserved, LineState::Selling),
        };
        match self.state_of(sku) {
            Some(LineState::Promised { .. }) => self.set(sku, promised),
            Some(LineState::PartlySold { .. }) => self.set(sku, sold),
            Some(
                LineState::Asked
                | LineState::Reserved
                | LineState::Refused(_)
                | LineState::Selling
                | LineState::Sold
                | LineState::Releasing
                | LineState::Released
                | LineState::Returning,
            )
            | None => {}
        }
    }

    /// What is held, or may be, or was sold, is the stock's again.
    fn let_go(&mut self) {
        self.free_uses();
        self.free_cards();
        let kept: Vec<_> = self.kept().map(|(_, kept)| kept).collect();
        for (line, kept) in self.lines.iter_mut().zip(kept) {
            *line = match *line {
                // All of it was called off before.
                LineState::Selling | LineState::Sold if kept.is_none() => LineState::Released,
                LineState::Asked | LineState::Reserved | LineState::Promised { .. } => {
                    LineState::Releasing
                }
                LineState::Selling | LineState::Sold | LineState::PartlySold { .. } => {
                    LineState::Returning
                }
                ended @ (LineState::Refused(_)
                | LineState::Releasing
                | LineState::Released
                | LineState::Returning) => ended,
            };
        }
    }

    pub(super) fn settle(&mut self, failure: Option<Failure>, at: Timestamp) {
        let shortages = self.short_lines().map(|(sku, shortage)| (sku.clone(), shortage));
        let shortages: Vec<_> = shortages.collect();
        let dropped = shortages.iter().map(|(sku, _)| sku.clone()).collect();
        self.settlement.get_or_insert(Settlement {
            failure,
            shortages,
            dropped,
            totals: self.totals,
            captured: self.money.captured,
            number: self.number,
            at,
            awaited: self.awaited(),
        });
    }

    pub(super) fn set(&mut self, sku: &SkuCode, state: LineState) {
        let place = self.placed.place_of(sku);
        if let Some(line) = place.and_then(|place| self.lines.get_mut(place)) {
            *line = state;
        }
    }

    pub(super) fn end_refund(&mut self, refund: RefundId, state: RefundState) {
        if let Some(known) = self.refunds.iter_mut().find(|known| known.id == refund) {
            known.state = state;
        }
    }

    pub(super) fn state_of(&self, sku: &SkuCode) -> Option<LineState> {
        self.lines.get(self.placed.place_of(sku)?).copied()
    }

    /// Lines that stocks refused.
    pub(super) fn short_lines(&self) -> impl Iterator<Item = (&SkuCode, Shortage)> {
        let lines = self.placed.lines().iter().zip(&self.lines);
        lines.filter_map(|(line, state)| match state {
            LineState::Refused(shortage) => Some((&line.sku, *shortage)),
            LineState::Asked
            | LineState::Reserved
            | LineState::Selling
            | LineState::Sold
            | LineState::Releasing
            | LineState::Released
            | LineState::Returning
            | LineState::Promised { .. }
            | LineState::PartlySold { .. } => None,
        })
    }

    /// Pieces of each line that are still to come.
    fn awaited(&self) -> Vec<(SkuCode, Quantity)> {
        let lines = self.placed.lines().iter().zip(&self.lines);
        lines.filter_map(|(line, state)| Some((line.sku.clone(), state.waiting()?))).collect()
    }

    /// Pieces of a line that are still to come.
    pub(super) fn waiting_for(&self, sku: &SkuCode) -> Option<Quantity> {
        self.state_of(sku).and_then(LineState::waiting)
    }

    pub(super) fn shipment(&self, number: ShipmentNumber) -> Option<&Shipment> {
        self.shipments.iter().find(|known| known.number == number)
    }

    /// Pieces of each line that were shipped.
    pub(super) fn shipped(&self) -> Pieces<'_> {
        Pieces::of(self.shipments.iter().flat_map(|shipment| &shipment.items))
    }

    /// Pieces of each line that come back, or have.
    pub(super) fn returned(&self) -> Pieces<'_> {
        Pieces::of(self.returns.iter().flat_map(|known| &known.items))
    }

    /// Lines that the shopper gets.
    pub(super) fn bought(&self) -> impl Iterator<Item = &PricedLine> {
        let lines = self.placed.lines().iter().zip(&self.lines);
        lines.filter(|(_, state)| !matches!(state, LineState::Refused(_))).map(|(line, _)| line)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        // Names and addresses are short; what counts is how many lines there are.
        const LINE_BYTES: usize = 256;
        const ENTRY_BYTES: usize = 160;
        const ITEM_BYTES: usize = 96;
        let entries = self.shipments.len() + self.returns.len() + self.refunds.len();
        let entries = entries
            + self.vouchers.len()
            + self.notes.len()
            + self.cancellations.len()
            + self.parcels.len();
        let cancelled: usize = self.cancellations.iter().map(|known| known.items.len()).sum();
        let settled = self.settlement.as_ref().map_or(0, |told| told.shortages.len() * 2);
        self.lines.len() * LINE_BYTES
            + entries * ENTRY_BYTES
            + (self.n_items() + cancelled + settled) * ITEM_BYTES
            + self.timeline.heap_bytes()
            + self.listing.as_ref().map_or(0, Listing::heap_bytes)
            + self.discounts.iter().map(Discount::heap_bytes).sum::<usize>()
            + (self.uses.len() + self.tenders.len()) * ENTRY_BYTES
            + self.sellers.iter().map(SellerLines::heap_bytes).sum::<usize>()
            + self.exchanges.len() * ENTRY_BYTES
            + self.exchanges.iter().map(|it| it.heap_bytes(LINE_BYTES)).sum::<usize>()
    }

    /// Lines of all shipments and returns.
    pub(super) fn n_items(&self) -> usize {
        let shipped = self.shipments.iter().map(|shipment| shipment.items.len());
        let returned = self.returns.iter().map(|known| known.items.len());
        shipped.chain(returned).sum()
    }
}

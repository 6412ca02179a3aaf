//! Orders, as their shoppers and the shop see them and what these want of them.

use std::collections::{BTreeMap, BTreeSet};

use actors::domain::carrier::Whereabouts;
use actors::domain::names::Label;
use actors::domain::order::{
    Command, Lookup, ParcelCommand, ParcelState, Query, Rejection, ReturnNumber, ReviewCommand,
    Settlement, ShipmentNumber, Side, StockStatus, View,
};
use actors::domain::payment::ProviderName;
use actors::domain::pricing::Discount;
use actors::{Currency, Money, Order, OrderId, Quantity, RefundId, SkuCode};
use cluster::entity::Wire;
use cluster::fabric::OutcomeKey;
use cluster::shard::io::Freshness;
use cluster::sim::client::Finished;
use cluster::sim::workload::Operation;
use cluster::time::Timestamp;
use storage::sim_disk::SplitMix64;

use super::super::journal::{Asked, Journal, Read};
use super::super::range;
use super::judge::waiting;
use super::{cards, money, names, vouchers};

/// Why pieces are called off, and why an order is.
pub(super) const TOO_MANY: &str = "one too many";
const CHANGED_MIND: &str = "changed mind";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Look,
    Cancel,
    /// So many pieces of a product that are not on their way.
    CallOff {
        product: u64,
        pieces: u32,
    },
    /// One piece of a product, which follows from the number of the shipment.
    Fulfil {
        number: u16,
        product: u64,
    },
    Deliver {
        number: u16,
    },
    AskReturn {
        number: u16,
        product: u64,
    },
    Receive {
        number: u16,
    },
    Refund {
        number: u16,
        minor: i64,
    },
    /// A refund that is to be a gift card.
    RefundToCard {
        number: u16,
        minor: i64,
    },
    /// A carrier that refused is asked again.
    BookAgain {
        number: u16,
    },
    /// The carrier's.
    Track {
        number: u16,
        to: Whereabouts,
    },
    /// Somebody looked at it.
    Approve,
    Reject,
}

impl Deed {
    /// So many pieces of a product.
    pub(super) fn calls_off(self, of: u64) -> Option<u32> {
        let Self::CallOff { product, pieces } = self else { return None };
        (product == of).then_some(pieces)
    }
}

#[derive(Default)]
pub(super) struct Orders {
    pub(super) journal: Journal<Deed>,
    /// The cart of each order.
    carts: Vec<u64>,
    /// The newest that anybody saw of each.
    latest: BTreeMap<u64, (u64, Box<View>)>,
    /// Everything that was seen, by order and sequence.
    seen: BTreeMap<(u64, u64), Option<Box<View>>>,
    /// What was told of the end of each checkout.
    told: BTreeMap<u64, Settlement>,
    audits: BTreeSet<u64>,
}

pub(super) fn refund_id(order: u64, number: u16) -> RefundId {
    RefundId::from_bytes((u128::from(order) << 16 | u128::from(number)).to_be_bytes())
}

impl Orders {
    pub(super) fn add(&mut self, cart: u64) -> u64 {
        self.carts.push(cart);
        u64::try_from(self.carts.len() - 1).unwrap_or(u64::MAX)
    }

    pub(super) fn named(&self, id: OrderId) -> Option<u64> {
        self.all().find(|(order, cart)| names::order(*order, *cart) == id).map(|(order, _)| order)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (u64, u64)> {
        (0..).zip(self.carts.iter().copied())
    }

    pub(super) fn cart_of(&self, order: u64) -> u64 {
        let nth = usize::try_from(order).unwrap_or(usize::MAX);
        self.carts.get(nth).copied().unwrap_or(u64::MAX)
    }

    pub(super) fn latest(&self, order: u64) -> Option<&View> {
        self.latest.get(&order).map(|(_, view)| view.as_ref())
    }

    /// The gift cards that anybody saw orders become, by the orders' numbers.
    pub(super) fn vouchers_seen(&self) -> Vec<u64> {
        let latest = self.latest.iter();
        latest.flat_map(|(order, (_, view))| vouchers::own(*order, view)).collect()
    }

    /// Every gift card that some order was asked to become.
    pub(super) fn vouchers_wanted(&self) -> BTreeSet<u64> {
        let wanted = self.journal.iter().filter_map(|(_, asked)| {
            let Deed::RefundToCard { number, .. } = asked.deed else { return None };
            Some(vouchers::card(asked.entity, number))
        });
        wanted.collect()
    }

    pub(super) fn ask(
        &mut self,
        op: u64,
        order: u64,
        deed: Deed,
        key: Option<OutcomeKey>,
        random: &mut SplitMix64,
    ) -> Operation {
        let cart = self.cart_of(order);
        let asked = if deed == Deed::Look {
            let latest = random.one_in(2);
            let freshness = if latest { Freshness::Latest } else { Freshness::Position };
            self.journal.read(op, order, deed, freshness)
        } else {
            self.journal.write(op, order, deed, key)
        };
        operation(cart, asked)
    }

    pub(super) fn repeat(
        &mut self,
        op: u64,
        now: Timestamp,
        random: &mut SplitMix64,
    ) -> Option<Operation> {
        let (_, asked) = self.journal.draw_repeat(op, now, random)?;
        let asked = asked.clone();
        Some(operation(self.cart_of(asked.entity), &asked))
    }

    pub(super) fn audit(&mut self, op: u64, order: u64) -> Operation {
        self.audits.insert(op);
        let cart = self.cart_of(order);
        operation(cart, self.journal.read(op, order, Deed::Look, Freshness::Latest))
    }

    pub(super) fn finish(&mut self, finished: Finished) -> Result<(), String> {
        let op = finished.op;
        let asked = self.journal.finish(finished)?.clone();
        let order = asked.entity;
        let wrong = |what: String| format!("operation {op} {asked:?}: {what}");
        if let Some((rejection, _)) = asked.rejected() {
            let why = Rejection::read(rejection)?;
            let may = may_be_refused(asked.deed, &why);
            return if may { Ok(()) } else { Err(wrong(format!("got {why:?}"))) };
        }
        let Some((reply, seq)) = asked.accepted().or_else(|| asked.viewed()) else {
            return Ok(());
        };
        let Lookup(view) = Lookup::read(reply)?;
        if let Some(view) = &view {
            self.check_view(order, view).map_err(wrong)?;
        }
        if let Some(view) = &view {
            self.check_places(order, seq, view).map_err(wrong)?;
        }
        match self.seen.get(&(order, seq)) {
            Some(before) if *before != view => {
                return Err(wrong(format!("saw {view:?} at {seq} instead of {before:?}")));
            }
            Some(_) => {}
            None => drop(self.seen.insert((order, seq), view.clone())),
        }
        if let Some(view) = view
            && self.latest.get(&order).is_none_or(|(known, _)| *known <= seq)
        {
            self.latest.insert(order, (seq, view));
        }
        Ok(())
    }

    /// A parcel never goes back.
    fn check_places(&self, order: u64, seq: u64, view: &View) -> Result<(), String> {
        let Some((known, before)) = self.latest.get(&order) else { return Ok(()) };
        let (earlier, later) = if *known <= seq { (&**before, view) } else { (view, &**before) };
        let place = |view: &View, shipment| {
            let parcel = view.parcels.iter().find(|parcel| parcel.shipment == shipment)?;
            if let ParcelState::Moved(place) = parcel.state { Some(place) } else { None }
        };
        let mut parcels = earlier.parcels.iter().map(|parcel| parcel.shipment);
        if parcels.all(|shipment| place(earlier, shipment) <= place(later, shipment)) {
            return Ok(());
        }
        Err(format!("a parcel of order {order} went from {earlier:?} to {later:?}"))
    }

    /// Prices are those of the range, parts no more than wholes, and what was told stays so.
    fn check_view(&mut self, order: u64, view: &View) -> Result<(), String> {
        let is_itself = view.id == names::order(order, self.cart_of(order))
            && view.payment == names::payment(order, self.cart_of(order));
        let mut right =
            is_itself && view.lines.is_sorted_by(|one, next| one.line.sku < next.line.sku);
        let (mut all, mut bought) = (0, 0);
        let called_off = || view.cancellations.iter().flat_map(|known| &known.items);
        let cancelled = |sku: &SkuCode| -> u32 {
            called_off().filter(|(known, _)| known == sku).map(|(_, pieces)| pieces.get()).sum()
        };
        for line in &view.lines {
            let price = range::number(&line.line.sku).map(range::price);
            let total = price.unwrap_or(0) * i64::from(line.line.quantity.get());
            right &= price == Some(line.line.unit_price.minor)
                && line.line.line_total.minor == total
                && line.returned <= line.shipped
                && i64::from(line.shipped + cancelled(&line.line.sku)) + waiting(line)
                    <= i64::from(line.line.quantity.get());
            all += total;
            bought += if line.stock == StockStatus::Refused { 0 } else { total };
        }
        right &= money::adds_up(order, view);
        let grand = view.totals.grand.minor;
        let (items, off) = (view.totals.items.minor, view.totals.discount.minor);
        let expected = if view.codes.is_empty() { 0 } else { range::taken_off(all) };
        let itemised: i64 = view.discounts.iter().map(Discount::minor).sum();
        right &= grand == items - off && off == itemised && (items == all || items == bought);
        // Of an order without some lines, shares are gone with them.
        right &= if items == all { off == expected } else { off <= expected };
        if let Some(settlement) = &view.settlement {
            right &= settlement.failure.is_some() || settlement.totals.items.minor == bought;
            let told = self.told.entry(order).or_insert_with(|| settlement.clone());
            right &= told == settlement;
        }
        if right { Ok(()) } else { Err(format!("order {order} is {view:?}")) }
    }

    /// Every order there is, at rest.
    pub(super) fn finals(&self) -> Result<BTreeMap<u64, Box<View>>, String> {
        let mut finals = BTreeMap::new();
        for audit in self.journal.audited(&self.audits) {
            let (entity, view) = audit?;
            if let Lookup(Some(view)) = Lookup::read(view)? {
                finals.insert(entity, view);
            }
        }
        Ok(finals)
    }
}

fn operation(cart: u64, asked: &Asked<Deed>) -> Operation {
    let order = asked.entity;
    let entity = Order::address(names::order(order, cart));
    let label = |text: &str| {
        let label = Label::try_from(text.to_owned());
        label.unwrap_or_else(|_| unreachable!("a plain word"))
    };
    let one = |product| -> Vec<(SkuCode, Quantity)> {
        Quantity::try_from(1).map_or(vec![], |one| vec![(range::code(product), one)])
    };
    let command = match asked.deed {
        Deed::Look => return Operation { entity, wish: asked.wish(Query::Order.to_bytes()) },
        Deed::Cancel => Command::Cancel { by: Side::Shopper, reason: label(CHANGED_MIND) },
        Deed::CallOff { product, pieces } => {
            let items = Quantity::try_from(pieces).map(|pieces| (range::code(product), pieces));
            let items = items.into_iter().collect();
            Command::CancelPieces { by: Side::Shopper, items, reason: label(TOO_MANY) }
        }
        Deed::Fulfil { number, product } => {
            let (shipment, items) = (ShipmentNumber(number), one(product));
            let (carrier, tracking) = (label("Post"), label("1Z"));
            // Whoever asks for a shipment asks for the same.
            if number.is_multiple_of(2) {
                let carrier = mule();
                let fulfil = ParcelCommand::Fulfil { shipment, items, carrier };
                return Operation {
                    entity,
                    wish: asked.wish(Command::OfParcel(fulfil).to_bytes()),
                };
            }
            Command::Fulfil { shipment, items, carrier, tracking }
        }
        Deed::BookAgain { number } => {
            let (shipment, carrier) = (ShipmentNumber(number), mule());
            Command::OfParcel(ParcelCommand::Book { shipment, carrier })
        }
        Deed::Track { number, to } => {
            let (shipment, carrier) = (ShipmentNumber(number), mule());
            let event = format!("evt-{number}-{to:?}").parse();
            let event = event.unwrap_or_else(|_| unreachable!("a plain word"));
            Command::OfParcel(ParcelCommand::Notified { event, carrier, shipment, to })
        }
        Deed::Approve => Command::OfReview(ReviewCommand::Approve),
        Deed::Reject => Command::OfReview(ReviewCommand::Reject),
        Deed::Deliver { number } => Command::Deliver { shipment: ShipmentNumber(number) },
        Deed::AskReturn { number, product } => {
            let (number, items) = (ReturnNumber(number), one(product));
            Command::AskReturn { number, items, reason: label("too small") }
        }
        Deed::Receive { number } => Command::ReceiveReturn { number: ReturnNumber(number) },
        Deed::Refund { number, minor } => {
            let (refund, amount) =
                (refund_id(order, number), Money { minor, currency: Currency::EURO });
            Command::Refund { refund, amount, reason: label("broken") }
        }
        Deed::RefundToCard { number, minor } => {
            let (refund, amount) =
                (refund_id(order, number), Money { minor, currency: Currency::EURO });
            let (card, ending) = (cards::id(vouchers::card(order, number)), cards::ending());
            Command::RefundToCard { refund, amount, reason: label("broken"), card, ending }
        }
    };
    Operation { entity, wish: asked.wish(command.to_bytes()) }
}

fn mule() -> ProviderName {
    let name = "mule".parse();
    name.unwrap_or_else(|_| unreachable!("a plain word"))
}

/// Whether there is a reason for which an order refuses such a deed.
fn may_be_refused(deed: Deed, why: &Rejection) -> bool {
    use Rejection as R;
    match why {
        R::NotFound | R::Over => !matches!(deed, Deed::Track { .. }),
        R::WithCarrier { .. } => matches!(deed, Deed::BookAgain { .. }),
        R::NotOnHold => matches!(deed, Deed::Approve | Deed::Reject),
        R::AlreadyShipped => deed == Deed::Cancel,
        R::NotConfirmed => deed != Deed::Cancel,
        R::TooMany { .. } => {
            matches!(deed, Deed::Fulfil { .. } | Deed::AskReturn { .. } | Deed::CallOff { .. })
        }
        R::NumberOutOfOrder { .. } => {
            matches!(deed, Deed::Fulfil { .. } | Deed::AskReturn { .. })
        }
        R::NotPaid => matches!(deed, Deed::Fulfil { .. } | Deed::BookAgain { .. }),
        R::OnBackorder { .. } => matches!(deed, Deed::Fulfil { .. } | Deed::CallOff { .. }),
        R::ShipmentNotFound { .. } => {
            matches!(deed, Deed::Deliver { .. } | Deed::BookAgain { .. })
        }
        R::ReturnNotFound { .. } => matches!(deed, Deed::Receive { .. }),
        R::RefundTooLarge { .. } | R::NotPositive => {
            matches!(deed, Deed::Refund { .. } | Deed::RefundToCard { .. })
        }
        R::AlreadyExists
        | R::LineNotFound { .. }
        | R::NothingNamed
        | R::NumberDiffers { .. }
        | R::RefundDiffers
        | R::OtherCurrency { .. }
        | R::OtherDestination
        | R::ExchangeDiffers
        | R::NotPriced(_)
        | R::PaymentRequired { .. }
        | R::CatalogueUnavailable
        | R::CatalogueStale
        | R::TooManyEntries => false,
    }
}

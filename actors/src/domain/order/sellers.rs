//! Whose the lines of an order are, and what each seller is told of them.
//!
//! **Invariants:** a seller is told of an order from its confirmation on, of each change once, with what
//! was told before: boards add up, whatever order they are read in.

use std::collections::BTreeMap;

use cluster::entity::{Effect, Wire};
use cluster::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::existing::Ending;
use super::{Course, Existing, Failure, LineView, ReviewState, Stage, Status, StockStatus, View};
use crate::domain::catalogue::PriceBook;
use crate::domain::heap;
use crate::domain::ids::SkuCode;
use crate::domain::money::Money;
use crate::domain::names::SellerId;
use crate::domain::pricing::PricedLine;
use crate::domain::quantity::Quantity;
use crate::domain::seller_board::{Command as BoardCommand, Consignment, SellerBoard};
use crate::mutants::Mutant;

/// The lines of one seller, as the catalogue had it when they were ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerLines {
    pub seller: SellerId,
    /// In order.
    pub skus: Vec<SkuCode>,
}

impl SellerLines {
    /// Whose the lines are, as the catalogue has it now.
    pub(in crate::domain) fn all_of(
        lines: &[PricedLine],
        book: &PriceBook,
    ) -> impl Iterator<Item = Self> + use<> {
        let mut sellers: BTreeMap<SellerId, Vec<SkuCode>> = BTreeMap::new();
        for PricedLine { sku, .. } in lines {
            if let Some(seller) = book.seller_of(sku) {
                sellers.entry(seller.clone()).or_default().push(sku.clone());
            }
        }
        sellers.into_iter().map(|(seller, skus)| Self { seller, skus })
    }

    fn has(&self, sku: &SkuCode) -> bool {
        self.skus.binary_search(sku).is_ok()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        heap::allocation(self.skus.capacity() * size_of::<SkuCode>())
    }

    /// How many pieces of these lines there are among some.
    fn among<'a>(&self, items: impl Iterator<Item = &'a Vec<(SkuCode, Quantity)>>) -> u32 {
        let ours = items.flatten().filter(|(sku, _)| self.has(sku));
        ours.map(|(_, quantity)| quantity.get()).fold(0, u32::saturating_add)
    }
}

impl View {
    /// What one seller has to send still, of pieces that are there; `None` of a seller that has no part in
    /// the order.
    pub fn unsent_by(&self, seller: &SellerId) -> Option<Vec<(SkuCode, Quantity)>> {
        let lines = self.sellers.iter().find(|lines| lines.seller == *seller)?;
        let called_off = || self.cancellations.iter().flat_map(|known| &known.items);
        let left = |it: &LineView| {
            let waiting = match it.stock {
                StockStatus::Sold => 0,
                StockStatus::Backordered { pieces } => pieces.get(),
                StockStatus::Asked
                | StockStatus::Reserved
                | StockStatus::Refused
                | StockStatus::Released => return None,
            };
            let sku = &it.line.sku;
            let off = called_off().filter(|(known, _)| known == sku);
            let off: u32 = off.map(|(_, pieces)| pieces.get()).sum();
            let left = it.line.quantity.get().saturating_sub(it.shipped + off + waiting);
            Some((sku.clone(), Quantity::try_from(left).ok()?))
        };
        let ours = self.lines.iter().filter(|line| lines.has(&line.line.sku));
        Some(ours.filter_map(left).collect())
    }

    /// Whose pieces these are, in order; those of the shop itself are nobody's.
    pub fn sellers_of<'a>(
        &'a self,
        items: &'a [(SkuCode, Quantity)],
    ) -> impl Iterator<Item = &'a SellerId> {
        let sends = |lines: &&SellerLines| items.iter().any(|(sku, _)| lines.has(sku));
        self.sellers.iter().filter(sends).map(|lines| &lines.seller)
    }
}

impl Existing {
    /// What the order is to each of its sellers; nothing before it is confirmed.
    pub(super) fn consignments(&self) -> impl Iterator<Item = (&SellerId, Consignment)> {
        self.sellers.iter().filter_map(|lines| Some((&lines.seller, self.consignment(lines)?)))
    }

    /// When its checkout ended well, or what had held it up did, whatever the shopper was told then.
    fn went_on_at(&self) -> Option<Timestamp> {
        let told = self.settlement.as_ref()?;
        let Some(failure) = &told.failure else { return Some(told.at) };
        let review = self.review.as_ref().filter(|_| *failure == Failure::UnderReview)?;
        let is_over = matches!(review.state, ReviewState::Approved | ReviewState::Allowed);
        is_over.then_some(review.since)
    }

    fn consignment(&self, lines: &SellerLines) -> Option<Consignment> {
        let confirmed_at = self.went_on_at()?;
        let ours = || self.bought().filter(|line| lines.has(&line.sku));
        let bought: u32 = ours().map(|line| line.quantity.get()).sum();
        let shipped = lines.among(self.shipments.iter().map(|it| &it.items));
        let there = self.shipments.iter().filter(|it| it.delivered_at.is_some());
        let delivered = lines.among(there.map(|it| &it.items));
        let back = self.returns.iter().filter(|it| it.received_at.is_some());
        let returned = lines.among(back.map(|it| &it.items));
        let wanted = |line: &PricedLine| {
            line.quantity.get().saturating_sub(self.cancelled().of_sku(&line.sku))
        };
        let (mut pieces, mut minor) = (0_u32, 0_i64);
        for line in ours() {
            pieces = pieces.saturating_add(wanted(line));
            minor = minor.saturating_add(line.paid_for(wanted(line)).minor);
        }
        let status = match &self.stage {
            Stage::Confirmed if bought > 0 && pieces == 0 => Status::Cancelled,
            Stage::Confirmed if shipped == 0 => Status::Confirmed,
            Stage::Confirmed if shipped < pieces => Status::Processing,
            Stage::Confirmed if returned >= pieces => Status::Returned,
            Stage::Confirmed if delivered >= pieces => Status::Delivered,
            Stage::Confirmed => Status::Shipped,
            Stage::Ending(Ending::IsCancelled) => Status::Cancelling,
            Stage::Cancelled => Status::Cancelled,
            Stage::Reserving
            | Stage::Reviewing
            | Stage::Authorising
            | Stage::Capturing
            | Stage::Ending(Ending::Fails(_))
            | Stage::Failed(_) => return None,
        };
        // Nothing of what is called off whole is paid.
        let is_off = matches!(status, Status::Cancelling | Status::Cancelled);
        let (pieces, minor) = if is_off { (0, 0) } else { (pieces, minor) };
        let amount = Money { minor, ..self.totals.grand };
        let number = self.number;
        (bought > 0).then_some(Consignment {
            number,
            status,
            pieces,
            amount,
            shipped,
            delivered,
            returned,
            confirmed_at,
        })
    }
}

impl Course {
    /// A board has room again for what it only counted.
    pub(super) fn show_seller(&mut self, seller: &SellerId) {
        let known = self.consigned.iter().find(|(known, _)| known == seller);
        let Some((_, after)) = known.cloned() else { return };
        self.tell_board(seller, Some(after.clone()), after);
    }

    fn tell_board(&mut self, seller: &SellerId, before: Option<Consignment>, after: Consignment) {
        let command = BoardCommand::Put { order: self.me, before, after }.to_bytes();
        self.does(Effect::Tell { to: SellerBoard::address(seller), command });
    }

    /// After everything else that happens.
    pub(super) fn tell_sellers(&mut self) {
        let Some(order) = self.order().filter(|_| self.has_happened()) else { return };
        let shown = order.consignments().map(|(seller, it)| (seller.clone(), it));
        for (seller, after) in shown.collect::<Vec<_>>() {
            let before = self.consigned.iter().find(|(known, _)| *known == seller);
            let before = before.map(|(_, it)| it.clone());
            let is_forgotten = before.is_some() && Mutant::SellerNotTold.is_planted();
            if before.as_ref() != Some(&after) && !is_forgotten {
                self.tell_board(&seller, before, after);
            }
        }
    }
}

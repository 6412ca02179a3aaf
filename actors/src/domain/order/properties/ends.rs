//! What holds of whole checkouts once nothing is under way.

use super::*;

impl World {
    /// Each order is in a book of the shop and among those of its customer, once, as it is.
    fn check_lists(&self) {
        let shown = |(id, actor): (&OrderId, &Actor<Order>)| {
            let order = actor.live.existing.as_ref()?;
            let (number, status) = (order.number?, order.status());
            let (total, placed_at) = (order.totals.grand, order.placed.at);
            Some(Listed { order: *id, number, status, total, placed_at })
        };
        let mut orders: Vec<_> = self.orders.iter().filter_map(shown).collect();
        orders.sort_by_key(|listed| listed.order);
        assert_eq!(
            (self.lists.len(), self.pages.len()),
            if orders.is_empty() { (0, 0) } else { (2, 2) }
        );
        for page in self.pages.values() {
            let mut entries = page.live.entries.clone();
            entries.sort_by_key(|listed| listed.order);
            assert_eq!(entries, orders);
        }
        for list in self.lists.values() {
            assert_eq!(list.live.n_orders, u32::try_from(orders.len()).unwrap());
        }
    }

    /// A board counts each order that was bought as what it is, and lists what is open.
    fn check_boards(&self) {
        for (nth, seller) in SELLERS.into_iter().enumerate() {
            let Some(seller) = seller else { continue };
            let (mut open, mut ended, mut listed) = (Sum::default(), Sum::default(), Vec::new());
            for (id, actor) in &self.orders {
                let Some(order) = actor.live.existing.as_ref() else { continue };
                let Some((is_open, sum)) = share(order, &code(nth)) else { continue };
                listed.extend(is_open.then_some(*id));
                let all = if is_open { &mut open } else { &mut ended };
                all.orders += sum.orders;
                all.pieces += sum.pieces;
                all.amount += sum.amount;
            }
            let address = SellerBoard::address(&seller.parse().unwrap());
            let board = self.boards.get(&address).map(|board| &board.live);
            let sums = board.and_then(|board| board.sums.get(&Currency::EURO).copied());
            let sums = sums.unwrap_or_default();
            assert_eq!((sums.open, sums.ended), (open, ended), "{seller}");
            let shown = board.iter().flat_map(|board| board.open.keys().copied());
            assert_eq!(shown.collect::<Vec<_>>(), listed, "{seller}");
        }
    }

    /// For pieces that were called off nothing is kept, unless the provider would not give it back.
    fn check_kept(&self, order: &Existing, kept: i64) {
        let failed = |refund: &RefundRecord| refund.state == RefundState::Failed;
        if order.cancellations.is_empty() || order.refunds.iter().any(failed) {
            return;
        }
        let pieces: u32 = order.bought().map(|line| wanted(order, &line.sku)).sum();
        assert!(kept <= i64::from(pieces) * PRICE, "{kept} is kept for {pieces} pieces");
    }

    /// What holds once nothing is under way.
    pub(super) fn check_end(&self) {
        self.check_lists();
        self.check_boards();
        self.check_cards();
        self.check_exchanges();
        let (mut sold, mut redeemed, mut waited_for) = ([0_u32; 3], 0, 0);
        for (id, actor) in &self.orders {
            let order = actor.live.existing.as_ref().expect("it was told to be placed");
            let settlement = order.settlement.as_ref().expect("a checkout ends");
            assert!(order.number.is_some());
            let account = self.provider.accounts.get(&order.payment);
            let (held, captured, refunded) =
                account.map_or((0, 0, 0), |it| (it.held, it.captured, it.refunded));
            match &order.stage {
                Stage::Confirmed => {
                    assert!(order.parcels.iter().all(|it| it.state != ParcelState::Asked));
                    // A capture that is refused later leaves what is held to the shop.
                    let kept = captured - refunded - order.on_vouchers();
                    self.check_kept(order, kept + order.left_on_cards());
                    let by_cards: i64 = order.tenders.iter().map(Tender::paid).sum();
                    let due = settlement.totals.grand.minor - by_cards;
                    if order.placed.terms.capture == CaptureTime::AtOnce {
                        assert_eq!(captured, due, "{id}");
                    }
                    // What an operator took just before a void was asked for goes back with it.
                    if order.money.asked == Asked::Closed {
                        assert_eq!((held, captured - refunded), (0, 0), "{id}");
                    } else {
                        assert_eq!(held + captured, due, "{id}");
                    }
                    assert_eq!(order.money.captured.minor, captured);
                    assert_eq!(order.money.refunded.minor, refunded);
                    if order.in_place_of.is_none() {
                        assert_eq!(order.uses.len(), 2);
                        redeemed += 1;
                    }
                    for line in order.bought() {
                        let nth = (0..3).find(|nth| code(*nth) == line.sku).unwrap();
                        let waiting = order.waiting_for(&line.sku).map_or(0, Quantity::get);
                        sold[nth] +=
                            wanted(order, &line.sku) - waiting - came_back(order, &line.sku);
                        waited_for += waiting;
                    }
                }
                Stage::Failed(_) | Stage::Cancelled => {
                    assert_eq!((held, captured - refunded), (0, 0), "{id}: {:?}", order.stage);
                }
                Stage::Reserving
                | Stage::Reviewing
                | Stage::Authorising
                | Stage::Capturing
                | Stage::Ending(_) => {
                    panic!("{id} stays {:?}", order.stage);
                }
            }
        }
        for (code, uses) in &self.uses {
            assert_eq!((uses.live.used, uses.live.held.len()), (redeemed, 0), "of {code}");
        }
        for (nth, stock) in self.stocks.iter().enumerate() {
            assert_eq!(stock.live.reserved.get(), 0, "{} holds pieces for nobody", SKUS[nth]);
            let arrived = if nth == BACKORDERED { self.arrived } else { 0 };
            let gone = STOCK + arrived - stock.live.on_hand.unwrap().get();
            assert_eq!(gone, sold[nth] + self.sold_elsewhere[nth], "of {}", SKUS[nth]);
        }
        assert_eq!(self.stocks[BACKORDERED].live.backordered.get(), waited_for);
    }
}

/// Pieces that the shopper gets in the end: what was not called off.
fn wanted(order: &Existing, sku: &SkuCode) -> u32 {
    let off = order.cancellations.iter().flat_map(|known| &known.items);
    let off = off.filter(|(known, _)| known == sku);
    let off: u32 = off.map(|(_, pieces)| pieces.get()).sum();
    order.placed.line(sku).unwrap().quantity.get() - off
}

/// Pieces that the shopper had, and that are in stock again.
fn came_back(order: &Existing, sku: &SkuCode) -> u32 {
    let back = order.returns.iter().filter(|it| it.received_at.is_some());
    let back = back.flat_map(|it| &it.items).filter(|(known, _)| known == sku);
    back.map(|(_, pieces)| pieces.get()).sum()
}

/// What an order that was bought is to the seller of this SKU, and whether there is more to do.
fn share(order: &Existing, sku: &SkuCode) -> Option<(bool, Sum)> {
    let is_off = match order.stage {
        Stage::Confirmed => false,
        Stage::Cancelled | Stage::Ending(existing::Ending::IsCancelled) => true,
        Stage::Reserving
        | Stage::Reviewing
        | Stage::Authorising
        | Stage::Capturing
        | Stage::Ending(existing::Ending::Fails(_))
        | Stage::Failed(_) => return None,
    };
    let line = order.bought().find(|line| line.sku == *sku)?;
    let pieces = if is_off { 0 } else { wanted(order, sku) };
    let of = |items: &[(SkuCode, Quantity)]| -> u32 {
        items.iter().filter(|(known, _)| known == sku).map(|(_, pieces)| pieces.get()).sum()
    };
    let there = order.shipments.iter().filter(|it| it.delivered_at.is_some());
    let there: u32 = there.map(|it| of(&it.items)).sum();
    let back = came_back(order, sku);
    let is_open = order.stage != Stage::Cancelled && (is_off || there.max(back) < pieces);
    let amount = if is_off { 0 } else { line.paid_for(pieces).minor };
    Some((is_open, Sum { orders: 1, pieces: pieces.into(), amount }))
}

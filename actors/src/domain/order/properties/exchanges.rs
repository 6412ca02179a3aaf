//! What is wanted instead of pieces of these orders.

use super::*;

#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// The first exchange of an order, or the second.
    nth: u8,
    given: Given,
    sku: usize,
    credit: Option<i64>,
    has_method: bool,
}

pub(super) fn wanted() -> impl Strategy<Value = Wanted> {
    let one = |nth: usize| vec![(code(nth), 1.try_into().unwrap())];
    let given = prop_oneof![
        1 => Just(Given::Nothing),
        3 => any::<bool>().prop_map(move |is_awaited| {
            Given::Returned { items: one(0), is_awaited }
        }),
        2 => (0_usize..3).prop_map(move |nth| Given::Cancelled { items: one(nth) }),
    ];
    let credit = prop::option::weighted(0.3, 0_i64..PRICE);
    (0_u8..2, given, 0_usize..3, credit, prop::bool::weighted(0.7)).prop_map(
        |(nth, given, sku, credit, has_method)| Wanted { nth, given, sku, credit, has_method },
    )
}

impl World {
    /// Of the order that its cart became.
    pub(super) fn exchange(&mut self, wanted: Wanted) {
        let Wanted { nth, given, sku, credit, has_method } = wanted;
        let is_of_cart =
            |order: &Existing| order.in_place_of.is_none() && order.stage == Stage::Confirmed;
        let mut orders = self.orders.iter();
        let order = orders.find(|(_, it)| it.live.existing.as_deref().is_some_and(is_of_cart));
        let Some((id, _)) = order else { return };
        let terms = terms(Shortfall::FailAll, CaptureTime::AtOnce);
        let method = if has_method { terms.method } else { PaymentMethod::none() };
        let names = SwapNames {
            order: OrderId::in_slot(slot(), [0xE0 + nth; 14]),
            payment: PaymentId::in_slot(slot(), [0xE0 + nth; 14]),
            refund: RefundId::from_bytes([0xE0 + nth; 16]),
            card: cards::id(cards::CREDITS + usize::from(nth)),
            ending: label("CARD"),
        };
        let swap = Swap {
            names,
            given,
            wanted: vec![(code(sku), 1.try_into().unwrap())],
            shipping: None,
            credit: credit.map(euro),
            method,
            reason: label("another one"),
        };
        let address = Order::address(*id);
        self.send(&address, Command::Exchange(Box::new(swap)).to_bytes());
    }

    pub(super) fn receive(&mut self, number: u16) {
        self.tell_orders(&Command::ReceiveReturn { number: ReturnNumber(number) });
    }

    /// Each is one other order, unless its pieces are not there or its credit could be no card.
    pub(super) fn check_exchanges(&self) {
        let mut others: BTreeMap<OrderId, OrderId> = BTreeMap::new();
        for (id, actor) in &self.orders {
            let order = actor.live.existing.as_deref().unwrap();
            for exchange in &order.exchanges {
                match &exchange.state {
                    ExchangeState::Placed => {
                        assert_eq!(others.insert(exchange.names.order, *id), None);
                    }
                    ExchangeState::Open(_) => {
                        let mut returns = order.returns.iter();
                        let awaited = returns.find(|it| Some(it.number) == exchange.returned);
                        assert_eq!(awaited.unwrap().received_at, None, "{exchange:?}");
                    }
                    ExchangeState::Refused => {
                        let voucher = order.voucher(exchange.names.refund).unwrap();
                        assert!(order.good_vouchers().all(|it| it != voucher));
                    }
                }
            }
        }
        let known = self.orders.iter().filter_map(|(id, actor)| {
            Some((*id, actor.live.existing.as_deref().unwrap().in_place_of?))
        });
        assert_eq!(known.collect::<BTreeMap<_, _>>(), others);
    }
}

//! What a board adds up.

use cluster::entity::NoCatalogue;
use cluster::ids::Slot;

use super::*;

fn id(nth: u16) -> OrderId {
    let [high, low] = nth.to_be_bytes();
    let mut name = [0; 14];
    name[..2].copy_from_slice(&[high, low]);
    OrderId::in_slot(Slot::from_bits(7), name)
}

fn consignment(status: Status, pieces: u32, minor: i64) -> Consignment {
    Consignment {
        number: None,
        status,
        pieces,
        amount: Money { minor, currency: Currency::EURO },
        shipped: 0,
        delivered: 0,
        returned: 0,
        confirmed_at: Timestamp::from_micros(1_000),
    }
}

fn told(
    board: &mut SellerBoard,
    nth: u16,
    before: Option<Consignment>,
    after: Consignment,
) -> Result<Vec<Effect>, Rejection> {
    let me = SellerBoard::address(&"ann".parse().unwrap());
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: Timestamp::ZERO, me: &me, entropy: [0; 32], catalogue };
    let command = Command::Put { order: id(nth), before, after };
    let decision = board.decide(command, &ctx)?;
    decision.events.iter().for_each(|event| board.apply(event));
    Ok(decision.effects)
}

fn dashboard(board: &SellerBoard) -> Dashboard {
    let me = SellerBoard::address(&"ann".parse().unwrap());
    let catalogue = Err(NoCatalogue::Absent);
    let ctx = Context { now: Timestamp::ZERO, me: &me, entropy: [0; 32], catalogue };
    board.view(Query::Dashboard, &ctx)
}

const fn sum(orders: u64, pieces: u64, amount: i64) -> Sum {
    Sum { orders, pieces, amount }
}

#[test]
fn an_order_counts_as_what_it_is_now() {
    let mut board = SellerBoard::default();
    assert!(!board.exists());
    let fresh = consignment(Status::Confirmed, 3, 900);
    told(&mut board, 1, None, fresh.clone()).unwrap();
    told(&mut board, 2, None, consignment(Status::Confirmed, 1, 50)).unwrap();
    let sums = Sums { open: sum(2, 4, 950), ended: sum(0, 0, 0) };
    assert_eq!(dashboard(&board).sums, [(Currency::EURO, sums)]);
    let fewer = consignment(Status::Processing, 2, 600);
    told(&mut board, 1, Some(fresh), fewer.clone()).unwrap();
    let there = consignment(Status::Delivered, 2, 600);
    told(&mut board, 1, Some(fewer), there.clone()).unwrap();
    let sums = Sums { open: sum(1, 1, 50), ended: sum(1, 2, 600) };
    let shown = dashboard(&board);
    assert_eq!((shown.sums, shown.open.len()), (vec![(Currency::EURO, sums)], 1));
    // An order at its end may still change.
    told(&mut board, 1, Some(there), consignment(Status::Returned, 2, 600)).unwrap();
    assert_eq!(dashboard(&board).sums[0].1, sums);
    assert_eq!(SellerBoard::from_record(&board.to_record()), Ok(board));
}

#[test]
fn an_order_does_not_change_its_currency() {
    let mut board = SellerBoard::default();
    let euros = consignment(Status::Confirmed, 1, 50);
    let amount = Money { minor: 50, currency: "JPY".parse().unwrap() };
    let yen = Consignment { amount, ..euros.clone() };
    assert_eq!(told(&mut board, 1, Some(euros), yen.clone()), Err(Rejection::OtherCurrency));
    told(&mut board, 2, None, yen).unwrap();
    assert_eq!(dashboard(&board).sums[0].1.open, sum(1, 1, 50));
}

#[test]
fn what_finds_no_room_is_counted_and_listed_once_there_is() {
    let mut board = SellerBoard::default();
    let (open, ended) =
        (consignment(Status::Confirmed, 1, 1), consignment(Status::Delivered, 1, 1));
    let most = u16::try_from(SellerBoard::OPEN_MAX).unwrap();
    for nth in 0..=most {
        told(&mut board, nth, None, open.clone()).unwrap();
    }
    let shown = dashboard(&board);
    assert_eq!((shown.open.len(), shown.unlisted), (SellerBoard::OPEN_MAX, 1));
    assert_eq!(SellerBoard::from_record(&board.to_record()).as_ref(), Ok(&board));
    let effects = told(&mut board, 0, Some(open.clone()), ended).unwrap();
    let seller = "ann".parse().unwrap();
    let command = order::Command::ShowSeller { seller }.to_bytes();
    assert_eq!(effects, [Effect::Tell { to: Order::address(id(most)), command }]);
    // It shows itself as it is.
    told(&mut board, most, Some(open.clone()), open.clone()).unwrap();
    let shown = dashboard(&board);
    assert_eq!((shown.open.len(), shown.unlisted), (SellerBoard::OPEN_MAX, 0));
    assert!(shown.open.contains(&(id(most), open)));
    assert_eq!(shown.sums[0].1.ended, sum(1, 1, 1));
}

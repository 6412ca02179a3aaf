//! The steps of a checkout, one by one, and how each is undone.

use cluster::entity::{Effect, NoCatalogue, Wire};

use super::properties::{NOON, PRICE, book, code, euro, label, terms};
use super::*;
use crate::domain::cart::{self, Cart};
use crate::domain::ids::CaptureId;
use crate::domain::money::Currency;
use crate::domain::order_numbers::OrderNumbers;
use crate::domain::payment::{self, Payment, Reason};
use crate::domain::pricing::PricingTerms;
use crate::domain::published::told_apart;
use crate::domain::sku::{self, OrderStep, Sku};

/// Two cups and a pot.
pub(super) const TOTAL: i64 = 3 * PRICE;
const CUPS: i64 = 2 * PRICE;

pub(super) type Then<'a> = Result<(&'a [Event], &'a [Effect]), Rejection>;

pub(super) fn me() -> OrderId {
    OrderId::from_bytes([7; 16])
}

pub(super) fn cart() -> CartId {
    CartId::from_bytes([6; 16])
}

pub(super) fn pay() -> PaymentId {
    PaymentId::from_bytes([5; 16])
}

pub(super) fn cup() -> SkuCode {
    code(0)
}

pub(super) fn pot() -> SkuCode {
    code(1)
}

pub(super) fn quantity(count: u32) -> Quantity {
    count.try_into().unwrap()
}

pub(super) fn bought(shortfall: Shortfall, capture: CaptureTime) -> Box<Placed> {
    let pricing = PricingTerms {
        currency: Currency::EURO,
        group: None,
        at: NOON,
        destination: None,
        shipping: None,
        codes: &[],
        may_be_first: true,
    };
    let lines = [(cup(), quantity(2)), (pot(), quantity(1))];
    let priced = book().quote(&pricing, &lines).unwrap().priced;
    Box::new(Placed::new(priced, terms(shortfall, capture), 3, NOON).unwrap())
}

fn place(placed: Box<Placed>) -> Command {
    let access = CartAccess::from_hash([4; 32]);
    Command::Place { cart: cart(), access, payment: pay(), placed }
}

fn placed(shortfall: Shortfall, capture: CaptureTime) -> Event {
    let (access, placed) = (CartAccess::from_hash([4; 32]), bought(shortfall, capture));
    Event::Placed { cart: cart(), access, payment: pay(), placed }
}

/// Everything or nothing, and the money at once.
pub(super) fn asked() -> Event {
    placed(Shortfall::FailAll, CaptureTime::AtOnce)
}

pub(super) fn reserved(sku: SkuCode) -> Event {
    Event::StockReserved { sku, at: NOON }
}

pub(super) fn refused(sku: SkuCode) -> Event {
    Event::StockRefused { sku, shortage: short(), at: NOON }
}

fn short() -> Shortage {
    Shortage::OutOfStock { available: Units::ZERO }
}

pub(super) fn payment_asked(minor: i64) -> Event {
    Event::PaymentAsked { amount: euro(minor), at: NOON }
}

fn authorised() -> Event {
    Event::Authorised { amount: euro(TOTAL), at: NOON }
}

fn capture_asked() -> Event {
    Event::CaptureAsked { amount: euro(TOTAL), at: NOON }
}

pub(super) fn captured() -> Event {
    Event::Captured { total: euro(TOTAL), at: NOON }
}

pub(super) fn failed(why: Failure) -> Event {
    Event::Failed { why, at: NOON }
}

pub(super) fn ending(why: Failure) -> Event {
    Event::EndingAsked { why, at: NOON }
}

pub(super) const CONFIRMED: Event = Event::Confirmed { at: NOON };
pub(super) const UNDONE: Event = Event::PaymentUndone { at: NOON };
const CANCELLED: Event = Event::Cancelled { at: NOON };

pub(super) fn cancel_asked() -> Event {
    Event::CancelAsked { by: Side::Shopper, reason: label("no more"), at: NOON }
}

pub(super) fn declined() -> Failure {
    Failure::Declined { reason: Refusal::Declined }
}

/// The payment is asked.
pub(super) fn authorising() -> Vec<Event> {
    vec![asked(), reserved(cup()), reserved(pot()), payment_asked(TOTAL)]
}

/// It has the money, and is asked to take it.
pub(super) fn capturing() -> Vec<Event> {
    [authorising(), vec![authorised(), capture_asked()]].concat()
}

pub(super) fn confirmed() -> Vec<Event> {
    [capturing(), vec![captured(), CONFIRMED]].concat()
}

/// Bought, and to be paid with the first shipment.
pub(super) fn on_account() -> Vec<Event> {
    let asked = placed(Shortfall::FailAll, CaptureTime::OnFulfilment);
    let reserved = [reserved(cup()), reserved(pot())];
    [vec![asked], reserved.to_vec(), vec![payment_asked(TOTAL), authorised(), CONFIRMED]].concat()
}

fn given(steps: &[&[Event]]) -> Vec<Event> {
    steps.concat()
}

pub(super) fn stock(sku: SkuCode, news: StockNews) -> Command {
    Command::TakeStockNews { sku, news }
}

pub(super) fn paid(news: News) -> Command {
    Command::TakePaymentNews { payment: pay(), news }
}

pub(super) fn money_taken() -> Command {
    let (capture, total) = (CaptureId::from_bytes([7; 16]), euro(TOTAL));
    paid(News::Captured { capture, amount: total, total })
}

fn no_capture() -> Command {
    let (capture, amount) = (CaptureId::from_bytes([7; 16]), euro(TOTAL));
    let reason = Reason::Provider(Refusal::Declined);
    paid(News::CaptureFailed { capture, amount, reason })
}

pub(super) fn cancel() -> Command {
    Command::Cancel { by: Side::Shopper, reason: label("no more") }
}

pub(super) fn to_stock(sku: &SkuCode, step: OrderStep) -> Effect {
    let command = sku::Command::ForOrder { order: me(), step }.to_bytes();
    Effect::Tell { to: Sku::address(sku), command }
}

pub(super) fn to_payment(command: &payment::Command) -> Effect {
    Effect::Tell { to: Payment::address(pay()), command: command.to_bytes() }
}

pub(super) fn to_capture() -> Effect {
    let (capture, amount) = (CaptureId::from_bytes([7; 16]), euro(TOTAL));
    to_payment(&payment::Command::Capture { capture, amount })
}

fn to_cart(command: &cart::Command) -> Effect {
    Effect::Tell { to: Cart::address(cart()), command: command.to_bytes() }
}

pub(super) fn reopens() -> Effect {
    to_cart(&cart::Command::ReopenAfter { order: me() })
}

pub(super) fn finishes() -> Effect {
    to_cart(&cart::Command::FinishCheckout { order: me() })
}

pub(super) fn undo_payment() -> Effect {
    to_payment(&payment::Command::Cancel)
}

fn to_each(step: impl Fn(Quantity) -> OrderStep) -> [Effect; 2] {
    [to_stock(&cup(), step(quantity(2))), to_stock(&pot(), step(quantity(1)))]
}

pub(super) fn release() -> [Effect; 2] {
    to_each(|_| OrderStep::Release)
}

pub(super) fn sell() -> [Effect; 2] {
    to_each(|_| OrderStep::Confirm)
}

pub(super) fn restock() -> [Effect; 2] {
    to_each(|quantity| OrderStep::Restock { quantity })
}

pub(super) fn payment_timer() -> Effect {
    payment_due(Order::PAYMENT_ANSWERS_WITHIN)
}

fn payment_due(within: Span) -> Effect {
    Effect::SetTimer { name: Order::PAYMENT_SILENT, at: NOON.plus(within) }
}

fn not_undone() -> Command {
    paid(News::CancelFailed { reason: Reason::Provider(Refusal::NotPossible) })
}

const UNDO_FAILED: Event = Event::PaymentUndoFailed { at: NOON };

pub(super) const NO_STOCK_TIMER: Effect = Effect::CancelTimer { name: Order::STOCK_SILENT };
pub(super) const NO_PAYMENT_TIMER: Effect = Effect::CancelTimer { name: Order::PAYMENT_SILENT };

fn order(given: &[Event]) -> Order {
    let mut order = Order::default();
    given.iter().for_each(|event| order.apply(event));
    order
}

fn context(address: &EntityRef) -> Context<'_> {
    let catalogue = Err(NoCatalogue::Absent);
    Context { now: NOON, me: address, entropy: [0; 32], catalogue }
}

#[track_caller]
pub(super) fn check(given: &[Event], when: Command, then: Then<'_>) {
    let address = Order::address(me());
    let decided = order(given).decide(when, &context(&address));
    let decided = decided.map(|decision| (decision.events, told_apart(decision.effects).1));
    assert_eq!(decided, then.map(|(events, effects)| (events.to_vec(), effects.to_vec())));
}

/// Who is told what, whatever happens.
pub(super) fn check_effects(given: &[Event], when: Command) -> Vec<Effect> {
    let address = Order::address(me());
    told_apart(order(given).decide(when, &context(&address)).unwrap().effects).1
}

/// Nothing happens and nobody is told.
#[track_caller]
pub(super) fn check_nothing(given: &[Event], when: Command) {
    check(given, when, Ok((&[], &[])));
}

pub(super) fn view(given: &[Event]) -> View {
    let address = Order::address(me());
    let Lookup(view) = order(given).view(Query::Order, &context(&address));
    *view.expect("an order")
}

#[test]
fn a_placed_order_asks_every_stock_and_for_its_number() {
    let to = OrderNumbers::address(me().key().slot());
    let command = crate::domain::order_numbers::Command::Give { to: me() }.to_bytes();
    let [cups, pots] = to_each(|quantity| OrderStep::Reserve { quantity });
    let at = NOON.plus(Order::STOCK_ANSWERS_WITHIN);
    let timer = Effect::SetTimer { name: Order::STOCK_SILENT, at };
    let bought = || bought(Shortfall::FailAll, CaptureTime::AtOnce);
    let effects = [Effect::Tell { to, command }, cups, pots, timer];
    check(&[], place(bought()), Ok((&[asked()], &effects)));
    check_nothing(&[asked()], place(bought()));
    let over = [asked(), failed(Failure::StockSilent)];
    check(&over, place(bought()), Ok((&[], &[reopens()])));
    for bought_it in [confirmed(), given(&[&confirmed(), &[cancel_asked()]])] {
        check(&bought_it, place(bought()), Ok((&[], &[finishes()])));
    }
    check_nothing(&given(&[&authorising(), &[ending(declined())]]), place(bought()));
    let another = Command::Place {
        cart: cart(),
        access: CartAccess::from_hash([4; 32]),
        payment: PaymentId::from_bytes([1; 16]),
        placed: bought(),
    };
    check(&[asked()], another, Err(Rejection::AlreadyExists));
}

#[test]
fn an_order_has_one_number() {
    let address = OrderNumbers::address(me().key().slot());
    let given = crate::domain::order_numbers::Command::Give { to: me() };
    let decision = OrderNumbers::default().decide(given, &context(&address)).unwrap();
    let [Effect::Tell { command, .. }] = decision.effects.as_slice() else { panic!() };
    let take = || Command::from_bytes(command).unwrap();
    let Command::TakeNumber { number } = take() else { panic!() };
    let numbered = Event::Numbered { number, at: NOON };
    let address = Order::address(me());
    let taken = order(&[asked()]).decide(take(), &context(&address)).unwrap();
    assert_eq!(taken.events.first(), Some(&numbered));
    check_nothing(&[asked(), numbered], take());
    check_nothing(&[], take());
}

#[test]
fn the_payment_is_asked_once_every_stock_has_answered() {
    check(&[asked()], stock(cup(), StockNews::Reserved), Ok((&[reserved(cup())], &[])));
    let (amount, method) = (euro(TOTAL), terms(Shortfall::FailAll, CaptureTime::AtOnce).method);
    let open = to_payment(&payment::Command::Open { order: me(), amount, method });
    let authorise = to_payment(&payment::Command::Authorise);
    check(
        &[asked(), reserved(cup())],
        stock(pot(), StockNews::Reserved),
        Ok((
            &[reserved(pot()), payment_asked(TOTAL)],
            &[NO_STOCK_TIMER, open, authorise, payment_timer()],
        )),
    );
}

#[test]
fn a_stock_that_refuses_fails_the_order_and_what_is_reserved_is_released() {
    check(
        &[asked(), reserved(cup())],
        stock(pot(), StockNews::Refused(short())),
        Ok((
            &[refused(pot()), failed(Failure::OutOfStock)],
            &[NO_STOCK_TIMER, to_stock(&cup(), OrderStep::Release), reopens()],
        )),
    );
    let crowded = Event::StockRefused { sku: pot(), shortage: Shortage::Crowded, at: NOON };
    check(
        &[asked(), refused(cup())],
        stock(pot(), StockNews::Refused(Shortage::Crowded)),
        Ok((&[crowded, failed(Failure::Crowded)], &[NO_STOCK_TIMER, reopens()])),
    );
}

#[test]
fn lines_are_dropped_where_the_shopper_wants_what_is_there() {
    let asked = placed(Shortfall::DropLines, CaptureTime::AtOnce);
    let method = terms(Shortfall::DropLines, CaptureTime::AtOnce).method;
    let open = payment::Command::Open { order: me(), amount: euro(CUPS), method };
    let totals = bought(Shortfall::DropLines, CaptureTime::AtOnce).totals_without(&[pot()]);
    let totals = totals.unwrap();
    assert_eq!(totals.grand, euro(CUPS));
    let dropped = Event::LinesDropped { skus: vec![pot()], totals, at: NOON };
    check(
        &[asked.clone(), reserved(cup())],
        stock(pot(), StockNews::Refused(short())),
        Ok((
            &[refused(pot()), dropped, payment_asked(CUPS)],
            &[
                NO_STOCK_TIMER,
                to_payment(&open),
                to_payment(&payment::Command::Authorise),
                payment_timer(),
            ],
        )),
    );
    let none =
        Ok((&[refused(pot()), failed(Failure::OutOfStock)][..], &[NO_STOCK_TIMER, reopens()][..]));
    check(&[asked, refused(cup())], stock(pot(), StockNews::Refused(short())), none);
}

#[test]
fn stocks_that_are_silent_end_the_order() {
    let [cups, pots] = release();
    let ended = [failed(Failure::StockSilent)];
    check(&[asked()], Command::GiveUpStock, Ok((&ended, &[cups, pots, reopens()])));
    check_nothing(&authorising(), Command::GiveUpStock);
    check_nothing(&given(&[&[asked()], &ended]), Command::GiveUpStock);
}

#[test]
fn money_that_is_held_is_taken_and_the_pieces_leave_their_stocks() {
    let [cups, pots] = sell();
    check(
        &authorising(),
        paid(News::Authorised { amount: euro(TOTAL) }),
        Ok((
            &[authorised(), capture_asked()],
            &[payment_due(Order::CAPTURE_ANSWERS_WITHIN), to_capture(), cups.clone(), pots.clone()],
        )),
    );
    check(
        &capturing(),
        money_taken(),
        Ok((&[captured(), CONFIRMED], &[NO_PAYMENT_TIMER, finishes()])),
    );
    // With the first shipment.
    let given = on_account();
    let given = given.split_last_chunk::<2>().unwrap().0;
    check(
        given,
        paid(News::Authorised { amount: euro(TOTAL) }),
        Ok((&[authorised(), CONFIRMED], &[NO_PAYMENT_TIMER, cups, pots, finishes()])),
    );
}

#[test]
fn a_part_that_an_operator_captured_is_not_the_price() {
    let (capture, total) = (CaptureId::from_bytes([1; 16]), euro(1));
    let news = paid(News::Captured { capture, amount: total, total });
    let part = Event::Captured { total, at: NOON };
    check(&capturing(), news.clone(), Ok((std::slice::from_ref(&part), &[])));
    // An order that did not wait for the money any more still knows what there was to capture.
    let late = [authorising(), vec![ending(Failure::PaymentSilent), authorised(), part]].concat();
    let order = order(&late);
    assert_eq!(Order::from_record(&order.to_record()), Ok(order));
}

#[test]
fn a_payment_that_is_declined_fails_the_order() {
    let [cups, pots] = release();
    let news = || paid(News::Declined { reason: Refusal::Declined });
    let ended = [UNDONE, failed(declined())];
    check(&authorising(), news(), Ok((&ended, &[NO_PAYMENT_TIMER, cups, pots, reopens()])));
    check_nothing(&given(&[&authorising(), &ended]), news());
    check_nothing(&confirmed(), news());
}

#[test]
fn a_capture_that_is_refused_gives_everything_back() {
    let [cups, pots] = restock();
    let failed_capture = Event::CaptureFailed { at: NOON };
    let ending = [failed_capture, ending(Failure::CaptureFailed)];
    check(&capturing(), no_capture(), Ok((&ending, &[cups, pots, undo_payment()])));
    check(
        &given(&[&capturing(), &ending]),
        paid(News::Cancelled),
        Ok((&[UNDONE, failed(Failure::CaptureFailed)], &[NO_PAYMENT_TIMER, reopens()])),
    );
}

#[test]
fn a_payment_that_is_silent_is_undone_before_the_order_ends() {
    let [cups, pots] = release();
    let gives_up = [ending(Failure::PaymentSilent)];
    check(&authorising(), Command::GiveUpPayment, Ok((&gives_up, &[cups, pots, undo_payment()])));
    let waiting = given(&[&authorising(), &gives_up]);
    check(&waiting, Command::GiveUpPayment, Ok((&[], &[undo_payment()])));
    check(&waiting, not_undone(), Ok((&[UNDO_FAILED], &[payment_timer()])));
    // The same cancellation gives up what it holds.
    let news = paid(News::Authorised { amount: euro(TOTAL) });
    check(&waiting, news, Ok((&[authorised()], &[])));
    check(
        &waiting,
        paid(News::Declined { reason: Refusal::Declined }),
        Ok((&[UNDONE, failed(Failure::PaymentSilent)], &[NO_PAYMENT_TIMER, reopens()])),
    );
    for late in [vec![asked()], confirmed()] {
        check_nothing(&late, Command::GiveUpPayment);
    }
}

#[test]
fn a_capture_in_doubt_is_shown_and_ends_the_order_after_a_day() {
    let in_doubt = [Event::PaymentInDoubt { at: NOON }];
    let waits = [payment_due(Order::CAPTURE_IN_DOUBT_MAX)];
    check(&capturing(), Command::GiveUpPayment, Ok((&in_doubt, &waits)));
    let doubtful = given(&[&capturing(), &in_doubt]);
    let seen = view(&doubtful);
    assert_eq!((seen.status, seen.payment_status), (Status::Pending, PaymentStatus::InDoubt));
    assert_eq!(seen.settlement, None);
    let [cups, pots] = restock();
    let gives_up = [ending(Failure::PaymentSilent)];
    check(&doubtful, Command::GiveUpPayment, Ok((&gives_up, &[cups, pots, undo_payment()])));
    let ending = given(&[&doubtful, &gives_up]);
    assert_eq!(view(&ending).payment_status, PaymentStatus::InDoubt);
    // The provider took it, and gives it back: nothing is charged.
    check(&ending, money_taken(), Ok((&[captured()], &[])));
    check(
        &given(&[&ending, &[captured()]]),
        paid(News::Cancelled),
        Ok((&[UNDONE, failed(Failure::PaymentSilent)], &[NO_PAYMENT_TIMER, reopens()])),
    );
}

#[test]
fn what_cannot_be_given_back_is_tried_less_and_less_often_and_then_by_an_operator() {
    let mut cancelling = given(&[&confirmed(), &[cancel_asked()]]);
    let mut pauses = Vec::new();
    for _ in 0..Order::UNDONE_TRIES {
        let address = Order::address(me());
        let decided = order(&cancelling).decide(not_undone(), &context(&address)).unwrap();
        assert_eq!(decided.events, [UNDO_FAILED]);
        let timers = decided.effects.iter().filter_map(|effect| match effect {
            Effect::SetTimer { name: Order::PAYMENT_SILENT, at } => Some(at.since(NOON)),
            Effect::SetTimer { .. }
            | Effect::Tell { .. }
            | Effect::CancelTimer { .. }
            | Effect::Invoke { .. }
            | Effect::Publish { .. } => None,
        });
        pauses.extend(timers.map(|pause| pause.as_micros() / 60_000_000));
        cancelling.push(UNDO_FAILED);
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960]);
    let seen = view(&cancelling);
    assert_eq!((seen.captured, seen.refunded), (euro(TOTAL), euro(0)));
    assert_eq!(
        (seen.status, seen.payment_status),
        (Status::Cancelling, PaymentStatus::CancelFailed)
    );
    let told = seen.timeline.iter().filter(|entry| entry.moment == Moment::PaymentUndoFailed);
    assert_eq!(told.count(), 8);
    let by_shop = Command::Cancel { by: Side::Shop, reason: label("again") };
    check(&cancelling, by_shop, Ok((&[], &[undo_payment()])));
    check_nothing(&cancelling, cancel());
    let undone = [UNDONE, CANCELLED];
    check(&cancelling, paid(News::Cancelled), Ok((&undone, &[NO_PAYMENT_TIMER])));
    assert_eq!(view(&given(&[&cancelling, &undone])).payment_status, PaymentStatus::Refunded);
}

#[test]
fn nothing_is_shipped_once_its_payment_is_given_up_by_hand() {
    let void = || paid(News::VoidAsked);
    let asked = [Event::PaymentVoidAsked { at: NOON }];
    check(&on_account(), void(), Ok((&asked, &[undo_payment()])));
    let closing = given(&[&on_account(), &asked]);
    let fulfil = || Command::Fulfil {
        shipment: ShipmentNumber(1),
        items: vec![(cup(), quantity(1))],
        carrier: label("Post"),
        tracking: label("1Z"),
    };
    check(&closing, fulfil(), Err(Rejection::NotPaid));
    // The provider refuses: the payment takes no capture any more either.
    check(&closing, not_undone(), Ok((&[UNDO_FAILED], &[payment_timer()])));
    let not_closed = given(&[&closing, &[UNDO_FAILED]]);
    assert_eq!(view(&not_closed).payment_status, PaymentStatus::CancelFailed);
    check(&not_closed, fulfil(), Err(Rejection::NotPaid));
    check(&not_closed, Command::GiveUpPayment, Ok((&[], &[undo_payment()])));
    check(&not_closed, void(), Ok((&[], &[undo_payment()])));
    let [cups, pots] = restock();
    check(&not_closed, cancel(), Ok((&[cancel_asked()], &[cups, pots, undo_payment()])));
    check(&closing, paid(News::Cancelled), Ok((&[UNDONE], &[NO_PAYMENT_TIMER])));
    let closed = given(&[&closing, &[UNDONE]]);
    check(&closed, fulfil(), Err(Rejection::NotPaid));
    assert_eq!(view(&closed).payment_status, PaymentStatus::Cancelled);
}

#[test]
fn a_payment_that_is_taken_just_now_is_not_given_up_by_hand() {
    let void = || paid(News::VoidAsked);
    let shipped = Event::Shipped {
        shipment: ShipmentNumber(1),
        items: vec![(cup(), quantity(1))],
        carrier: label("Post"),
        tracking: label("1Z"),
        at: NOON,
    };
    let shipping = given(&[&on_account(), &[shipped, capture_asked()]]);
    check_nothing(&shipping, void());
    check_nothing(&capturing(), void());
    check_nothing(&confirmed(), void());
    let unpaid = given(&[&shipping, &[Event::CaptureFailed { at: NOON }]]);
    let asked = [Event::PaymentVoidAsked { at: NOON }];
    check(&unpaid, void(), Ok((&asked, &[undo_payment()])));
    let [cups, pots] = release();
    let ends = [ending(Failure::CancelledInTime)];
    check(&authorising(), void(), Ok((&ends, &[cups, pots, undo_payment()])));
    // Nobody else waits for a payment that is no order's.
    check(&[], void(), Ok((&[], &[undo_payment()])));
}

#[test]
fn an_order_is_cancelled_in_every_stage() {
    let ([r1, r2], [b1, b2]) = (release(), restock());
    let in_time = || Failure::CancelledInTime;
    let fails = [failed(in_time())];
    let lets_go = [NO_STOCK_TIMER, r1.clone(), r2.clone(), reopens()];
    check(&[asked()], cancel(), Ok((&fails, &lets_go)));
    let ends = [ending(in_time())];
    check(&authorising(), cancel(), Ok((&ends, &[r1, r2, undo_payment()])));
    check(&capturing(), cancel(), Ok((&ends, &[b1.clone(), b2.clone(), undo_payment()])));
    let called_off = [cancel_asked()];
    check(&confirmed(), cancel(), Ok((&called_off, &[b1, b2, undo_payment()])));
    let cancelling = given(&[&confirmed(), &called_off]);
    check(&cancelling, paid(News::Cancelled), Ok((&[UNDONE, CANCELLED], &[NO_PAYMENT_TIMER])));
    check_nothing(&cancelling, cancel());
    check_nothing(&given(&[&cancelling, &[UNDONE, CANCELLED]]), cancel());
    check(&given(&[&[asked()], &fails]), cancel(), Err(Rejection::Over));
    check(&[], cancel(), Err(Rejection::NotFound));
}

#[test]
fn news_that_come_late_change_nothing() {
    let over = given(&[&[asked()], &[failed(Failure::StockSilent)]]);
    check_nothing(&over, stock(cup(), StockNews::Reserved));
    check_nothing(&over, stock(cup(), StockNews::Refused(short())));
    let released = Event::StockReleased { sku: cup(), at: NOON };
    check(&over, stock(cup(), StockNews::Released), Ok((&[released], &[])));
    check_nothing(&capturing(), stock(cup(), StockNews::Reserved));
    let sold = Event::StockSold { sku: cup(), at: NOON };
    check(&capturing(), stock(cup(), StockNews::Sold), Ok((std::slice::from_ref(&sold), &[])));
    check_nothing(&given(&[&capturing(), &[sold]]), stock(cup(), StockNews::Sold));
    check_nothing(&authorising(), stock(cup(), StockNews::Sold));
    let called_off = given(&[&confirmed(), &[cancel_asked()]]);
    check_nothing(&called_off, stock(cup(), StockNews::Sold));
    let returned = Event::StockReturned { sku: cup(), at: NOON };
    check(&called_off, stock(cup(), StockNews::Restocked), Ok((&[returned], &[])));
    check_nothing(&capturing(), stock(code(2), StockNews::Sold));
    check_nothing(&[], stock(cup(), StockNews::Reserved));
    let elsewhere = Command::TakePaymentNews {
        payment: PaymentId::from_bytes([1; 16]),
        news: News::Authorised { amount: euro(TOTAL) },
    };
    check_nothing(&authorising(), elsewhere);
}

#[test]
fn what_was_told_of_a_checkout_stays_as_it_was_told() {
    let told = view(&confirmed()).settlement.unwrap();
    assert_eq!((told.failure.clone(), told.captured), (None, euro(TOTAL)));
    let called_off = given(&[&confirmed(), &[cancel_asked(), UNDONE, CANCELLED]]);
    let view = view(&called_off);
    assert_eq!((view.status, view.settlement), (Status::Cancelled, Some(told)));
    assert_eq!((view.captured, view.refunded), (euro(TOTAL), euro(TOTAL)));
    assert_eq!(view.payment_status, PaymentStatus::Refunded);
}

#[test]
fn timers_are_those_that_were_set() {
    assert_eq!(Order::on_timer(Order::STOCK_SILENT), Some(Command::GiveUpStock));
    assert_eq!(Order::on_timer(Order::PAYMENT_SILENT), Some(Command::GiveUpPayment));
    assert_eq!(Order::on_timer(TimerName(9)), None);
}

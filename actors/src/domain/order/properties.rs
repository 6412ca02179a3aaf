//! Whole checkouts: a cart, its order, stocks and a payment tell each other things in any interleaving,
//! beside a provider with an account of its own.

mod cards;
mod ends;
mod exchanges;
mod provider;

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;
use std::sync::Arc;

use cluster::entity::{Catalogue, Effect, Wire};
use cluster::ids::Slot;
use proptest::prelude::*;

use self::provider::Provider;
use super::existing::Asked;
use super::*;
use crate::domain::carrier::{
    self, Booking, BookingAnswer, BookingOutcome, BookingRefusal, BookingRequest, Whereabouts,
};
use crate::domain::cart::{self, Cart};
use crate::domain::catalogue::{Listing, PriceBook, ProductName};
use crate::domain::code_uses::{CodeUses, CustomerKey};
use crate::domain::contact::{Address, Contact};
use crate::domain::discount_code::DiscountCode;
use crate::domain::fraud::{Question, Verdict};
use crate::domain::gift_card::GiftCard;
use crate::domain::gift_card_list::{GiftCardList, GiftCardPage};
use crate::domain::ids::CaptureId;
use crate::domain::money::Currency;
use crate::domain::order_list::{Listed, OrderList, OrderPage};
use crate::domain::order_numbers::OrderNumbers;
use crate::domain::page::{self, Page};
use crate::domain::payment::{
    self, Action, Outcome, Payment, PaymentMethod, ProviderAnswer, ProviderRequest,
};
use crate::domain::pricing::discounting_tests::percent;
use crate::domain::promotion::{Promotion, Trigger};
use crate::domain::seller_board::{SellerBoard, Sum};
use crate::domain::sku::{self, Sku};
use crate::domain::translations::Translations;

pub(super) const NOON: Timestamp = Timestamp::from_micros(43_200_000_000);
const SKUS: [&str; 3] = ["cup", "pot", "tea"];
const STOCK: u32 = 5;
/// How many pieces of a third thing may be promised beyond what is there.
const PROMISED_MAX: u32 = 4;
const BACKORDERED: usize = 2;
pub(super) const PRICE: i64 = 450;

#[derive(Clone, Debug)]
enum Step {
    /// With these gift cards, and nothing else where nobody is to be asked for the rest.
    CheckOut {
        nth: u8,
        shortfall: Shortfall,
        capture: CaptureTime,
        is_screened: bool,
        has_method: bool,
        cards: Vec<usize>,
    },
    /// Somebody says what is to become of an order that is screened: allowed, held or denied.
    Judge {
        nth: prop::sample::Index,
        verdict: Verdict,
    },
    /// A person decides.
    Decide {
        is_approved: bool,
    },
    /// The oldest Tell of one way arrives.
    Deliver {
        nth: prop::sample::Index,
    },
    /// The provider does what it was asked, or refuses, without a word yet.
    Process {
        nth: prop::sample::Index,
        is_refused: bool,
    },
    Answer {
        nth: prop::sample::Index,
    },
    Notify {
        nth: prop::sample::Index,
    },
    /// A timer that is set comes due.
    Fire {
        nth: prop::sample::Index,
    },
    Cancel,
    /// Some pieces of a line.
    CancelPieces {
        sku: usize,
        pieces: u32,
    },
    Fulfil {
        backordered: u32,
    },
    /// A carrier is asked to bring a piece; again, where it refused.
    Book,
    /// The shop has it brought another way.
    BringOtherwise,
    /// The carrier says yes or no to what it was asked.
    AnswerBooking {
        nth: prop::sample::Index,
        is_refused: bool,
    },
    /// It says where a parcel is, as often and in whatever order it likes.
    Track {
        nth: prop::sample::Index,
        to: Whereabouts,
    },
    Refund {
        minor: i64,
    },
    /// What was paid becomes a gift card, the first of two or the second.
    Voucher {
        nth: u8,
        minor: i64,
    },
    /// Another piece is wanted, for one that goes back or is called off, or beside them.
    Exchange(exchanges::Wanted),
    /// What is sent back is there.
    Receive {
        number: u16,
    },
    /// An operator takes a part of what is held.
    CaptureByHand {
        minor: i64,
    },
    /// An operator gives up what is held.
    VoidByHand,
    /// Somebody else buys.
    Sell {
        sku: usize,
        pieces: u32,
    },
    /// More has come.
    Arrive {
        pieces: u32,
    },
}

/// An entity beside its replica, which is made of the events' bytes.
#[derive(Default)]
struct Actor<E> {
    live: E,
    replica: E,
}

impl<E: Entity<Event: Debug> + Debug + PartialEq> Actor<E> {
    fn run(
        &mut self,
        me: &EntityRef,
        command: &[u8],
        catalogue: &Catalogue,
        now: Timestamp,
    ) -> Vec<Effect> {
        let command = E::Command::from_bytes(command).unwrap();
        let [.., a, b] = now.as_micros().to_be_bytes();
        let mut entropy = [a; 32];
        entropy[..16].fill(b);
        let ctx = Context { now, me, entropy, catalogue: Ok(catalogue) };
        let Ok(decision) = self.live.decide(command, &ctx) else { return Vec::new() };
        for event in decision.events {
            let bytes = event.to_bytes();
            self.live.apply(&event);
            self.replica.apply(&E::Event::from_bytes(&bytes).unwrap());
        }
        assert_eq!(self.live, self.replica);
        assert_eq!(E::from_record(&self.live.to_record()).as_ref(), Ok(&self.live));
        decision.effects
    }
}

struct World {
    catalogue: Catalogue,
    now: Timestamp,
    cart: Actor<Cart>,
    numbers: Actor<OrderNumbers>,
    lists: BTreeMap<EntityRef, Actor<OrderList>>,
    pages: BTreeMap<EntityRef, Actor<OrderPage>>,
    boards: BTreeMap<EntityRef, Actor<SellerBoard>>,
    orders: BTreeMap<OrderId, Actor<Order>>,
    payments: BTreeMap<PaymentId, Actor<Payment>>,
    stocks: Vec<Actor<Sku>>,
    /// Of a discount code, by everybody and by the shopper.
    uses: BTreeMap<EntityRef, Actor<CodeUses>>,
    cards: Vec<Actor<GiftCard>>,
    card_lists: cards::Lists,
    sold_elsewhere: [u32; 3],
    arrived: u32,
    /// Tells under way, in order between two of them.
    ways: BTreeMap<(EntityRef, EntityRef), VecDeque<Vec<u8>>>,
    timers: BTreeMap<(EntityRef, TimerName), Timestamp>,
    provider: Provider,
    /// What carriers were asked, with those that wait for an answer last.
    bookings: Vec<BookingRequest>,
    n_booked: usize,
    /// Orders that somebody was asked about.
    questions: Vec<OrderId>,
    whereabouts: BTreeMap<OrderId, Option<Whereabouts>>,
    settled: BTreeMap<OrderId, Settlement>,
    n_others: u8,
}

fn mule() -> payment::ProviderName {
    "mule".parse().unwrap()
}

fn slot() -> Slot {
    Slot::from_bits(7)
}

fn cart_id() -> CartId {
    CartId::in_slot(slot(), [1; 14])
}

pub(super) fn code(nth: usize) -> SkuCode {
    SKUS[nth].parse().unwrap()
}

pub(super) fn euro(minor: i64) -> Money {
    Money { minor, currency: Currency::EURO }
}

pub(super) fn label(text: &str) -> Label {
    Label::try_from(text.to_owned()).unwrap()
}

pub(super) fn terms(shortfall: Shortfall, capture: CaptureTime) -> Terms {
    let shipping = Address {
        name: label("A Shopper"),
        line1: label("Street 1"),
        line2: None,
        city: label("Town"),
        region: None,
        postal_code: None,
        country: "DE".parse().unwrap(),
    };
    let method = PaymentMethod {
        provider: "simulator".parse().unwrap(),
        token: "tok_visa".parse().unwrap(),
    };
    Terms { contact: Contact { email: None, shipping, billing: None }, method, shortfall, capture }
}

pub(super) fn book() -> PriceBook {
    PriceBook::new(Currency::EURO, (0..3).map(listing).collect()).unwrap()
}

fn listing(nth: usize) -> Listing {
    let name = ProductName::try_from(format!("The {}", SKUS[nth])).unwrap();
    Listing::new(code(nth), name, vec![euro(PRICE)]).unwrap()
}

/// Whose cups, pots and teas are.
const SELLERS: [Option<&str>; 3] = [Some("ann"), Some("bob"), None];

fn book_with_sellers() -> PriceBook {
    let page = |nth: usize| {
        let content = page::Content {
            slug: SKUS[nth].parse().unwrap(),
            title: label(SKUS[nth]),
            description: None,
            attributes: vec![],
            media: vec![],
            categories: vec![],
            seller: SELLERS[nth].map(|seller| seller.parse().unwrap()),
            status: page::Status::Active,
            visibility: page::Visibility::Listed,
            translations: Translations::default(),
            variants: vec![code(nth)],
        };
        Page::new(content).unwrap()
    };
    let listing = |nth: usize| listing(nth).on_page(Some(SKUS[nth].parse().unwrap()));
    let book = PriceBook::new(Currency::EURO, (0..3).map(listing).collect()).unwrap();
    book.with_pages((0..3).map(page))
}

/// With a code for a tenth of the price, for one order in all.
fn book_with_code() -> PriceBook {
    let promotion = Promotion { trigger: Trigger::Code, ..percent("sale", 10) };
    let code = DiscountCode {
        code: "SALE".parse().unwrap(),
        promotion: promotion.id.clone(),
        limit: std::num::NonZeroU32::new(1),
        limit_per_customer: std::num::NonZeroU32::new(1),
    };
    book_with_sellers().with_promotions([promotion]).with_discount_codes([code])
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            catalogue: Catalogue { index: 3, content: Arc::new(book_with_code()) },
            now: NOON,
            cart: Actor::default(),
            numbers: Actor::default(),
            lists: BTreeMap::new(),
            pages: BTreeMap::new(),
            boards: BTreeMap::new(),
            orders: BTreeMap::new(),
            payments: BTreeMap::new(),
            stocks: (0..3).map(|_| Actor::default()).collect(),
            uses: BTreeMap::new(),
            cards: cards::CARDS.iter().map(|_| Actor::default()).collect(),
            card_lists: cards::Lists::default(),
            sold_elsewhere: [0; 3],
            arrived: 0,
            ways: BTreeMap::new(),
            timers: BTreeMap::new(),
            provider: Provider::default(),
            bookings: Vec::new(),
            n_booked: 0,
            questions: Vec::new(),
            whereabouts: BTreeMap::new(),
            settled: BTreeMap::new(),
            n_others: 0,
        };
        let access = CartAccess::from_hash([9; 32]);
        let cart = Cart::address(cart_id());
        world.send(&cart, cart::Command::Create { currency: Currency::EURO, access }.to_bytes());
        let items = (0..3).map(|nth| (code(nth), 3.try_into().unwrap())).collect();
        world.send(&cart, cart::Command::AddItems { items }.to_bytes());
        world.send(&cart, cart::Command::AddCode { code: "sale".parse().unwrap() }.to_bytes());
        for nth in 0..3 {
            let (on_hand, reason) = (STOCK.try_into().unwrap(), "stated".to_owned());
            let reason = reason.try_into().unwrap();
            let state = sku::Command::SetOnHand { on_hand, reason };
            world.send(&Sku::address(&code(nth)), state.to_bytes());
        }
        let policy = sku::Policy::Backorder { limit: PROMISED_MAX.try_into().ok() };
        let promise = sku::Command::SetPolicy { policy };
        world.send(&Sku::address(&code(BACKORDERED)), promise.to_bytes());
        world.issue_cards();
        world
    }

    /// One command to one entity, and what it wants done.
    fn send(&mut self, to: &EntityRef, command: Vec<u8>) {
        self.now = self.now.plus(Span::from_micros(1));
        let (catalogue, now) = (&self.catalogue, self.now);
        let effects = match to.kind {
            Cart::KIND => self.cart.run(to, &command, catalogue, now),
            OrderNumbers::KIND => self.numbers.run(to, &command, catalogue, now),
            OrderList::KIND => {
                let list = self.lists.entry(to.clone()).or_default();
                list.run(to, &command, catalogue, now)
            }
            OrderPage::KIND => {
                let page = self.pages.entry(to.clone()).or_default();
                page.run(to, &command, catalogue, now)
            }
            SellerBoard::KIND => {
                let board = self.boards.entry(to.clone()).or_default();
                board.run(to, &command, catalogue, now)
            }
            Order::KIND => {
                let id = OrderId::try_from(&to.key).unwrap();
                self.orders.entry(id).or_default().run(to, &command, catalogue, now)
            }
            Payment::KIND => {
                let id = PaymentId::try_from(&to.key).unwrap();
                self.payments.entry(id).or_default().run(to, &command, catalogue, now)
            }
            Sku::KIND => {
                let nth = (0..3).find(|nth| Sku::address(&code(*nth)) == *to).unwrap();
                self.stocks[nth].run(to, &command, catalogue, now)
            }
            CodeUses::KIND => {
                self.uses.entry(to.clone()).or_default().run(to, &command, catalogue, now)
            }
            GiftCard::KIND => {
                let card = &mut self.cards[cards::number(to)];
                card.run(to, &command, catalogue, now)
            }
            GiftCardList::KIND | GiftCardPage::KIND => {
                self.card_lists.run(to, &command, catalogue, now)
            }
            other => panic!("nothing lives at {other:?}"),
        };
        for effect in effects {
            self.carry_out(to, effect);
        }
        self.check();
    }

    fn carry_out(&mut self, from: &EntityRef, effect: Effect) {
        match effect {
            Effect::Tell { to, command } => {
                self.ways.entry((from.clone(), to)).or_default().push_back(command);
            }
            Effect::SetTimer { name, at } => drop(self.timers.insert((from.clone(), name), at)),
            Effect::CancelTimer { name } => drop(self.timers.remove(&(from.clone(), name))),
            Effect::Invoke { port: payment::PORT, request } => {
                let payment = PaymentId::try_from(&from.key).unwrap();
                let request = ProviderRequest::from_bytes(&request).unwrap();
                self.provider.asked.push((payment, request));
            }
            Effect::Invoke { port: carrier::PORT, request } => {
                self.bookings.push(BookingRequest::from_bytes(&request).unwrap());
            }
            Effect::Invoke { port: screening::PORT, request } => {
                self.questions.push(Question::from_bytes(&request).unwrap().order);
            }
            Effect::Publish { .. } => {}
            Effect::Invoke { .. } => panic!("{effect:?}"),
        }
    }

    fn run(&mut self, step: Step) {
        self.now = self.now.plus(Span::from_millis(1));
        match step {
            Step::CheckOut { nth, shortfall, capture, is_screened, has_method, cards } => {
                let mut terms = terms(shortfall, capture);
                if !has_method {
                    terms.method = PaymentMethod::none();
                }
                self.check_out(nth, terms, is_screened, &cards);
            }
            Step::Judge { nth, verdict } => self.judge(nth, verdict),
            Step::Decide { is_approved } => self.decide(is_approved),
            Step::Deliver { nth } => self.deliver(nth),
            Step::Process { nth, is_refused } if !self.provider.asked.is_empty() => {
                let nth = nth.index(self.provider.asked.len());
                self.provider.process(nth, is_refused);
            }
            Step::Answer { nth } if !self.provider.asked.is_empty() => {
                self.answer(nth.index(self.provider.asked.len()));
            }
            Step::Notify { nth } if !self.provider.asked.is_empty() => {
                self.notify(nth.index(self.provider.asked.len()));
            }
            Step::Process { .. } | Step::Answer { .. } | Step::Notify { .. } => {}
            Step::Fire { nth } if !self.timers.is_empty() => {
                let key = self.timers.keys().nth(nth.index(self.timers.len())).cloned();
                self.fire(&key.unwrap());
            }
            Step::Fire { .. } => {}
            Step::Cancel => {
                self.tell_orders(&Command::Cancel { by: Side::Shopper, reason: label("no more") })
            }
            Step::CancelPieces { sku, pieces } => self.cancel_pieces(sku, pieces),
            Step::Book => self.book(),
            Step::BringOtherwise => self.bring_otherwise(),
            Step::AnswerBooking { nth, is_refused } => {
                self.answer_booking(nth.index(64), is_refused);
            }
            Step::Track { nth, to } => self.track(nth, to),
            Step::Fulfil { backordered } => {
                let some = Quantity::try_from(backordered).ok();
                let some = some.map(|pieces| (code(BACKORDERED), pieces));
                self.tell_orders(&Command::Fulfil {
                    shipment: ShipmentNumber(1),
                    items: some.into_iter().chain([(code(0), 1.try_into().unwrap())]).collect(),
                    carrier: label("Post"),
                    tracking: label("1Z"),
                });
            }
            Step::Refund { minor } => self.tell_orders(&Command::Refund {
                refund: RefundId::from_bytes([u8::try_from(minor).unwrap(); 16]),
                amount: euro(minor),
                reason: label("broken"),
            }),
            Step::Voucher { nth, minor } => self.refund_to_card(nth, minor),
            Step::Exchange(wanted) => self.exchange(wanted),
            Step::Receive { number } => self.receive(number),
            Step::CaptureByHand { minor } => self.tell_payments(&payment::Command::CaptureByHand {
                capture: CaptureId::from_bytes([u8::try_from(minor).unwrap(); 16]),
                amount: euro(minor),
            }),
            Step::VoidByHand => self.tell_payments(&payment::Command::VoidByHand),
            Step::Sell { sku, pieces } => self.sell_elsewhere(sku, pieces),
            Step::Arrive { pieces } => self.arrive(pieces),
        }
    }

    fn arrive(&mut self, pieces: u32) {
        self.arrived += pieces;
        let delta = i64::from(pieces).try_into().unwrap();
        let reason = "came".to_owned().try_into().unwrap();
        let command = sku::Command::Adjust { delta, reason };
        self.send(&Sku::address(&code(BACKORDERED)), command.to_bytes());
    }

    fn check_out(&mut self, nth: u8, terms: Terms, is_screened: bool, cards: &[usize]) {
        let order = OrderId::in_slot(slot(), [nth; 14]);
        let payment = PaymentId::in_slot(slot(), [nth; 14]);
        let mut terms = Box::new(terms);
        terms.contact.email = Some("someone@shop.example".to_owned().try_into().unwrap());
        let (shipping, customer) = (None, CustomerKey::from_bytes([8; 16]));
        let screening =
            is_screened.then_some(cart::Means::Screening { held_for: Span::from_secs(60) });
        let cards = cards.iter().map(|nth| cart::Means::GiftCard(cards::id(*nth)));
        let means = [cart::Means::Customer(customer)].into_iter().chain(screening).chain(cards);
        let means = means.collect();
        let command = cart::Command::CheckOutWith { order, payment, terms, shipping, means };
        self.send(&Cart::address(cart_id()), command.to_bytes());
    }

    fn tell_orders(&mut self, command: &Command) {
        for id in self.orders.keys().copied().collect::<Vec<_>>() {
            self.send(&Order::address(id), command.to_bytes());
        }
    }

    fn tell_payments(&mut self, command: &payment::Command) {
        for id in self.payments.keys().copied().collect::<Vec<_>>() {
            self.send(&Payment::address(id), command.to_bytes());
        }
    }

    fn judge(&mut self, nth: prop::sample::Index, verdict: Verdict) {
        if self.questions.is_empty() {
            return;
        }
        let order = self.questions[nth.index(self.questions.len())];
        let answered = Command::OfReview(ReviewCommand::Answered(verdict));
        self.send(&Order::address(order), answered.to_bytes());
    }

    fn decide(&mut self, is_approved: bool) {
        let decision = if is_approved { ReviewCommand::Approve } else { ReviewCommand::Reject };
        self.tell_orders(&Command::OfReview(decision));
    }

    fn book(&mut self) {
        let (shipment, carrier) = (ShipmentNumber(1), mule());
        let items = vec![(code(0), 1.try_into().unwrap())];
        let fulfil = ParcelCommand::Fulfil { shipment, items, carrier: carrier.clone() };
        self.tell_orders(&Command::OfParcel(fulfil));
        self.tell_orders(&Command::OfParcel(ParcelCommand::Book { shipment, carrier }));
    }

    fn track(&mut self, nth: prop::sample::Index, to: Whereabouts) {
        if self.bookings.is_empty() {
            return;
        }
        let parcel = self.bookings[nth.index(self.bookings.len())].parcel;
        let (event, shipment) = ("evt".parse().unwrap(), parcel.shipment);
        let notice = ParcelCommand::Notified { event, carrier: mule(), shipment, to };
        self.send(&Order::address(parcel.order), Command::OfParcel(notice).to_bytes());
    }

    fn answer_booking(&mut self, nth: usize, is_refused: bool) {
        let n_waiting = self.bookings.len() - self.n_booked;
        if n_waiting == 0 {
            return;
        }
        let at = self.n_booked + nth % n_waiting;
        self.bookings.swap(self.n_booked, at);
        let BookingRequest { parcel, attempt, .. } = self.bookings[self.n_booked];
        self.n_booked += 1;
        let booking = Booking { tracking: label("M1"), label_url: label("http://mule/M1") };
        let outcome = if is_refused {
            BookingOutcome::Refused(BookingRefusal::NotTaken)
        } else {
            BookingOutcome::Booked(booking)
        };
        let answered = ParcelCommand::Answered(BookingAnswer { parcel, attempt, outcome });
        self.send(&Order::address(parcel.order), Command::OfParcel(answered).to_bytes());
    }

    fn bring_otherwise(&mut self) {
        let (shipment, carrier, tracking) = (ShipmentNumber(1), label("Post"), label("1Z"));
        let state = ParcelCommand::State { shipment, carrier, tracking };
        self.tell_orders(&Command::OfParcel(state));
    }

    fn cancel_pieces(&mut self, sku: usize, pieces: u32) {
        let items = vec![(code(sku), pieces.try_into().unwrap())];
        let (by, reason) = (Side::Shop, label("broken"));
        self.tell_orders(&Command::CancelPieces { by, items, reason });
    }

    fn refund_to_card(&mut self, nth: u8, minor: i64) {
        self.tell_orders(&Command::RefundToCard {
            refund: RefundId::from_bytes([0xF0 + nth; 16]),
            amount: euro(minor),
            reason: label("kind"),
            card: cards::id(cards::VOUCHERS + usize::from(nth)),
            ending: label("CARD"),
        });
    }

    fn sell_elsewhere(&mut self, nth: usize, pieces: u32) {
        self.n_others += 1;
        let before = self.stocks[nth].live.on_hand;
        let delta = (-i64::from(pieces)).try_into().unwrap();
        let reason = "sold elsewhere".to_owned().try_into().unwrap();
        let command = sku::Command::Adjust { delta, reason };
        self.send(&Sku::address(&code(nth)), command.to_bytes());
        if self.stocks[nth].live.on_hand != before {
            self.sold_elsewhere[nth] += pieces;
        }
    }

    fn deliver(&mut self, nth: prop::sample::Index) {
        let ways: Vec<_> = self.ways.iter().filter(|(_, way)| !way.is_empty()).collect();
        if ways.is_empty() {
            return;
        }
        let way = ways[nth.index(ways.len())].0.clone();
        let command = self.ways.get_mut(&way).unwrap().pop_front().unwrap();
        self.send(&way.1, command);
    }

    fn answer(&mut self, nth: usize) {
        let Some(outcome) = self.provider.outcomes.get(&nth).cloned() else { return };
        let (payment, request) = &self.provider.asked[nth];
        let answer = ProviderAnswer { operation: request.reference.number, outcome };
        let command = payment::Command::Answered(answer).to_bytes();
        self.send(&Payment::address(*payment), command);
    }

    fn notify(&mut self, nth: usize) {
        let (payment, request) = &self.provider.asked[nth];
        let operation = request.reference.number;
        let fact = match self.provider.outcomes.get(&nth).cloned() {
            Some(Outcome::Done { reference }) => {
                payment::Fact::Done { operation, reference, amount: None }
            }
            Some(Outcome::Refused(_)) => payment::Fact::Refused { operation },
            Some(Outcome::Pending { .. }) | None => return,
        };
        let event = format!("evt-{nth}").parse().unwrap();
        let command = payment::Command::Notified { event, fact }.to_bytes();
        self.send(&Payment::address(*payment), command);
    }

    fn fire(&mut self, key: &(EntityRef, TimerName)) {
        let Some(at) = self.timers.remove(key) else { return };
        self.now = self.now.max(at);
        let (to, name) = key;
        let command = match to.kind {
            Order::KIND => Order::on_timer(*name).map(|command| command.to_bytes()),
            Sku::KIND => Sku::on_timer(*name).map(|command| command.to_bytes()),
            Cart::KIND => Cart::on_timer(*name).map(|command| command.to_bytes()),
            other => panic!("{other:?} sets no timers"),
        };
        self.send(to, command.unwrap());
    }

    /// What holds after every step.
    fn check(&mut self) {
        for (id, order) in &self.orders {
            let Some(order) = &order.live.existing else { continue };
            if let Some(settlement) = &order.settlement {
                let first = self.settled.entry(*id).or_insert_with(|| settlement.clone());
                assert_eq!(first, settlement, "what the shopper was told has changed");
            }
            for parcel in &order.parcels {
                let ParcelState::Moved(place) = parcel.state else { continue };
                let before = self.whereabouts.insert(*id, Some(place)).flatten();
                assert!(before <= Some(place), "a parcel went back to {place:?}");
            }
            let asked = self.bookings.iter().skip(self.n_booked);
            let asked = asked.filter(|request| request.parcel.order == *id).count();
            assert!(asked <= 1, "one parcel is asked for {asked} times at once");
        }
        let open = self.orders.values().filter_map(|order| order.live.existing.as_ref());
        let of_cart = open.filter(|order| order.in_place_of.is_none());
        let bought =
            of_cart.filter(|order| matches!(order.stage, Stage::Confirmed | Stage::Cancelled));
        assert!(bought.count() <= 1, "one cart became two orders");
        assert!(self.stocks[BACKORDERED].live.backordered.get() <= PROMISED_MAX);
    }

    /// Lets everything come to its end.
    fn quiesce(&mut self) {
        for _ in 0..10_000 {
            if let Some(way) =
                self.ways.iter().find(|(_, way)| !way.is_empty()).map(|(way, _)| way.clone())
            {
                let command = self.ways.get_mut(&way).unwrap().pop_front().unwrap();
                self.send(&way.1, command);
                continue;
            }
            let before = (self.provider.asked.len(), self.provider.outcomes.len());
            for nth in 0..self.provider.asked.len() {
                self.provider.process(nth, false);
                self.answer(nth);
            }
            self.answer_booking(0, false);
            let is_quiet = self.ways.values().all(VecDeque::is_empty);
            if !is_quiet || (self.provider.asked.len(), self.provider.outcomes.len()) != before {
                continue;
            }
            match self.timers.keys().next().cloned() {
                Some(key) => self.fire(&key),
                None => return,
            }
        }
        panic!("it never ends");
    }
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    let shortfall = prop_oneof![Just(Shortfall::FailAll), Just(Shortfall::DropLines)];
    let capture = prop_oneof![Just(CaptureTime::AtOnce), Just(CaptureTime::OnFulfilment)];
    let (screened, method) = (prop::bool::weighted(0.3), prop::bool::weighted(0.8));
    let verdict = prop_oneof![
        3 => Just(Verdict::Allow),
        2 => Just(Verdict::Review { why: label("much") }),
        1 => Just(Verdict::Deny { why: label("bad") }),
    ];
    let whereabouts = prop_oneof![
        Just(Whereabouts::InTransit),
        Just(Whereabouts::NotHandedOver),
        Just(Whereabouts::Delivered),
    ];
    prop_oneof![
        3 => (1_u8..4, shortfall, capture, screened, method, cards::brought()).prop_map(
            |(nth, shortfall, capture, is_screened, has_method, cards)| Step::CheckOut {
                nth,
                shortfall,
                capture,
                is_screened,
                has_method,
                cards,
            },
        ),
        2 => (index(), verdict).prop_map(|(nth, verdict)| Step::Judge { nth, verdict }),
        1 => any::<bool>().prop_map(|is_approved| Step::Decide { is_approved }),
        24 => index().prop_map(|nth| Step::Deliver { nth }),
        4 => (index(), prop::bool::weighted(0.2))
            .prop_map(|(nth, is_refused)| Step::Process { nth, is_refused }),
        4 => index().prop_map(|nth| Step::Answer { nth }),
        2 => index().prop_map(|nth| Step::Notify { nth }),
        1 => index().prop_map(|nth| Step::Fire { nth }),
        1 => Just(Step::Cancel),
        1 => (0_usize..3, 1_u32..3).prop_map(|(sku, pieces)| Step::CancelPieces { sku, pieces }),
        2 => Just(Step::Book),
        1 => Just(Step::BringOtherwise),
        2 => (index(), prop::bool::weighted(0.3))
            .prop_map(|(nth, is_refused)| Step::AnswerBooking { nth, is_refused }),
        2 => (index(), whereabouts).prop_map(|(nth, to)| Step::Track { nth, to }),
        2 => (0_u32..4).prop_map(|backordered| Step::Fulfil { backordered }),
        2 => (1_u32..4).prop_map(|pieces| Step::Arrive { pieces }),
        2 => (1_u32..5).prop_map(|pieces| Step::Sell { sku: BACKORDERED, pieces }),
        1 => (1_i64..200).prop_map(|minor| Step::Refund { minor }),
        2 => (0_u8..2, 1_i64..2_000).prop_map(|(nth, minor)| Step::Voucher { nth, minor }),
        3 => exchanges::wanted().prop_map(Step::Exchange),
        2 => (1_u16..3).prop_map(|number| Step::Receive { number }),
        1 => (1_i64..200).prop_map(|minor| Step::CaptureByHand { minor }),
        1 => Just(Step::VoidByHand),
        1 => (0_usize..3, 1_u32..4).prop_map(|(sku, pieces)| Step::Sell { sku, pieces }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_checkout_ends_with_everything_or_with_nothing(
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
        }
        world.quiesce();
        world.check_end();
    }
}

//! Any sequence of commands, answers and notices, beside a provider with an account of its own.

use std::collections::BTreeMap;

use cluster::entity::{Effect, NoCatalogue};
use cluster::time::Span;
use proptest::prelude::*;

use super::tests::{NOON, back, cap, euro, me, method, number, order, reference};
use super::*;

#[derive(Clone, Debug)]
enum Step {
    Send(Command),
    /// The provider carries out what it was asked, or refuses it, without a word yet.
    Process {
        operation: u32,
        fate: Fate,
    },
    /// The port's answer arrives, for the first time or again.
    Answer {
        operation: u32,
    },
    Notify {
        operation: u32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Fate {
    Done,
    Refused,
    /// Of a refund: taken on, and decided when it is processed again.
    Pending,
}

/// What a provider knows: each operation once, by its number.
#[derive(Default)]
struct Provider {
    asked: BTreeMap<OperationNumber, Action>,
    outcomes: BTreeMap<OperationNumber, Outcome>,
    held: i64,
    captured: i64,
    refunded: i64,
}

impl Provider {
    fn ask(&mut self, request: ProviderRequest) {
        assert_eq!((request.reference.payment, &request.provider), (me(), &method().provider));
        let number = request.reference.number;
        assert_eq!(self.asked.insert(number, request.action), None, "one number, two questions");
    }

    fn process(&mut self, number: OperationNumber, fate: Fate) {
        let Some(action) = self.asked.get(&number) else { return };
        let is_pending = matches!(self.outcomes.get(&number), Some(Outcome::Pending { .. }));
        if self.outcomes.contains_key(&number) && !is_pending {
            return;
        }
        let name = || reference(&format!("op-{}", number.get()));
        if let Action::CheckRefund { refund, asked_as } = action {
            let found = self.outcomes.get(asked_as).cloned().unwrap();
            let known = reference(&format!("op-{}", asked_as.get()));
            assert_eq!(*refund, known, "nobody pended that");
            self.outcomes.insert(number, found);
            return;
        }
        let outcome = match fate {
            Fate::Pending if matches!(action, Action::Refund { .. }) => {
                Outcome::Pending { reference: name() }
            }
            Fate::Refused => Outcome::Refused(Refusal::Declined),
            Fate::Done | Fate::Pending => {
                match action {
                    Action::Authorise { amount, .. } => self.held += amount.minor,
                    Action::Capture { amount, .. } => {
                        self.held -= amount.minor;
                        self.captured += amount.minor;
                    }
                    Action::Void { .. } => self.held = 0,
                    Action::Refund { amount, .. } => self.refunded += amount.minor,
                    Action::CheckRefund { .. } => {}
                }
                Outcome::Done { reference: name() }
            }
        };
        assert!(self.held >= 0, "more was captured than authorised");
        assert!(self.refunded <= self.captured, "more was refunded than captured");
        self.outcomes.insert(number, outcome);
    }
}

struct World {
    payment: Payment,
    /// The same payment, made of the events' bytes.
    replica: Payment,
    provider: Provider,
    now: Timestamp,
    events: Vec<Event>,
}

impl World {
    fn new() -> Self {
        Self {
            payment: Payment::default(),
            replica: Payment::default(),
            provider: Provider::default(),
            now: NOON,
            events: Vec::new(),
        }
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Send(command) => self.send(command),
            Step::Process { operation, fate } => self.provider.process(number(operation), fate),
            Step::Answer { operation } => self.answer(number(operation)),
            Step::Notify { operation } => self.notify(number(operation)),
        }
    }

    fn answer(&mut self, operation: OperationNumber) {
        let Some(outcome) = self.provider.outcomes.get(&operation).cloned() else { return };
        self.send(Command::Answered(ProviderAnswer { operation, outcome }));
    }

    fn notify(&mut self, operation: OperationNumber) {
        let fact = match self.provider.outcomes.get(&operation).cloned() {
            Some(Outcome::Done { reference }) => Fact::Done { operation, reference, amount: None },
            Some(Outcome::Refused(_)) => Fact::Refused { operation },
            Some(Outcome::Pending { .. }) | None => return,
        };
        self.send(Command::Notified { event: "evt".parse().unwrap(), fact });
    }

    fn send(&mut self, command: Command) {
        self.now = self.now.plus(Span::from_micros(1));
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.now.as_micros().to_be_bytes());
        let address = Payment::address(me());
        let catalogue = Err(NoCatalogue::Absent);
        let ctx = Context { now: self.now, me: &address, entropy, catalogue };
        let was_in_doubt = self.under_way().is_some();
        let Ok(decision) = self.payment.decide(command.clone(), &ctx) else { return };
        for event in &decision.events {
            self.payment.apply(event);
            self.replica.apply(&Event::from_bytes(&event.to_bytes()).unwrap());
        }
        for effect in decision.effects {
            match effect {
                Effect::Invoke { port: PORT, request } => {
                    self.provider.ask(ProviderRequest::from_bytes(&request).unwrap());
                }
                Effect::Tell { .. } | Effect::SetTimer { .. } | Effect::Publish { .. } => {}
                other @ (Effect::Invoke { .. } | Effect::CancelTimer { .. }) => panic!("{other:?}"),
            }
        }
        let ended = decision.events.iter().any(|event| matches!(event, Event::Cancelled { .. }));
        let is_answer = matches!(command, Command::Answered(_) | Command::Notified { .. });
        assert!(!ended || !was_in_doubt || is_answer, "ended in doubt");
        assert_eq!(decision.reply, self.payment.view(Query::Payment, &ctx));
        if let Ok(again) = self.payment.decide(command, &ctx) {
            assert_eq!(again.events, [], "a repeat changed something");
        }
        self.events.extend(decision.events);
        self.check_invariants();
    }

    fn under_way(&self) -> Option<Operation> {
        self.payment.intent.as_ref().and_then(|intent| intent.under_way)
    }

    fn check_invariants(&self) {
        assert_eq!(self.replica, self.payment);
        let record = self.payment.to_record();
        let read = Payment::from_record(&record).unwrap();
        assert_eq!((&read, read.to_record()), (&self.payment, record));
        let Some(intent) = &self.payment.intent else { return };
        assert_eq!(intent.check(), Ok(()));
        let (captured, refunded) = (intent.captured.minor, intent.refunded.minor);
        assert!(0 <= refunded && refunded <= captured && captured <= intent.amount.minor);
        // At most what is under way is more than is known here.
        assert!(captured <= self.provider.captured && refunded <= self.provider.refunded);
        let n_unknown = self
            .provider
            .asked
            .keys()
            .filter(|number| !self.provider.outcomes.contains_key(number));
        assert!(n_unknown.count() <= 1, "the provider is asked one thing at a time");
    }

    /// The provider answers whatever it is asked, until it is asked nothing more.
    fn settle(&mut self) {
        loop {
            while let Some(operation) = self.under_way() {
                self.provider.process(operation.number, Fate::Done);
                self.answer(operation.number);
            }
            let pending = self.provider.outcomes.iter().filter_map(|(number, outcome)| {
                matches!(outcome, Outcome::Pending { .. }).then_some(*number)
            });
            let pending: Vec<_> = pending.collect();
            pending.iter().for_each(|number| self.provider.process(*number, Fate::Done));
            let has_pending = |intent: &Intent| intent.pending_after(None).is_some();
            if !self.payment.intent.as_ref().is_some_and(has_pending) {
                break;
            }
            self.send(Command::CheckRefunds);
        }
        let Some(intent) = &self.payment.intent else { return };
        let is_held = matches!(intent.authorisation, Authorisation::Held(_));
        let held = if is_held { intent.amount.minor - intent.captured.minor } else { 0 };
        let ours = (held, intent.captured.minor, intent.refunded.minor);
        let Provider { held, captured, refunded, .. } = &self.provider;
        assert_eq!(ours, (*held, *captured, *refunded), "the two accounts differ");
        match intent.cancellation {
            Cancellation::NotAsked | Cancellation::Failed => {}
            Cancellation::Asked => panic!("a cancellation does not end"),
            Cancellation::Ended => assert_eq!((*held, captured), (0, refunded)),
        }
    }
}

fn commands() -> impl Strategy<Value = Command> {
    let amounts = || prop_oneof![4 => 1..60_i64, 1 => Just(100), 1 => Just(0)].prop_map(euro);
    let open = prop_oneof![9 => Just(100), 1 => Just(50)].prop_map(|minor| Command::Open {
        order: order(),
        amount: euro(minor),
        method: method(),
    });
    prop_oneof![
        3 => open,
        4 => Just(Command::Authorise),
        5 => (1..5_u8, amounts())
            .prop_map(|(id, amount)| Command::Capture { capture: cap(id), amount }),
        1 => (5..8_u8, amounts())
            .prop_map(|(id, amount)| Command::CaptureByHand { capture: cap(id), amount }),
        5 => (1..6_u8, amounts())
            .prop_map(|(id, amount)| Command::Refund { refund: back(id), amount }),
        1 => Just(Command::Cancel),
        1 => Just(Command::VoidByHand),
        1 => Just(Command::CheckRefunds),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let fates = prop_oneof![
        5 => Just(Fate::Done),
        1 => Just(Fate::Refused),
        2 => Just(Fate::Pending),
    ];
    prop_oneof![
        6 => commands().prop_map(Step::Send),
        6 => (1..8_u32, fates).prop_map(|(operation, fate)| Step::Process { operation, fate }),
        5 => (1..8_u32).prop_map(|operation| Step::Answer { operation }),
        4 => (1..8_u32).prop_map(|operation| Step::Notify { operation }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_history_keeps_the_two_accounts_alike(steps in prop::collection::vec(steps(), 1..80)) {
        let mut world = World::new();
        world.send(Command::Open { order: order(), amount: euro(100), method: method() });
        for step in steps {
            world.run(step);
        }
        world.settle();
    }
}

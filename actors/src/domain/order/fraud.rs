//! Between the stocks and the payment: whether the order looks like fraud, and what a person says then.
//!
//! **Invariants:** an order that nobody wants screened asks nobody; one that is held was told to be so
//! and ends by itself, so that it keeps no pieces for ever; it is decided once, and what the shopper was
//! told stays so whatever is decided.

use cluster::entity::{Answer, Effect, Wire};
use cluster::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Command, Course, Event, Existing, Failure, Moment, Order, Rejection, Stage};
use crate::domain::fraud::{PORT, Question, Verdict};
use crate::domain::names::Label;
use crate::mutants::Mutant;

/// Why an order is held that nobody has said anything of.
const SILENCE: &str = "nobody answered in time";

/// How an order stands with whoever decides about fraud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub state: ReviewState,
    /// For the shop alone.
    pub why: Option<Label>,
    /// How long a person may take; the pieces are for others then.
    pub held_for: Span,
    pub since: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewState {
    /// Once its pieces are reserved.
    Wanted,
    Asked,
    Allowed,
    Denied,
    /// A person is to decide.
    Held,
    Approved,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewCommand {
    /// The port's.
    Answered(Verdict),
    Approve,
    Reject,
    /// The timer's: nobody answered, or nobody decided.
    Expire,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReviewStep {
    Wanted { held_for: Span },
    Asked,
    Allowed,
    Denied { why: Label },
    Held { why: Label },
    Approved,
}

impl ReviewStep {
    pub(super) const fn moment(&self) -> Option<Moment> {
        match self {
            Self::Held { .. } => Some(Moment::OnHold),
            Self::Approved => Some(Moment::Approved),
            // That it failed says enough.
            Self::Wanted { .. } | Self::Asked | Self::Allowed | Self::Denied { .. } => None,
        }
    }
}

pub(super) fn on_answer(answer: &Answer) -> Option<Command> {
    let (Answer::Done(bytes) | Answer::Refused(bytes)) = answer;
    let verdict = Verdict::from_bytes(bytes).ok()?;
    Some(Command::OfReview(ReviewCommand::Answered(verdict)))
}

impl Course {
    /// The stocks have what is to be bought: it is paid, once nobody has anything against it.
    pub(super) fn screen(&mut self) {
        let Some(order) = self.order() else { return };
        if order.review.is_none() {
            return self.ask_payment();
        }
        let question = Question {
            order: self.me,
            amount: order.totals.grand,
            pieces: order.bought().map(|line| line.quantity.get()).fold(0, u32::saturating_add),
            contact: order.placed.terms.contact.clone(),
        };
        self.review(ReviewStep::Asked);
        self.does(Effect::Invoke { port: PORT, request: question.to_bytes() });
        self.set_timer(Order::REVIEW, Order::VERDICT_WITHIN);
    }

    pub(super) fn take_review_command(&mut self, command: ReviewCommand) -> Result<(), Rejection> {
        match command {
            ReviewCommand::Answered(verdict) => self.take_verdict(verdict),
            ReviewCommand::Approve => return self.approve(),
            ReviewCommand::Reject => return self.reject(),
            ReviewCommand::Expire => self.expire_review(),
        }
        Ok(())
    }

    fn take_verdict(&mut self, verdict: Verdict) {
        match self.reviewing() {
            Some(ReviewState::Asked) => {}
            // It is held for want of this very word.
            Some(ReviewState::Held) if self.is_held_for_silence() => {
                if matches!(verdict, Verdict::Review { .. }) {
                    return;
                }
            }
            Some(_) | None => return,
        }
        match verdict {
            Verdict::Allow => {
                self.review(ReviewStep::Allowed);
                self.go_on();
            }
            Verdict::Review { why } => self.hold(why),
            Verdict::Deny { why } => {
                self.review(ReviewStep::Denied { why });
                self.end_review(Failure::FraudSuspected);
            }
        }
    }

    fn approve(&mut self) -> Result<(), Rejection> {
        let state = self.found()?.review.as_ref().map(|review| review.state);
        match (self.reviewing(), state) {
            (Some(ReviewState::Held), _) => {
                self.review(ReviewStep::Approved);
                self.go_on();
                Ok(())
            }
            (_, Some(ReviewState::Approved)) => Ok(()),
            (_, _) => Err(Rejection::NotOnHold),
        }
    }

    fn reject(&mut self) -> Result<(), Rejection> {
        let stage = &self.found()?.stage;
        if *stage == Stage::Failed(Failure::ReviewRejected) {
            return Ok(());
        }
        if self.reviewing() != Some(ReviewState::Held) {
            return Err(Rejection::NotOnHold);
        }
        self.end_review(Failure::ReviewRejected);
        Ok(())
    }

    fn expire_review(&mut self) {
        match self.reviewing() {
            Some(ReviewState::Asked) => self.hold(Label::of_what_fits(SILENCE)),
            Some(ReviewState::Held) if !Mutant::HeldForEver.is_planted() => {
                self.end_review(Failure::ReviewExpired);
            }
            Some(_) | None => {}
        }
    }

    fn is_held_for_silence(&self) -> bool {
        let why = self.order().and_then(|order| order.review.as_ref()?.why.as_ref());
        why.is_some_and(|why| why.as_str() == SILENCE)
    }

    /// The stocks keep its pieces, for so long and no longer.
    fn hold(&mut self, why: Label) {
        self.review(ReviewStep::Held { why });
        let review = self.order().and_then(|order| order.review.as_ref());
        if let Some(held_for) = review.map(|review| review.held_for) {
            self.set_timer(Order::REVIEW, held_for);
        }
    }

    fn go_on(&mut self) {
        self.cancel_timer(Order::REVIEW);
        self.ask_payment();
    }

    pub(super) fn end_review(&mut self, why: Failure) {
        self.cancel_timer(Order::REVIEW);
        self.fail(why);
    }

    /// Where the review is, while the order waits for it.
    fn reviewing(&self) -> Option<ReviewState> {
        let order = self.order().filter(|order| order.stage == Stage::Reviewing)?;
        order.review.as_ref().map(|review| review.state)
    }

    pub(super) fn review(&mut self, step: ReviewStep) {
        self.happen(Event::Review { step, at: self.now });
    }
}

impl Existing {
    pub(super) fn is_held(&self) -> bool {
        self.review.as_ref().is_some_and(|review| review.state == ReviewState::Held)
    }

    pub(super) fn review_becomes(&mut self, step: &ReviewStep, at: Timestamp) {
        let (state, why) = match step {
            ReviewStep::Wanted { held_for } => {
                let (state, why) = (ReviewState::Wanted, None);
                self.review = Some(Review { state, why, held_for: *held_for, since: at });
                return;
            }
            ReviewStep::Asked => (ReviewState::Asked, None),
            ReviewStep::Allowed => (ReviewState::Allowed, None),
            ReviewStep::Denied { why } => (ReviewState::Denied, Some(why)),
            ReviewStep::Held { why } => (ReviewState::Held, Some(why)),
            ReviewStep::Approved => (ReviewState::Approved, None),
        };
        let Some(review) = &mut self.review else { return };
        (review.state, review.since) = (state, at);
        if let Some(why) = why {
            review.why = Some(why.clone());
        }
        match state {
            ReviewState::Asked => self.stage = Stage::Reviewing,
            ReviewState::Held => self.settle(Some(Failure::UnderReview), at),
            ReviewState::Wanted
            | ReviewState::Allowed
            | ReviewState::Denied
            | ReviewState::Approved => {}
        }
    }

    /// Who waits for a review has one, and was told so if it is a person's.
    pub(super) fn check_review(&self) -> Result<(), &'static str> {
        let is_told = self.settlement.is_some();
        let is_sound = match self.review.as_ref().map(|review| review.state) {
            None => self.stage != Stage::Reviewing,
            Some(ReviewState::Held) => is_told,
            Some(_) => true,
        };
        if is_sound { Ok(()) } else { Err("an order waits for a review that nobody asked for") }
    }
}

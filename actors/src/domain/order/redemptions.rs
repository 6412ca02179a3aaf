//! The uses of discount codes that an order needs, and of what only a first order gets: held beside its
//! pieces, counted when it is paid, free again on every way out.
//!
//! **Invariants:** an order that failed or was cancelled holds no use, or has asked for each to be
//! released; a use is counted once.

use std::num::NonZeroU32;

use cluster::entity::{Effect, Wire};
use serde::{Deserialize, Serialize};

use super::{Course, Event, Existing, Failure};
use crate::domain::code_uses::{self, CodeUses, Counted, NoUse, UseNews, UseStep};
use crate::domain::names::PromotionId;
use crate::mutants::Mutant;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redemption {
    pub counted: Counted,
    /// What it is redeemed for.
    pub promotion: PromotionId,
    /// How many uses there may be.
    pub limit: Option<NonZeroU32>,
}

/// A redemption, and how far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) redemption: Redemption,
    pub(crate) state: UseState,
}

/// How far a redemption is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UseState {
    Asked,
    Held,
    Refused(NoUse),
    /// It is told to be counted.
    Counting,
    Counted,
    Releasing,
    Released,
    /// What was counted is told to be free again.
    Returning,
}

impl Use {
    pub(super) fn all_asked(redemptions: &[Redemption]) -> Vec<Self> {
        let asked = redemptions.iter().cloned();
        asked.map(|redemption| Self { redemption, state: UseState::Asked }).collect()
    }
}

impl UseState {
    /// What ends it.
    fn undo(self) -> Option<UseStep> {
        match self {
            Self::Asked | Self::Held => Some(UseStep::Release),
            Self::Counting | Self::Counted => Some(UseStep::Return),
            Self::Refused(_) | Self::Releasing | Self::Released | Self::Returning => None,
        }
    }
}

impl Existing {
    pub(super) fn use_becomes(&mut self, nth: u16, state: UseState) {
        if let Some(used) = self.uses.get_mut(usize::from(nth)) {
            used.state = state;
        }
    }

    /// What is held is counted.
    pub(super) fn count_uses(&mut self) {
        for used in &mut self.uses {
            if used.state == UseState::Held {
                used.state = UseState::Counting;
            }
        }
    }

    /// What is held, or may be, or was counted, is free again.
    pub(super) fn free_uses(&mut self) {
        for used in &mut self.uses {
            match used.state.undo() {
                Some(UseStep::Return) => used.state = UseState::Returning,
                Some(_) => used.state = UseState::Releasing,
                None => {}
            }
        }
    }

    pub(super) fn waits_for_uses(&self) -> bool {
        self.uses.iter().any(|used| used.state == UseState::Asked)
    }

    /// Why the order comes to nothing, if a counter says no.
    pub(super) fn refused_use(&self) -> Option<Failure> {
        self.uses.iter().find_map(|used| {
            let UseState::Refused(why) = used.state else { return None };
            let counted = &used.redemption.counted;
            let is_first_order = counted.is_first_order();
            let Counted { code, customer } = counted.clone();
            Some(match (why, customer) {
                (NoUse::Crowded, _) => Failure::Crowded,
                (NoUse::Exhausted, _) if is_first_order => Failure::NotFirstOrder,
                (NoUse::Exhausted, Some(_)) => Failure::CodeUsedBefore { code },
                (NoUse::Exhausted, None) => Failure::CodeExhausted { code },
            })
        })
    }
}

impl Course {
    pub(super) fn ask_uses(&mut self) {
        for Use { redemption, .. } in self.uses() {
            let limit = redemption.limit;
            self.tell_code(&redemption.counted, UseStep::Hold { limit });
        }
    }

    pub(super) fn take_use_news(&mut self, counted: &Counted, news: UseNews) {
        let Some((nth, state)) = self.use_of(counted) else { return };
        let state = match (news, state) {
            (UseNews::Held, UseState::Asked) => UseState::Held,
            (UseNews::Refused(why), UseState::Asked) => UseState::Refused(why),
            (UseNews::Counted, UseState::Counting) => UseState::Counted,
            (UseNews::Released, UseState::Releasing) | (UseNews::Returned, UseState::Returning) => {
                UseState::Released
            }
            // Said before the order thought better of it, as of stocks.
            (
                UseNews::Held
                | UseNews::Refused(_)
                | UseNews::Counted
                | UseNews::Released
                | UseNews::Returned,
                _,
            ) => return,
        };
        let was_asked = matches!(state, UseState::Held | UseState::Refused(_));
        self.happen(Event::UseBecame { nth, state, at: self.now });
        if was_asked {
            self.when_stocks_answered();
        }
    }

    /// Tells codes to count what was held, once.
    pub(super) fn count_uses(&mut self) {
        for Use { redemption, state } in self.uses() {
            if state == UseState::Counting {
                self.tell_code(&redemption.counted, UseStep::Count);
            }
        }
    }

    /// Those that are open, each with what undoes it as it is.
    pub(super) fn open_uses(&self) -> Vec<(Counted, UseStep)> {
        let uses = self.uses().into_iter();
        uses.filter_map(|used| Some((used.redemption.counted, used.state.undo()?))).collect()
    }

    pub(super) fn free_uses(&mut self, open: Vec<(Counted, UseStep)>) {
        for (counted, undo) in open {
            let is_kept = undo == UseStep::Release && Mutant::CodeKeptAfterFailure.is_planted();
            if !is_kept {
                self.tell_code(&counted, undo);
            }
        }
    }

    fn uses(&self) -> Vec<Use> {
        self.order().map(|order| order.uses.clone()).unwrap_or_default()
    }

    fn use_of(&self, counted: &Counted) -> Option<(u16, UseState)> {
        let mut uses = (0..).zip(&self.order()?.uses);
        let found = uses.find(|(_, used)| used.redemption.counted == *counted)?;
        Some((found.0, found.1.state))
    }

    fn tell_code(&mut self, counted: &Counted, step: UseStep) {
        let command = code_uses::Command::ForOrder { order: self.me, step }.to_bytes();
        self.does(Effect::Tell { to: CodeUses::address(counted), command });
    }
}

//! The words of `omnicart payment-simulator`.

use clap::{ArgMatches, Command};
use edge::providers::payment::simulator::Behaviour;

use super::simulator::{self, Words, percent, share};
use crate::commands::simulator::Request;

const WORDS: Words = Words {
    name: "payment-simulator",
    about: "Runs a payment provider for trials, with a ledger of its own to compare with",
    listen: "127.0.0.1:7690",
    data: "./omnicart-payments",
    hook: "/hooks/payments/NAME",
};

pub(super) fn command() -> Command {
    simulator::command(&WORDS)
        .arg(percent("decline-percent", "Of authorisations: declined"))
        .after_help(
            "Tokens: tok_visa, tok_decline, tok_insufficient_funds, tok_expired, tok_fraud, \
             tok_authentication_required, tok_timeout, tok_late_success.",
        )
}

pub(super) fn request(matches: &ArgMatches) -> Request<Behaviour> {
    let behaviour = Behaviour {
        seed: simulator::seed(matches),
        declines: share(matches, "decline-percent"),
        timeouts: share(matches, "timeout-percent"),
        late_successes: share(matches, "late-percent"),
        odd_notices: share(matches, "duplicate-webhooks-percent"),
    };
    Request { place: simulator::place(matches), behaviour }
}

//! The words of `omnicart payment-simulator`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use edge::providers::Origin;
use edge::providers::payment::simulator::{Behaviour, Percent};

use crate::commands::payment_simulator::Request;

pub(super) fn command() -> Command {
    let percent = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PERCENT")
            .default_value("0")
            .value_parser(value_parser!(u8).range(0..=100))
            .help(help)
    };
    Command::new("payment-simulator")
        .about("Runs a payment provider for trials, with a ledger of its own to compare with")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .default_value("127.0.0.1:7690")
                .value_parser(value_parser!(SocketAddr))
                .help("Where it is asked; port 0 picks one"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("FOLDER")
                .default_value("./omnicart-payments")
                .value_parser(value_parser!(PathBuf))
                .help("Where its ledger lies; made if missing"),
        )
        .arg(percent("decline-percent", "Of authorisations: declined"))
        .arg(percent("timeout-percent", "Of attempts: not done, and not answered"))
        .arg(percent("late-percent", "Of attempts: done, and not answered"))
        .arg(percent("duplicate-webhooks-percent", "Of notices: sent twice, and out of order"))
        .arg(
            Arg::new("webhook-url")
                .long("webhook-url")
                .value_name("URL")
                .requires("webhook-secret-file")
                .value_parser(|text: &str| text.parse::<Origin>())
                .help("Where notices go: http://HOST:PORT/hooks/payments/NAME"),
        )
        .arg(
            Arg::new("webhook-secret-file")
                .long("webhook-secret-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("What notices are signed with, 16 characters or more"),
        )
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("NUMBER")
                .default_value("0")
                .value_parser(value_parser!(u64))
                .help("Chooses what goes wrong, the same way each time"),
        )
        .after_help(
            "Tokens: tok_visa, tok_decline, tok_insufficient_funds, tok_expired, tok_fraud, \
             tok_authentication_required, tok_timeout, tok_late_success.",
        )
}

pub(super) fn request(matches: &ArgMatches) -> Request {
    let percent = |name: &str| {
        let percent = matches.get_one::<u8>(name).copied().unwrap_or(0);
        Percent::try_from(percent).unwrap_or_default()
    };
    let Some(listen) = matches.get_one::<SocketAddr>("listen").copied() else {
        unreachable!("it has a default")
    };
    let file = matches.get_one::<PathBuf>("webhook-secret-file").cloned();
    Request {
        listen,
        data: matches.get_one::<PathBuf>("data").cloned().unwrap_or_default(),
        behaviour: Behaviour {
            seed: matches.get_one("seed").copied().unwrap_or(0),
            declines: percent("decline-percent"),
            timeouts: percent("timeout-percent"),
            late_successes: percent("late-percent"),
            odd_notices: percent("duplicate-webhooks-percent"),
        },
        notices: matches.get_one::<Origin>("webhook-url").cloned().zip(file),
    }
}

//! The words that the simulators of providers have in common.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, value_parser};
use edge::providers::{Origin, Percent};

use crate::commands::simulator::Place;

pub(super) struct Words {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) listen: &'static str,
    pub(super) data: &'static str,
    pub(super) hook: &'static str,
}

pub(super) fn command(words: &Words) -> Command {
    Command::new(words.name)
        .about(words.about)
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .default_value(words.listen)
                .value_parser(value_parser!(SocketAddr))
                .help("Where it is asked; port 0 picks one"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("FOLDER")
                .default_value(words.data)
                .value_parser(value_parser!(PathBuf))
                .help("Where its ledger lies; made if missing"),
        )
        .arg(percent("timeout-percent", "Of attempts: not done, and not answered"))
        .arg(percent("late-percent", "Of attempts: done, and not answered"))
        .arg(percent("duplicate-webhooks-percent", "Of notices: sent twice, and out of order"))
        .arg(
            Arg::new("webhook-url")
                .long("webhook-url")
                .value_name("URL")
                .requires("webhook-secret-file")
                .value_parser(|text: &str| text.parse::<Origin>())
                .help(format!("Where notices go: http://HOST:PORT{}", words.hook)),
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
}

pub(super) fn percent(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("PERCENT")
        .default_value("0")
        .value_parser(value_parser!(u8).range(0..=100))
        .help(help)
}

pub(super) fn place(matches: &ArgMatches) -> Place {
    let Some(listen) = matches.get_one::<SocketAddr>("listen").copied() else {
        unreachable!("it has a default")
    };
    let file = matches.get_one::<PathBuf>("webhook-secret-file").cloned();
    Place {
        listen,
        data: matches.get_one::<PathBuf>("data").cloned().unwrap_or_default(),
        notices: matches.get_one::<Origin>("webhook-url").cloned().zip(file),
    }
}

pub(super) fn share(matches: &ArgMatches, name: &str) -> Percent {
    let percent = matches.get_one::<u8>(name).copied().unwrap_or(0);
    Percent::try_from(percent).unwrap_or_default()
}

pub(super) fn seed(matches: &ArgMatches) -> u64 {
    matches.get_one("seed").copied().unwrap_or(0)
}

//! The words of `omnicart carrier-simulator`.

use std::time::Duration;

use clap::{Arg, ArgMatches, Command, value_parser};
use edge::providers::carrier::simulator::Behaviour;

use super::simulator::{self, Words, percent, share};
use crate::commands::simulator::Request;

const WORDS: Words = Words {
    name: "carrier-simulator",
    about: "Runs a carrier for trials, which books parcels and says where they are",
    listen: "127.0.0.1:7691",
    data: "./omnicart-parcels",
    hook: "/hooks/shipping/NAME",
};

pub(super) fn command() -> Command {
    simulator::command(&WORDS)
        .arg(percent("refuse-percent", "Of bookings: refused; asked for again, one may be taken"))
        .arg(
            Arg::new("pace")
                .long("pace")
                .value_name("MILLISECONDS")
                .default_value("10000")
                .value_parser(value_parser!(u64).range(..=86_400_000))
                .help("From one place of a parcel's way to the next"),
        )
        .after_help("Nothing is brought to the country AQ.")
}

pub(super) fn request(matches: &ArgMatches) -> Request<Behaviour> {
    let pace = matches.get_one::<u64>("pace").copied().unwrap_or(0);
    let behaviour = Behaviour {
        seed: simulator::seed(matches),
        refusals: share(matches, "refuse-percent"),
        timeouts: share(matches, "timeout-percent"),
        late_successes: share(matches, "late-percent"),
        odd_notices: share(matches, "duplicate-webhooks-percent"),
        pace: Duration::from_millis(pace),
    };
    Request { place: simulator::place(matches), behaviour }
}

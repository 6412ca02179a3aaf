//! The words of `omnicart dev`.

use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::commands::dev::{NODES_MAX, Request};
use crate::config::{Demo, Setting};

const DATA_DEFAULT: &str = "./omnicart-dev";
const BASE_PORT_DEFAULT: &str = "7600";

pub(super) fn command() -> Command {
    Command::new("dev")
        .about("Runs a cluster on this machine, for trying things; ctrl-c stops it")
        .arg(
            Arg::new("nodes")
                .long("nodes")
                .value_name("COUNT")
                .default_value("3")
                .value_parser(value_parser!(u16).range(1..=i64::from(NODES_MAX)))
                .help("How many nodes, each a process of its own"),
        )
        .arg(
            Arg::new("base-port")
                .long("base-port")
                .value_name("PORT")
                .default_value(BASE_PORT_DEFAULT)
                .value_parser(value_parser!(u16).range(1..=65_000))
                .help("HTTP of node 1; the others follow, and their meshes 100 ports further on"),
        )
        .arg(
            Arg::new("data")
                .long("data")
                .value_name("FOLDER")
                .default_value(DATA_DEFAULT)
                .value_parser(value_parser!(PathBuf))
                .help("Where the nodes' data folders go; kept, and used again by the next run"),
        )
        .arg(
            Arg::new("demo")
                .long("demo")
                .action(ArgAction::SetTrue)
                .help("Sells the demo shop's products"),
        )
        .after_help(format!(
            "The operator token is taken from {}, or made and printed.",
            Setting::OperatorToken.variable()
        ))
}

pub(super) fn request(matches: &ArgMatches) -> Request {
    let number = |name| matches.get_one::<u16>(name).copied().unwrap_or(1);
    Request {
        nodes: number("nodes"),
        base_port: number("base-port"),
        data: matches.get_one::<PathBuf>("data").cloned().unwrap_or_default(),
        demo: if matches.get_flag("demo") { Demo::Yes } else { Demo::No },
        token: std::env::var(Setting::OperatorToken.variable()).ok(),
    }
}

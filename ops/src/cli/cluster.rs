//! The words of `omnicart cluster`.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::cli::output;
use crate::commands::cluster::client::NodeUrl;
use crate::commands::cluster::{Request, ShardName, Verb};
use crate::config::Setting;

const NODE_DEFAULT: &str = "http://127.0.0.1:7600";
const WAIT_SECONDS_DEFAULT: u64 = 120;
/// Every replica of a node is copied to another one.
const REMOVAL_SECONDS_DEFAULT: u64 = 1_800;
const WAIT_SECONDS_MAX: u64 = 86_400;

pub(super) fn command() -> Command {
    let command = Command::new("cluster")
        .about("Shows a running cluster and changes it, by the HTTP API of any of its nodes")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(
            Arg::new("node")
                .long("node")
                .global(true)
                .value_name("URL")
                .default_value(NODE_DEFAULT)
                .value_parser(value_parser!(NodeUrl))
                .help("The node to ask"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .global(true)
                .action(ArgAction::SetTrue)
                .help("One JSON object per line instead of text"),
        )
        .after_help(format!(
            "The operator token is read from the environment: {}.\n\n\
             Exit codes:\n   0  done, or healthy     1  failed, or `doctor` found a problem\n   \
             2  command line refused 20  the node cannot be reached\n  \
             21  token missing or wrong  22  the cluster refused it\n  \
             23  still under way when the wait ended",
            Setting::OperatorToken.variable()
        ));
    with_verbs(command)
}

/// The same, with everything it can be told to do.
fn with_verbs(command: Command) -> Command {
    let node = || {
        Arg::new("member")
            .required(true)
            .value_name("NODE")
            .value_parser(value_parser!(u64).range(1..))
            .help("The node's number, or its whole id")
    };
    let shard = || {
        Arg::new("shard")
            .required(true)
            .value_name("SHARD")
            .value_parser(value_parser!(ShardName))
            .help("The shard's number, or `meta`: the group that agrees on the cluster")
    };
    let verb = |name: &'static str, about: &'static str| Command::new(name).about(about);
    let accept_fewer = Arg::new("accept-fewer")
        .long("accept-fewer")
        .action(ArgAction::SetTrue)
        .help("Also when fewer than three nodes remain: shards then have one copy each");
    let remove = verb("remove", "Moves all replicas of a node to others, then drops it for good")
        .arg(node())
        .arg(accept_fewer);
    command
        .subcommand(verb("status", "The nodes: who answers, what they hold and lead"))
        .subcommand(verb("shards", "The shards: who leads them, how far their replicas are"))
        .subcommand(verb("doctor", "Says in words why shards do not serve and what to do"))
        .subcommand(with_wait(
            verb("drain", "Lets a node lead nothing; its replicas stay").arg(node()),
            WAIT_SECONDS_DEFAULT,
        ))
        .subcommand(
            verb("resume", "Gives a drained node its share again, or calls a removal off")
                .arg(node()),
        )
        .subcommand(with_wait(remove, REMOVAL_SECONDS_DEFAULT))
        .subcommand(with_wait(
            verb("transfer", "Lets another of a shard's nodes lead it, for the time being")
                .arg(shard())
                .arg(node()),
            WAIT_SECONDS_DEFAULT,
        ))
        .subcommand(
            verb("pin", "Lets one of a shard's nodes lead it whenever it can")
                .arg(shard())
                .arg(node()),
        )
        .subcommand(verb("unpin", "Leaves to the cluster who leads a shard").arg(shard()))
}

fn with_wait(command: Command, seconds_default: u64) -> Command {
    command
        .arg(
            Arg::new("wait")
                .long("wait")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=WAIT_SECONDS_MAX))
                .help(format!("How long to wait for it, at most [default: {seconds_default}]")),
        )
        .arg(
            Arg::new("no-wait")
                .long("no-wait")
                .action(ArgAction::SetTrue)
                .conflicts_with("wait")
                .help("Only ask for it"),
        )
}

pub(super) fn request(matches: &ArgMatches) -> Request {
    let Some((name, matches)) = matches.subcommand() else { unreachable!("clap asks for a verb") };
    let token = std::env::var(Setting::OperatorToken.variable()).ok();
    let Some(node) = matches.get_one::<NodeUrl>("node").cloned() else {
        unreachable!("the node has a default")
    };
    Request { node, token, output: output(matches), verb: verb(name, matches) }
}

fn verb(name: &str, matches: &ArgMatches) -> Verb {
    let node = || matches.get_one::<u64>("member").copied().unwrap_or(0);
    let shard = || match matches.get_one::<ShardName>("shard") {
        Some(shard) => shard.clone(),
        None => unreachable!("clap asks for a shard"),
    };
    match name {
        "status" => Verb::Status,
        "shards" => Verb::Shards,
        "doctor" => Verb::Doctor,
        "drain" => Verb::Drain { node: node(), wait: wait(matches, WAIT_SECONDS_DEFAULT) },
        "resume" => Verb::Resume { node: node() },
        "remove" => Verb::Remove {
            node: node(),
            accept_fewer: matches.get_flag("accept-fewer"),
            wait: wait(matches, REMOVAL_SECONDS_DEFAULT),
        },
        "transfer" => {
            Verb::Transfer { shard: shard(), to: node(), wait: wait(matches, WAIT_SECONDS_DEFAULT) }
        }
        "pin" => Verb::Pin { shard: shard(), to: node() },
        _ => Verb::Unpin { shard: shard() },
    }
}

fn wait(matches: &ArgMatches, seconds_default: u64) -> Option<Duration> {
    let seconds = matches.get_one::<u64>("wait").copied().unwrap_or(seconds_default);
    (!matches.get_flag("no-wait")).then(|| Duration::from_secs(seconds))
}

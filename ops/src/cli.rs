//! The command line.
//!
//! **Invariants:** the flags of `serve` are made from the table of settings, so `--help` lists every
//! one with its default; nothing but a command's result goes to stdout.

mod carrier_simulator;
mod cluster;
mod dev;
mod payment_simulator;
mod simulator;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::cluster::ids::NodeId;
use ::cluster::placement::member::Levels;
use ::cluster::runtime::mesh::names::ClusterName;
use ::cluster::sim::run::RunOptions;
use anyhow::Context;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use edge::http::app::BenchOm;

use crate::commands::certs;
use crate::commands::inspect::{self, Detail, Part};
use crate::commands::sim::{self, Purpose};
use crate::commands::verify::{self, Verdict};
use crate::commands::{self, Output};
use crate::config::{Config, Demo, ENVIRONMENT_CONFIG, RawConfig, Setting};
use crate::failure::{Exit, Failure};
use crate::serve;

const EXIT_CODES: &str = "\
Exit codes:
   0  ended as asked          1  failed, or `verify` found damage
   2  command line, settings, key file or catalogue refused
  10  address in use         11  data folder cannot be used
  12  foreign data folder    13  data folder in use by another process
  14  newer format           15  encryption key missing or wrong
  16  damaged data           17  the cluster refuses this node or its folder
  20  node not reached       21  operator token missing or wrong
  22  refused by the cluster 23  still under way when the wait ended
  70  a shard died           74  storage failed";

/// Runs the command that the process was started with.
pub fn run() -> Result<ExitCode, Failure> {
    run_at(Levels::OWN)
}

/// As [`run`], as a program that can do something else: a stand-in for another version.
pub fn run_at(levels: Levels) -> Result<ExitCode, Failure> {
    run_line(std::env::args_os(), levels)
}

/// Runs a command line, its first word being the program's name.
pub fn run_with(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode, Failure> {
    run_line(arguments, Levels::OWN)
}

fn run_line(
    arguments: impl IntoIterator<Item = OsString>,
    levels: Levels,
) -> Result<ExitCode, Failure> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        // Help goes to stdout and exits with 0, a mistake to stderr and with 2.
        Err(error) => error.exit(),
    };
    match matches.subcommand() {
        Some(("serve", matches)) => {
            let mut config = serve_config(matches)?;
            config.stops_with_stdin = matches.get_flag("until-stdin-ends");
            if matches.get_flag("bench-om") {
                config.bench_om = BenchOm::Mounted;
            }
            if let Some(mesh) = &mut config.mesh {
                mesh.levels = levels;
            }
            serve::run(&config)?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("inspect", matches)) => {
            inspect::run(&inspect_request(matches)?, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("verify", matches)) => {
            let request = verify::Request {
                folder: path(matches, "folder").unwrap_or_default(),
                key_file: path(matches, "key-file"),
                output: output(matches),
            };
            match verify::run(&request, &mut std::io::stdout().lock())? {
                Verdict::Sound => Ok(ExitCode::SUCCESS),
                Verdict::Damaged => Ok(Exit::Failed.into()),
            }
        }
        Some(("certs", matches)) => {
            certs::run(&certs_request(matches), &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("cluster", matches)) => {
            commands::cluster::run(&cluster::request(matches), &mut std::io::stdout().lock())
        }
        Some(("dev", matches)) => commands::dev::run(&dev::request(matches)),
        Some(("carrier-simulator", matches)) => {
            let request = carrier_simulator::request(matches);
            commands::simulator::run(&request, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("payment-simulator", matches)) => {
            let request = payment_simulator::request(matches);
            commands::simulator::run(&request, &mut std::io::stdout().lock())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(("sim", matches)) => {
            sim::run_command(&sim_request(matches), &mut std::io::stdout().lock())
        }
        Some(_) | None => unreachable!("clap asks for a known command"),
    }
}

fn command() -> Command {
    Command::new("omnicart")
        .about("A commerce engine in one program: carts and stock, kept on this machine's disk")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(EXIT_CODES)
        .subcommand(serve_command())
        .subcommand(inspect_command())
        .subcommand(certs_command())
        .subcommand(cluster::command())
        .subcommand(dev::command())
        .subcommand(payment_simulator::command())
        .subcommand(carrier_simulator::command())
        .subcommand(sim_command())
        .subcommand(
            with_folder(Command::new("verify"))
                .about("Reads a whole data folder and reports all damage; changes nothing"),
        )
}

fn serve_command() -> Command {
    let settings = Setting::ALL.into_iter().filter(|setting| !setting.is_secret()).map(|setting| {
        let description = setting.describe();
        let default = description.default.map(|default| format!(" [default: {default}]"));
        let help = format!("{}{}", description.help, default.unwrap_or_default());
        Arg::new(description.name)
            .long(description.name)
            .value_name(description.value)
            // Given more than once, members add up; of anything else the last counts.
            .action(if setting.is_list() { ArgAction::Append } else { ArgAction::Set })
            .help(format!("{help} [env: {}]", setting.variable()))
    });
    let secrets = Setting::ALL.into_iter().filter(|setting| setting.is_secret()).map(|setting| {
        format!(
            "  {} or `{}` in the file\n          {}",
            setting.variable(),
            setting.key(),
            setting.describe().help
        )
    });
    let secrets: Vec<_> = secrets.collect();
    Command::new("serve")
        .about("Serves the HTTP API until SIGTERM or SIGINT")
        .args_override_self(true)
        .args(settings)
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help(format!(
                    "TOML file of settings, keys as the flags with `_` [env: {ENVIRONMENT_CONFIG}]"
                )),
        )
        .arg(
            Arg::new("until-stdin-ends")
                .long("until-stdin-ends")
                .action(ArgAction::SetTrue)
                .help("Stops as on SIGTERM once standard input ends, such as with a parent process"),
        )
        .arg(
            Arg::new("bench-om").long("bench-om").action(ArgAction::SetTrue).help(
                "Serves the Online Marketplace benchmark under /bench/om, which asks nobody for \
                 credentials: for benchmarks only",
            ),
        )
        .arg(
            Arg::new("demo").long("demo").action(ArgAction::SetTrue).help(
                "Sells the demo shop's products, and makes an operator token if none is set",
            ),
        )
        .after_help(format!(
            "Flags win over the environment, the environment over the file.\n\n\
             Without a flag, because flags are seen by every user of the machine:\n{}\n\n{EXIT_CODES}",
            secrets.join("\n")
        ))
}

fn inspect_command() -> Command {
    let part = |name: &'static str, about: &'static str| {
        with_folder(Command::new(name))
            .about(about)
            .arg(
                Arg::new("shard")
                    .long("shard")
                    .value_name("NUMBER")
                    .value_parser(value_parser!(u32))
                    .help("Only what belongs to this shard"),
            )
            .arg(
                Arg::new("files")
                    .long("files")
                    .action(ArgAction::SetTrue)
                    .help("Only files and totals, not every record"),
            )
    };
    Command::new("inspect")
        .about("Shows what a data folder holds; changes nothing")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(part("log", "The log's segments and records"))
        .subcommand(part("snapshot", "Shard snapshots and their records"))
        .subcommand(part("state", "The state index: entities that left memory"))
        .subcommand(part("history", "Committed entries kept after the log was trimmed"))
}

fn certs_command() -> Command {
    let folder = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .required(true)
            .value_name("DIR")
            .value_parser(value_parser!(PathBuf))
            .help(help)
    };
    let days = |default: u32| {
        Arg::new("days")
            .long("days")
            .value_name("NUMBER")
            .value_parser(value_parser!(u32).range(1..=i64::from(certs::DAYS_MAX)))
            .help(format!("How long the certificate is valid [default: {default}]"))
    };
    let authority = Command::new("ca")
        .about("Makes a cluster's certificate authority: ca.pem, and ca.key, which stays secret")
        .arg(folder("out", "Where the files go; existing ones are never overwritten"))
        .arg(
            Arg::new("cluster")
                .long("cluster")
                .required(true)
                .value_name("NAME")
                .value_parser(value_parser!(ClusterName))
                .help("The cluster's name, in every certificate: a-z, 0-9 and -"),
        )
        .arg(days(certs::AUTHORITY_DAYS_DEFAULT));
    let node = Command::new("node")
        .about("Makes what one node needs: node.pem, node.key and the authority's ca.pem")
        .arg(folder("ca", "The folder that `certs ca` made"))
        .arg(
            Arg::new("id")
                .long("id")
                .required(true)
                .value_name("NUMBER")
                .value_parser(value_parser!(u64).range(1..))
                .help("The node's number, 1 or more"),
        )
        .arg(folder("out", "Where the files go; existing ones are never overwritten"))
        .arg(days(certs::NODE_DAYS_DEFAULT));
    Command::new("certs")
        .about("Makes the certificates by which nodes of a cluster know each other")
        .after_help(
            "A running node uses new files within half a minute: make them in another folder, then \
             move them over the old ones.",
        )
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(authority)
        .subcommand(node)
}

fn certs_request(matches: &ArgMatches) -> certs::Request {
    let Some((name, matches)) = matches.subcommand() else {
        unreachable!("clap asks what to make")
    };
    let folder = |name| path(matches, name).unwrap_or_default();
    let days = |default| matches.get_one("days").copied().unwrap_or(default);
    match (name, matches.try_get_one::<ClusterName>("cluster")) {
        ("ca", Ok(Some(cluster))) => certs::Request::Authority {
            out: folder("out"),
            cluster: cluster.clone(),
            days: days(certs::AUTHORITY_DAYS_DEFAULT),
        },
        _ => certs::Request::Node {
            authority: folder("ca"),
            node: NodeId(matches.get_one("id").copied().unwrap_or(0)),
            out: folder("out"),
            days: days(certs::NODE_DAYS_DEFAULT),
        },
    }
}

fn sim_command() -> Command {
    let number = |name: &'static str, help: String| {
        Arg::new(name).long(name).value_name("NUMBER").value_parser(value_parser!(u64)).help(help)
    };
    let n_ops = RunOptions::default().n_ops;
    Command::new("sim")
        .about("Runs simulated clusters and checks them: nothing lost, nothing doubled, all alike")
        .after_help(
            "The last line printed is one JSON object. Exits with 1 if anything did not hold, and \
             names the command that repeats it.",
        )
        .arg(number("seeds", "How many seeds to run, each a cluster [default: 100]".to_owned()))
        .arg(number("seed", "The first of them [default: 0]".to_owned()))
        .arg(
            number("nodes", "Nodes of each [default: 3, and 5 for one seed in four]".to_owned())
                .value_parser(["3", "5"]),
        )
        .arg(number("ops", format!("Operations of clients in each [default: {n_ops}]")))
        .arg(
            number("threads", "Seeds that run at a time [default: one per core]".to_owned())
                .value_parser(value_parser!(NonZeroUsize)),
        )
        .arg(
            Arg::new("trace")
                .long("trace")
                .action(ArgAction::SetTrue)
                .help("Runs the first seed alone and prints what happens in it"),
        )
        .arg(
            Arg::new("mutants")
                .long("mutants")
                .action(ArgAction::SetTrue)
                .conflicts_with("trace")
                .help("Says after how many seeds each bug planted on purpose is found"),
        )
}

fn sim_request(matches: &ArgMatches) -> sim::Request {
    let number = |name: &str, default: u64| matches.get_one(name).copied().unwrap_or(default);
    let purpose = match (matches.get_flag("trace"), matches.get_flag("mutants")) {
        (true, _) => Purpose::Trace,
        (false, true) => Purpose::FindMutants,
        (false, false) => Purpose::Check,
    };
    let n_seeds = if purpose == Purpose::Trace { 1 } else { number("seeds", 100) };
    let first = number("seed", 0);
    let nodes = matches.get_one::<String>("nodes").and_then(|nodes| nodes.parse().ok());
    sim::Request {
        seeds: first..first.saturating_add(n_seeds),
        options: RunOptions { n_nodes: nodes, n_ops: number("ops", RunOptions::default().n_ops) },
        threads: matches.get_one("threads").copied(),
        purpose,
    }
}

fn with_folder(command: Command) -> Command {
    command
        .arg(
            Arg::new("folder")
                .required(true)
                .value_name("FOLDER")
                .value_parser(value_parser!(PathBuf))
                .help("The data folder"),
        )
        .arg(
            Arg::new("key-file")
                .long("key-file")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("The key of an encrypted folder"),
        )
        .arg(
            Arg::new("json")
                .long("json")
                .action(ArgAction::SetTrue)
                .help("One JSON object per line instead of text"),
        )
}

fn serve_config(matches: &ArgMatches) -> Result<Config, Failure> {
    let flags: BTreeMap<_, _> = Setting::ALL
        .into_iter()
        .filter(|setting| !setting.is_secret())
        .filter_map(|setting| {
            let texts = matches.get_many::<String>(setting.describe().name)?;
            Some((setting, texts.map(String::as_str).collect::<Vec<_>>().join(",")))
        })
        .collect();
    let environment = |name: &str| std::env::var(name).ok();
    let file = path(matches, "config").or_else(|| environment(ENVIRONMENT_CONFIG).map(Into::into));
    let contents = file.as_deref().map(settings_file).transpose()?;
    let file = file.as_deref().zip(contents.as_deref());
    let demo = if matches.get_flag("demo") { Demo::Yes } else { Demo::No };
    Ok(Config::parse(&RawConfig::gather(flags, environment, file)?, demo)?)
}

fn settings_file(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path)
        .with_context(|| format!("settings file {}", path.display()))
        .map_err(|error| Failure::new(Exit::Usage, error))
}

fn inspect_request(matches: &ArgMatches) -> Result<inspect::Request, Failure> {
    let Some((name, matches)) = matches.subcommand() else { unreachable!("clap asks for a part") };
    let part = match name {
        "log" => Part::Log,
        "snapshot" => Part::Snapshot,
        "state" => Part::State,
        _ => Part::History,
    };
    Ok(inspect::Request {
        part,
        folder: path(matches, "folder").unwrap_or_default(),
        key_file: path(matches, "key-file"),
        shard: matches.get_one("shard").copied(),
        detail: if matches.get_flag("files") { Detail::Files } else { Detail::Records },
        output: output(matches),
    })
}

fn path(matches: &ArgMatches, name: &str) -> Option<PathBuf> {
    matches.get_one::<PathBuf>(name).cloned()
}

fn output(matches: &ArgMatches) -> Output {
    if matches.get_flag("json") { Output::Json } else { Output::Text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn help_documents_every_setting_with_its_default() {
        let mut serve = serve_command();
        let help = serve.render_long_help().to_string();
        for setting in Setting::ALL {
            assert!(help.contains(&setting.variable()), "{setting}");
            let default = setting.describe().default;
            assert!(default.is_none_or(|default| help.contains(default)), "{setting}");
        }
        assert!(!help.contains("--operator-token"));
    }
}

//! `omnicart sim`: whole clusters on simulated networks, disks and clocks, one from every seed.
//!
//! **Invariants:** a seed is one run, whatever runs beside it, so the result does not depend on the
//! number of threads; the last line of stdout is one JSON object; a seed that failed is named with
//! the command that repeats it.

mod checkouts;
mod journal;
mod mutants;
mod range;
mod seeds;
mod shop;

use std::io::Write;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use cluster::sim::coverage::Coverage;
use cluster::sim::ledger::Ledger;
use cluster::sim::run::{Failed, RunOptions, run};
use cluster::sim::workload::Workload;
use serde_json::{Map, Value, json};
use storage::clock;

use self::checkouts::Checkouts;
use self::seeds::{Ended, Spent, run_all};
use self::shop::Shop;
use crate::failure::{Exit, Failure};

/// From this many seeds on, everything that can happen must have happened.
const SEEDS_FOR_COVERAGE: u64 = 20;
/// Failed seeds that are told one by one.
const FAILED_TOLD_MAX: usize = 20;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    pub seeds: Range<u64>,
    pub options: RunOptions,
    pub threads: Option<NonZeroUsize>,
    pub purpose: Purpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Everything must hold for every seed.
    Check,
    /// As `Check`, and what happens is printed as it does.
    Trace,
    /// Every bug planted on purpose must be found.
    FindMutants,
}

/// Runs the command.
pub fn run_command(request: &Request, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    match request.purpose {
        Purpose::Check => check(request, out),
        Purpose::Trace => trace(request, out),
        Purpose::FindMutants => mutants::find(request, out),
    }
}

/// What came about in all runs, as each workload counts it.
#[derive(Default)]
struct Happened {
    shop: shop::SharedCounts,
    checkouts: checkouts::SharedCounts,
}

impl Happened {
    /// Every count under its name.
    fn named(&self) -> Vec<(&'static str, u64)> {
        let (shop, checkouts) = (known(&self.shop), known(&self.checkouts));
        shop.named().into_iter().chain(checkouts.named()).collect()
    }
}

fn known<T: Copy>(counts: &Mutex<T>) -> T {
    *counts.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What clients do in every run.
fn workloads(happened: &Happened) -> Vec<Box<dyn Workload>> {
    let shop = Shop::new(Arc::clone(&happened.shop));
    let checkouts = Checkouts::new(Arc::clone(&happened.checkouts));
    vec![Box::new(Ledger::default()), Box::new(shop), Box::new(checkouts)]
}

fn check(request: &Request, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let spent = Spent::begin();
    let mut summary = Summary::default();
    let n_seeds = request.seeds.end - request.seeds.start;
    let mut told_at = clock::monotonic();
    let happened = Happened::default();
    let run_one = |seed| run(seed, request.options, workloads(&happened), None);
    run_all(request.seeds.clone(), request.threads, run_one, &mut |seed, ended| {
        if let Err(failed) = &ended
            && summary.failed.len() < FAILED_TOLD_MAX
        {
            let repeat = repeat_command(seed, &request.options);
            line(out, &format!("seed {seed} failed: {failed}\n  repeat it with: {repeat}"))?;
        }
        summary.take(seed, ended);
        if told_at.elapsed().as_secs() >= 10 {
            told_at = clock::monotonic();
            eprintln!("{} of {n_seeds} seeds, {} failed", summary.seeds, summary.failed.len());
        }
        Ok(())
    })?;
    summary.workloads = happened.named();
    summary.finish(request, &spent, out)
}

/// Runs one seed and prints what happens.
fn trace(request: &Request, out: &mut dyn Write) -> Result<ExitCode, Failure> {
    let spent = Spent::begin();
    let seed = request.seeds.start;
    let (events_tx, events) = mpsc::sync_channel(1_024);
    let options = request.options;
    let happened = Happened::default();
    let loads = workloads(&happened);
    let ended = std::thread::scope(|scope| {
        let watcher = Box::new(move |at: cluster::time::Timestamp, what: &str| {
            // Whoever read the events may have left.
            events_tx.send(format!("{:>13} {what}", at.as_micros())).ok();
        });
        let running =
            scope.spawn(move || seeds::contained(|| run(seed, options, loads, Some(watcher))));
        for event in events {
            line(out, &event)?;
        }
        Ok::<_, Failure>(running.join().unwrap_or_else(|_| Err(seeds::panicked("a run"))))
    })?;
    if let Err(failed) = &ended {
        line(out, &format!("seed {seed} failed: {failed}"))?;
    }
    let mut summary = Summary::default();
    summary.take(seed, ended);
    summary.workloads = happened.named();
    summary.finish(request, &spent, out)
}

fn repeat_command(seed: u64, options: &RunOptions) -> String {
    let nodes = options.n_nodes.map_or(String::new(), |nodes| format!(" --nodes {nodes}"));
    let ops = match options.n_ops {
        n if n == RunOptions::default().n_ops => String::new(),
        n => format!(" --ops {n}"),
    };
    format!("omnicart sim --seeds 1 --seed {seed}{nodes}{ops} --trace")
}

fn line(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    writeln!(out, "{text}").map_err(|error| Failure::new(Exit::Failed, error))
}

/// Everything that is known of the seeds so far, in their order.
#[derive(Default)]
struct Summary {
    seeds: u64,
    failed: Vec<u64>,
    violations: u64,
    operations: u64,
    virtual_micros: u64,
    trace_hash: u64,
    coverage: Coverage,
    /// What the workloads count.
    workloads: Vec<(&'static str, u64)>,
}

impl Summary {
    fn take(&mut self, seed: u64, ended: Ended) {
        self.seeds += 1;
        let trace = match ended {
            Ok(report) => {
                self.operations += report.done;
                self.virtual_micros += report.took.as_micros();
                self.coverage.add(&report.coverage);
                report.trace
            }
            Err(failed) => {
                self.failed.push(seed);
                self.violations += u64::from(matches!(failed, Failed::Violation(_)));
                0
            }
        };
        let mixed = self.trace_hash.rotate_left(23) ^ trace;
        self.trace_hash = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (mixed >> 31);
    }

    fn finish(
        &self,
        request: &Request,
        spent: &Spent,
        out: &mut dyn Write,
    ) -> Result<ExitCode, Failure> {
        let counts: Vec<_> = self.coverage.counts().chain(self.workloads.iter().copied()).collect();
        let never = counts.iter().filter(|(_, count)| *count == 0).map(|(name, _)| *name);
        let missing: Vec<_> = match self.seeds >= SEEDS_FOR_COVERAGE {
            true => never.collect(),
            false => vec![],
        };
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), (*count).into()));
        let cpu_ms = spent.cpu_ms().max(1);
        let result = json!({
            "seeds": self.seeds,
            "first_seed": request.seeds.start,
            "violations": self.violations,
            "failed_seeds": self.failed,
            "operations": self.operations,
            "trace_hash": format!("{:016x}", self.trace_hash),
            "speed_vs_real_time": self.virtual_micros / 1_000 / cpu_ms,
            "simulated_seconds": self.virtual_micros / 1_000_000,
            "cpu_ms": cpu_ms,
            "wall_ms": spent.wall_ms(),
            "never_happened": missing,
            "coverage": Value::Object(counts.collect::<Map<_, _>>()),
        });
        line(out, &result.to_string())?;
        let held = self.failed.is_empty() && missing.is_empty();
        Ok(if held { ExitCode::SUCCESS } else { Exit::Failed.into() })
    }
}

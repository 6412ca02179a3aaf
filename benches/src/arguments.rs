//! The command line: every scenario and what its figures mean.

mod clusters;

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use clusters::{Chaos, Failover, Idle, Rebalance, Scale};

/// Load for OmniCart, each scenario against its yardstick in the same run. The last line printed is
/// one JSON object.
///
/// Every object has `scenario` and `machine` {cores, cpu, fdatasync_p50_us, fdatasync_p99_us,
/// load_average_at_start}; the syncs are of 4 KiB blocks in the folder that the run uses.
/// `benches help <scenario>` explains the other fields.
#[derive(Debug, Parser)]
#[command(name = "benches", version, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
    #[command(flatten)]
    pub(crate) common: Common,
}

#[derive(Args, Debug)]
pub(crate) struct Common {
    /// How long each load is measured, after a warm-up.
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    seconds: NonZero<u32>,
    /// The disk to use: a folder in which a temporary one is made [default: the system's].
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
    /// Print nothing but the JSON object.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The binary under test [default: the server that is built into this one].
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) omnicart: Option<PathBuf>,
}

impl Common {
    pub(crate) fn measured(&self) -> Duration {
        Duration::from_secs(u64::from(self.seconds.get()))
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Scenario {
    /// Durable cart writes over HTTP, against a route that stores nothing.
    ///
    /// POST /store/v1/carts/{id}/items over kept-alive connections, each client with a cart of its
    /// own; the yardstick is a bare axum route that parses the same body and answers as many bytes.
    /// Both are processes of their own and take turns: ours, bare, ours, bare.
    ///
    ///   levels.CLIENTS     per_second, bare_per_second, ratio, turns, latency, bare_latency,
    ///                        errors
    ///   ratio_64, ratio_256  ours / bare, requests a second: the median over the turns
    ///   records_per_fsync    log records that one sync made durable, over the ours windows of the
    ///                        largest level
    ///   p50_at_1_over_fdatasync  median latency of one client / median fdatasync of the disk
    ///   open_loop            half the largest level's rate, at fixed times; latencies count from
    ///                        when a request was due
    ///   errors               answers other than 200, or none; 0 is expected
    #[command(verbatim_doc_comment)]
    CartWrite(CartWrite),
    /// Reservations on one SKU: in process, over HTTP, and by whole checkouts.
    ///
    /// Every reservation is followed by its confirmation, as at most 5,000 may be open.
    ///
    ///   per_second           reservations confirmed a second, through the fabric
    ///   per_second_http      the same over HTTP
    ///   latency, latency_http  of the reservation alone
    ///   checkouts_per_second, latency_checkout  orders of one piece of it, from the request to check
    ///                        out to its 201
    ///   sell_out             a small stock sold to the last piece: stock, sold, refused
    ///   oversold             pieces acknowledged beyond the stock, or missing in it; must be 0
    ///   errors               answers that should not have come; 0 is expected
    #[command(verbatim_doc_comment)]
    HotSku(HotSku),
    /// Whole checkouts over HTTP: carts of one to five lines, stock, payment, order.
    ///
    /// For each provider (in_process, http) and number of clients, {provider}_{clients} holds
    ///   checkouts_per_second, p50_ms, p99_ms  from the request to its 201
    ///   p50_over_fdatasync_p50
    ///   fsyncs_per_checkout          all syncs of the node, filling the carts included
    ///   serial_commits_per_checkout  commits one behind the other up to the 201: the most of 50
    ///   errors                       answers that should not have come; 0 is expected
    #[command(verbatim_doc_comment)]
    Checkout(Checkout),
    /// Many buyers at once for few pieces, on three nodes, and once more with a node killed.
    ///
    /// calm, with_a_kill: {buyers, pieces, orders, refusals, others, unanswered, charges,
    /// unmatched, reserved_in_the_end, on_hand_in_the_end, seconds}: as many orders and charges as
    /// pieces, a clear refusal for everybody else, the provider's ledger and the orders alike.
    /// The exit code is 3 when anything else is so.
    #[command(verbatim_doc_comment)]
    FlashSale(FlashSale),
    /// Memory of idle carts of three lines, resident and passivated.
    ///
    /// Anonymous resident memory of a process that holds them, less that before; each phase is a
    /// process of its own. The allocator is not asked to give back what it could: that needs a call
    /// which this program may not make, so figures are upper bounds.
    ///
    ///   bytes_per_idle_entity_hot         all carts in memory
    ///   bytes_per_idle_entity_passivated  all but a few in the state index, after a restart, the
    ///                                     index's own memory left out; null where there are too
    ///                                     few carts to tell, or they did not leave memory
    ///   bytes_per_idle_entity_passivated_with_index  the same with it
    ///   bytes_per_idle_entity_running, bytes_per_idle_entity_running_with_index  the same two of
    ///                                     the process that let go of them while it served
    ///   state_index_bytes    what the index alone holds after it was read from end to end
    ///   hot, passivated, restarted  {carts, resident_before, resident_after, hot_entities,
    ///                        hot_bytes, settled, seconds}: the raw readings, what the node itself
    ///                        counts, and whether carts left memory while the node was idle, only
    ///                        under light traffic, or never; passivated is the process that wrote
    ///                        them all, restarted the last of `restarts` starts on their folder
    #[command(verbatim_doc_comment)]
    Memory(Memory),
    /// Cold start on a log, against reading the same bytes once.
    ///
    /// The log is written by a node under load that is then stopped, and started on: with the state
    /// index as it was left, and with its folder removed, when every record is carried out again.
    ///
    ///   records, log_bytes   what the log holds
    ///   records_per_second   records / seconds of a cold start without the index
    ///   ratio_to_raw_read    that start / reading and checksumming the same bytes once
    ///   with_index, without_index  {seconds, records_per_second, ratio_to_raw_read, index_kept,
    ///                        resident_bytes}: the middle one of five starts in turns with raw
    ///                        reads, and seconds_min, seconds_max of the others
    ///   without_index_in_little_memory  the same with 256 KiB for entities
    ///   page_cache           the state of it before each timed step: warm or dropped
    #[command(verbatim_doc_comment)]
    Recovery(Recovery),
    /// kill -9 at random moments under load, then everything acknowledged is looked for.
    ///
    ///   rounds, seed         kills, and what the moments were drawn from
    ///   acknowledged         writes answered with 2xx
    ///   lost, doubled        pieces that carts hold fewer or more than acknowledged
    ///   changed_replies      repeats of a keyed request that were not answered the same bytes
    ///   expired_replies      repeats answered that the body is no longer kept; allowed
    ///   stock_errors         SKUs whose stock is not what acknowledged changes make it, and 1 more
    ///                        if their sum is not what it was
    ///   restart              time from start to ready
    /// The exit code is 3 when any of lost, doubled, changed_replies, stock_errors is not 0.
    #[command(verbatim_doc_comment)]
    Crash(Crash),
    /// Faults at several real nodes under load, then what clients saw is judged.
    ///
    /// Faults come one after another and in pairs, drawn from the seed: kill, pause, cut (one node
    /// off from all others), cut_one_way, slow, full_disk (needs the right to mount), failing_fsync
    /// (needs strace), wipe, delete_index, rolling_restart, join (once), drain.
    ///
    ///   acknowledged         writes answered with 2xx
    ///   lost, doubled        pieces that carts hold fewer or more than acknowledged
    ///   oversold             pieces promised beyond the stock
    ///   violations           everything wrong: each of these, an answer that should not have come,
    ///                        a repeat answered otherwise, a history that is not linearizable
    ///   faults               faults that were seen to take effect
    ///   fault_counts         {fault: {begun, seen}}
    ///   leader_changes       shards that a node began to lead
    ///   stock_errors         stocks that are not what acknowledged changes make them
    ///   not_linearizable, undecided  entities whose history no order explains, or none was found
    ///   unknown              writes without a key whose answer was lost; they may have taken effect
    ///   unanswered           keyed requests that nobody answered until the end
    ///   troubles             attempts that failed, by how
    ///   unexpected_ends      processes that ended by themselves
    ///   broken_off           why no more faults were brought about before the time was over
    ///   orders, charges      what shoppers ordered, and payments of which the provider's own ledger
    ///                        has money taken; there must be some
    ///   ledger_unmatched, first_unmatched  payments that ledger and orders do not both have alike, and
    ///                        orders that do not come to rest; must be 0
    /// The exit code is 3 when anything is wrong, when a fault never took effect, and when the nodes
    /// were not whole again in time.
    #[command(verbatim_doc_comment)]
    Chaos(Chaos),
    /// What clients see while a leader of three real nodes is killed, drained, or hands over.
    ///
    /// Writes come at fixed times, at 30 % of what the cluster can do; most go to two shards, whose
    /// leader is the victim. Each has ten seconds and is asked of other nodes, under the same key,
    /// when one fails, and beyond its deadline until its outcome is known. A gap is the longest that
    /// a write due in an event's course took, one for each event.
    ///
    ///   saturation_per_second, writes_per_second  what 64 clients reach, and the load from then on
    ///   resolution_ms        between two writes to one of the two shards
    ///   kills, drains, transfers  events of each kind
    ///   kill_p99_ms          gaps after kill -9, in shards that the node led
    ///   drain_p99_ms         the same while it is drained through /system/v1/nodes/{id}/drain
    ///   transfer_p99_ms      the same of shards that /system/v1/shards/{id}/transfer gives to others
    ///   others_gap_p99_ms    gaps after kill -9 in shards led elsewhere
    ///   kill, drain, transfer  the same with {events, p50_ms, max_ms, others_…: shards led elsewhere,
    ///                        others_writes_p99_ms: single writes to them, lasted_p50_ms: how long
    ///                        the events took, failed}
    ///   return, resume       a killed node starts and takes its share, a drained one is resumed: all
    ///                        shards alike
    ///   calm, calm_p50_ms, calm_p99_ms  the same of half a second before each event; all writes
    ///                        before any
    ///   rolling              SIGTERM for each node in turn, which starts again
    ///   fdatasync_p99_ms     of the disk, all along, under this load
    ///   failed_requests      writes that took no effect in ten seconds; 0 is expected
    ///   rolling_failed_requests  those of the rolling restart
    ///   lost, doubled        pieces that stocks hold fewer or more than acknowledged; must be 0
    /// `--seconds` is the time of the measurement before.
    #[command(verbatim_doc_comment)]
    Failover(Failover),
    /// What more real nodes bring, and what a request costs that comes to the wrong one.
    ///
    /// Every node may have the same share of a core, by a control group, or where that is refused
    /// by being bound to one core.
    ///
    ///   cap, cap_percent     cgroup or affinity; how much of a core a node may have
    ///   sizes.NODES          {per_second, cores_used, per_second_per_node_core, failed}: writes of
    ///                        64 clients, asked of any node
    ///   remote_over_local    processor time of all nodes for a write that is asked of a node that
    ///                        does not lead its shard / of the one that does; the median turn
    ///   ways                 {asked_per_second, local_…, remote_cpu_seconds_per_1000, turns}: both at
    ///                        half of what three nodes can do
    ///   failed_requests      writes without their outcome in ten seconds; 0 is expected
    #[command(verbatim_doc_comment)]
    Scale(Scale),
    /// What clients see while a fourth real node joins under load.
    ///
    /// Writes come at fixed times, at 30 % of what three nodes can do.
    ///
    ///   baseline_p99_ms, join_p99_ms  latency before, and from the start of the fourth until all lead
    ///                        their share; p50 and max beside them
    ///   join_over_baseline   join_p99_ms / baseline_p99_ms
    ///   leaders              shards that each node leads in the end
    ///   serves_after_seconds, even_after_seconds  since the start of the fourth
    ///   failed_requests      writes without their outcome in ten seconds; must be 0
    ///   lost, doubled        pieces that stocks hold fewer or more than acknowledged; must be 0
    #[command(verbatim_doc_comment)]
    Rebalance(Rebalance),
    /// What three real nodes cost that nobody asks anything.
    ///
    /// Measured once every group of every node rests, or after two minutes, and when what forming the
    /// cluster left to do is done.
    ///
    ///   shards               groups; `meta` is one more
    ///   groups_resting       of each node, with `meta`
    ///   began_after_seconds  since the first node was started
    ///   seconds              how long was measured
    ///   cpu_percent_of_core  processor time of each node, and of all: must be below 2
    ///   frames_per_second    frames between all nodes, on all lanes: must be below 100
    #[command(verbatim_doc_comment)]
    Idle(Idle),
    /// A large import of products, killed in the middle, and an export of what came of it.
    ///
    /// Each product is a page with one variant. The data is sent in pieces, applied while the process
    /// is killed with -9 at even distances, and exported in the end.
    ///
    ///   rows, bytes          what is imported
    ///   upload_seconds, upload_bytes_per_second  until all of it is acknowledged
    ///   apply_seconds, rows_per_second  until every row is applied, without the time that the process
    ///                        was down; with what was applied twice
    ///   seconds              all of it, the time that it was down too
    ///   kills                {rows_before, rows_after: what was recorded, ready_seconds: of the start,
    ///                        resumed_seconds: until more is recorded, again: rows of the step that
    ///                        was under way}
    ///   idle_resident_bytes, peak_resident_bytes  before, and the most of all processes
    ///   catalogue_resident_bytes  of a process that has just started on what came of it: the catalogue
    ///                        itself is held whole, and is most of the peak
    ///   written, unchanged, refused  what became of the rows
    ///   export_seconds, exported  one export, and its lines
    ///   missing, differing, doubled  products that are not exported as they were sent, lines that
    ///                        are no such product, lines of one that had one before; must be 0
    ///   errors               rows refused; must be 0
    ///
    /// A run in which a kill struck after the last row fails: it wants more rows, or fewer kills.
    #[command(verbatim_doc_comment)]
    Import(Import),
    /// A part of a scenario, in a process of its own.
    #[command(subcommand, hide = true)]
    Task(Task),
}

impl Scenario {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::CartWrite(_) => "cart-write",
            Self::HotSku(_) => "hot-sku",
            Self::Checkout(_) => "checkout",
            Self::FlashSale(_) => "flash-sale",
            Self::Memory(_) => "memory",
            Self::Recovery(_) => "recovery",
            Self::Crash(_) => "crash",
            Self::Chaos(_) => "chaos",
            Self::Failover(_) => "failover",
            Self::Scale(_) => "scale",
            Self::Rebalance(_) => "rebalance",
            Self::Idle(_) => "idle",
            Self::Import(_) => "import",
            Self::Task(_) => "task",
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct CartWrite {
    /// Numbers of clients, one level each.
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", default_value = "1,64,256")]
    pub(crate) clients: Vec<NonZero<u16>>,
    /// How often ours and bare take turns at each level.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) turns: NonZero<u16>,
}

#[derive(Args, Debug)]
pub(crate) struct HotSku {
    /// How many reserve at the same time.
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) clients: NonZero<u16>,
}

#[derive(Args, Debug)]
pub(crate) struct Checkout {
    /// Numbers of clients, one measurement each.
    #[arg(long, value_delimiter = ',', value_name = "N,N,…", default_value = "1,64")]
    pub(crate) clients: Vec<NonZero<u16>>,
}

#[derive(Args, Debug)]
pub(crate) struct FlashSale {
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) buyers: NonZero<u32>,
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) pieces: NonZero<u32>,
    /// Where the nodes' logs are kept [default: gone with the run].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Memory {
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) carts: NonZero<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Recovery {
    /// Records the log is to hold, roughly.
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub(crate) records: NonZero<u32>,
    /// Empty the page cache before each timed step (as root).
    #[arg(long)]
    pub(crate) drop_caches: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Crash {
    /// How often the process is killed.
    #[arg(long, value_name = "N", default_value = "10")]
    pub(crate) rounds: NonZero<u32>,
    /// How many shoppers; half as many move stock.
    #[arg(long, value_name = "N", default_value = "16")]
    pub(crate) clients: NonZero<u16>,
    /// Give the process little memory and a short log, so that it passivates, snapshots and trims.
    #[arg(long)]
    pub(crate) small: bool,
    /// Draws the moments and the requests [default: the clock].
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    #[arg(long, value_name = "N", default_value = "300000")]
    pub(crate) rows: NonZero<u32>,
    /// How often the process is killed meanwhile.
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) kills: u32,
    /// Titles, one a line, that products are named by [default: made up].
    #[arg(long, value_name = "FILE")]
    pub(crate) titles: Option<PathBuf>,
}

/// Parts that need a process of their own.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    BarePeer(BarePeer),
    MemoryPhase(MemoryPhase),
    IndexMemory {
        #[arg(long)]
        data: PathBuf,
    },
    BuildLog(BuildLog),
    ColdStart {
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        memory: StartMemory,
    },
    RawRead {
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        drop_caches: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct BarePeer {
    #[arg(long)]
    pub(crate) listen: SocketAddr,
    #[arg(long)]
    pub(crate) answer_bytes: usize,
}

#[derive(Args, Debug)]
pub(crate) struct MemoryPhase {
    #[arg(long)]
    pub(crate) data: PathBuf,
    #[arg(long)]
    pub(crate) carts: NonZero<u32>,
    #[arg(long)]
    pub(crate) phase: Phase,
}

/// How much memory for entities a start is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StartMemory {
    Ordinary,
    Little,
}

impl StartMemory {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Little => "little",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Phase {
    Hot,
    Passivated,
    Restarted,
}

#[derive(Args, Debug)]
pub(crate) struct BuildLog {
    #[arg(long)]
    pub(crate) data: PathBuf,
    #[arg(long)]
    pub(crate) records: NonZero<u32>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parsed(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn common_arguments_follow_the_scenario() {
        let asked = parsed("benches cart-write --seconds 2 --clients 4,8 --json").unwrap();
        assert_eq!(asked.common.measured(), Duration::from_secs(2));
        assert!(asked.common.json);
        let Scenario::CartWrite(CartWrite { clients, turns }) = asked.scenario else { panic!() };
        assert_eq!(clients.iter().map(|n| n.get()).collect::<Vec<_>>(), [4, 8]);
        assert_eq!(turns.get(), 3);
    }

    #[test]
    fn defaults_are_the_sizes_that_are_compared() {
        let Scenario::CartWrite(asked) = parsed("benches cart-write").unwrap().scenario else {
            panic!()
        };
        assert_eq!(asked.clients.iter().map(|n| n.get()).collect::<Vec<_>>(), [1, 64, 256]);
        let Scenario::Memory(asked) = parsed("benches memory").unwrap().scenario else { panic!() };
        assert_eq!(asked.carts.get(), 1_000_000);
        let Scenario::Crash(asked) = parsed("benches crash --rounds 3").unwrap().scenario else {
            panic!()
        };
        assert_eq!((asked.rounds.get(), asked.seed), (3, None));
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "benches",
            "benches tea",
            "benches hot-sku --clients 0",
            "benches cart-write --clients 1,x",
            "benches crash --seconds 0",
            "benches memory --records 5",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn help_explains_every_scenario_and_hides_the_parts() {
        let help = Arguments::command().render_long_help().to_string();
        for scenario in ["cart-write", "hot-sku", "memory", "recovery", "crash", "scenario>"] {
            assert!(help.contains(scenario), "{scenario} is missing");
        }
        assert!(!help.contains("task"));
        for mut scenario in Arguments::command().get_subcommands().cloned() {
            let help = scenario.render_long_help().to_string();
            assert!(scenario.is_hide_set() || help.contains("    "), "{}", scenario.get_name());
        }
    }
}

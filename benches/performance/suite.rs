//! The measurements of `make bench` with the course's five agencies: throughput and latency.

use std::env;
use std::path::{Path, PathBuf};

use loteria_tools::{Usage, agency_files};

use crate::Failure;
use crate::median::median;
use crate::plot::{Axis, Line, Plot, marks_up_to};
use crate::report::{Report, Table, count, folder, mebibytes, millions, percent, time};
use crate::scale;
use crate::stage::{Durability, Server, make_data, perform, play_round};
use crate::{limit, stream};

/// The agencies of the course.
pub const AGENCIES: usize = 5;
/// Runs of the course's round for each run of a longer one: it is so short that one slow sync shows.
const SHORT_RUNS: usize = 10;
/// Seconds for which batches are paced.
const PACED_SECONDS: f64 = 5.0;

/// Sizes that the environment can change.
pub struct Options {
    /// Bets of a large round.
    pub bets: u64,
    /// Bets of the largest round in the table of costs.
    pub largest: u64,
    /// Number of runs of which the median is taken.
    pub runs: usize,
}

impl Options {
    fn read() -> Result<Options, Failure> {
        let number = |name: &str, default: u64| -> Result<u64, Failure> {
            match env::var(name) {
                Ok(text) => text.parse().map_err(|_| format!("{name}={text:?} is no whole number").into()),
                Err(_) => Ok(default),
            }
        };
        Ok(Options {
            bets: number("BETS", 8_000_000)?.max(10_000),
            largest: number("LARGEST", 10_000_000)?,
            runs: number("RUNS", 3)?.max(1) as usize,
        })
    }
}

/// The cost of a round with a server alone, whose agencies are played by [`stream`].
pub struct Load {
    /// From the first batch to the last reply.
    pub seconds: f64,
    /// Seconds from the last closing to the first winners.
    pub draw: f64,
    /// The server's.
    pub usage: Usage,
    /// The server's.
    pub commits: u64,
}

pub fn run() -> Result<(), Failure> {
    let options = Options::read()?;
    let mut report = Report::begin("results.md", &introduction(&options));
    let mut memory = Table::new(&["peak memory of the server (VmHWM)", "MiB"]);

    let durable_bets_a_second = throughput(&options, &mut report, &mut memory)?;
    latency(durable_bets_a_second / 2.0, &mut report)?;
    scale::agencies(&options, &mut report, &mut memory)?;
    scale::bets(&options, &mut report, &mut memory)?;
    let explanation = "Memory grows with the number of connections, not of bets, except for the winners' documents.";
    report.add("Memory", explanation, &memory);
    report.finish()
}

fn introduction(options: &Options) -> String {
    let runs = options.runs;
    let (runs, short_runs) = (count(runs as u64), count((SHORT_RUNS * runs) as u64));
    format!(
        "# Performance\n\nMeasured by `make bench` on a machine with {}, which runs the server, the agencies and \
         the benchmark. Each figure is the median of {runs} runs, of {short_runs} for the course's round. The server logs at INFO, and the \
         log is read and dropped. *Limit*: the throughput of a program that only moves the same bytes through as many loopback \
         connections into a file, with as many syncs, measured in the same run. *Durable*: `STORAGE_SYNC = always`, every batch is on \
         disk before it is acknowledged.",
        machine()
    )
}

/// The cores and the memory of this machine.
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    let memory = total.map_or("unknown".to_owned(), |total| format!("{:.0} GiB of", total as f64 / f64::from(1 << 20)));
    format!("{cores} cores and {memory} memory")
}

/// The syncs of the limit beside a server with so many commits.
fn syncs(durability: Durability, commits: u64) -> Option<u64> {
    (durability == Durability::Durable).then_some(commits)
}

/// Whole rounds, then the server alone. Gives the durable bets a second of the server alone.
fn throughput(options: &Options, report: &mut Report, memory: &mut Table) -> Result<f64, Failure> {
    let head = ["", "bets", "time", "bets a second", "limit", "of the limit", "server's CPU a bet"];
    let mut table = Table::new(&head);
    let data = env::var_os("DATA").map_or_else(|| folder().join("../.data"), PathBuf::from);
    let course = agency_files(&data.canonicalize()?);
    if course.is_empty() {
        return Err("no agency-1.csv in .data (or DATA); `make data` makes it".into());
    }
    let (_folder, made_up) = make_data(AGENCIES, options.bets)?;
    for (name, files, runs) in
        [("the course's round", &course, SHORT_RUNS * options.runs), ("a large round", &made_up, options.runs)]
    {
        let bets = bets_of(files)?;
        for durability in Durability::BOTH {
            let runs = repeat(runs, || {
                let round = play_round(files, durability)?;
                let limit = limit::seconds(files.len(), bets, syncs(durability, round.commits))?;
                Ok(Throughput { seconds: round.seconds, limit, usage: round.usage })
            })?;
            add_throughput(&mut table, &format!("{name}, {}", durability.name()), bets, &runs);
            if durability == Durability::Durable {
                memory.add([format!("{name}, {} bets", count(bets)), peak(runs.iter().map(|run| run.usage))]);
            }
        }
    }
    let mut durable = f64::NAN;
    for durability in Durability::BOTH {
        let runs = repeat(options.runs, || {
            let load = load(AGENCIES, options.bets, durability)?;
            let limit = limit::seconds(AGENCIES, options.bets, syncs(durability, load.commits))?;
            Ok(Throughput { seconds: load.seconds, limit, usage: load.usage })
        })?;
        let name = format!("the server alone, {}", durability.name());
        let seconds = add_throughput(&mut table, &name, options.bets, &runs);
        if durability == Durability::Durable {
            durable = options.bets as f64 / seconds;
        }
    }
    let explanation = "A round lasts from the start of the first agency's process, with the server listening, to the end of the last \
                       one's, which knows its winners by then. Its agencies read and encode their files. The server alone is sent \
                       pre-encoded batches.";
    report.add("Throughput, five agencies", explanation, &table);
    Ok(durable)
}

/// A measured run.
struct Throughput {
    seconds: f64,
    /// Seconds of the limit.
    limit: f64,
    /// The server's.
    usage: Usage,
}

/// Adds the row of some runs. Gives the median of their seconds.
fn add_throughput(table: &mut Table, name: &str, bets: u64, runs: &[Throughput]) -> f64 {
    let (seconds, limit) = (median(runs.iter().map(|run| run.seconds)), median(runs.iter().map(|run| run.limit)));
    // The mean, because the kernel counts in hundredths of a second.
    let cpu = runs.iter().map(|run| run.usage.processor.as_secs_f64()).sum::<f64>() / runs.len() as f64;
    let rate = |seconds: f64| bets as f64 / seconds;
    let cpu = if cpu < 0.1 { "·".to_owned() } else { format!("{:.0} ns", cpu / bets as f64 * 1e9) };
    table.add([
        name.to_owned(),
        count(bets),
        time(seconds),
        millions(rate(seconds)),
        millions(rate(limit)),
        percent(limit / seconds),
        cpu,
    ]);
    seconds
}

/// The highest peak of the memory, in MiB.
pub fn peak(usages: impl Iterator<Item = Usage>) -> String {
    mebibytes(usages.map(|usage| usage.peak_kib).max().unwrap_or_default())
}

fn bets_of(files: &[PathBuf]) -> Result<u64, Failure> {
    let rows =
        |file: &PathBuf| std::fs::read(file).map(|text| text.iter().filter(|&&byte| byte == b'\n').count() as u64);
    Ok(files.iter().map(rows).sum::<std::io::Result<u64>>()?)
}

pub fn repeat<T>(runs: usize, run: impl Fn() -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    (0..runs).map(|_| run()).collect()
}

/// Runs a round with a server alone.
pub fn load(agencies: usize, bets: u64, durability: Durability) -> Result<Load, Failure> {
    let folder = tempfile::tempdir()?;
    load_in(folder.path(), agencies, bets, durability)
}

/// The same, with the server's files in `folder`.
pub fn load_in(folder: &Path, agencies: usize, bets: u64, durability: Durability) -> Result<Load, Failure> {
    let server = Server::start(folder, agencies, durability)?;
    let order = [stream::ROUND, &server.port.to_string(), &agencies.to_string(), &bets.to_string()].map(str::to_owned);
    let [seconds, draw] = perform(stream::ROLE, &order)?[..] else { return Err("two numbers were expected".into()) };
    Ok(Load { seconds, draw, commits: server.commits()?, usage: server.usage()? })
}

fn latency(bets_a_second: f64, report: &mut Report) -> Result<(), Failure> {
    let mut table = Table::new(&["five agencies", "bets a second", "p50", "p90", "p99", "p99.9"]);
    let mut lines = Vec::new();
    for durability in Durability::BOTH {
        let folder = tempfile::tempdir()?;
        let server = Server::start(folder.path(), AGENCIES, durability)?;
        let bets = (bets_a_second * PACED_SECONDS) as u64;
        let order = [
            stream::PACED.to_owned(),
            server.port.to_string(),
            AGENCIES.to_string(),
            bets.to_string(),
            bets_a_second.to_string(),
        ];
        let latencies = perform(stream::ROLE, &order)?;
        let name = durability.name();
        table.add(
            [name.to_owned(), millions(bets_a_second)]
                .into_iter()
                .chain(latencies.iter().map(|&seconds| time(seconds))),
        );
        lines.push(Line {
            name,
            points: stream::PERCENTILES.iter().map(|&percent| nines(percent)).zip(latencies).collect(),
            spread: Vec::new(),
        });
    }
    let explanation = "From the moment when a batch is due to its reply, at half of the durable throughput of the server alone. Batches are \
                       sent when they are due, answered or not, so that a pause of the server shows in every batch that it delays.";
    report.add("Latency of a batch at half load", explanation, &table);
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let durable: Vec<String> = lines[0].points.iter().map(|point| time(point.1)).collect();
    let title = format!("At half load, durable: half of the batches within {}, 99 % within {}", durable[0], durable[2]);
    let note = format!("{}; one run of {PACED_SECONDS} s each; from the moment a batch is due to its reply", machine());
    let plot = Plot {
        title: &title,
        note: &note,
        x: Axis {
            name: "percentile",
            marks: stream::PERCENTILES.map(nines).to_vec(),
            label: percentile,
            is_logarithmic: false,
        },
        y: Axis { name: "time to reply", marks: marks_up_to(highest), label: time, is_logarithmic: false },
        lines,
    };
    plot.save("latency.svg")?;
    report.add_picture("latency.svg", "Latency percentiles of a batch at half load");
    Ok(())
}

/// The position of a percentile on a scale on which every further nine adds the same distance.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn percentile(nines: f64) -> String {
    let percent = 100.0 - 100.0 * 10_f64.powf(-nines);
    format!("p{}", (percent * 10.0).round() / 10.0)
}

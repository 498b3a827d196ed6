//! The order of the measurements, and what they have in common.

use std::env;
use std::path::PathBuf;
use std::time::Instant;

use crate::Failure;
use crate::report::{Destination, Report, count, folder};
use crate::setup::Setup;
use crate::{agencies, compare, cost, crowd, fairness, latency, peers, quotes, throughput};

/// The agencies of the course.
pub const AGENCIES: usize = 5;
/// The setups in files.
pub const FILES: [Setup<'static>; 2] = [Setup::Durable, Setup::NotSynced];
/// Runs of the course's round for each run of a longer one: it is so short that one slow sync shows.
pub const SHORT_RUNS: usize = 6;

/// Sizes that the environment can change.
pub struct Options {
    /// Bets of a large round.
    pub bets: u64,
    /// Bets of the largest round in the table of costs.
    pub largest: u64,
    /// Number of runs of which the median is taken.
    pub runs: usize,
    /// Agencies of the crowd.
    pub crowd: u32,
    /// Folder of another build, to compare this one with.
    pub before: Option<PathBuf>,
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
            bets: number("BETS", 16_000_000)?.max(100_000),
            largest: number("LARGEST", 100_000_000)?,
            runs: number("RUNS", 5)?.max(1) as usize,
            crowd: u32::try_from(number("AGENCIES", 10_000)?)?.max(10),
            before: env::var_os("BEFORE").map(PathBuf::from),
        })
    }
}

/// A measurement, which adds its sections to the report.
type Measurement = fn(&Options, &mut Report) -> Result<(), Failure>;

const MEASUREMENTS: [(&str, Measurement); 7] = [
    ("throughput", throughput::measure),
    ("latency", latency::measure),
    ("agencies", agencies::measure),
    ("cost", cost::measure),
    ("fairness", fairness::measure),
    ("crowd", crowd::measure),
    ("peers", peers::measure),
];

/// The measurement that is none of this build alone, and so no part of the report.
const COMPARISON: (&str, Measurement) = ("compare", compare::measure);

/// Measures everything, and writes the report and the figures of the documents.
pub fn run() -> Result<(), Failure> {
    let (options, began) = (Options::read()?, Instant::now());
    let mut report = Report::begin(Destination::Files, &introduction(&options));
    for (name, measure) in MEASUREMENTS {
        measure(&options, &mut report)?;
        eprintln!("{name}: done after {} s", began.elapsed().as_secs());
    }
    report.finish()?;
    quotes::update(&folder().join(".."))
}

/// Measures one part and shows it.
pub fn run_one(name: &str) -> Result<(), Failure> {
    let parts = [&MEASUREMENTS[..], &[COMPARISON]].concat();
    let Some((_, measure)) = parts.iter().find(|(known, _)| *known == name) else {
        let known: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no part {name:?}; there are {}", known.join(", ")).into());
    };
    let options = Options::read()?;
    let mut report = Report::begin(Destination::Terminal, &introduction(&options));
    measure(&options, &mut report)?;
    report.finish()
}

fn introduction(options: &Options) -> String {
    let (runs, short_runs) = (count(options.runs as u64), count((SHORT_RUNS * options.runs) as u64));
    format!(
        "# Performance\n\nMeasured by `make bench` on a machine with {}, which runs the server, the agencies, the databases and \
         the benchmark. The programs are built with the feature `postgres`. Each figure is the median of {runs} runs, of {short_runs} for \
         the course's round; *±* is the distance of the run farthest from it. The server logs at INFO, and the log is read and dropped, \
         unless a section says otherwise. *Limit*: the throughput of a program that only moves the same bytes through as many loopback \
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

//! What `make bench` measures, in the order of its report.

use std::env;
use std::path::PathBuf;
use std::time::Duration;

use loteria_tools::agency_files;

use crate::Failure;
use crate::plot::{Axis, Line, Plot, marks_up_to};
use crate::report::{Report, Table, count, mebibytes, median, millions, percent, time};
use crate::stage::{self, Central, Contest, Sync, contest, make_data, perform};
use crate::{limit, stream};

/// The agencies of the course.
const AGENCIES: usize = 5;
/// How many agencies the scaling is measured with.
const SCALE: [usize; 4] = [1, 5, 50, 500];
/// How many times as often the course's contest is run: it is so short that how quick the disk is just then decides.
const SHORT_RUNS: usize = 10;
/// Seconds for which batches are paced.
const PACED_SECONDS: f64 = 5.0;

/// What is measured can be changed by the environment.
struct Options {
    /// Bets that are made up for a contest.
    bets: u64,
    /// Bets of the largest contest that the cost of a bet is measured with.
    largest: u64,
    /// Of how many runs the median is taken.
    runs: usize,
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

/// What the agencies of [`stream`] made of a central.
struct Load {
    seconds: f64,
    draw: f64,
    cpu: Duration,
    memory: u64,
    commits: u64,
}

pub fn run() -> Result<(), Failure> {
    let options = Options::read()?;
    let mut report = Report::begin("results.md", &introduction(&options));
    let mut memory = Table::new(&["the central's peak memory (VmHWM)", "MiB"]);

    let durable_bets_a_second = throughput(&options, &mut report, &mut memory)?;
    latency(durable_bets_a_second / 2.0, &mut report)?;
    scaling(&options, &mut report, &mut memory)?;
    cost_and_recovery(&options, &mut report, &mut memory)?;
    report.add("Memory", "It depends on connections, not on bets, but for the winners' documents.", &memory);
    report.finish()
}

fn introduction(options: &Options) -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (runs, memory) = (options.runs, memory_of_machine());
    let (runs, short_runs) = (count(runs as u64), count((SHORT_RUNS * runs) as u64));
    format!(
        "# How fast\n\nMeasured by `make bench` on a machine with {cores} cores and {memory}, which everything that is measured shares: the \
         central, the agencies and whatever stands in for them. Number of runs of which each figure is the median: {runs}; of the \
         course's contest: {short_runs}. *Limit*: what a program that does nothing else needs, in the same run, to move the same bytes of \
         the wire through as many loopback connections into a file, with as many syncs as there were here. *Durable*: \
         `STORAGE_SYNC = always`, every batch on disk before it is acknowledged."
    )
}

fn memory_of_machine() -> String {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    total.map_or("unknown memory".to_owned(), |total| format!("{:.0} GiB of memory", total as f64 / f64::from(1 << 20)))
}

/// How often the limit syncs beside a central that committed so often.
fn syncs(sync: Sync, commits: u64) -> Option<u64> {
    (sync == Sync::Always).then_some(commits)
}

fn durability(sync: Sync) -> &'static str {
    if sync == Sync::Always { "durable" } else { "not synced" }
}

/// Contests, then the central alone. Gives the durable bets a second of the central alone.
fn throughput(options: &Options, report: &mut Report, memory: &mut Table) -> Result<f64, Failure> {
    let head = ["", "bets", "time", "bets a second", "limit", "of the limit", "central's CPU a bet"];
    let mut table = Table::new(&head);
    let data = env::var_os("DATA").map_or_else(|| PathBuf::from(".data"), PathBuf::from);
    let course = agency_files(&std::path::absolute(data)?);
    if course.is_empty() {
        return Err("no agency-1.csv in .data (or DATA); `make data` makes it".into());
    }
    let (_folder, made_up) = make_data(AGENCIES, options.bets)?;
    for (name, files, runs) in
        [("the course's contest", &course, SHORT_RUNS * options.runs), ("a large contest", &made_up, options.runs)]
    {
        let bets = bets_of(files)?;
        for sync in [Sync::Always, Sync::Never] {
            let runs = repeat(runs, || {
                let contest = contest(files, sync)?;
                let limit = limit::seconds(files.len(), bets, syncs(sync, contest.commits))?;
                Ok((contest, limit))
            })?;
            let cpu = |contest: &Contest| contest.central_cpu.as_secs_f64();
            add_throughput(
                &mut table,
                &format!("{name}, {}", durability(sync)),
                bets,
                &Throughput {
                    seconds: median(runs.iter().map(|run| run.0.seconds).collect()),
                    limit: median(runs.iter().map(|run| run.1).collect()),
                    cpu: runs.iter().map(|run| cpu(&run.0)).sum::<f64>() / runs.len() as f64,
                },
            );
            if sync == Sync::Always {
                let peak = runs.iter().map(|run| run.0.central_memory).max().unwrap_or_default();
                memory.add([format!("{name}, {} bets", count(bets)), mebibytes(peak)]);
            }
        }
    }
    let mut durable = f64::NAN;
    for sync in [Sync::Always, Sync::Never] {
        let runs = repeat(options.runs, || {
            let load = load(AGENCIES, options.bets, sync)?;
            let limit = limit::seconds(AGENCIES, options.bets, syncs(sync, load.commits))?;
            Ok((load, limit))
        })?;
        let throughput = Throughput {
            seconds: median(runs.iter().map(|run| run.0.seconds).collect()),
            limit: median(runs.iter().map(|run| run.1).collect()),
            cpu: runs.iter().map(|run| run.0.cpu.as_secs_f64()).sum::<f64>() / runs.len() as f64,
        };
        add_throughput(&mut table, &format!("the central alone, {}", durability(sync)), options.bets, &throughput);
        if sync == Sync::Always {
            durable = options.bets as f64 / throughput.seconds;
        }
    }
    let explanation = "A contest lasts from the start of the first agency's process, when the central listens already, to the end \
                       of the last one's, which has heard its winners then; the agencies read their files. Alone, the central is \
                       sent batches that were encoded beforehand.";
    report.add("Throughput, five agencies", explanation, &table);
    Ok(durable)
}

struct Throughput {
    seconds: f64,
    limit: f64,
    /// The central's seconds of processor.
    cpu: f64,
}

fn add_throughput(table: &mut Table, name: &str, bets: u64, throughput: &Throughput) {
    let Throughput { seconds, limit, cpu } = *throughput;
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
}

fn bets_of(files: &[PathBuf]) -> Result<u64, Failure> {
    let rows =
        |file: &PathBuf| std::fs::read(file).map(|text| text.iter().filter(|&&byte| byte == b'\n').count() as u64);
    Ok(files.iter().map(rows).sum::<std::io::Result<u64>>()?)
}

fn repeat<T>(runs: usize, run: impl Fn() -> Result<T, Failure>) -> Result<Vec<T>, Failure> {
    (0..runs).map(|_| run()).collect()
}

fn load(agencies: usize, bets: u64, sync: Sync) -> Result<Load, Failure> {
    let folder = tempfile::tempdir()?;
    load_in(folder.path(), agencies, bets, sync)
}

fn load_in(folder: &std::path::Path, agencies: usize, bets: u64, sync: Sync) -> Result<Load, Failure> {
    let central = Central::start(folder, agencies, sync)?;
    let order =
        [stream::CONTEST, &central.port.to_string(), &agencies.to_string(), &bets.to_string()].map(str::to_owned);
    let [seconds, draw] = perform(stream::ROLE, &order)?[..] else { return Err("two numbers were expected".into()) };
    Ok(Load { seconds, draw, cpu: central.cpu()?, memory: central.peak_memory()?, commits: central.commits()? })
}

fn latency(bets_a_second: f64, report: &mut Report) -> Result<(), Failure> {
    let mut table = Table::new(&["five agencies", "bets a second", "p50", "p90", "p99", "p99.9"]);
    let mut lines = Vec::new();
    for sync in [Sync::Always, Sync::Never] {
        let folder = tempfile::tempdir()?;
        let central = Central::start(folder.path(), AGENCIES, sync)?;
        let bets = (bets_a_second * PACED_SECONDS) as u64;
        let order = [
            stream::PACED.to_owned(),
            central.port.to_string(),
            AGENCIES.to_string(),
            bets.to_string(),
            bets_a_second.to_string(),
        ];
        let latencies = perform(stream::ROLE, &order)?;
        let name = durability(sync);
        table.add(
            [name.to_owned(), millions(bets_a_second)]
                .into_iter()
                .chain(latencies.iter().map(|&seconds| time(seconds))),
        );
        lines.push(Line {
            name,
            points: stream::PERCENTILES.iter().map(|&percent| nines(percent)).zip(latencies).collect(),
        });
    }
    let explanation = "From when a batch is due to when its reply is there, at half of the rate that the central alone took durably. Batches are \
                       sent when they are due, whatever has been answered before, so that a pause delays all that follow it and none is left out.";
    report.add("Latency of a batch at half load", explanation, &table);
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let plot = Plot {
        title: "Latency of a batch at half load",
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

/// Where a percentile lies on a scale on which each further nine is as far again.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn percentile(nines: f64) -> String {
    let percent = 100.0 - 100.0 * 10_f64.powf(-nines);
    format!("p{}", (percent * 10.0).round() / 10.0)
}

fn scaling(options: &Options, report: &mut Report, memory: &mut Table) -> Result<(), Failure> {
    let bets = options.bets / 4;
    let mut table = Table::new(&["agencies", "contest", "central alone", "limit", "of the limit"]);
    let mut lines =
        ["contest of processes", "the central alone", "limit"].map(|name| Line { name, points: Vec::new() });
    for agencies in SCALE {
        let (_folder, files) = make_data(agencies, bets)?;
        let runs = repeat(options.runs, || {
            let contest = contest(&files, Sync::Always)?;
            let load = load(agencies, bets, Sync::Always)?;
            let limit = limit::seconds(agencies, bets, Some(load.commits))?;
            Ok((contest.seconds, load, limit))
        })?;
        let seconds = [
            median(runs.iter().map(|run| run.0).collect()),
            median(runs.iter().map(|run| run.1.seconds).collect()),
            median(runs.iter().map(|run| run.2).collect()),
        ];
        let rates = seconds.map(|seconds| bets as f64 / seconds);
        lines.iter_mut().zip(rates).for_each(|(line, rate)| line.points.push((agencies as f64, rate)));
        table.add([agencies.to_string()].into_iter().chain(rates.map(millions)).chain([percent(rates[1] / rates[2])]));
        if agencies > AGENCIES {
            let peak = runs.iter().map(|run| run.1.memory).max().unwrap_or_default();
            memory.add([format!("the central alone, {agencies} agencies"), mebibytes(peak)]);
        }
    }
    let explanation = format!(
        "Durable bets a second, {} of them in all. A contest starts a process for every agency, and on two cores 500 of those take their time.",
        count(bets)
    );
    report.add("Agencies", &explanation, &table);
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let plot = Plot {
        title: "Durable bets a second",
        x: Axis {
            name: "agencies",
            marks: SCALE.map(|agencies| agencies as f64).to_vec(),
            label: |mark| mark.to_string(),
            is_logarithmic: true,
        },
        y: Axis {
            name: "bets a second",
            marks: marks_up_to(highest),
            label: |mark| format!("{} M", mark / 1e6),
            is_logarithmic: false,
        },
        lines: lines.into(),
    };
    plot.save("agencies.svg")?;
    report.add_picture("agencies.svg", "Durable bets a second against the number of agencies");
    Ok(())
}

fn cost_and_recovery(options: &Options, report: &mut Report, memory: &mut Table) -> Result<(), Failure> {
    let sizes: Vec<u64> =
        (4..).map(|zeros| 10_u64.pow(zeros)).take_while(|&bets| bets <= options.largest.max(10_000)).collect();
    let mut table = Table::new(&["bets", "durable, a bet", "not synced, a bet", "draw"]);
    let mut lines = [Sync::Always, Sync::Never].map(|sync| Line { name: durability(sync), points: Vec::new() });
    let folder = tempfile::tempdir()?;
    for &bets in &sizes {
        // The shorter, the more often: what disturbs a short one disturbs it whole.
        let runs = if bets < 5_000_000 { 3 * options.runs } else { 1 };
        let durable = repeat(runs, || load(AGENCIES, bets, Sync::Always))?;
        let unsynced = if Some(&bets) == sizes.last() {
            vec![load_in(folder.path(), AGENCIES, bets, Sync::Never)?]
        } else {
            repeat(runs, || load(AGENCIES, bets, Sync::Never))?
        };
        let costs =
            [&durable, &unsynced].map(|loads| median(loads.iter().map(|load| load.seconds / bets as f64).collect()));
        let draw = median(durable.iter().map(|load| load.draw).collect());
        let [durable_cost, unsynced_cost] = costs.map(|seconds| format!("{:.0} ns", seconds * 1e9));
        table.add([count(bets), durable_cost, unsynced_cost, time(draw)]);
        lines.iter_mut().zip(costs).for_each(|(line, cost)| line.points.push((bets as f64, cost * 1e9)));
        if Some(&bets) == sizes.last() {
            let peak = durable.iter().map(|load| load.memory).max().unwrap_or_default();
            memory.add([format!("the central alone, {} bets", count(bets)), mebibytes(peak)]);
        }
    }
    let explanation = "The central alone, five agencies. Draw: from the last agency's closing to the first winners.";
    report.add("Cost of a bet, and of the draw", explanation, &table);
    plot_cost(&sizes, lines.into())?;
    report.add_picture("cost.svg", "Cost of a bet against the number of bets");
    recovery(folder.path(), sizes.last().copied().unwrap_or_default(), report)
}

fn plot_cost(sizes: &[u64], lines: Vec<Line<'_>>) -> Result<(), Failure> {
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let marks = sizes.iter().map(|&bets| bets as f64).collect();
    let bets = |mark: f64| if mark < 1e6 { format!("{} k", mark / 1e3) } else { format!("{} M", mark / 1e6) };
    let plot = Plot {
        title: "Cost of a bet",
        x: Axis { name: "bets of the contest", marks, label: bets, is_logarithmic: true },
        y: Axis {
            name: "time a bet",
            marks: marks_up_to(highest),
            label: |mark| format!("{mark} ns"),
            is_logarithmic: false,
        },
        lines,
    };
    plot.save("cost.svg")
}

/// How long a central needs to start on the files that are in `folder`.
fn recovery(folder: &std::path::Path, bets: u64, report: &mut Report) -> Result<(), Failure> {
    let bytes = std::fs::metadata(folder.join("bets.csv"))?.len();
    let seconds = median(repeat(3, || stage::start_up(folder, AGENCIES))?);
    let empty = tempfile::tempdir()?;
    let start = median(repeat(3, || stage::start_up(empty.path(), AGENCIES))?);
    let mut table = Table::new(&["rows", "bytes", "time", "rows a second"]);
    table.add([count(bets), count(bytes), time(seconds), millions(bets as f64 / (seconds - start).max(f64::EPSILON))]);
    table.add(["0".to_owned(), "0".to_owned(), time(start), "·".to_owned()]);
    report.add(
        "Recovery",
        "From the start of the central's process until it listens, on the files of an earlier one.",
        &table,
    );
    Ok(())
}

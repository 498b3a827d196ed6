//! Bets a second with five agencies: whole rounds in each setup, then the server alone.

use std::env;
use std::path::PathBuf;

use loteria_tools::{Usage, agency_files};

use crate::Failure;
use crate::figure::Figure;
use crate::limit;
use crate::report::{Report, Table, count, folder, millions, nanoseconds, percent, time};
use crate::setup::{Certificates, Cluster, Setup};
use crate::stage::{load, make_data, play_round, repeat, start_up};
use crate::suite::{AGENCIES, FILES, Options, SHORT_RUNS};

/// The limit beside a server with so many commits is given as many syncs.
fn syncs(setup: Setup<'_>, commits: u64) -> Option<u64> {
    (!matches!(setup, Setup::NotSynced)).then_some(commits)
}

/// Processor time of a run below which it says nothing: the kernel counts hundredths of a second.
const LEAST_PROCESSOR_SECONDS: f64 = 0.1;

/// A measured run.
struct Run {
    seconds: f64,
    /// Seconds of the limit.
    limit: f64,
    /// The server's.
    usage: Usage,
    /// The server's.
    commits: u64,
}

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut table = Table::new(&["", "bets", "time", "bets a second", "limit", "of the limit", "server's CPU a bet"]);
    let data = env::var_os("DATA").map_or_else(|| folder().join("../.data"), PathBuf::from);
    let course = agency_files(&data.canonicalize()?);
    if course.is_empty() {
        return Err("no agency-1.csv in .data (or DATA); `make data` makes it".into());
    }
    let bets = bets_of(&course)?;
    for setup in FILES {
        let runs = repeat(SHORT_RUNS * options.runs, || round(&course, bets, setup))?;
        add(&mut table, &format!("the course's round, {}", setup.name()), bets, &runs);
        if matches!(setup, Setup::Durable) {
            report.note_memory("the course's round".to_owned(), runs.iter().map(|run| run.usage));
        }
    }
    large_rounds(options, report, &mut table)?;
    let databases = rounds_in_postgres(options, report, &mut table)?;
    for setup in FILES {
        let runs = repeat(options.runs, || {
            let load = load(AGENCIES, options.bets, setup)?;
            let limit = limit::seconds(AGENCIES, options.bets, syncs(setup, load.commits))?;
            Ok(Run { seconds: load.seconds, limit, usage: load.usage, commits: load.commits })
        })?;
        add(&mut table, &format!("the server alone, {}", setup.name()), options.bets, &runs);
    }
    let explanation = "A round lasts from the start of the first agency's process, with the server listening, to the end of the last \
                       one's, which knows its winners by then. Its agencies read and encode their files. The server alone is sent \
                       pre-encoded batches. In PostgreSQL, the limit is a COPY by psql of as many rows in as many transactions into a \
                       table without an index, and the database's CPU is not counted.";
    report.add("Throughput, five agencies", explanation, &table);
    if let Some(databases) = databases {
        let explanation = "The same rounds. A takeover lasts from the start of a second server's process, on the whole round, until it \
                           listens. The standby runs on the same machine.";
        report.add("PostgreSQL", explanation, &databases);
    }
    Ok(())
}

fn large_rounds(options: &Options, report: &mut Report, table: &mut Table) -> Result<(), Failure> {
    let certificates = Certificates::make()?;
    let (_folder, files) = make_data(AGENCIES, options.bets)?;
    for setup in [FILES[0], FILES[1], Setup::Tls(&certificates)] {
        let runs = repeat(options.runs, || round(&files, options.bets, setup))?;
        let name = format!("a large round, {}", setup.name());
        add(table, &name, options.bets, &runs);
        report.note_memory(name, runs.iter().map(|run| run.usage));
    }
    Ok(())
}

/// Rounds of fewer bets, because they take much longer. Gives a table of what a database adds.
fn rounds_in_postgres(options: &Options, report: &mut Report, table: &mut Table) -> Result<Option<Table>, Failure> {
    let bets = options.bets / 4;
    let (_folder, files) = make_data(AGENCIES, bets)?;
    let mut databases = Table::new(&["", "commits", "bets a commit", "takeover"]);
    for with_standby in [false, true] {
        let Some(cluster) = Cluster::start(with_standby, report) else { return Ok(None) };
        let setup = Setup::Postgres(&cluster);
        let runs = repeat(options.runs, || {
            let round = play_round(&files, setup)?;
            let takeover = start_up(tempfile::tempdir()?.path(), AGENCIES, setup)?;
            let limit = cluster.copy(bets, round.commits)?;
            let run = Run { seconds: round.seconds, limit, usage: round.usage, commits: round.commits };
            Ok((run, takeover))
        })?;
        let (runs, takeovers): (Vec<Run>, Vec<f64>) = runs.into_iter().unzip();
        let name = format!("a large round, {}", setup.name());
        add(table, &name, bets, &runs);
        let commits = Figure::of(runs.iter().map(|run| run.commits as f64));
        let whole = |number: f64| count(number as u64);
        let bets_a_commit = commits.map(|commits| bets as f64 / commits).show(whole);
        databases.add([name, commits.show(whole), bets_a_commit, Figure::of(takeovers).show(time)]);
    }
    Ok(Some(databases))
}

fn round(files: &[PathBuf], bets: u64, setup: Setup<'_>) -> Result<Run, Failure> {
    let round = play_round(files, setup)?;
    let limit = limit::seconds(files.len(), bets, syncs(setup, round.commits))?;
    Ok(Run { seconds: round.seconds, limit, usage: round.usage, commits: round.commits })
}

/// Adds the row of some runs.
fn add(table: &mut Table, name: &str, bets: u64, runs: &[Run]) {
    let seconds = Figure::of(runs.iter().map(|run| run.seconds));
    let rate = |seconds: f64| bets as f64 / seconds;
    let limit = Figure::of(runs.iter().map(|run| rate(run.limit)));
    let share = Figure::of(runs.iter().map(|run| run.limit / run.seconds));
    let processor = Figure::of(runs.iter().map(|run| run.usage.processor.as_secs_f64()));
    let cost = processor.map(|seconds| seconds / bets as f64);
    table.add([
        name.to_owned(),
        count(bets),
        seconds.show(time),
        seconds.map(rate).show(millions),
        limit.show(millions),
        share.show(percent),
        if processor.median() < LEAST_PROCESSOR_SECONDS { "·".to_owned() } else { cost.show(nanoseconds) },
    ]);
}

fn bets_of(files: &[PathBuf]) -> Result<u64, Failure> {
    let rows =
        |file: &PathBuf| std::fs::read(file).map(|text| text.iter().filter(|&&byte| byte == b'\n').count() as u64);
    Ok(files.iter().map(rows).sum::<std::io::Result<u64>>()?)
}

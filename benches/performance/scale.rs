//! The measurements of `make bench` at growing numbers of agencies and of bets, and recovery.

use std::path::Path;

use crate::Failure;
use crate::limit;
use crate::median::median;
use crate::plot::{Axis, Line, Plot, marks_up_to};
use crate::report::{Report, Table, count, millions, percent, time};
use crate::stage::{Durability, make_data, play_round, start_up};
use crate::suite::{AGENCIES, Options, load, load_in, machine, peak, repeat};

/// Numbers of agencies.
const SCALE: [usize; 4] = [1, 5, 50, 500];

/// Throughput against the number of agencies.
pub fn agencies(options: &Options, report: &mut Report, memory: &mut Table) -> Result<(), Failure> {
    let bets = options.bets / 4;
    let mut table = Table::new(&["agencies", "round", "server alone", "limit", "of the limit"]);
    let mut lines = ["round of processes", "the server alone", "limit"].map(|name| Line {
        name,
        points: Vec::new(),
        spread: Vec::new(),
    });
    for agencies in SCALE {
        let (_folder, files) = make_data(agencies, bets)?;
        let runs = repeat(options.runs, || {
            let round = play_round(&files, Durability::Durable)?;
            let load = load(agencies, bets, Durability::Durable)?;
            let limit = limit::seconds(agencies, bets, Some(load.commits))?;
            Ok((round.seconds, load, limit))
        })?;
        let seconds_of = |index: usize| runs.iter().map(move |run| [run.0, run.1.seconds, run.2][index]);
        let seconds = [0, 1, 2].map(|index| median(seconds_of(index)));
        let rates = seconds.map(|seconds| bets as f64 / seconds);
        lines.iter_mut().zip(rates).for_each(|(line, rate)| line.points.push((agencies as f64, rate)));
        for (index, line) in lines.iter_mut().enumerate() {
            line.spread.push(spread(seconds_of(index).map(|seconds| bets as f64 / seconds)));
        }
        table.add([agencies.to_string()].into_iter().chain(rates.map(millions)).chain([percent(rates[1] / rates[2])]));
        if agencies > AGENCIES {
            let peak = peak(runs.iter().map(|run| run.1.usage));
            memory.add([format!("the server alone, {agencies} agencies"), peak]);
        }
    }
    let explanation = format!(
        "Durable bets a second, {} in all. A round starts a process for every agency; with 500 of them that takes a good part of the time.",
        count(bets)
    );
    report.add("Agencies", &explanation, &table);
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let alone = lines[1].points.iter().map(|point| point.1);
    let (lowest, highest_alone) = spread(alone);
    let title = format!(
        "The server takes {} to {} durable bets a second, with 1 to 500 agencies",
        millions(lowest),
        millions(highest_alone)
    );
    let note = format!(
        "{}; medians of {} runs, bars: all runs; limit: only moves the bytes, with as many syncs",
        machine(),
        options.runs
    );
    let plot = Plot {
        title: &title,
        note: &note,
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

/// The lowest and the highest of `values`.
fn spread(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::MAX, 0.0), |(low, high), value| (low.min(value), high.max(value)))
}

/// Cost against the number of bets, then recovery from the largest number.
pub fn bets(options: &Options, report: &mut Report, memory: &mut Table) -> Result<(), Failure> {
    let sizes: Vec<u64> =
        (4..).map(|zeros| 10_u64.pow(zeros)).take_while(|&bets| bets <= options.largest.max(10_000)).collect();
    let mut table = Table::new(&["bets", "durable, a bet", "not synced, a bet", "draw"]);
    let mut lines =
        Durability::BOTH.map(|durability| Line { name: durability.name(), points: Vec::new(), spread: Vec::new() });
    let folder = tempfile::tempdir()?;
    for &bets in &sizes {
        // Short rounds are repeated more often, because a disturbance weighs more in them.
        let runs = if bets < 5_000_000 { 3 * options.runs } else { 1 };
        let durable = repeat(runs, || load(AGENCIES, bets, Durability::Durable))?;
        let unsynced = if Some(&bets) == sizes.last() {
            vec![load_in(folder.path(), AGENCIES, bets, Durability::NotSynced)?]
        } else {
            repeat(runs, || load(AGENCIES, bets, Durability::NotSynced))?
        };
        let costs = [&durable, &unsynced].map(|loads| median(loads.iter().map(|load| load.seconds / bets as f64)));
        let draw = median(durable.iter().map(|load| load.draw));
        let [durable_cost, unsynced_cost] = costs.map(|seconds| format!("{:.0} ns", seconds * 1e9));
        table.add([count(bets), durable_cost, unsynced_cost, time(draw)]);
        lines.iter_mut().zip(costs).for_each(|(line, cost)| line.points.push((bets as f64, cost * 1e9)));
        for (line, loads) in lines.iter_mut().zip([&durable, &unsynced]) {
            line.spread.push(spread(loads.iter().map(|load| load.seconds / bets as f64 * 1e9)));
        }
        if Some(&bets) == sizes.last() {
            let peak = peak(durable.iter().map(|load| load.usage));
            memory.add([format!("the server alone, {} bets", count(bets)), peak]);
        }
    }
    let explanation = "The server alone, five agencies. Draw: from the last agency's closing to the first winners.";
    report.add("Cost of a bet, and of the draw", explanation, &table);
    plot_cost(&sizes, options.runs, lines.into())?;
    report.add_picture("cost.svg", "Cost of a bet against the number of bets");
    recovery(folder.path(), sizes.last().copied().unwrap_or_default(), report)
}

fn plot_cost(sizes: &[u64], runs: usize, lines: Vec<Line<'_>>) -> Result<(), Failure> {
    let highest = lines.iter().flat_map(|line| &line.points).map(|point| point.1).fold(0.0, f64::max);
    let marks = sizes.iter().map(|&bets| bets as f64).collect();
    let bets = |mark: f64| if mark < 1e6 { format!("{} k", mark / 1e3) } else { format!("{} M", mark / 1e6) };
    let [first, last] =
        [lines[0].points.first(), lines[0].points.last()].map(|point| point.map_or(0.0, |point| point.1));
    let title = format!("A durable bet costs {first:.0} ns in the smallest round and {last:.0} ns in the largest");
    let note = format!(
        "{}; server alone, five agencies; medians of {} runs (the largest: 1), bars: all runs",
        machine(),
        3 * runs
    );
    let plot = Plot {
        title: &title,
        note: &note,
        x: Axis { name: "bets of the round", marks, label: bets, is_logarithmic: true },
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

/// The start of a server on the files in `folder`.
fn recovery(folder: &Path, bets: u64, report: &mut Report) -> Result<(), Failure> {
    let bytes = std::fs::metadata(folder.join("bets.csv"))?.len();
    let seconds = median(repeat(3, || start_up(folder, AGENCIES))?);
    let empty = tempfile::tempdir()?;
    let start = median(repeat(3, || start_up(empty.path(), AGENCIES))?);
    let mut table = Table::new(&["rows", "bytes", "time", "rows a second"]);
    table.add([count(bets), count(bytes), time(seconds), millions(bets as f64 / (seconds - start).max(f64::EPSILON))]);
    table.add(["0".to_owned(), "0".to_owned(), time(start), "·".to_owned()]);
    report.add(
        "Recovery",
        "From the start of the server's process until it listens, on the files of an earlier one.",
        &table,
    );
    Ok(())
}

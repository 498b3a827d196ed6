//! Cost of a bet against the number of bets, then recovery from the largest number.

use std::path::Path;

use crate::Failure;
use crate::figure::Figure;
use crate::plot::{Axis, Line, Plot, marks_of};
use crate::report::{Report, Table, count, millions, nanoseconds, time};
use crate::setup::Setup;
use crate::stage::{load, load_in, repeat, start_up};
use crate::suite::{AGENCIES, FILES, Options, machine};

/// Least number of bets of which a round takes so long that there is one run of it alone.
const LONG: u64 = 50_000_000;
/// Runs of a short round for each run of a longer one, because a disturbance weighs more in it.
const SHORT_RUNS: usize = 3;
/// Most bets of a short round.
const SHORT: u64 = 1_000_000;

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let sizes: Vec<u64> =
        (4..).map(|zeros| 10_u64.pow(zeros)).take_while(|&bets| bets <= options.largest.max(10_000)).collect();
    let largest = sizes.last().copied().unwrap_or_default();
    let mut table = Table::new(&["bets", "durable, a bet", "not synced, a bet", "draw"]);
    let mut lines = FILES.map(|setup| Line::new(setup.name()));
    let kept = tempfile::tempdir()?;
    for &bets in &sizes {
        let runs = match bets {
            ..=SHORT => SHORT_RUNS * options.runs,
            LONG.. => 1,
            _ => options.runs,
        };
        // Before the round that is kept, so that the disk never holds two of the largest.
        let unsynced = repeat(runs, || load(AGENCIES, bets, Setup::NotSynced))?;
        let mut durable =
            repeat(if bets == largest { runs - 1 } else { runs }, || load(AGENCIES, bets, Setup::Durable))?;
        if bets == largest {
            durable.push(load_in(kept.path(), AGENCIES, bets, Setup::Durable)?);
            report.note_memory("the server alone, the largest round".to_owned(), durable.iter().map(|load| load.usage));
        }
        let costs = [&durable, &unsynced].map(|loads| Figure::of(loads.iter().map(|load| load.seconds / bets as f64)));
        let draw = Figure::of(durable.iter().map(|load| load.draw));
        lines.iter_mut().zip(&costs).for_each(|(line, cost)| line.add(bets as f64, &cost.map(|seconds| seconds * 1e9)));
        let [durable_cost, unsynced_cost] = costs.map(|cost| cost.show(nanoseconds));
        table.add([count(bets), durable_cost, unsynced_cost, draw.show(time)]);
    }
    let explanation = "The server alone, five agencies. Draw: from the last agency's closing to the first winners. The largest round is \
                       played once.";
    report.add("Cost of a bet, and of the draw", explanation, &table);
    add_plot(&sizes, options, lines.into(), report)?;
    recovery(kept.path(), largest, options.runs, report)
}

fn add_plot(sizes: &[u64], options: &Options, lines: Vec<Line<'_>>, report: &mut Report) -> Result<(), Failure> {
    let bets = |mark: f64| if mark < 1e6 { format!("{} k", mark / 1e3) } else { format!("{} M", mark / 1e6) };
    let [first, last] =
        [lines[0].points.first(), lines[0].points.last()].map(|point| point.map_or(0.0, |point| point.1));
    let title = format!("A durable bet costs {first:.0} ns in the smallest round and {last:.0} ns in the largest");
    let note = format!(
        "{}; server alone, five agencies; medians of {} runs or more (the largest: 1), bars: all runs",
        machine(),
        options.runs
    );
    let plot = Plot {
        title: &title,
        note: &note,
        x: Axis {
            name: "bets of the round",
            marks: sizes.iter().map(|&bets| bets as f64).collect(),
            label: bets,
            is_logarithmic: true,
        },
        y: Axis {
            name: "time a bet",
            marks: marks_of(&lines),
            label: |mark| format!("{mark} ns"),
            is_logarithmic: false,
        },
        lines,
    };
    report.add_plot("cost.svg", "Cost of a bet against the number of bets", &plot)
}

/// The start of a server on the files in `folder`.
fn recovery(folder: &Path, bets: u64, runs: usize, report: &mut Report) -> Result<(), Failure> {
    let bytes = std::fs::metadata(folder.join("bets.csv"))?.len();
    let empty = tempfile::tempdir()?;
    let started = repeat(runs, || {
        Ok((start_up(folder, AGENCIES, Setup::Durable)?, start_up(empty.path(), AGENCIES, Setup::Durable)?))
    })?;
    let rates = started.iter().map(|(seconds, start)| bets as f64 / (seconds - start).max(f64::EPSILON));
    let mut table = Table::new(&["", "rows", "bytes", "time", "rows a second"]);
    let seconds = Figure::of(started.iter().map(|run| run.0)).show(time);
    table.add(["the largest round".to_owned(), count(bets), count(bytes), seconds, Figure::of(rates).show(millions)]);
    let start = Figure::of(started.iter().map(|run| run.1)).show(time);
    table.add(["no round", "0", "0", &start, "·"].map(str::to_owned));
    report.add(
        "Recovery",
        "From the start of the server's process until it listens, on the files of an earlier one, with the check of their digest. The \
         rate leaves out the time of a start without files.",
        &table,
    );
    Ok(())
}

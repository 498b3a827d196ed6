//! Throughput against the number of agencies.

use crate::Failure;
use crate::figure::Figure;
use crate::limit;
use crate::plot::{Axis, Line, Plot, marks_of};
use crate::report::{Report, Table, count, millions, percent};
use crate::setup::Setup;
use crate::stage::{load, make_data, play_round, repeat};
use crate::suite::{AGENCIES, Options, machine};

/// Numbers of agencies.
const SCALE: [usize; 4] = [1, 5, 50, 500];

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let bets = options.bets / 4;
    let mut table = Table::new(&["agencies", "round", "server alone", "limit", "of the limit"]);
    let mut lines = ["round of processes", "the server alone", "limit"].map(Line::new);
    for agencies in SCALE {
        let (_folder, files) = make_data(agencies, bets)?;
        let runs = repeat(options.runs, || {
            let round = play_round(&files, Setup::Durable)?;
            let load = load(agencies, bets, Setup::Durable)?;
            let limit = limit::seconds(agencies, bets, Some(load.commits))?;
            Ok((round.seconds, load, limit))
        })?;
        let rates = [0, 1, 2]
            .map(|index| Figure::of(runs.iter().map(|run| bets as f64 / [run.0, run.1.seconds, run.2][index])));
        lines.iter_mut().zip(&rates).for_each(|(line, rate)| line.add(agencies as f64, rate));
        let share = Figure::of(runs.iter().map(|run| run.2 / run.1.seconds)).show(percent);
        let rates = rates.iter().map(|rate| rate.show(millions));
        table.add([agencies.to_string()].into_iter().chain(rates).chain([share]));
        if agencies > AGENCIES {
            report.note_memory(format!("the server alone, {agencies} agencies"), runs.iter().map(|run| run.1.usage));
        }
    }
    let explanation = format!(
        "Durable bets a second, {} in all. A round starts a process for every agency; with 500 of them that takes a good part of the time.",
        count(bets)
    );
    report.add("Agencies", &explanation, &table);
    add_plot(options, lines.into(), report)
}

fn add_plot(options: &Options, lines: Vec<Line<'_>>, report: &mut Report) -> Result<(), Failure> {
    let (lowest, highest) = Figure::of(lines[1].points.iter().map(|point| point.1)).range();
    let title = format!(
        "The server takes {} to {} durable bets a second, with 1 to 500 agencies",
        millions(lowest),
        millions(highest)
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
            marks: marks_of(&lines),
            label: |mark| format!("{} M", mark / 1e6),
            is_logarithmic: false,
        },
        lines,
    };
    report.add_plot("agencies.svg", "Durable bets a second against the number of agencies", &plot)
}

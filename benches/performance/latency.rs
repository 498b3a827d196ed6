//! Latency of a batch at half of each setup's own throughput.

use crate::Failure;
use crate::figure::Figure;
use crate::pace::PERCENTILES;
use crate::plot::{Axis, Line, Plot, marks_of};
use crate::report::{Report, Table, millions, time};
use crate::setup::{Certificates, Cluster, Setup};
use crate::stage::{Server, Stream, load, repeat};
use crate::stream;
use crate::suite::{AGENCIES, FILES, Options, machine};

/// Seconds for which batches are paced.
const PACED_SECONDS: f64 = 5.0;

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let mut table =
        Table::new(&["five agencies", "throughput", "stored a second", "p50", "p90", "p99", "p99.9", "sent late, p99"]);
    let mut lines = Vec::new();
    let certificates = Certificates::make()?;
    let cluster = Cluster::start(false, report);
    let files = [FILES[0], FILES[1], Setup::Tls(&certificates)];
    for setup in files.into_iter().chain(cluster.as_ref().map(Setup::Postgres)) {
        let bets = if matches!(setup, Setup::Postgres(_)) { options.bets / 8 } else { options.bets / 2 };
        let throughput =
            repeat(options.runs, || Ok(bets as f64 / load(AGENCIES, bets, setup)?.seconds)).map(Figure::of)?;
        let runs = repeat(options.runs, || paced(setup, throughput.median() / 2.0))?;
        let figure = |index: usize| Figure::of(runs.iter().map(|run| run[index]));
        let [late, rate] = [PERCENTILES.len(), PERCENTILES.len() + 1].map(figure);
        let latencies: Vec<Figure> = (0..PERCENTILES.len()).map(figure).collect();
        let name = setup.name();
        let cells = latencies.iter().chain([&late]).map(|figure| figure.show(time));
        table.add([name.to_owned(), throughput.show(millions), rate.show(millions)].into_iter().chain(cells));
        if !matches!(setup, Setup::Postgres(_)) {
            let mut line = Line::new(name);
            PERCENTILES.iter().zip(&latencies).for_each(|(&percent, latency)| line.add(nines(percent), latency));
            lines.push(line);
        }
    }
    let explanation = format!(
        "Each row runs at half of the throughput of its own server alone, which is measured before it, for {PACED_SECONDS} s a run. \
         The latency lasts from the moment when a batch is due to its reply. Batches are sent when they are due, answered or not, so \
         that a pause of the server shows in every batch that it delays. *Sent late* is the part of it that is the load generator's: \
         from the moment when a batch is due until it is sent."
    );
    report.add("Latency of a batch at half load", &explanation, &table);
    add_plot(options, lines, report)
}

/// The numbers of [`crate::pace::paced`] with a new server.
fn paced(setup: Setup<'_>, bets_a_second: f64) -> Result<Vec<f64>, Failure> {
    setup.clear();
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), AGENCIES, setup)?;
    let bets = (bets_a_second * PACED_SECONDS) as u64;
    Stream { setup, port: server.port, agencies: AGENCIES, bets }.perform(stream::PACED, Some(bets_a_second))
}

fn add_plot(options: &Options, lines: Vec<Line<'_>>, report: &mut Report) -> Result<(), Failure> {
    let durable: Vec<String> = lines[0].points.iter().map(|point| time(point.1)).collect();
    let title = format!("At half load, durable: half of the batches within {}, 99 % within {}", durable[0], durable[2]);
    let note = format!(
        "{}; medians of {} runs of {PACED_SECONDS} s, bars: all runs; from the moment a batch is due to its reply",
        machine(),
        options.runs
    );
    let plot = Plot {
        title: &title,
        note: &note,
        x: Axis {
            name: "percentile",
            marks: PERCENTILES.map(nines).to_vec(),
            label: percentile,
            is_logarithmic: false,
        },
        y: Axis { name: "time to reply", marks: marks_of(&lines), label: time, is_logarithmic: false },
        lines,
    };
    report.add_plot("latency.svg", "Latency percentiles of a batch at half load", &plot)
}

/// The position of a percentile on a scale on which every further nine adds the same distance.
fn nines(percent: f64) -> f64 {
    -(1.0 - percent / 100.0).log10()
}

fn percentile(nines: f64) -> String {
    let percent = 100.0 - 100.0 * 10_f64.powf(-nines);
    format!("p{}", (percent * 10.0).round() / 10.0)
}

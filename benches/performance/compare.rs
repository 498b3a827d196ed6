//! Two builds side by side: whole rounds of each, in turns, so that other load on the machine slows both.

use loteria_tools::Programs;

use crate::Failure;
use crate::figure::Figure;
use crate::report::{Report, Table, count, millions, percent};
use crate::setup::Setup;
use crate::stage::{make_data, play_round_with, programs, repeat};
use crate::suite::{AGENCIES, FILES, Options};

/// Agencies of the round in which processes are most of the cost.
const MANY: usize = 500;

pub fn measure(options: &Options, report: &mut Report) -> Result<(), Failure> {
    let Some(folder) = &options.before else {
        return Err("set BEFORE to the folder of another build of server and client".into());
    };
    let before = Programs { server: folder.join("server"), client: folder.join("client"), ..programs() };
    let builds = [before, programs()];
    let mut table = Table::new(&["bets a second", "bets", "before", "now", "change"]);
    let large = FILES.map(|setup| (AGENCIES, options.bets, setup));
    for (agencies, bets, setup) in large.into_iter().chain([(MANY, options.bets / 4, Setup::Durable)]) {
        let (_folder, files) = make_data(agencies, bets)?;
        let play =
            |programs| -> Result<f64, Failure> { Ok(bets as f64 / play_round_with(programs, &files, setup)?.seconds) };
        let runs = repeat(options.runs, || Ok([play(&builds[0])?, play(&builds[1])?]))?;
        let [before, now] = [0, 1].map(|build| Figure::of(runs.iter().map(|rates| rates[build])));
        let name = format!("a round of {agencies} agencies, {}", setup.name());
        let change = percent(now.median() / before.median() - 1.0);
        table.add([name, count(bets), before.show(millions), now.show(millions), change]);
    }
    report.add("Two builds", "Rounds of both in turns.", &table);
    Ok(())
}

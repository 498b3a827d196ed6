//! A real server and real agencies, killed at random moments many times in one round. Whatever was killed when, the
//! outcome is exact: `bets.csv` holds each bet of each file once, in order, and each agency is told its own winners.
//!
//! The moments follow from a seed, which is printed, and from the load of the machine: `CRASHES_SEED=n` repeats the
//! first part.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::{Outcome, Server, keep_port, start};
use fastrand::Rng;
use loteria_tools::Process;

const AGENCIES: u32 = 4;
const BETS: u64 = 3000;
/// The window of each agency, in batches.
const WINDOWS: [&str; AGENCIES as usize] = ["1", "2", "8", "32"];
const KILLS: usize = 60;

fn seed() -> u64 {
    let given = std::env::var("CRASHES_SEED").ok().map(|seed| seed.parse().expect("CRASHES_SEED is a number"));
    given.unwrap_or_else(|| fastrand::u64(..))
}

/// A round whose programs are being killed.
struct Round {
    server: Server,
    files: Vec<PathBuf>,
    agencies: Vec<Process>,
    random: Rng,
}

impl Round {
    fn start(sync: &str, seed: u64) -> Round {
        let server = Server::start_with(AGENCIES, |command| keep_port(command.env("STORAGE_SYNC", sync)));
        let mut round = Round { server, files: Vec::new(), agencies: Vec::new(), random: Rng::with_seed(seed) };
        round.files = (1..=AGENCIES).map(|agency| round.write_file(agency)).collect();
        round.agencies = (1..=AGENCIES).map(|agency| round.start_agency(agency)).collect();
        round
    }

    fn write_file(&mut self, agency: u32) -> PathBuf {
        let path = self.server.folder.path().join(format!("agency-{agency}.csv"));
        let row = |document| {
            let number = if self.random.u32(..100) == 0 { 7574 } else { self.random.u32(..10_000) };
            format!("\"Ñata, \"\"la\"\"\",Paz,{document},1999-03-17,{number}\r\n")
        };
        fs::write(&path, (1..=BETS).map(row).collect::<String>()).expect("written");
        path
    }

    fn start_agency(&self, agency: u32) -> Process {
        let mut command = self.server.agency(agency);
        command.env("CLI_BETS_FILE", &self.files[agency as usize - 1]);
        // Small batches of a size of its own, so that there is much to interrupt.
        command.env("CLI_BATCH_MAXAMOUNT", (2 + agency).to_string());
        start(command.env("CLI_BATCH_WINDOW", WINDOWS[agency as usize - 1]))
    }

    /// Kills the server, an agency, or both within the next milliseconds, and starts again what was killed.
    fn kill(&mut self) {
        thread::sleep(Duration::from_micros(self.random.u64(..25_000)));
        let victim = self.random.u32(..4);
        let agency = self.random.u32(1..=AGENCIES);
        if victim >= 2 {
            self.agencies[agency as usize - 1].kill();
        }
        if victim != 2 {
            self.server.restart_after(Process::kill);
        }
        if victim >= 2 {
            self.agencies[agency as usize - 1] = self.start_agency(agency);
        }
    }

    /// Waits until all agencies have ended, and checks that everything is exact.
    fn finish(self) {
        let Round { server, files, agencies, .. } = self;
        let outcome = Outcome::check(&server, &files, agencies);
        assert!(outcome.sent.iter().all(|sent| sent.bets == BETS));
        let closings = fs::read_to_string(server.folder.path().join("bets.csv.closed")).expect("read");
        let mut closings: Vec<&str> = closings.lines().collect();
        closings.sort_unstable();
        assert_eq!(
            closings,
            (1..=AGENCIES).map(|agency| format!("{agency},{BETS},{AGENCIES},7574")).collect::<Vec<_>>()
        );
    }
}

fn survive(sync: &str) {
    let (seed, began) = (seed(), Instant::now());
    println!("CRASHES_SEED={seed}");
    let mut round = Round::start(sync, seed);
    for _ in 0..KILLS {
        round.kill();
    }
    let stored = fs::metadata(round.server.bets_path()).expect("a file").len();
    round.finish();
    println!("{KILLS} kills with STORAGE_SYNC={sync} in {:.1?}, the last at byte {stored}", began.elapsed());
}

#[test]
fn a_round_whose_programs_are_often_killed_is_exact_with_syncs() {
    survive("always");
}

#[test]
fn a_round_whose_programs_are_often_killed_is_exact_without_syncs() {
    survive("never");
}

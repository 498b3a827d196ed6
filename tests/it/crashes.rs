//! The real thing: a real central and real agencies, killed at random moments, many times in one run, on real files. Whatever was
//! killed when, the outcome is exact: `bets.csv` holds each bet of each file once, in the order of its file, and each agency is
//! told its own winners.
//!
//! The moments follow from a seed, which is printed, and from what else the machine does: `CRASHES_SEED=n` repeats the first part.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::fixture::Central;
use loteria_tools::{Process, check, field};

const AGENCIES: u32 = 4;
const BETS: usize = 3000;
/// The window of each of them, in batches: one at a time, some, and more than there is time for.
const WINDOWS: [&str; AGENCIES as usize] = ["1", "2", "8", "32"];
/// Kills of one run.
const KILLS: usize = 120;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

fn seed() -> u64 {
    let given = std::env::var("CRASHES_SEED").ok().map(|seed| seed.parse().expect("CRASHES_SEED is a number"));
    given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos().into())
}

/// A contest that is being killed.
struct Contest {
    central: Option<Central>,
    sync: &'static str,
    files: Vec<PathBuf>,
    agencies: Vec<Process>,
    random: Random,
}

impl Contest {
    fn start(folder: &Path, sync: &'static str, seed: u64) -> Contest {
        let mut random = Random(seed);
        let files = (1..=AGENCIES).map(|agency| write_file(folder, agency, &mut random)).collect();
        let central = Central::start_with(AGENCIES, |command| {
            command.env("STORAGE_SYNC", sync).env("SERVER_PORT", crate::fixture::lasting_port().to_string());
        });
        let mut contest = Contest { central: Some(central), sync, files, agencies: Vec::new(), random };
        contest.agencies = (1..=AGENCIES).map(|agency| contest.start_agency(agency)).collect();
        contest
    }

    fn central(&self) -> &Central {
        self.central.as_ref().expect("it is only taken to be started again")
    }

    fn start_agency(&self, agency: u32) -> Process {
        let mut command = self.central().agency(agency);
        command.env("CLI_BETS_FILE", &self.files[agency as usize - 1]);
        // Small batches of a size of its own, so that there is much to interrupt.
        command.env("CLI_BATCH_MAXAMOUNT", (2 + agency).to_string());
        crate::fixture::start(command.env("CLI_BATCH_WINDOW", WINDOWS[agency as usize - 1]))
    }

    /// Kills the central, an agency, or both, somewhere in the next milliseconds, and starts again what was killed.
    fn kill(&mut self) {
        std::thread::sleep(Duration::from_micros(self.random.below(25_000)));
        let victim = self.random.below(4);
        let agency = self.random.below(AGENCIES.into()) as u32 + 1;
        if victim >= 2 {
            self.agencies[agency as usize - 1].kill();
        }
        if victim != 2 {
            let (sync, central) = (self.sync, self.central.take().expect("it runs"));
            let restarted = central.restart_with(AGENCIES, Process::kill, |command| {
                command.env("STORAGE_SYNC", sync);
            });
            self.central = Some(restarted);
        }
        if victim >= 2 {
            self.agencies[agency as usize - 1] = self.start_agency(agency);
        }
    }

    /// Everybody finishes, and everything is exact.
    fn finish(mut self) {
        let sent = {
            let ended: Vec<_> = self.agencies.drain(..).map(|agency| agency.wait().expect("it ended")).collect();
            let sent = check::compare(&self.central().bets_path(), &self.files).expect("each bet once, in order");
            for (ended, sent) in ended.iter().zip(&sent) {
                assert!(ended.status.success(), "{:#?}", ended.lines.last());
                let told = field(ended.lines_with("consulta_ganadores")[0], "cant_ganadores");
                assert_eq!(told, Some(sent.winners.len().to_string().as_str()));
            }
            sent
        };
        assert!(sent.iter().all(|sent| sent.bets == BETS as u64));
        let closings = self.central().folder.path().join("bets.csv.closed");
        let mut closings: Vec<String> =
            fs::read_to_string(closings).expect("read").lines().map(str::to_owned).collect();
        closings.sort();
        assert_eq!(closings, (1..=AGENCIES).map(|agency| format!("{agency},{BETS},{AGENCIES}")).collect::<Vec<_>>());
    }
}

fn write_file(folder: &Path, agency: u32, random: &mut Random) -> PathBuf {
    let path = folder.join(format!("agency-{agency}.csv"));
    let row = |document: usize| {
        let number = if random.below(100) == 0 { 7574 } else { random.below(10_000) };
        format!("\"Ñata, \"\"la\"\"\",Paz,{},1999-03-17,{number}\r\n", document + 1)
    };
    fs::write(&path, (0..BETS).map(row).collect::<String>()).expect("written");
    path
}

fn survive(sync: &'static str) {
    let (seed, began) = (seed(), Instant::now());
    println!("CRASHES_SEED={seed}");
    let folder = tempfile::tempdir().expect("a folder");
    let mut contest = Contest::start(folder.path(), sync, seed);
    for _ in 0..KILLS {
        contest.kill();
    }
    let stored = fs::metadata(contest.central().bets_path()).expect("a file").len();
    contest.finish();
    println!(
        "{KILLS} kills survived with STORAGE_SYNC={sync} in {:.1} s, the last at byte {stored}",
        began.elapsed().as_secs_f64()
    );
}

#[test]
fn a_contest_whose_programs_are_killed_over_and_over_ends_exactly_with_syncs() {
    survive("always");
}

#[test]
fn a_contest_whose_programs_are_killed_over_and_over_ends_exactly_without_syncs() {
    survive("never");
}

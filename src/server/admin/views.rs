//! Snapshots and their renderings, made when they are asked for, at bounded cost.
//!
//! A snapshot of many agencies takes milliseconds, which agencies would wait for. It is shared by all that ask for it,
//! and renewed so seldom that it takes at most a fiftieth of the time of the loop. Slow readers can hold a
//! bounded number of renderings.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::history::History;
use super::snapshot::{
    AgencyPart, CommitsPart, Connections, Draw, FIRST_POWER, Health, LAST_POWER, NAMED_AGENCIES, Round, ServerPart,
    Snapshot, Storage,
};
use super::{metrics, request::Resource};
use crate::central::{AgencyStatus, Central, Stage};
use crate::ledger::Ledger;
use crate::server::Socket;
use crate::server::commit_times::Commits;
use crate::server::part::Part;
use crate::server::turn::Server;

/// The least age of a snapshot that is renewed.
const LEAST_AGE: Duration = Duration::from_millis(100);
/// A snapshot is renewed after this many times the time that it took.
const LEAST_AGE_IN_COSTS: u32 = 50;
/// Renderings that may exist at a time. If connections hold as many, those that ask are given the last one.
const MOST_HELD: usize = 8;
/// Agencies of a round that `/events` lists.
const AGENCIES_IN_EVENT: usize = 250;
/// The duration of a commit from which on the server is not healthy.
const LONG_COMMIT: Duration = Duration::from_secs(10);

/// The latest snapshot, its renderings and the samples behind it.
#[derive(Debug)]
pub(super) struct Views {
    /// The file of bets.
    storage: PathBuf,
    started: Instant,
    history: History,
    latest: Option<Latest>,
    /// Renderings that connections may hold.
    held: Vec<Weak<Vec<u8>>>,
}

#[derive(Debug)]
struct Latest {
    at: Instant,
    snapshot: Snapshot,
    /// The time that it and its renderings took.
    cost: Duration,
    renderings: Vec<(Resource, Rc<Vec<u8>>)>,
}

impl Views {
    /// No snapshot yet. `drawn_at` is the time of a former run's draw.
    pub fn new(storage: PathBuf, drawn_at: Option<SystemTime>, central: &Central, now: Instant) -> Views {
        let history = History::new(central, drawn_at, now);
        Views { storage, started: now, history, latest: None, held: Vec::new() }
    }

    /// The moment of the next sample.
    pub fn due(&self) -> Instant {
        self.history.due()
    }

    /// Keeps the time of a draw.
    pub fn note_draw(&mut self, central: &Central) {
        self.history.note_draw(central);
    }

    /// Takes a sample.
    pub fn sample<S: Socket, L: Ledger>(&mut self, server: &Server<S, L>, now: Instant) {
        self.history.sample(server.central(), &server.commits().times, now);
    }

    /// The health of the server, which is always up to date.
    pub fn health<S: Socket, L: Ledger>(server: &Server<S, L>, now: Instant) -> Health {
        if server.part() == Part::Suspended {
            return Health { ok: false, reason: Some("the database can't be reached".to_owned()) };
        }
        health(server.commits(), server.commit_began().map(|began| now.saturating_duration_since(began)))
    }

    /// The bytes of `resource`: the last ones if they are new enough.
    pub fn rendering<S: Socket, L: Ledger>(
        &mut self,
        resource: Resource,
        server: &Server<S, L>,
        now: Instant,
    ) -> Rc<Vec<u8>> {
        self.held.retain(|held| held.strong_count() > 0);
        let is_fresh = |latest: &Latest| {
            now.saturating_duration_since(latest.at) < LEAST_AGE.max(latest.cost * LEAST_AGE_IN_COSTS)
        };
        if !self.latest.as_ref().is_some_and(|latest| is_fresh(latest) || self.held.len() >= MOST_HELD) {
            let began = Instant::now();
            let snapshot = self.snapshot(server, now);
            self.latest = Some(Latest { at: now, snapshot, cost: began.elapsed(), renderings: Vec::new() });
        }
        let latest = self.latest.as_mut().expect("it was taken above");
        if let Some((_, bytes)) = latest.renderings.iter().find(|(rendered, _)| *rendered == resource) {
            return Rc::clone(bytes);
        }
        let began = Instant::now();
        let bytes = Rc::new(match resource {
            Resource::Metrics => metrics::render(&latest.snapshot).into_bytes(),
            Resource::Events => latest.snapshot.to_event(AGENCIES_IN_EVENT),
            _ => latest.snapshot.to_json(),
        });
        latest.cost += began.elapsed();
        latest.renderings.push((resource, Rc::clone(&bytes)));
        self.held.push(Rc::downgrade(&bytes));
        bytes
    }

    fn snapshot<S: Socket, L: Ledger>(&self, server: &Server<S, L>, now: Instant) -> Snapshot {
        let (central, commits) = (server.central(), server.commits());
        let status = central.status();
        let recent = self.history.recent(&commits.times);
        let agencies = central.agencies().zip(self.history.rates());
        Snapshot {
            server: ServerPart {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                role: server.part().name().to_owned(),
                uptime_seconds: (now - self.started).as_secs_f64(),
                time: unix_seconds(SystemTime::now()),
                memory_bytes: resident_bytes(),
            },
            health: Views::health(server, now),
            round: Round::of(central, self.history.throughput()),
            draw: Draw::of(central, self.history.drawn_at()),
            commits: CommitsPart {
                count: commits.times.count(),
                failed: commits.failed,
                total_seconds: commits.times.total().as_secs_f64(),
                p50_micros: recent.percentile(0.5).as_micros() as u64,
                p99_micros: recent.percentile(0.99).as_micros() as u64,
                histogram: (FIRST_POWER..=LAST_POWER).map(|power| commits.times.shorter_than_power(power)).collect(),
            },
            storage: storage(&self.storage),
            connections: Connections {
                open: status.connections,
                parked: status.parked,
                buffered_bytes: status.buffered_bytes,
            },
            history: self.history.samples(),
            agencies: agencies.map(|(agency, &rate)| part_of(&agency, rate, now)).collect(),
        }
    }
}

fn part_of(agency: &AgencyStatus, bets_per_second: u64, now: Instant) -> AgencyPart {
    let silent_seconds = agency.heard.map(|heard| now.saturating_duration_since(heard).as_secs_f64());
    AgencyPart {
        agency: agency.agency,
        stage: agency.stage,
        bets: agency.stored,
        bets_per_second,
        silent_seconds,
        winners: agency.winners.map(|winners| winners as u64),
    }
}

impl Round {
    /// The round as `central` knows it.
    pub(in crate::server) fn of(central: &Central, bets_per_second: u64) -> Round {
        let [mut missing, mut connected, mut closed] = [0; 3];
        let (mut bets, mut waiting_for) = (0, Vec::new());
        for AgencyStatus { agency, stage, stored, .. } in central.agencies() {
            bets += stored;
            match stage {
                Stage::Missing => missing += 1,
                Stage::Connected => connected += 1,
                Stage::Waiting | Stage::Closed => closed += 1,
            }
            if matches!(stage, Stage::Missing | Stage::Connected) && waiting_for.len() < NAMED_AGENCIES {
                waiting_for.push(agency);
            }
        }
        let agencies = central.lottery().agencies();
        debug_assert_eq!(missing + connected + closed, agencies as usize);
        Round { agencies, missing, connected, closed, waiting_for, bets, bets_per_second }
    }
}

impl Draw {
    /// The draw, if it has happened.
    pub(in crate::server) fn of(central: &Central, at: Option<SystemTime>) -> Option<Draw> {
        central.lottery().is_drawn().then(|| Draw {
            winning_number: central.lottery().winning_number(),
            time: at.map(unix_seconds),
            winners: central.agencies().filter_map(|agency| agency.winners).sum::<usize>() as u64,
        })
    }
}

fn health(commits: &Commits, in_flight: Option<Duration>) -> Health {
    let reason = match (&commits.failure, in_flight) {
        (Some(why), _) => Some(format!("the last commit stored nothing: {why}")),
        (None, Some(since)) if since >= LONG_COMMIT => Some(format!("a commit takes {} s", since.as_secs())),
        _ => None,
    };
    Health { ok: reason.is_none(), reason }
}

fn unix_seconds(time: SystemTime) -> f64 {
    // A clock before 1970 is not set.
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The state of the disk that holds `bets`. The system answers from memory.
fn storage(bets: &Path) -> Storage {
    let folder = bets.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(disk) = rustix::fs::statvfs(folder) else { return Storage::default() };
    Storage {
        bets_bytes: fs::metadata(bets).map_or(0, |metadata| metadata.len()),
        free_bytes: disk.f_bavail * disk.f_frsize,
        size_bytes: disk.f_blocks * disk.f_frsize,
    }
}

/// Memory of this process, from proc_pid_status(5).
fn resident_bytes() -> u64 {
    let kib = || {
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()
    };
    kib().unwrap_or_default() * 1024
}

#[cfg(test)]
mod tests {
    use mio::net::TcpStream;

    use super::*;
    use crate::central::Limits;
    use crate::ledger::{Commit, Outcome};
    use crate::lottery::Lottery;

    struct NoLedger;

    impl Ledger for NoLedger {
        fn begin(&mut self, _: &Commit) {}

        fn poll(&mut self) -> Option<Outcome> {
            None
        }
    }

    #[test]
    fn all_who_ask_share_few_renderings_however_long_they_hold_them() {
        let central = Central::new(Limits::default(), None, Lottery::new(300));
        let start = Instant::now();
        let mut views = Views::new(PathBuf::from("bets.csv"), None, &central, start);
        let server: Server<TcpStream, NoLedger> = Server::new(central, NoLedger, 1);
        let mut ask = |seconds| {
            let now = start + Duration::from_secs(seconds);
            views.rendering(Resource::Status, &server, now)
        };
        assert!(Rc::ptr_eq(&ask(0), &ask(0)), "those who ask at once share one");
        assert!(!Rc::ptr_eq(&ask(0), &ask(600)), "it is renewed");

        let held: Vec<Rc<Vec<u8>>> = (1..=100).map(|round| ask(600 * (round + 1))).collect();
        let mut different = held.iter().map(Rc::as_ptr).collect::<Vec<_>>();
        different.dedup();
        assert_eq!(different.len(), MOST_HELD);
        drop(held);
        let last = ask(70_000);
        assert!(String::from_utf8_lossy(&last).contains("\"uptime_seconds\":70000"), "it is renewed again");
    }

    #[test]
    fn a_failed_commit_and_a_long_one_are_unhealthy_until_they_are_over() {
        let mut commits = Commits::default();
        assert!(health(&commits, None).ok);
        assert!(health(&commits, Some(Duration::from_secs(9))).ok);
        let long = health(&commits, Some(Duration::from_secs(12)));
        assert_eq!((long.ok, long.reason.as_deref()), (false, Some("a commit takes 12 s")));
        commits.record(Duration::ZERO, &Outcome::NotStored("No space left on device".to_owned()));
        let failed = health(&commits, None);
        assert_eq!(failed.reason.as_deref(), Some("the last commit stored nothing: No space left on device"));
        commits.record(Duration::ZERO, &Outcome::Stored);
        assert!(health(&commits, None).ok);
    }
}

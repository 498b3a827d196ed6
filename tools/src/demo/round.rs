//! The processes of a round: a server, its agencies, and the death of the server if it is asked for.

use std::error::Error;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use loteria::config::show_duration;
use loteria_tools::{Ended, Process, Programs, port_of};

use super::DemoError;
use super::screen::Screen;
use super::standing::{ServerPhase, Standing};
use crate::Interrupted;

/// Time for which a killed server stays down.
const DOWN: Duration = Duration::from_secs(2);
/// Time for which the bars stay once every agency knows its winners.
const LAST_LOOK: Duration = Duration::from_millis(1500);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Time between two drawings: 20 a second are enough for the eye.
const FRAME: Duration = Duration::from_millis(50);

/// The way in which a round is played.
pub struct Manner<'a> {
    pub files: &'a [PathBuf],
    pub folder: &'a Path,
    /// The logs of the programs are kept in `folder`.
    pub keeps_logs: bool,
    pub pace: Option<Pace>,
    /// The server is killed once half of the bets are stored, and started again.
    pub kills: bool,
}

/// The pace of every agency.
#[derive(Clone, Copy)]
pub struct Pace {
    pub batch_bets: u64,
    pub period: Duration,
}

impl Pace {
    /// The pace at which an agency with `bets` bets takes `duration`.
    pub fn of(bets: u64, duration: Duration) -> Pace {
        /// Steps of a bar: about as many as the eye takes for smooth.
        const BATCHES: u64 = 200;
        let batch_bets = bets.div_ceil(BATCHES).clamp(1, 148);
        let batches = u32::try_from(bets.div_ceil(batch_bets)).unwrap_or(u32::MAX).max(1);
        let micros = (duration / batches).as_micros().max(1);
        Pace { batch_bets, period: Duration::from_micros(micros as u64) }
    }
}

/// State that the threads which read the logs share with the round.
struct Shared {
    screen: Screen,
    standing: Mutex<Standing>,
}

impl Shared {
    fn standing(&self) -> MutexGuard<'_, Standing> {
        // Every change is one assignment, so a panic elsewhere leaves it valid.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A program of the round.
#[derive(Clone, Copy)]
enum Role {
    Server,
    /// The index of an agency.
    Agency(usize),
}

impl Role {
    fn name(self) -> String {
        match self {
            Role::Server => "server".to_owned(),
            Role::Agency(index) => format!("agency {}", index + 1),
        }
    }
}

struct Round<'a> {
    manner: &'a Manner<'a>,
    programs: Programs,
    shared: Arc<Shared>,
}

/// Plays a round to its end, and gives its standing and the time from the start of the agencies to the end of the last.
pub fn play(
    manner: &Manner<'_>,
    standing: Standing,
    screen: Screen,
    interrupted: &AtomicBool,
) -> Result<(Standing, Duration), Box<dyn Error>> {
    let programs = Programs::beside_this()?;
    if let Some(missing) = [&programs.server, &programs.client].into_iter().find(|program| !program.exists()) {
        return Err(DemoError::NotBuilt(missing.clone()).into());
    }
    let round = Round { manner, programs, shared: Arc::new(Shared { screen, standing: Mutex::new(standing) }) };
    let played = round.play(interrupted);
    round.shared.screen.clear();
    let took = played?;
    let standing = std::mem::replace(&mut *round.shared.standing(), Standing::new(&[]));
    Ok((standing, took))
}

impl Round<'_> {
    fn play(&self, interrupted: &AtomicBool) -> Result<Duration, Box<dyn Error>> {
        let is_interrupted = || interrupted.load(Ordering::Relaxed);
        let mut server = self.start_server(0)?;
        let port = port_of(&server);
        let began = Instant::now();
        let mut agencies = Vec::new();
        for index in 0..self.manner.files.len() {
            let Some(port) = port else { break };
            agencies.push(self.start_agency(index, port)?);
        }
        let agencies = self.follow(&mut server, port.unwrap_or(0), agencies, &is_interrupted)?;
        let took = began.elapsed();
        self.look_once_more(&is_interrupted);
        server.terminate();
        let server = server.wait()?;
        if is_interrupted() {
            return Err(Interrupted("no process is left running").into());
        }
        port.ok_or(DemoError::NotStarted)?;
        let named = (0..).map(Role::Agency).zip(&agencies).chain([(Role::Server, &server)]);
        for (role, ended) in named {
            if !ended.status.success() {
                return Err(DemoError::Failed { name: role.name(), status: ended.status }.into());
            }
        }
        Ok(took)
    }

    /// Starts the server on `port`; 0 is any free one.
    fn start_server(&self, port: u16) -> io::Result<Process> {
        let mut server = self.programs.server(self.manner.folder);
        server.env("NUM_AGENCIES", self.manner.files.len().to_string()).env("SERVER_PORT", port.to_string());
        std::env::var_os("WINNING_NUMBER").map(|number| server.env("WINNING_NUMBER", number));
        self.start(Role::Server, &mut server)
    }

    fn start_agency(&self, index: usize, port: u16) -> io::Result<Process> {
        let mut agency = self.programs.client(self.manner.folder, index as u32 + 1, port);
        agency.env("CLI_BETS_FILE", &self.manner.files[index]);
        if let Some(Pace { batch_bets, period }) = self.manner.pace {
            agency.env("CLI_BATCH_MAXAMOUNT", batch_bets.to_string());
            agency.env("CLI_BATCH_PERIOD", format!("{}us", period.as_micros()));
        }
        self.start(Role::Agency(index), &mut agency)
    }

    fn start(&self, role: Role, command: &mut Command) -> io::Result<Process> {
        let (shared, name) = (Arc::clone(&self.shared), role.name());
        let log = match self.manner.keeps_logs {
            true => {
                let path = self.manner.folder.join(format!("{}.log", name.replace(' ', "-")));
                Some(Arc::new(File::options().create(true).append(true).open(path)?))
            }
            false => None,
        };
        Process::start(command, move |line| {
            if let Some(log) = &log {
                // The line is shown all the same.
                let _ = (&**log).write_all(format!("{line}\n").as_bytes());
            }
            let mut standing = shared.standing();
            match role {
                Role::Server => standing.server.note(line),
                Role::Agency(index) => standing.agencies[index].note(line),
            }
            drop(standing);
            shared.screen.show(&name, line);
        })
    }

    /// Follows the round until every agency has ended. An agency or a server that fails, or an interruption, terminates the
    /// agencies that are left: there is no draw to wait for.
    fn follow(
        &self,
        server: &mut Process,
        port: u16,
        mut agencies: Vec<Process>,
        is_interrupted: &impl Fn() -> bool,
    ) -> io::Result<Vec<Ended>> {
        let mut is_terminating = false;
        let mut drawn: Option<Instant> = None;
        let mut death = Death::due(self.manner.kills);
        loop {
            let mut running = 0;
            let mut must_end = is_interrupted() || (!death.is_down() && server.status()?.is_some());
            for agency in &mut agencies {
                match agency.status()? {
                    None => running += 1,
                    Some(status) => must_end |= !status.success(),
                }
            }
            if drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME) || running == 0 {
                self.shared.screen.draw(&self.shared.standing());
                drawn = Some(Instant::now());
            }
            if running == 0 {
                return agencies.into_iter().map(Process::wait).collect();
            }
            if must_end && !std::mem::replace(&mut is_terminating, true) {
                agencies.iter().for_each(Process::terminate);
            }
            if !is_terminating {
                self.advance(&mut death, server, port)?;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Kills the server, or starts it again, if it is time.
    fn advance(&self, death: &mut Death, server: &mut Process, port: u16) -> io::Result<()> {
        match *death {
            Death::Due => {
                let mut standing = self.shared.standing();
                if standing.server.stored * 2 >= standing.bets() {
                    server.kill();
                    standing.server.phase = ServerPhase::Killed;
                    *death = Death::Down(Instant::now());
                }
            }
            Death::Down(since) if since.elapsed() >= DOWN => {
                *server = self.start_server(port)?;
                *death = Death::Over;
            }
            Death::Down(_) | Death::Over => {}
        }
        Ok(())
    }

    /// Leaves the outcome on the screen for a moment, if there is one to look at.
    fn look_once_more(&self, is_interrupted: &impl Fn() -> bool) {
        let began = Instant::now();
        if matches!(self.shared.screen, Screen::Live(_)) && self.manner.pace.is_some() {
            while began.elapsed() < LAST_LOOK && !is_interrupted() {
                // More than once: a drawing that follows another too soon is left out.
                self.shared.screen.draw(&self.shared.standing());
                thread::sleep(FRAME);
            }
        }
    }
}

/// The death of the server in mid-round.
#[derive(Clone, Copy)]
enum Death {
    Due,
    Down(Instant),
    /// It is up again, or was never to die.
    Over,
}

impl Death {
    fn due(kills: bool) -> Death {
        if kills { Death::Due } else { Death::Over }
    }

    fn is_down(self) -> bool {
        matches!(self, Death::Down(_))
    }
}

/// The pace in words.
pub fn words(pace: Option<Pace>) -> String {
    match pace {
        None => "as fast as this machine can, its log included".to_owned(),
        Some(Pace { batch_bets, period }) => format!(
            "at the agencies' pace, {batch_bets} bet{} each {}; try --fast",
            if batch_bets == 1 { "" } else { "s" },
            show_duration(Duration::from_millis(period.as_millis().max(1) as u64))
        ),
    }
}

//! Lines about the round as a whole: the status that SIGUSR1 asks for, and reminders of the agencies that are missing.

use std::fmt;
use std::time::{Duration, Instant};

use super::commit_times::CommitTimes;
use super::turn::Server;
use crate::central::{Central, Status};
use crate::event;

/// The last time that the status was logged.
#[derive(Debug)]
pub(super) struct Report {
    at: Instant,
    /// Stored bets then.
    stored: u64,
    /// The commits until then.
    commits: CommitTimes,
}

impl Report {
    pub fn new(central: &Central) -> Report {
        Report { at: Instant::now(), stored: central.lottery().total_stored(), commits: CommitTimes::default() }
    }

    /// Logs one line: where the server stands, and what it did since the last such line.
    pub fn log<S: super::Socket, L: crate::ledger::Ledger>(&mut self, server: &Server<S, L>) {
        let Status { connections, parked, buffered_bytes, stored, open_agencies, closed_agencies, .. } =
            server.central().status();
        let now = Report { at: Instant::now(), stored, commits: server.commits().times.clone() };
        let before = std::mem::replace(self, now);
        let commits = self.commits.since(&before.commits);
        let bets_a_second = stored.saturating_sub(before.stored) as f64 / (self.at - before.at).as_secs_f64();
        event!(Info, "estado", success, "conexiones": connections, "agencias_abiertas": open_agencies.len(),
            "agencias_cerradas": closed_agencies, "esperando_sorteo": parked, "apuestas": stored,
            "apuestas_por_segundo": format_args!("{bets_a_second:.0}"), "commits": commits.count(),
            "commit_p99": format_args!("{}us", commits.percentile(0.99).as_micros()),
            "bytes_en_buffers": buffered_bytes, "faltan_cerrar": Numbers(&open_agencies));
    }
}

/// The times at which the agencies that the draw waits for are logged.
#[derive(Debug)]
pub(super) struct Reminder {
    interval: Duration,
    due: Instant,
}

impl Reminder {
    /// A reminder that is due for the first time an `interval` after `now`.
    pub fn new(interval: Duration, now: Instant) -> Reminder {
        Reminder { interval, due: now + interval }
    }

    /// The time to sleep until it is due. `None` if the draw has happened.
    pub fn time_to_sleep(&self, central: &Central, now: Instant) -> Option<Duration> {
        (!central.lottery().is_drawn()).then(|| self.due.saturating_duration_since(now))
    }

    /// Logs the agencies that the draw waits for, if it is due and the round has begun.
    pub fn log_if_due(&mut self, central: &Central, now: Instant) {
        if !self.take_due(now) {
            return;
        }
        let status = central.status();
        if has_begun(&status) {
            event!(Info, "esperando_agencias", in_progress, "faltan_cerrar": Numbers(&status.open_agencies),
                "sin_conexion": Numbers(&status.absent_agencies), "agencias_cerradas": status.closed_agencies);
        }
    }

    fn take_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.due;
        if is_due {
            self.due = now + self.interval;
        }
        is_due
    }
}

/// True if the round is open and an agency has stored something or is connected.
fn has_begun(status: &Status) -> bool {
    let has_news = status.closed_agencies > 0 || status.stored > 0;
    !status.open_agencies.is_empty() && (has_news || status.absent_agencies.len() < status.open_agencies.len())
}

/// The first of these numbers, and how many more there are.
struct Numbers<'a>(&'a [u32]);

impl fmt::Display for Numbers<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        if self.0.is_empty() {
            return f.write_str("ninguna");
        }
        for (position, number) in self.0.iter().take(SHOWN).enumerate() {
            write!(f, "{}{number}", if position > 0 { " " } else { "" })?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " y {more} mas"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reminder_is_due_once_in_each_interval() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut reminder = Reminder::new(Duration::from_secs(60), start);
        let due = [0, 59, 60, 61, 119, 120, 500, 501, 560].map(|seconds| reminder.take_due(at(seconds)));
        assert_eq!(due, [false, false, true, false, false, true, true, false, true]);
    }

    #[test]
    fn nothing_is_missed_before_a_round_begins_or_after_it_ends() {
        let status = |open: &[u32], absent: &[u32], stored, closed_agencies| Status {
            connections: 1,
            parked: 0,
            buffered_bytes: 0,
            stored,
            open_agencies: open.to_vec(),
            absent_agencies: absent.to_vec(),
            closed_agencies,
        };
        assert!(!has_begun(&status(&[1, 2], &[1, 2], 0, 0)), "nothing has happened");
        assert!(!has_begun(&status(&[], &[], 9, 2)), "everybody has closed");
        assert!(!has_begun(&status(&[], &[], 0, 0)), "there is no agency");
        assert!(has_begun(&status(&[1, 2], &[1], 0, 0)), "one is connected");
        assert!(has_begun(&status(&[1, 2], &[1, 2], 9, 0)), "one was, and went");
        assert!(has_begun(&status(&[1], &[1], 0, 1)), "one has closed");
    }
}

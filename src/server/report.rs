//! The status line that SIGUSR1 asks for.

use std::fmt;
use std::time::Instant;

use super::turn::Server;
use crate::central::{Central, Status};
use crate::event;

/// The last time that the status was logged.
#[derive(Debug)]
pub(super) struct Report {
    at: Instant,
    /// Stored bets then.
    stored: u64,
}

impl Report {
    pub fn new(central: &Central) -> Report {
        Report { at: Instant::now(), stored: central.lottery().total_stored() }
    }

    /// Logs one line: where the server stands, and what it did since the last such line.
    pub fn log<S: super::Socket, L: crate::ledger::Ledger>(&mut self, server: &mut Server<S, L>) {
        let Status { connections, parked, buffered_bytes, stored, open_agencies, closed_agencies } =
            server.central().status();
        let commits = server.take_commit_times();
        let before = std::mem::replace(self, Report { at: Instant::now(), stored });
        let bets_a_second = stored.saturating_sub(before.stored) as f64 / (self.at - before.at).as_secs_f64();
        event!(Info, "estado", success, "conexiones": connections, "agencias_abiertas": open_agencies.len(),
            "agencias_cerradas": closed_agencies, "esperando_sorteo": parked, "apuestas": stored,
            "apuestas_por_segundo": format_args!("{bets_a_second:.0}"), "commits": commits.count(),
            "commit_p99": format_args!("{}us", commits.percentile(0.99).as_micros()),
            "bytes_en_buffers": buffered_bytes, "faltan_cerrar": Numbers(&open_agencies));
    }
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

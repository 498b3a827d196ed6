//! Invariants of the running server. They hold between two turns.

use std::time::Duration;

use loteria::bet::Tally;
use loteria::central::{Limits, Wants};
use loteria::tls::CHANNEL_BYTES;

use crate::network::{Edge, Link, Network, Owner};
use crate::server::Process;

/// A bound on one reply of this world but the winners.
const LONGEST_REPLY: usize = 256;
/// A bound on the time for which a closing connection may go on sending.
const LINGER: Duration = Duration::from_secs(1);

/// The commit in flight, as it was when it began.
#[derive(Debug, Default)]
pub struct Watch {
    in_flight: Option<InFlight>,
}

/// Everything that lottery input would change.
#[derive(Debug, PartialEq, Eq)]
struct InFlight {
    /// The number of the commit.
    commit: usize,
    staged_bytes: usize,
    /// Bets stored of each agency, and those that will be.
    bets: Vec<(Tally, Tally)>,
    closings: Vec<(u32, u64)>,
}

impl Watch {
    pub fn check(&mut self, process: &Process, network: &Network, limits: &Limits) -> Result<(), String> {
        if let Some(fault) = process.fault.as_ref().or(network.reads.fault.as_ref()) {
            return Err(fault.clone());
        }
        self.check_in_flight(process)?;
        check_memory(process, limits)?;
        for (number, id) in process.connections() {
            let link = &network.links[&number];
            let (wants, unsent) = (process.central().wants(id), process.central().unsent(id).len());
            let of_connection = |fault| format!("connection {number}: {fault}");
            check_readiness(process, link, wants, unsent).map_err(of_connection)?;
            check_echo(link, wants, unsent).map_err(of_connection)?;
            if unsent > limits.unsent_bytes + LONGEST_REPLY {
                return Err(of_connection("it has too many bytes of unread replies"));
            }
            if unsent > 0 && !link.is_ended() && process.central().deadline(id).is_none() {
                return Err(of_connection("its replies may stay unread for ever"));
            }
            if wants == Wants::Settlement && unsent == 0 && process.central().deadline(id).is_some() {
                return Err(of_connection("its deadline runs while it is not read"));
            }
            let due = process.central().deadline(id).map(|at| at.saturating_duration_since(process.now()));
            if due.is_some_and(|due| process.sleeps_longer_than(due)) {
                return Err(of_connection("the server sleeps beyond its deadline"));
            }
        }
        Ok(())
    }

    /// No lottery bytes are applied while a commit is in flight.
    fn check_in_flight(&mut self, process: &Process) -> Result<(), String> {
        let now = in_flight(process);
        let before = std::mem::replace(&mut self.in_flight, now);
        match (&before, &self.in_flight) {
            (Some(before), Some(now)) if before.commit == now.commit && before != now => {
                Err(format!("lottery bytes are applied while a commit is in flight: {before:?} becomes {now:?}"))
            }
            _ => Ok(()),
        }
    }
}

fn in_flight(process: &Process) -> Option<InFlight> {
    let central = process.central();
    let lottery = central.lottery();
    let bets = |agency| (lottery.stored(agency), lottery.stored_once_committed(agency));
    central.is_in_flight().then(|| InFlight {
        commit: process.desk.borrow().begun,
        staged_bytes: central.staged_bytes(),
        bets: (1..=lottery.agencies()).map(bets).collect(),
        closings: lottery.staged_closings().collect(),
    })
}

/// The memory of all connections is within the limits of each.
fn check_memory(process: &Process, limits: &Limits) -> Result<(), String> {
    // The core checks its own count of the memory of connections without an agency.
    let status = process.central().status();
    // An allocation of replies may be twice as large as they are.
    let each = limits.message_bytes + limits.turn_bytes + 2 * (limits.unsent_bytes + LONGEST_REPLY) + CHANNEL_BYTES;
    if status.buffered_bytes > status.connections * each {
        return Err(format!("{} connections have {} bytes allocated", status.connections, status.buffered_bytes));
    }
    Ok(())
}

/// A server that sleeps has done all that it was told of.
fn check_readiness(process: &Process, link: &Link, wants: Wants, unsent: usize) -> Result<(), &'static str> {
    if process.sleep_is_over() {
        return Ok(());
    }
    let is_lingering = link.is_ended();
    // The last bytes of TLS may wait for room.
    let waits_for_room = link.is_secure && link.writable != Edge::Reported && !process.sleeps_longer_than(LINGER);
    match wants {
        Wants::Input if link.readable == Edge::Reported => Err("the server sleeps and leaves input unread"),
        Wants::Turn => Err("the server sleeps and leaves input unapplied"),
        Wants::Close if !is_lingering && waits_for_room => Ok(()),
        Wants::Close if !is_lingering => Err("the server sleeps and leaves it open"),
        Wants::Close if process.sleeps_longer_than(LINGER) => Err("the server lets it linger without end"),
        Wants::Close if link.readable == Edge::Reported => Err("the server sleeps and leaves its end unread"),
        _ if unsent > 0 && link.writable == Edge::Reported => Err("the server sleeps and leaves replies unsent"),
        _ => Ok(()),
    }
}

/// Connections that are not of the lottery wait for no commit, and a line that is whole is echoed in the same turn.
fn check_echo(link: &Link, wants: Wants, unsent: usize) -> Result<(), &'static str> {
    let (bytes, is_whole) = match link.owner {
        Owner::Agency(_) | Owner::Stuck => return Ok(()),
        Owner::Echo { bytes, ends_with_input } => {
            (bytes, link.read == bytes && (!ends_with_input || link.has_read_end))
        }
        Owner::Silent => (0, false),
    };
    if wants == Wants::Settlement {
        return Err("it waits for a commit that it has no part in");
    }
    if is_whole && !link.is_ended() && link.written + unsent < bytes {
        return Err("its line is not echoed");
    }
    Ok(())
}

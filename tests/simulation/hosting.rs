//! The server's machine: the process starts, takes its turns, is stopped, and dies.

use std::rc::Rc;

use loteria::ledger::file::{RecoveryError, SyncPolicy};

use crate::chance::Chance;
use crate::chronicle::{Happening, count, take_draws, tell};
use crate::disk::UNLIMITED;
use crate::life::Life;
use crate::network::Owner;
use crate::server::Process;
use crate::watch::Watch;
use crate::world::World;

impl World {
    /// The server's turn, or its start if there is none.
    pub fn serve(&mut self) -> Result<(), String> {
        if self.server.is_some() { self.turn() } else { self.start_server() }
    }

    fn start_server(&mut self) -> Result<(), String> {
        if self.disk.borrow().is_faulty && self.climate.settings.sync == SyncPolicy::Always && self.random.one_in(4) {
            self.lose_power();
        }
        self.disk.borrow().count_findings();
        let life = Rc::new(Life::default());
        if self.is_troubled() && self.random.one_in(20) {
            life.set_fuse(self.random.usize(0..4));
        }
        let started = Process::start(
            &self.climate.settings,
            &self.disk,
            &self.network,
            &self.clock,
            Rc::clone(&life),
            &mut self.random,
        );
        match started {
            Ok(_) if self.disk.borrow().genuine.is_some() => Err("a start takes a file that was changed".to_owned()),
            Ok((server, summary)) => {
                tell(|| format!("server: starts with {summary:?}"));
                if summary.is_drawn_now {
                    count(Happening::CertificateLate);
                }
                if server.central().lottery().is_drawn() {
                    count(Happening::DrawnBeforeRestart);
                } else if summary.agencies_closed > 0 {
                    count(Happening::ClosedBeforeRestart);
                }
                (self.server, self.watch) = (Some(server), Watch::default());
                Ok(())
            }
            Err(RecoveryError::Io { error, .. }) => {
                count(Happening::RecoveryInterrupted);
                tell(|| format!("server: does not start: {error}"));
                life.end();
                if self.disk.borrow().has_failed_sync() {
                    // Only a restart of the machine tells what the disk holds.
                    self.lose_power();
                }
                Ok(())
            }
            Err(refused) if self.disk.borrow().genuine.is_some() => {
                count(Happening::ChangeFound);
                tell(|| format!("server: does not start: {refused}"));
                life.end();
                self.disk.borrow_mut().restore();
                Ok(())
            }
            Err(damaged) => Err(format!("a crash is taken for damage: {damaged}")),
        }
    }

    fn turn(&mut self) -> Result<(), String> {
        let Some(server) = &mut self.server else { return Ok(()) };
        tell(|| "server: a turn".to_owned());
        let ended = server.round();
        let is_dead = server.life.is_over();
        self.note_heard();
        self.draws += take_draws();
        if let Err(error) = &ended
            && !is_dead
        {
            tell(|| format!("server: gives up: {error}"));
        }
        if is_dead || ended.is_err() {
            self.kill_server();
            if self.random.one_in(4) {
                self.lose_power();
            }
        }
        match &self.server {
            Some(server) => self.watch.check(server, &self.network.borrow(), &self.climate.settings.limits),
            None => Ok(()),
        }
    }

    fn note_heard(&mut self) {
        let network = self.network.borrow();
        for number in network.reads.speakers() {
            let Some(Owner::Agency(agency)) = network.links.get(&number).map(|link| link.owner) else { continue };
            let newest = &mut self.agencies[agency as usize - 1].newest_heard;
            if newest.is_some_and(|newest| newest > number) {
                count(Happening::LateConnection);
            }
            *newest = (*newest).max(Some(number));
        }
    }

    /// The server is dead, and its connections with it.
    pub fn kill_server(&mut self) {
        let Some(server) = self.server.take() else { return };
        tell(|| "server: dead".to_owned());
        if server.central().is_in_flight() {
            count(Happening::KilledInFlight);
        }
        let is_drawn = server.central().lottery().is_drawn();
        if !is_drawn && self.invariants.surviving.closed.iter().any(|&is_closed| is_closed) {
            count(Happening::KilledParked);
        }
        server.life.end();
        self.network.borrow_mut().lose_server();
        self.restore_unless_altered();
    }

    pub fn stop_server(&mut self) {
        let Some(server) = &mut self.server else { return };
        count(Happening::Stopped);
        tell(|| "server: stopped by a signal".to_owned());
        server.stop();
        self.draws += take_draws();
        self.kill_server();
    }

    /// The machine loses its power. A ledger that does not sync promises nothing then.
    pub fn lose_power(&mut self) {
        if self.climate.settings.sync == SyncPolicy::Always {
            self.kill_server();
            let mut disk = self.disk.borrow_mut();
            disk.restore();
            disk.lose_power();
        }
    }

    pub fn change_room(&mut self) {
        let mut disk = self.disk.borrow_mut();
        disk.room = if disk.room < UNLIMITED { UNLIMITED } else { self.random.usize(0..120) };
        tell(|| format!("disk: room for {} bytes", disk.room));
    }
}

//! Misfortunes: everything that goes wrong on purpose, one at a time.

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::pipe::End;
use crate::world::World;

impl World {
    pub fn misfortune(&mut self) {
        match self.random.usize(0..19) {
            0..=3 => self.doom_server(),
            4 => self.stop_server(),
            5 => self.lose_power(),
            6 => {
                count(Happening::KilledEverything);
                self.kill_server();
                while !self.clients.is_empty() {
                    self.kill_client(0);
                }
            }
            7 | 8 => self.break_link(End::Reset),
            9 => self.break_link(End::Silence),
            10 | 11 if !self.clients.is_empty() => {
                count(Happening::ClientKilled);
                let index = self.random.usize(0..self.clients.len());
                self.kill_client(index);
            }
            12 => self.network.borrow_mut().find_out(),
            13 | 14 => self.duplicate(),
            15 => self.kill_stranger(),
            16 | 17 => self.meddle(),
            _ => self.change_room(),
        }
    }

    fn doom_server(&mut self) {
        let operations = self.random.usize(0..10);
        if let Some(server) = &self.server {
            tell(|| format!("server: has {operations} operations to live"));
            server.life.set_fuse(operations);
        }
    }

    fn break_link(&mut self, end: End) {
        let network = &mut *self.network.borrow_mut();
        let held: Vec<usize> =
            network.links.iter().filter(|(_, link)| link.is_held).map(|(&number, _)| number).collect();
        if held.is_empty() {
            return;
        }
        let number = self.random.pick(&held);
        count(if end == End::Silence { Happening::LinkSilent } else { Happening::LinkReset });
        tell(|| format!("network: connection {number} ends: {end:?}"));
        network.break_off(number, end);
    }

    fn kill_stranger(&mut self) {
        if let Some(stranger) = self.strangers.pop() {
            stranger.leave(&mut self.network.borrow_mut(), &mut self.random);
        }
    }
}

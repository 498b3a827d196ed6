//! The real central, carried by what stands in for the reactor: the same turn, over connections of this world.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use loteria::buffer::Buffer;
use loteria::central::Limits;
use loteria::central::{Central, Now, SessionId};
use loteria::ledger::file::{Recovered, RecoveryError, Store, Sync};
use loteria::lottery::Lottery;
use loteria::protocol::{ErrorCode, Message};

use crate::chronicle::{Happening, count, tell};
use crate::disk::{Disk, SimulatedFile};
use crate::network::{End, Link, Place};
use crate::random::Random;

/// Every connection of the world, by its number: the newer, the higher.
pub type Links = BTreeMap<usize, Link>;

/// At which moment of a turn the process is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Death {
    BeforeCommit,
    /// After this many operations of the disk.
    AtDisk(usize),
    BeforeWriting,
    WhileWriting,
}

/// Why a process is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Killed,
    /// It gave up, because it could not know what the disk holds.
    Unknown,
}

/// A running central.
#[derive(Debug)]
pub struct Server {
    pub central: Central<SimulatedFile>,
    limits: Limits,
    /// Connections that have spoken in this turn for the first time.
    pub heard: Vec<usize>,
}

impl Server {
    pub fn start(
        disk: &Rc<RefCell<Disk>>,
        agencies: u32,
        sync: Sync,
        limits: &Limits,
    ) -> Result<(Server, Recovered), RecoveryError> {
        let (bets, closings) = Disk::open(disk);
        let mut lottery = Lottery::new(agencies);
        let (store, recovered) = Store::recover(bets, closings, sync, &mut lottery)?;
        let central = Central::new(limits.clone(), None, lottery, store);
        Ok((Server { central, limits: limits.clone(), heard: Vec::new() }, recovered))
    }

    /// One turn of the loop, as the reactor's, or as much of it as comes before its death.
    pub fn turn(
        &mut self,
        links: &mut Links,
        now: Now,
        death: Option<Death>,
        disk: &Rc<RefCell<Disk>>,
        random: &mut Random,
    ) -> Result<(), Ended> {
        self.heard.clear();
        self.read(links, now, random);
        self.expire(links, now);
        match death {
            Some(Death::BeforeCommit) => return Err(Ended::Killed),
            Some(Death::AtDisk(operations)) => disk.borrow_mut().set_fuse(operations),
            _ => {}
        }
        let committed = self.central.commit();
        if disk.borrow().is_orphaned() || death == Some(Death::BeforeWriting) {
            return Err(Ended::Killed);
        }
        if let Err(error) = committed {
            tell(|| format!("central: gives up: {error}"));
            return Err(Ended::Unknown);
        }
        self.write(links, now, death, random)?;
        self.accept(links, now, random);
        Ok(())
    }

    /// Tells everybody that it goes, and goes.
    pub fn stop(&mut self, links: &mut Links, now: Now, random: &mut Random) -> Result<(), Ended> {
        self.central.shut_down();
        self.central.commit().map_err(|_| Ended::Unknown)?;
        self.write(links, now, None, random)
    }

    fn accept(&mut self, links: &mut Links, now: Now, random: &mut Random) {
        let waiting = links.iter_mut().filter(|(_, link)| link.place == Place::Backlog);
        for (number, link) in waiting {
            if random.one_in(4) {
                return;
            }
            if self.central.is_full() {
                let mut reply = Buffer::new();
                Message::RegisterBetFailed(ErrorCode::Unavailable).encode(&mut reply);
                link.to_agency.send(&reply);
                link.lose_central(End::Closed, random);
                continue;
            }
            let id = self.central.connect(IpAddr::V4(Ipv4Addr::LOCALHOST), now);
            tell(|| format!("central: accepts connection {number} as {id:?}"));
            link.place = Place::Session(id);
        }
    }

    fn read(&mut self, links: &mut Links, now: Now, random: &mut Random) {
        let numbers: Vec<usize> = links.keys().copied().collect();
        let first = random.below(numbers.len().max(1));
        for &number in numbers[first..].iter().chain(&numbers[..first]) {
            let Some(link) = links.get_mut(&number) else { continue };
            if random.one_in(3) {
                continue;
            }
            match link.place {
                Place::Session(id) => self.read_share(number, link, id, now, random),
                Place::Lingering(id) => self.read_and_drop(link, id, random),
                Place::Backlog | Place::Gone => {}
            }
        }
    }

    fn read_share(&mut self, number: usize, link: &mut Link, id: SessionId, now: Now, random: &mut Random) {
        self.central.resume(id, now);
        let mut left = random.between(1, self.limits.turn_bytes);
        while left > 0 && self.central.wants_input(id) {
            if link.to_central.len() > 0 {
                let bytes = link.to_central.take(random.between(1, left.min(link.to_central.len())));
                left -= bytes.len();
                self.heard.push(number);
                self.central.receive(id, &bytes, now);
                continue;
            }
            match link.to_central.end() {
                Some(End::Closed) => {
                    link.has_ended = true;
                    self.central.end_of_input(id);
                }
                Some(End::Reset) => {
                    tell(|| format!("central: loses connection {number}"));
                    self.central.disconnect(id);
                    link.lose_central(End::Reset, random);
                    return;
                }
                Some(End::Silence) | None => return,
            }
        }
        if self.central.is_held(id) {
            count(Happening::HeldInput);
        }
    }

    fn read_and_drop(&mut self, link: &mut Link, id: SessionId, random: &mut Random) {
        link.to_central.take(link.to_central.len());
        if link.to_central.end().is_some() || random.one_in(4) {
            self.central.disconnect(id);
            link.lose_central(End::Closed, random);
        }
    }

    fn expire(&mut self, links: &Links, now: Now) {
        for link in links.values() {
            let Place::Session(id) = link.place else { continue };
            if self.central.deadline(id).is_some_and(|deadline| deadline <= now.instant) {
                count(Happening::Expired);
                self.central.expire(id, now);
            }
        }
    }

    fn write(&mut self, links: &mut Links, now: Now, death: Option<Death>, random: &mut Random) -> Result<(), Ended> {
        let touched = self.central.take_touched();
        for link in links.values_mut() {
            let Place::Session(id) = link.place else { continue };
            if !touched.contains(&id) && random.one_in(2) {
                continue;
            }
            if death == Some(Death::WhileWriting) && random.one_in(2) {
                return Err(Ended::Killed);
            }
            self.write_one(link, id, now, random);
        }
        Ok(())
    }

    fn write_one(&mut self, link: &mut Link, id: SessionId, now: Now, random: &mut Random) {
        while !self.central.unsent(id).is_empty() {
            let unsent = self.central.unsent(id);
            let bytes = if random.one_in(3) { random.between(0, unsent.len()) } else { unsent.len() };
            link.to_agency.send(&unsent[..bytes]);
            self.central.sent(id, bytes, now);
            if bytes == 0 {
                return;
            }
        }
        if self.central.is_finished(id) {
            link.to_agency.finish(End::Closed, random);
            link.place = Place::Lingering(id);
            if link.has_ended {
                self.central.disconnect(id);
                link.place = Place::Gone;
            }
        }
    }
}

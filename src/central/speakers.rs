//! The connection that speaks for each agency.

use std::time::Instant;

use super::ConnectionId;
use crate::planted::{Fault, planted};

/// At most one connection for each agency: of those that have named it, the one that was accepted last.
#[derive(Debug)]
pub(super) struct Speakers(Vec<Speaker>);

#[derive(Clone, Copy, Debug, Default)]
struct Speaker {
    connection: Option<ConnectionId>,
    /// The serial number of the newest connection that ever spoke for the agency.
    newest: u64,
    /// The last time that bytes of the agency arrived.
    heard: Option<Instant>,
}

impl Speakers {
    /// The speakers of agencies 1 to `agencies`: none yet.
    pub fn new(agencies: u32) -> Speakers {
        Speakers(vec![Speaker::default(); agencies as usize])
    }

    /// True if a connection newer than number `serial` speaks or spoke for `agency`. The client may have gone on over
    /// that one, so nothing that still arrives over the older one may count.
    pub fn is_superseded(&self, agency: u32, serial: u64) -> bool {
        let is_late = serial < self.0[agency as usize - 1].newest;
        is_late && !planted(Fault::LateConnectionTakesOver) && !planted(Fault::NoFencing)
    }

    /// Lets connection `id`, with number `serial`, speak for `agency`. Gives the older connection that did.
    pub fn claim(&mut self, agency: u32, id: ConnectionId, serial: u64) -> Option<ConnectionId> {
        let speaker = &mut self.0[agency as usize - 1];
        speaker.newest = serial;
        let older = speaker.connection.replace(id);
        older.filter(|&older| older != id && !planted(Fault::NoFencing))
    }

    /// Leaves `agency` without a speaker, if `id` is it.
    pub fn release(&mut self, agency: u32, id: ConnectionId) {
        let speaker = &mut self.0[agency as usize - 1];
        speaker.connection = speaker.connection.filter(|&speaking| speaking != id);
    }

    /// Bytes of `agency` arrived `now`.
    pub fn hear(&mut self, agency: u32, now: Instant) {
        self.0[agency as usize - 1].heard = Some(now);
    }

    /// The connection that speaks for `agency`.
    pub fn of(&self, agency: u32) -> Option<ConnectionId> {
        self.0[agency as usize - 1].connection
    }

    /// The last time that bytes of `agency` arrived.
    pub fn heard(&self, agency: u32) -> Option<Instant> {
        self.0[agency as usize - 1].heard
    }
}

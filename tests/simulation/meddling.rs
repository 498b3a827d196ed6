//! People and programs that change the files: under a running server, and while none runs.

use loteria::ledger::file::{Extent, State};

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::disk::{Disk, Name};
use crate::world::World;

impl World {
    /// Something other than the server changes one of its files.
    pub fn meddle(&mut self) {
        if self.disk.borrow().genuine.is_some() {
            return;
        }
        let is_running = self.server.is_some();
        // Without it only the certificate of the draw tells.
        let takes_state = !is_running && self.random.one_in(2);
        let name = self.random.pick(&[Name::Bets, Name::Closings]);
        let mut disk = self.disk.borrow_mut();
        disk.keep_genuine();
        let file = disk.file_mut(name);
        let mut bytes = file.cache.clone();
        if is_running && self.random.one_in(2) {
            // A copy of it, or an empty file.
            file.inode += 1;
            bytes.truncate(if self.random.bool() { bytes.len() } else { 0 });
        } else if is_running && self.random.one_in(2) {
            bytes.extend_from_slice(b"1,Ana\r\n");
        } else {
            edit(&mut bytes, &mut self.random);
        }
        file.put(bytes);
        if takes_state {
            disk.file_mut(Name::State).put(Vec::new());
        }
        // A running server can't see another byte in the middle of its file; the next start does.
        let is_seen = if is_running { disk.has_visibly_changed(name) } else { is_altered(&disk) };
        if !is_seen {
            disk.restore();
            return;
        }
        count(if is_running { Happening::ChangedRunning } else { Happening::ChangedAtRest });
        tell(|| format!("disk: {name:?} is changed to {:?}", String::from_utf8_lossy(&disk.file(name).cache)));
    }

    /// The operator puts back what no start could find: the server has ended, and what it stored is as it was.
    pub fn restore_unless_altered(&mut self) {
        let mut disk = self.disk.borrow_mut();
        if disk.genuine.is_some() && !is_altered(&disk) {
            disk.restore();
        }
    }
}

/// True if a file does not begin with what the state says, or is not what the certificate of the draw says.
fn is_altered(disk: &Disk) -> bool {
    let differs = |name: Name, committed: Extent| {
        let begin = disk.file(name).cache.get(..committed.length as usize);
        begin != disk.genuine(name).cache.get(..committed.length as usize)
    };
    let state = State::read(&disk.file(Name::State).cache);
    let is_drawn = disk.certificate().shown().is_some();
    let is_other = is_drawn && disk.file(Name::Bets).cache != disk.genuine(Name::Bets).cache;
    is_other || state.is_some_and(|state| differs(Name::Bets, state.bets) || differs(Name::Closings, state.closings))
}

/// A changed byte; a cut; a dropped, a doubled or two swapped rows.
fn edit(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    if bytes.is_empty() {
        return;
    }
    let at = random.usize(0..bytes.len());
    let mut rows: Vec<Vec<u8>> = bytes.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
    let row = random.usize(0..rows.len());
    match random.usize(0..5) {
        0 => {
            bytes[at] ^= 1;
            return;
        }
        1 => {
            bytes.truncate(at);
            return;
        }
        2 => drop(rows.remove(row)),
        3 => rows.insert(row, rows[row].clone()),
        _ => rows.swap(0, row),
    }
    *bytes = rows.concat();
}

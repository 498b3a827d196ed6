//! A disk that does what disks do: takes less than it is given, fails, and forgets in a crash what was not synced.
//!
//! A file is what the system shows (`cache`), what would be left if the power went now (`durable`), and the changes in between.
//! Killing the process loses nothing of the cache. A power loss keeps any prefix of the changes: the last one of it may be
//! torn at any byte, and the rest of that one may read as zeros. A sync that fails keeps any prefix too, but shows all of it
//! still, and the next sync says that all is well: so Linux does, which takes the pages that it failed to write for written.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::rc::Rc;

use loteria::ledger::file::Medium;

use crate::chronicle::{Happening, count, tell};
use crate::random::Random;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Bets,
    Closings,
}

#[derive(Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Debug, Default)]
pub struct FileState {
    pub cache: Vec<u8>,
    pub durable: Vec<u8>,
    unsynced: Vec<Change>,
}

impl FileState {
    fn append(&mut self, bytes: &[u8]) {
        self.unsynced.push(Change::Write { at: self.cache.len(), bytes: bytes.to_vec() });
        self.cache.extend_from_slice(bytes);
    }

    fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
        // The length is the system's own: a sync that failed may have lost bytes, but not how many there are.
        self.durable.resize(self.cache.len(), 0);
    }

    /// Keeps a prefix of the changes, and forgets the others.
    fn keep_some(&mut self, random: &mut Random) {
        let kept = random.between(0, self.unsynced.len());
        for (position, mut change) in self.unsynced.drain(..).enumerate() {
            if position < kept || (position == kept && change.tear(random)) {
                change.apply(&mut self.durable);
            }
        }
    }
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Change::Cut(bytes) => file.resize(*bytes, 0),
            Change::Write { at, bytes } => {
                let end = at + bytes.len();
                if file.len() < end {
                    file.resize(end, 0);
                }
                file[*at..end].copy_from_slice(bytes);
            }
        }
    }

    /// Leaves a part of a write, and says whether there is one.
    fn tear(&mut self, random: &mut Random) -> bool {
        let Change::Write { bytes, .. } = self else { return false };
        let kept = random.between(0, bytes.len());
        if random.one_in(3) {
            bytes[kept..].fill(0);
        } else {
            bytes.truncate(kept);
        }
        true
    }
}

/// The disk of the central's machine.
#[derive(Debug)]
pub struct Disk {
    files: [FileState; 2],
    random: Random,
    /// Whether it fails now and then.
    pub is_faulty: bool,
    /// Bytes that can still be written.
    pub room: usize,
    /// How many operations are left to the process that uses it, if it is to die in the middle.
    fuse: Option<usize>,
    /// Whether a sync has failed. One fault is enough then: nothing else goes wrong until the process has ended.
    has_failed_sync: bool,
    /// Whether that process is dead: nothing that it does has an effect.
    is_orphaned: bool,
    /// Grows with every change.
    pub version: u64,
}

pub const UNLIMITED: usize = usize::MAX >> 1;

impl Disk {
    pub fn new(random: Random, is_faulty: bool) -> Disk {
        let files = [FileState::default(), FileState::default()];
        Disk {
            files,
            random,
            is_faulty,
            room: UNLIMITED,
            fuse: None,
            has_failed_sync: false,
            is_orphaned: false,
            version: 0,
        }
    }

    pub fn file(&self, name: Name) -> &FileState {
        &self.files[name as usize]
    }

    /// A process opens the files. It dies after `fuse` more operations, if there is one.
    pub fn open(disk: &Rc<RefCell<Disk>>) -> (SimulatedFile, SimulatedFile) {
        let mut state = disk.borrow_mut();
        (state.is_orphaned, state.fuse, state.has_failed_sync) = (false, None, false);
        drop(state);
        let file = |name| SimulatedFile { disk: Rc::clone(disk), name, position: 0 };
        (file(Name::Bets), file(Name::Closings))
    }

    /// The process that has the files open dies after `operations` more.
    pub fn set_fuse(&mut self, operations: usize) {
        self.fuse = Some(operations);
    }

    /// It does not die after all.
    pub fn defuse(&mut self) {
        self.fuse = None;
    }

    /// The process that had the files open is dead, or is taken for dead. Says whether it was already.
    pub fn orphan(&mut self) -> bool {
        self.fuse = None;
        std::mem::replace(&mut self.is_orphaned, true)
    }

    pub fn has_failed_sync(&self) -> bool {
        self.has_failed_sync
    }

    pub fn is_orphaned(&self) -> bool {
        self.is_orphaned
    }

    /// The machine loses its power: what was not synced is lost, or a part of it.
    pub fn lose_power(&mut self) {
        count(Happening::PowerLost);
        for file in &mut self.files {
            file.keep_some(&mut self.random);
            file.cache = file.durable.clone();
        }
        self.version += 1;
        tell(|| {
            format!(
                "disk: the power is lost, {} and {} bytes are left",
                self.files[0].cache.len(),
                self.files[1].cache.len()
            )
        });
    }

    /// Takes note of what a starting central will find.
    pub fn count_findings(&self) {
        let bets = &self.file(Name::Bets);
        let tail = bets.cache.iter().rev().take_while(|&&byte| byte != b'\n');
        match tail.clone().next() {
            Some(0) => count(Happening::ZeroTail),
            Some(_) => count(Happening::TornRow),
            None if bets.cache.len() > bets.durable.len() => count(Happening::UnsyncedKept),
            None => {}
        }
    }

    fn burns_out(&mut self) -> bool {
        match &mut self.fuse {
            None => return false,
            Some(0) => {}
            Some(left) => {
                *left -= 1;
                return false;
            }
        }
        self.orphan();
        true
    }

    fn write(&mut self, name: Name, bytes: &[u8]) -> io::Result<usize> {
        if self.is_orphaned {
            return Err(killed());
        }
        let mut length = bytes.len().min(self.room);
        if self.burns_out() {
            length = self.random.between(0, length);
            self.append(name, &bytes[..length]);
            return Err(killed());
        }
        if self.is_faulty && self.random.one_in(16) {
            match self.random.below(3) {
                0 => return Err(ErrorKind::Interrupted.into()),
                1 => {
                    count(Happening::FailedWrite);
                    return Err(io::Error::other("the disk fails"));
                }
                _ => length = self.random.between(0, length),
            }
        }
        if length == 0 {
            count(Happening::DiskFull);
            return Err(ErrorKind::StorageFull.into());
        }
        if length < bytes.len() {
            count(Happening::ShortWrite);
        }
        self.append(name, &bytes[..length]);
        Ok(length)
    }

    fn append(&mut self, name: Name, bytes: &[u8]) {
        tell(|| format!("disk: {name:?} + {:?}", String::from_utf8_lossy(bytes)));
        self.version += 1;
        if self.room < UNLIMITED {
            self.room -= bytes.len();
        }
        self.files[name as usize].append(bytes);
    }

    fn cut(&mut self, name: Name, bytes: usize) -> io::Result<()> {
        if self.is_orphaned || (!self.has_failed_sync && self.burns_out()) {
            return Err(killed());
        }
        if self.is_faulty && !self.has_failed_sync && self.random.one_in(10) {
            count(Happening::FailedCutBack);
            return Err(io::Error::other("the disk fails to cut"));
        }
        tell(|| format!("disk: {name:?} cut to {bytes}"));
        let file = &mut self.files[name as usize];
        if file.cache.len() > bytes {
            count(Happening::TornCut);
        }
        self.version += 1;
        file.cache.resize(bytes, 0);
        file.unsynced.push(Change::Cut(bytes));
        Ok(())
    }

    fn sync(&mut self, name: Name) -> io::Result<()> {
        if self.is_orphaned {
            return Err(killed());
        }
        self.version += 1;
        if self.burns_out() {
            if self.random.one_in(2) {
                self.files[name as usize].sync();
            }
            return Err(killed());
        }
        if self.is_faulty && self.random.one_in(60) {
            count(Happening::FailedSync);
            tell(|| format!("disk: {name:?} fails to sync"));
            self.files[name as usize].keep_some(&mut self.random);
            self.has_failed_sync = true;
            return Err(io::Error::other("the disk fails to sync"));
        }
        tell(|| format!("disk: {name:?} synced"));
        self.files[name as usize].sync();
        Ok(())
    }
}

fn killed() -> io::Error {
    io::Error::other("this process is dead")
}

/// An open file of the simulated disk.
#[derive(Debug)]
pub struct SimulatedFile {
    disk: Rc<RefCell<Disk>>,
    name: Name,
    position: usize,
}

impl Read for SimulatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk.borrow();
        let rest = &disk.file(self.name).cache[self.position..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
}

impl Write for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.disk.borrow_mut().write(self.name, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for SimulatedFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let length = self.disk.borrow().file(self.name).cache.len();
        self.position = match to {
            SeekFrom::Start(position) => position as usize,
            SeekFrom::End(offset) => (length as i64 + offset) as usize,
            SeekFrom::Current(offset) => (self.position as i64 + offset) as usize,
        };
        Ok(self.position as u64)
    }
}

impl Medium for SimulatedFile {
    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.borrow_mut().cut(self.name, bytes as usize)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.borrow_mut().sync(self.name)
    }
}

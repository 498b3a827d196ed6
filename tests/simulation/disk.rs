//! A disk that takes less than it is given, fails, and loses in a power loss what was not synced.
//!
//! A file has the bytes that the system shows (`cache`), those that a power loss would leave now (`durable`), and the
//! changes between them. The death of a process loses nothing of the cache. A power loss keeps any prefix of the changes;
//! the last of them may be torn at any byte, and the rest of it may read as zeros. A failed sync keeps any prefix, too, but
//! the cache still shows all of it and the next sync succeeds: Linux marks pages that it failed to write as clean.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use fastrand::Rng;
use loteria::ledger::file::Files;

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::file::SimulatedFile;
use crate::life::{Fate, Life, Operation, killed};
use crate::mistakes::{Mistake, makes};
use crate::whole::{SimulatedWholeFile, WholeState};

/// Which of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Bets,
    Closings,
    State,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Cut(usize),
}

#[derive(Clone, Debug, Default)]
pub struct FileState {
    pub cache: Vec<u8>,
    pub durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Grows when another file takes its name.
    pub inode: usize,
}

impl FileState {
    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        let change = Change::Write { at, bytes: bytes.to_vec() };
        change.apply(&mut self.cache);
        self.unsynced.push(change);
    }

    /// Puts other contents in its place.
    pub fn put(&mut self, contents: Vec<u8>) {
        self.unsynced.clear();
        self.durable.clone_from(&contents);
        self.cache = contents;
    }

    /// The machine loses its power.
    pub fn lose_power(&mut self, random: &mut Rng) {
        self.keep_some(random);
        self.cache = self.durable.clone();
    }

    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
        // The length is the system's own: a sync that failed may have lost bytes, but not how many there are.
        self.durable.resize(self.cache.len(), 0);
    }

    /// Keeps a prefix of the changes, and forgets the others.
    fn keep_some(&mut self, random: &mut Rng) {
        let kept = random.usize(0..=self.unsynced.len());
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

    /// Leaves a part of a write. False if this is no write.
    fn tear(&mut self, random: &mut Rng) -> bool {
        let Change::Write { bytes, .. } = self else { return false };
        let kept = random.usize(0..=bytes.len());
        if random.one_in(3) {
            bytes[kept..].fill(0);
        } else {
            bytes.truncate(kept);
        }
        true
    }
}

/// Everything that is on the disk.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    files: [FileState; 3],
    pub certificate: WholeState,
}

/// The disk of the server's machine.
#[derive(Debug)]
pub struct Disk {
    pub contents: Contents,
    /// The contents that something other than a crash has changed since, if it has.
    pub genuine: Option<Contents>,
    pub random: Rng,
    /// True if it fails now and then.
    pub is_faulty: bool,
    /// Bytes that can still be written.
    pub room: usize,
    /// True if a sync has failed. One fault is enough then: nothing else goes wrong until the process has ended.
    has_failed_sync: bool,
    /// True until the process that has opened the files has recovered what they hold.
    is_recovering: bool,
    /// Grows with every change.
    pub version: u64,
}

pub const UNLIMITED: usize = usize::MAX >> 1;

impl Disk {
    pub fn new(random: Rng, is_faulty: bool) -> Disk {
        Disk {
            contents: Contents::default(),
            genuine: None,
            random,
            is_faulty,
            room: UNLIMITED,
            has_failed_sync: false,
            is_recovering: false,
            version: 0,
        }
    }

    pub fn file(&self, name: Name) -> &FileState {
        &self.contents.files[name as usize]
    }

    pub fn file_mut(&mut self, name: Name) -> &mut FileState {
        self.version += 1;
        &mut self.contents.files[name as usize]
    }

    /// The contents that a file would have if only the server and crashes had changed it.
    pub fn genuine(&self, name: Name) -> &FileState {
        &self.genuine_contents().files[name as usize]
    }

    fn genuine_contents(&self) -> &Contents {
        self.genuine.as_ref().unwrap_or(&self.contents)
    }

    /// The certificate, as the server wrote it.
    pub fn certificate(&self) -> &WholeState {
        &self.genuine_contents().certificate
    }

    /// Something other than a crash is about to change a file.
    pub fn keep_genuine(&mut self) {
        self.genuine = Some(self.contents.clone());
    }

    /// True if a server that has `name` open can see that it is not the genuine file.
    pub fn has_visibly_changed(&self, name: Name) -> bool {
        let (file, genuine) = (self.file(name), self.genuine(name));
        file.inode != genuine.inode || file.cache.len() != genuine.cache.len()
    }

    /// The operator puts back what was changed.
    pub fn restore(&mut self) {
        if let Some(genuine) = self.genuine.take() {
            self.contents = genuine;
            self.version += 1;
        }
    }

    /// A process opens the files to recover what they hold.
    pub fn open(disk: &Rc<RefCell<Disk>>, life: &Rc<Life>) -> Files<SimulatedFile> {
        let mut state = disk.borrow_mut();
        (state.has_failed_sync, state.is_recovering) = (false, true);
        drop(state);
        let file = |name| {
            let inode = disk.borrow().file(name).inode;
            SimulatedFile { disk: Rc::clone(disk), life: Rc::clone(life), name, inode, position: 0 }
        };
        let certificate = SimulatedWholeFile { disk: Rc::clone(disk), life: Rc::clone(life) };
        Files { bets: file(Name::Bets), closings: file(Name::Closings), state: file(Name::State), certificate }
    }

    /// The process has recovered what the files hold.
    pub fn end_recovery(&mut self) {
        self.is_recovering = false;
    }

    pub fn has_failed_sync(&self) -> bool {
        self.has_failed_sync
    }

    /// The machine loses its power: what was not synced is lost, or a part of it.
    pub fn lose_power(&mut self) {
        count(Happening::PowerLost);
        for file in &mut self.contents.files {
            file.lose_power(&mut self.random);
        }
        self.contents.certificate.lose_power(&mut self.random);
        self.version += 1;
        tell(|| {
            format!(
                "disk: the power is lost, {} and {} bytes are left",
                self.contents.files[0].cache.len(),
                self.contents.files[1].cache.len()
            )
        });
    }

    /// Counts the traces of a crash that a starting server will find.
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

    pub fn write(&mut self, life: &Life, name: Name, bytes: &[u8]) -> io::Result<usize> {
        let mut length = bytes.len().min(self.room);
        match life.operate(Operation::Disk) {
            Fate::Alive => {}
            Fate::Dies => {
                length = self.random.usize(0..=length);
                self.append(name, &bytes[..length]);
                return Err(killed());
            }
            Fate::Dead => return Err(killed()),
        }
        if self.is_faulty && self.random.one_in(16) {
            match self.random.usize(0..3) {
                0 => return Err(ErrorKind::Interrupted.into()),
                1 => {
                    count(Happening::FailedWrite);
                    return Err(io::Error::other("the disk fails"));
                }
                _ => length = self.random.usize(0..=length),
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
        let file = &mut self.contents.files[name as usize];
        file.write(file.cache.len(), bytes);
    }

    /// The state file is written over within its room, so it fails less often than one that grows.
    pub fn overwrite(&mut self, life: &Life, name: Name, at: usize, bytes: &[u8]) -> io::Result<()> {
        let fate = life.operate(Operation::Disk);
        let fails = self.is_faulty && self.random.one_in(20);
        let length = match fate {
            Fate::Dead => return Err(killed()),
            Fate::Alive if !fails => bytes.len(),
            Fate::Alive | Fate::Dies => self.random.usize(0..=bytes.len()),
        };
        self.version += 1;
        self.contents.files[name as usize].write(at, &bytes[..length]);
        match fate {
            Fate::Alive if !fails => Ok(()),
            _ => {
                count(Happening::TornState);
                Err(io::Error::other("the disk fails to write the state"))
            }
        }
    }

    pub fn cut(&mut self, life: &Life, name: Name, bytes: usize) -> io::Result<()> {
        if life.is_over() || (!self.has_failed_sync && life.operate(Operation::Disk) != Fate::Alive) {
            return Err(killed());
        }
        if self.is_faulty && !self.has_failed_sync && self.random.one_in(10) {
            count(Happening::FailedCutBack);
            return Err(io::Error::other("the disk fails to cut"));
        }
        let forgets = match self {
            Disk { is_recovering: true, .. } => Mistake::TornRowLeft,
            Disk { has_failed_sync: true, .. } => Mistake::UnsyncedLeft,
            _ => Mistake::NoCutBack,
        };
        if makes(forgets) {
            return Ok(());
        }
        tell(|| format!("disk: {name:?} cut to {bytes}"));
        let file = &mut self.contents.files[name as usize];
        if file.cache.len() > bytes {
            count(Happening::TornCut);
        }
        self.version += 1;
        file.cache.resize(bytes, 0);
        file.unsynced.push(Change::Cut(bytes));
        Ok(())
    }

    pub fn sync(&mut self, life: &Life, name: Name) -> io::Result<()> {
        match life.operate(Operation::Disk) {
            Fate::Alive => {}
            Fate::Dies if self.random.bool() => {
                self.version += 1;
                self.contents.files[name as usize].sync();
                return Err(killed());
            }
            Fate::Dies | Fate::Dead => return Err(killed()),
        }
        if makes(if self.is_recovering { Mistake::RecoveredUnsynced } else { Mistake::ReplyBeforeSync }) {
            return Ok(());
        }
        self.version += 1;
        if self.is_faulty && self.random.one_in(60) {
            count(Happening::FailedSync);
            tell(|| format!("disk: {name:?} fails to sync"));
            self.contents.files[name as usize].keep_some(&mut self.random);
            self.has_failed_sync = true;
            return Err(io::Error::other("the disk fails to sync"));
        }
        tell(|| format!("disk: {name:?} synced"));
        self.contents.files[name as usize].sync();
        Ok(())
    }
}

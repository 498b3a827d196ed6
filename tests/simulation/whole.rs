//! The certificate of the draw on the simulated disk: written beside its path, then renamed. A power loss takes the new name
//! unless the folder was synced, and the bytes behind it unless they were.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use fastrand::Rng;
use loteria::ledger::file::WholeFile;

use crate::chance::Chance;
use crate::chronicle::{Happening, count, tell};
use crate::disk::{Disk, FileState};
use crate::life::{Fate, Life, Operation, killed};
use crate::mistakes::{Mistake, makes};

/// The file at the path and the one beside it.
#[derive(Clone, Debug, Default)]
pub struct WholeState {
    pub at_path: Option<FileState>,
    beside: Option<FileState>,
    /// True if a power loss leaves the file its path.
    is_name_durable: bool,
}

impl WholeState {
    /// The contents that the system shows.
    pub fn shown(&self) -> Option<&[u8]> {
        self.at_path.as_ref().map(|file| file.cache.as_slice())
    }

    /// The contents that a power loss would certainly leave.
    pub fn durable(&self) -> Option<&[u8]> {
        let file = self.at_path.as_ref().filter(|file| self.is_name_durable && file.cache == file.durable)?;
        Some(file.durable.as_slice())
    }

    pub fn lose_power(&mut self, random: &mut Rng) {
        if self.at_path.is_some() && !self.is_name_durable {
            count(Happening::CertificateUnsettled);
            self.is_name_durable = random.bool();
            if !self.is_name_durable {
                self.at_path = None;
            }
        }
        self.beside = None;
        if let Some(file) = &mut self.at_path {
            file.lose_power(random);
        }
    }
}

/// A process's way to the certificate.
#[derive(Debug)]
pub struct SimulatedWholeFile {
    pub disk: Rc<RefCell<Disk>>,
    pub life: Rc<Life>,
}

impl SimulatedWholeFile {
    /// One step: `act` happens, or not, or the process dies before or behind it.
    fn step(&self, name: &str, act: impl FnOnce(&mut WholeState)) -> io::Result<()> {
        let disk = &mut *self.disk.borrow_mut();
        let fate = self.life.operate(Operation::Disk);
        let fails = disk.is_faulty && disk.random.one_in(12);
        if fate == Fate::Dead || (fate == Fate::Dies && disk.random.bool()) {
            return Err(killed());
        }
        if fate == Fate::Alive && fails {
            count(Happening::CertificateFailed);
            tell(|| format!("disk: the certificate is not {name}"));
            return Err(io::Error::other("the disk fails"));
        }
        tell(|| format!("disk: the certificate is {name}"));
        disk.version += 1;
        act(&mut disk.contents.certificate);
        if fate == Fate::Dies { Err(killed()) } else { Ok(()) }
    }
}

impl WholeFile for SimulatedWholeFile {
    fn path(&self) -> &Path {
        Path::new("bets.csv.draw")
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        if makes(Mistake::CertificateIgnored) {
            return Ok(None);
        }
        Ok(self.disk.borrow().contents.certificate.shown().map(<[u8]>::to_vec))
    }

    fn write_beside(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.disk.borrow().room < bytes.len() {
            count(Happening::CertificateFailed);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.step("written", |state| {
            let mut file = FileState::default();
            file.write(0, bytes);
            state.beside = Some(file);
        })
    }

    fn sync_beside(&mut self) -> io::Result<()> {
        self.step("synced", |state| {
            if let Some(file) = state.beside.as_mut().filter(|_| !makes(Mistake::CertificateUnsynced)) {
                file.sync();
            }
        })
    }

    fn rename(&mut self) -> io::Result<()> {
        self.step("renamed", |state| {
            state.at_path = state.beside.take();
            state.is_name_durable = false;
        })
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        self.step("durable by name", |state| state.is_name_durable = !makes(Mistake::CertificateNameUnsynced))
    }
}

//! Open files of the simulated disk.

use std::cell::RefCell;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use loteria::ledger::file::{AtPath, Medium};

use crate::disk::{Disk, Name};
use crate::life::Life;
use crate::mistakes::{Mistake, makes};
use crate::whole::SimulatedWholeFile;

/// An open file of the simulated disk.
#[derive(Debug)]
pub struct SimulatedFile {
    pub disk: Rc<RefCell<Disk>>,
    /// The life of the process that has it open.
    pub life: Rc<Life>,
    pub name: Name,
    /// That of the file when it was opened.
    pub inode: usize,
    pub position: usize,
}

impl SimulatedFile {
    /// True if another file has its name. What is written to it reaches no one.
    fn is_orphan(&self) -> bool {
        self.disk.borrow().file(self.name).inode != self.inode
    }
}

impl Read for SimulatedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.name == Name::State && makes(Mistake::StateIgnored) {
            return Ok(0);
        }
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
        if self.is_orphan() {
            return Ok(bytes.len());
        }
        self.disk.borrow_mut().write(&self.life, self.name, bytes)
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
    type Whole = SimulatedWholeFile;

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        if self.is_orphan() {
            return Ok(());
        }
        self.disk.borrow_mut().cut(&self.life, self.name, bytes as usize)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.is_orphan() {
            return Ok(());
        }
        self.disk.borrow_mut().sync(&self.life, self.name)
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.borrow_mut().overwrite(&self.life, self.name, offset as usize, bytes)
    }

    fn path(&self) -> &Path {
        Path::new(match self.name {
            Name::Bets => "bets.csv",
            Name::Closings => "bets.csv.closed",
            Name::State => "bets.csv.state",
        })
    }

    fn at_path(&self) -> io::Result<AtPath> {
        let disk = self.disk.borrow();
        let file = disk.file(self.name);
        Ok(if self.inode != file.inode { AtPath::Other } else { AtPath::Same { length: file.cache.len() as u64 } })
    }
}

//! The life of a server process. It can end at any of its operations; nothing that a dead process does has an effect.

use std::cell::Cell;
use std::io;

use crate::chronicle::{Happening, count, tell};

/// The operations at which a process may die.
#[derive(Clone, Copy, Debug)]
pub enum Operation {
    BeginCommit,
    Disk,
    EndCommit,
    Send,
}

/// The standing of a process at one of its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Alive,
    /// It dies in the middle of this operation.
    Dies,
    Dead,
}

/// The life of one process.
#[derive(Debug, Default)]
pub struct Life {
    /// Operations that are left, if it is to die at one.
    fuse: Cell<Option<usize>>,
    is_over: Cell<bool>,
}

impl Life {
    /// The process dies after `operations` more.
    pub fn set_fuse(&self, operations: usize) {
        self.fuse.set(Some(operations));
    }

    /// It does not die after all.
    pub fn defuse(&self) {
        self.fuse.set(None);
    }

    pub fn end(&self) {
        self.is_over.set(true);
    }

    pub fn is_over(&self) -> bool {
        self.is_over.get()
    }

    /// Counts an operation of the process.
    pub fn operate(&self, operation: Operation) -> Fate {
        if self.is_over.get() {
            return Fate::Dead;
        }
        match self.fuse.get() {
            None => Fate::Alive,
            Some(0) => {
                self.end();
                count(match operation {
                    Operation::BeginCommit => Happening::KilledBeforeCommit,
                    Operation::Disk => Happening::KilledAtDisk,
                    Operation::EndCommit => Happening::KilledBeforeWriting,
                    Operation::Send => Happening::KilledWhileWriting,
                });
                tell(|| format!("server: killed at {operation:?}"));
                Fate::Dies
            }
            Some(left) => {
                self.fuse.set(Some(left - 1));
                Fate::Alive
            }
        }
    }
}

/// The error that a dead process sees.
pub fn killed() -> io::Error {
    io::Error::other("this process is dead")
}

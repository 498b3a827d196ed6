//! A file in memory whose disk can become full.

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use loteria::ledger::file::{AtPath, Medium, WholeFile};

/// Every clone is the same file.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<File>>);

#[derive(Debug, Default)]
struct File {
    bytes: Vec<u8>,
    /// The offset of the next read.
    position: usize,
    /// The bytes that the next write takes before the disk is full, if it fills up.
    room: Option<usize>,
    syncs_fail: bool,
}

impl Memory {
    pub fn holding(bytes: &[u8]) -> Memory {
        Memory(Rc::new(RefCell::new(File { bytes: bytes.to_owned(), ..File::default() })))
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.0.borrow().bytes.clone()
    }

    /// The next write stops after `room` bytes, and the one after that fails.
    pub fn fill_up(&self, room: usize) {
        self.0.borrow_mut().room = Some(room);
    }

    /// Every sync from now on fails.
    pub fn refuse_syncs(&self) {
        self.0.borrow_mut().syncs_fail = true;
    }
}

impl Read for Memory {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let File { bytes, position, .. } = &mut *self.0.borrow_mut();
        let read = bytes.get(*position..).unwrap_or_default().read(buffer)?;
        *position += read;
        Ok(read)
    }
}

impl Write for Memory {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let file = &mut *self.0.borrow_mut();
        let taken = file.room.unwrap_or(buffer.len()).min(buffer.len());
        if taken == 0 {
            file.room = None;
            return Err(ErrorKind::StorageFull.into());
        }
        file.room = file.room.map(|_| 0);
        file.bytes.extend_from_slice(&buffer[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Memory {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let file = &mut *self.0.borrow_mut();
        let from = |base: usize, offset: i64| base.checked_add_signed(offset as isize).ok_or(ErrorKind::InvalidInput);
        file.position = match to {
            SeekFrom::Start(position) => position as usize,
            SeekFrom::End(offset) => from(file.bytes.len(), offset)?,
            SeekFrom::Current(offset) => from(file.position, offset)?,
        };
        Ok(file.position as u64)
    }
}

/// An empty one is none.
impl WholeFile for Memory {
    fn path(&self) -> &Path {
        Path::new("memory.draw")
    }

    fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(Memory::bytes(self)).filter(|bytes| !bytes.is_empty()))
    }

    fn write_beside(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = &mut *self.0.borrow_mut();
        if file.room.take().is_some_and(|room| room < bytes.len()) {
            return Err(ErrorKind::StorageFull.into());
        }
        file.bytes = bytes.to_vec();
        Ok(())
    }

    fn sync_beside(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync_folder(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Medium for Memory {
    type Whole = Memory;

    fn set_len(&mut self, bytes: u64) -> io::Result<()> {
        self.0.borrow_mut().bytes.resize(bytes as usize, 0);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.0.borrow().syncs_fail { Err(ErrorKind::Other.into()) } else { Ok(()) }
    }

    fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = &mut *self.0.borrow_mut();
        let (start, end) = (offset as usize, offset as usize + bytes.len());
        file.bytes.resize(end.max(file.bytes.len()), 0);
        file.bytes[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn at_path(&self) -> io::Result<AtPath> {
        Ok(AtPath::Same { length: self.0.borrow().bytes.len() as u64 })
    }
}

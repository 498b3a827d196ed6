//! A growing buffer of bytes that are to be written or sent.

use std::fmt;
use std::io;
use std::ops::Deref;

/// A `Vec` of bytes with initialized room behind them: a row or a batch is written to the room, in place, and then added.
///
/// `Vec::spare_capacity_mut` gives such room too, but needs `unsafe` to add it. Here room is set to zero once, when it is
/// allocated.
///
/// ```
/// use loteria::buffer::Buffer;
///
/// let mut buffer = Buffer::new();
/// buffer.extend_from_slice(b"7574");
/// buffer.room(2).copy_from_slice(b"\r\n");
/// assert_eq!(*buffer, *b"7574");
/// buffer.add(2);
/// assert_eq!(*buffer, *b"7574\r\n");
/// ```
#[derive(Default)]
pub struct Buffer {
    /// The bytes, then the room.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// An empty buffer, which allocates nothing.
    pub const fn new() -> Buffer {
        Buffer { bytes: Vec::new(), length: 0 }
    }

    /// The `bytes` bytes behind the end, with any contents. They are part of the buffer once they are [added](Buffer::add).
    #[inline(always)]
    pub fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.length + bytes;
        if end > self.bytes.len() {
            self.grow(end);
        }
        &mut self.bytes[self.length..end]
    }

    #[inline(never)]
    fn grow(&mut self, end: usize) {
        self.bytes.reserve(end - self.bytes.len());
        self.bytes.resize(self.bytes.capacity(), 0);
    }

    /// Makes the first `bytes` of the room part of the buffer.
    ///
    /// # Panics
    /// If there is less [room](Buffer::room).
    pub fn add(&mut self, bytes: usize) {
        assert!(bytes <= self.bytes.len() - self.length, "added without room");
        self.length += bytes;
    }

    /// Appends `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Keeps the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Removes all bytes and keeps the room.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The number of bytes that are allocated.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Frees what is allocated beyond `bytes`, or beyond the length if that is more.
    pub fn shrink_to(&mut self, bytes: usize) {
        self.bytes.truncate(self.length.max(bytes));
        self.bytes.shrink_to(bytes);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<Buffer> for Vec<u8> {
    fn from(buffer: Buffer) -> Vec<u8> {
        let Buffer { mut bytes, length } = buffer;
        bytes.truncate(length);
        bytes
    }
}

impl io::Write for Buffer {
    /// Appends `bytes`, all of them. Never fails.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_not_part_of_the_buffer_until_it_is_added() {
        let mut buffer = Buffer::new();
        buffer.extend_from_slice(b"ab");
        buffer.room(1000).fill(b'x');
        assert_eq!(*buffer, *b"ab");
        buffer.add(3);
        assert_eq!(*buffer, *b"abxxx");
        buffer.truncate(3);
        buffer.truncate(4);
        assert_eq!(*buffer, *b"abx");
        buffer.clear();
        assert_eq!(buffer.room(4), b"abxx", "nothing is cleared");
    }

    #[test]
    #[should_panic = "added without room"]
    fn bytes_without_room_cannot_be_added() {
        Buffer::new().add(1);
    }

    #[test]
    fn shrinking_frees_everything_but_the_contents() {
        let mut buffer = Buffer::new();
        buffer.extend_from_slice(&[b'x'; 5000]);
        buffer.shrink_to(100);
        assert_eq!(*buffer, [b'x'; 5000]);
        buffer.clear();
        buffer.shrink_to(100);
        assert!(buffer.capacity() <= 100);
        buffer.extend_from_slice(b"y");
        assert_eq!(*buffer, *b"y");
    }
}

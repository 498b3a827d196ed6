//! Bytes that are put together one behind the other, and then written or sent.

use std::fmt;
use std::io;
use std::ops::Deref;

/// A `Vec` of bytes with room behind them that can be written to before it counts.
///
/// `Vec::spare_capacity_mut` is for that too, but to have counted what was written there needs `unsafe`. Here room is set to zero
/// when it is allocated, and never again: a row or a batch is put together where it belongs, which is not cleared for it, and
/// nothing is copied.
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
    /// Its bytes, and behind them room.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// An empty one, for which nothing is allocated.
    pub const fn new() -> Buffer {
        Buffer { bytes: Vec::new(), length: 0 }
    }

    /// The next `bytes` bytes behind its end, whatever they hold. They count once they are [added](Buffer::add).
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

    /// The first `bytes` of its room are part of it from now on.
    ///
    /// # Panics
    /// If there is not as much [room](Buffer::room).
    pub fn add(&mut self, bytes: usize) {
        assert!(bytes <= self.bytes.len() - self.length, "room comes first");
        self.length += bytes;
    }

    /// Appends `bytes`.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.room(bytes.len()).copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Forgets all but the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Forgets all of it. Its room is kept.
    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// How many bytes are allocated for it.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives back what is allocated beyond `bytes`, or beyond its length if that is more.
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
    fn room_is_no_part_of_it_until_it_is_added() {
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
    #[should_panic = "room comes first"]
    fn what_was_no_room_cannot_be_added() {
        Buffer::new().add(1);
    }

    #[test]
    fn what_is_allocated_is_given_back_but_for_what_it_holds() {
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

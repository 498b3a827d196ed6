//! A name of a person.

use std::fmt;

use thiserror::Error;

use super::fast::text;

/// The most bytes of UTF-8 that a first or a last name may take. At least one is needed.
pub const MAX_NAME_BYTES: usize = 255;

/// A first or a last name: 1 to [`MAX_NAME_BYTES`] bytes of UTF-8 without a control character.
///
/// It keeps bytes because making a `&str` of them takes a second look at each: 120 instructions a name, measured. It keeps
/// what follows them too, so that a short name can be copied as one block, whatever its length.
///
/// ```
/// use loteria::bet::{InvalidName, Name};
///
/// assert_eq!(Name::new("Ñandú".as_bytes())?.as_str(), "Ñandú");
/// assert_eq!(Name::new(b"\xff"), Err(InvalidName::NotUtf8));
/// assert_eq!(Name::try_from("Ana\tPaz"), Err(InvalidName::ControlCharacter));
/// # Ok::<(), InvalidName>(())
/// ```
#[derive(Clone, Copy)]
pub struct Name<'a> {
    /// The name, then the bytes behind it where it was read.
    text: &'a [u8],
    /// Bytes of the name, at most those of `text`.
    length: usize,
}

impl<'a> Name<'a> {
    /// The name that these bytes are.
    ///
    /// # Errors
    /// [`InvalidName`].
    pub fn new(bytes: &'a [u8]) -> Result<Name<'a>, InvalidName> {
        Name::at_front(bytes, bytes.len())
    }

    /// The name that the first `length` bytes are. Fastest if `bytes` has 16 or more.
    ///
    /// # Errors
    /// [`InvalidName`].
    ///
    /// # Panics
    /// If `bytes` is shorter than `length`.
    #[inline(always)]
    pub fn at_front(bytes: &'a [u8], length: usize) -> Result<Name<'a>, InvalidName> {
        let name = &bytes[..length];
        if (1..=MAX_NAME_BYTES).contains(&length) && text::is_printable(bytes, length) {
            Ok(Name { text: bytes, length })
        } else {
            Err(InvalidName::of(name))
        }
    }

    /// The name that the first `length` bytes are, which were found valid.
    #[inline(always)]
    pub(super) fn from_valid(bytes: &'a [u8], length: usize) -> Name<'a> {
        debug_assert!(Name::at_front(bytes, length).is_ok(), "{length} of {bytes:x?}");
        Name { text: bytes, length }
    }

    /// The bytes of its UTF-8.
    #[inline(always)]
    pub fn as_bytes(self) -> &'a [u8] {
        &self.text[..self.length]
    }

    /// The name as text. Looks at every byte again.
    pub fn as_str(self) -> &'a str {
        str::from_utf8(self.as_bytes()).expect("a name is UTF-8")
    }

    /// Copies the name to the front of `room`. Bytes of `room` behind it may be overwritten too.
    ///
    /// # Panics
    /// If `room` is shorter than the name.
    #[inline(always)]
    pub(crate) fn copy_to(self, room: &mut [u8]) {
        text::copy(self.text, self.length, room);
    }

    /// True if it has a comma or a quote, so that CSV must quote it.
    #[inline(always)]
    pub(super) fn has_separator(self) -> bool {
        text::has_separator(self.text, self.length)
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Name<'_>) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Name<'_> {}

impl<'a> TryFrom<&'a str> for Name<'a> {
    type Error = InvalidName;

    fn try_from(text: &'a str) -> Result<Name<'a>, InvalidName> {
        Name::new(text.as_bytes())
    }
}

impl fmt::Debug for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.as_str(), f)
    }
}

/// Reason why bytes are no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// They are not UTF-8.
    #[error("is not UTF-8")]
    NotUtf8,
    /// There are none.
    #[error("is empty")]
    Empty,
    /// There are more than [`MAX_NAME_BYTES`].
    #[error("is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// They hold a control character (Unicode category Cc): a line break, a tab, a NUL.
    #[error("has a control character")]
    ControlCharacter,
}

impl InvalidName {
    #[cold]
    fn of(bytes: &[u8]) -> InvalidName {
        match bytes.len() {
            _ if str::from_utf8(bytes).is_err() => InvalidName::NotUtf8,
            0 => InvalidName::Empty,
            1..=MAX_NAME_BYTES => InvalidName::ControlCharacter,
            _ => InvalidName::TooLong,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_people_have_them_are_names() {
        for text in ["Ana", "María José", "Ñandú", "Vega-Ruiz", "D'Angelo", "J. R.", "Ng", "李小龍", "\"el\", Paz"]
        {
            assert_eq!(Name::try_from(text).map(Name::as_str), Ok(text));
        }
    }

    #[test]
    fn every_other_text_is_refused_with_its_reason() {
        let (longest, too_long) = ("x".repeat(MAX_NAME_BYTES), "x".repeat(MAX_NAME_BYTES + 1));
        assert_eq!(Name::try_from(longest.as_str()).map(Name::as_str), Ok(longest.as_str()));
        for (bytes, why) in [
            (&b""[..], InvalidName::Empty),
            (too_long.as_bytes(), InvalidName::TooLong),
            (&[too_long.as_bytes(), b"\xff"].concat(), InvalidName::NotUtf8),
            (b"Jos\xe9", InvalidName::NotUtf8),
            (b"Ana\xc3", InvalidName::NotUtf8),
            (b"Ana\n", InvalidName::ControlCharacter),
            (b"\0", InvalidName::ControlCharacter),
            (b"\x7f", InvalidName::ControlCharacter),
            ("Paz\u{85}".as_bytes(), InvalidName::ControlCharacter),
        ] {
            assert_eq!(Name::new(bytes), Err(why), "{bytes:x?}");
        }
    }
}

//! A name, as people have.

use std::fmt;

use thiserror::Error;

use crate::text::{self, Look};

/// The most bytes of UTF-8 that a first or a last name may take. At least one is needed.
pub const MAX_NAME_BYTES: usize = 255;

/// A first or a last name: any text.
///
/// Whether it is UTF-8, whether it has control characters and whether CSV must quote it are questions about each of its
/// bytes. They are asked together, once, when it is made: sixteen bytes at a time, and most names have none to look at twice.
///
/// ```
/// use loteria::bet::{InvalidName, Name, NotUtf8};
///
/// assert_eq!(Name::new("Ñandú".as_bytes())?.as_str(), "Ñandú");
/// assert_eq!(Name::new(b"\xff"), Err(NotUtf8));
/// assert_eq!(Name::from("Ana\tPaz").validate(), Err(InvalidName::ControlCharacter));
/// # Ok::<(), NotUtf8>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Name<'a> {
    /// UTF-8.
    bytes: &'a [u8],
    /// Zero if no byte is worth a second look. No `bool`, so that a `Result` of it is moved by the word: see [`super::InvalidBet`].
    special: u64,
}

impl<'a> Name<'a> {
    /// The name that these bytes are.
    ///
    /// # Errors
    /// [`NotUtf8`].
    pub fn new(bytes: &'a [u8]) -> Result<Name<'a>, NotUtf8> {
        Name::at_front_of(bytes, bytes.len())
    }

    /// The name that the first `length` of these bytes are. Quickest where `bytes` has at least [`text::BLOCK_BYTES`].
    ///
    /// # Errors
    /// [`NotUtf8`].
    #[inline(always)]
    pub(crate) fn at_front_of(bytes: &'a [u8], length: usize) -> Result<Name<'a>, NotUtf8> {
        Name::looked_at(&bytes[..length], text::look(bytes, length))
    }

    /// The name that these bytes are, which have been looked at.
    ///
    /// # Errors
    /// [`NotUtf8`].
    #[inline(always)]
    pub(crate) fn looked_at(bytes: &'a [u8], look: Look) -> Result<Name<'a>, NotUtf8> {
        if look.is_spanish {
            return Ok(Name { bytes, special: u64::from(!look.is_plain) });
        }
        match str::from_utf8(bytes) {
            // Some control characters are beyond ASCII.
            Ok(_) => Ok(Name { bytes, special: 1 }),
            Err(_) => Err(NotUtf8),
        }
    }

    /// The bytes of its UTF-8.
    pub fn as_bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// The name as text, for people: bytes become text only by looking at all of them again.
    pub fn as_str(self) -> &'a str {
        str::from_utf8(self.bytes).unwrap_or_default()
    }

    /// Whether it certainly has no control character, and nothing that CSV could mistake. Others may have none either.
    pub fn is_plain(self) -> bool {
        self.special == 0
    }

    /// Whether somebody may have this name.
    ///
    /// # Errors
    /// [`InvalidName`].
    #[inline(always)]
    pub fn validate(self) -> Result<(), InvalidName> {
        match self.bytes.len() {
            0 => Err(InvalidName::Empty),
            1..=MAX_NAME_BYTES if self.has_control_character() => Err(InvalidName::ControlCharacter),
            1..=MAX_NAME_BYTES => Ok(()),
            _ => Err(InvalidName::TooLong),
        }
    }

    fn has_control_character(self) -> bool {
        !self.is_plain() && self.as_str().chars().any(char::is_control)
    }
}

impl<'a> From<&'a str> for Name<'a> {
    fn from(text: &'a str) -> Name<'a> {
        Name::new(text.as_bytes()).unwrap_or_else(|NotUtf8| unreachable!("a str is UTF-8"))
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

/// The bytes of a name are no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not UTF-8")]
pub struct NotUtf8;

/// Why a name is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[repr(u64)] // see crate::bet::InvalidBet
pub enum InvalidName {
    /// It has no bytes.
    #[error("is empty")]
    Empty,
    /// It takes more than [`MAX_NAME_BYTES`].
    #[error("is longer than {MAX_NAME_BYTES} bytes")]
    TooLong,
    /// It has a character that is not text (Unicode category Cc): a line break, a tab, a NUL.
    #[error("has a control character")]
    ControlCharacter,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CSV_QUOTES: [char; 4] = ['"', ',', '\r', '\n'];

    fn is_harmful(character: char) -> bool {
        character.is_control() || CSV_QUOTES.contains(&character)
    }

    #[test]
    fn nothing_harmful_is_plain_wherever_it_stands() {
        let harmful: Vec<char> = ('\0'..='\u{ff}').filter(|&character| is_harmful(character)).collect();
        assert_eq!(harmful.len(), 32 + 1 + 32 + 2);
        for character in harmful {
            for (before, after) in (0..20).flat_map(|before| (0..20).map(move |after| (before, after))) {
                let text = format!("{}{character}{}", "a".repeat(before), "ñ".repeat(after));
                let name = Name::from(text.as_str());
                assert!(!name.is_plain(), "{text:?}");
                assert_eq!(name.validate().is_err(), character.is_control(), "{text:?}");
            }
        }
    }

    #[test]
    fn names_as_people_have_them_are_plain() {
        for text in ["Ana", "María José", "Ñandú", "Vega-Ruiz", "D'Angelo", "J. R.", "Ng"] {
            assert!(Name::from(text).is_plain(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn bytes_are_a_name_if_they_are_text(bytes in prop_oneof![
            any::<Vec<u8>>(),
            ".*".prop_map(String::into_bytes),
            ("[a-z]{0,9}", "\\PC{0,2}", "[a-z]{0,9}").prop_map(|(one, two, three)| [one, two, three].concat().into_bytes()),
        ]) {
            let text = str::from_utf8(&bytes);
            prop_assert_eq!(Name::new(&bytes).ok(), text.ok().map(Name::from));
            prop_assert_eq!(Name::new(&bytes).map(Name::as_str).ok(), text.ok());
        }

        #[test]
        fn a_name_is_found_to_have_just_the_control_characters_that_it_has(text in any::<String>()) {
            let name = Name::from(text.as_str());
            prop_assert_eq!(name.has_control_character(), text.chars().any(char::is_control));
            prop_assert!(!name.is_plain() || !text.contains(is_harmful));
        }
    }
}

//! A value of a line: on one line, without a separator, and bounded.

use std::fmt::{self, Write};

/// Bytes of a value, behind which it is cut. The longest text of the programs' own is below it, with two paths of usual
/// length.
const VALUE_BYTES: usize = 1000;

/// Bytes of a text from outside, behind which it is cut.
const EXCERPT_BYTES: usize = 200;

/// Displays a value on one line and without a separator: `|` becomes `/`, and control characters become spaces. What is
/// longer than a thousand bytes is cut, and its length given.
///
/// ```
/// use loteria::logging::Value;
///
/// assert_eq!(Value("a | b\n").to_string(), "a / b ");
/// ```
#[derive(Debug)]
pub struct Value<'a, T: ?Sized>(pub &'a T);

/// Displays the first 200 bytes of a text from outside, and its length if that is not all of it. `{:?}` quotes it, which is
/// for the middle of a sentence.
///
/// ```
/// use loteria::logging::Excerpt;
///
/// assert_eq!(Excerpt("hola").to_string(), "hola");
/// assert_eq!(format!("{:?}", Excerpt("a \"b\"\n")), r#""a \"b\"\n""#);
/// assert!(Excerpt(&"x".repeat(8192)).to_string().ends_with("xxx... (8192 bytes)"));
/// ```
pub struct Excerpt<'a>(pub &'a str);

impl<T: fmt::Display + ?Sized> fmt::Display for Value<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut start = Start { output: Sanitizer(f), room: VALUE_BYTES, bytes: 0 };
        write!(start, "{}", self.0)?;
        let Start { mut output, bytes, .. } = start;
        mark_cut(&mut output, bytes, VALUE_BYTES)
    }
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kept())?;
        self.mark_cut(f)
    }
}

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kept())?;
        self.mark_cut(f)
    }
}

impl Excerpt<'_> {
    fn kept(&self) -> &str {
        &self.0[..self.0.floor_char_boundary(EXCERPT_BYTES)]
    }

    fn mark_cut(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        mark_cut(f, self.0.len(), EXCERPT_BYTES)
    }
}

/// Gives the length of a text that is longer than `limit`, which was cut.
fn mark_cut(output: &mut impl Write, bytes: usize, limit: usize) -> fmt::Result {
    if bytes > limit { write!(output, "... ({bytes} bytes)") } else { Ok(()) }
}

/// Writer of the first bytes of what it gets.
struct Start<W> {
    output: W,
    /// Bytes that it still passes on.
    room: usize,
    /// Bytes that it got.
    bytes: usize,
}

impl<W: Write> Write for Start<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes += text.len();
        let end = text.floor_char_boundary(self.room);
        // Nothing follows a part that is left out.
        self.room = if end == text.len() { self.room - end } else { 0 };
        self.output.write_str(&text[..end])
    }
}

struct Sanitizer<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Sanitizer<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_separator) {
            self.0.write_str(&rest[..at])?;
            let separator = rest[at..].chars().next().unwrap_or_default();
            self.0.write_str(if separator == '|' { "/" } else { " " })?;
            rest = &rest[at + separator.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}

/// Some readers end a line at U+2028 and U+2029, which are not control characters.
fn is_separator(character: char) -> bool {
    character == '|' || character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_value_can_end_a_value_or_a_line(value in any::<String>()) {
            let shown = Value(&value).to_string();
            prop_assert!(!shown.contains(is_separator));
            prop_assert_eq!(shown.chars().count(), value.chars().count());
        }

        #[test]
        fn a_value_is_cut_at_a_character_and_says_how_long_it_is(pieces in prop::collection::vec("[aé€🎰]{0,80}", 0..20)) {
            let value = pieces.concat();
            let shown = Value(&Pieces(&pieces)).to_string();
            if value.len() <= VALUE_BYTES {
                prop_assert_eq!(shown, value);
            } else {
                let (kept, mark) = shown.rsplit_once("...").expect("a mark");
                prop_assert_eq!(mark, format!(" ({} bytes)", value.len()));
                prop_assert!(value.starts_with(kept));
                prop_assert!(kept.len() <= VALUE_BYTES && kept.len() + 4 > VALUE_BYTES);
            }
        }
    }

    /// Pieces that are written one by one.
    struct Pieces<'a>(&'a [String]);

    impl fmt::Display for Pieces<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.iter().try_for_each(|piece| f.write_str(piece))
        }
    }
}

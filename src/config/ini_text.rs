//! Text in INI format, and what is said of text that is not.
//!
//! No error shows a line: one of section `AGENCIES` holds a credential.

use ini::Ini;
use thiserror::Error;

/// A line that is not INI, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum NotIni {
    #[error("line {line}: the name of a section is not closed by ]")]
    OpenSection { line: usize },
    #[error("line {line}: the value begins with a quote that is not closed")]
    OpenQuote { line: usize },
    #[error("line {line} is not key = value, [section], or a comment of its own, which begins with # or ;")]
    Other { line: usize },
}

/// Parses `text`. Each line stands for itself: the parser alone would take a line without `=` for the start of the next key,
/// and so ignore both.
pub(super) fn parse(text: &str) -> Result<Ini, NotIni> {
    (1..).zip(text.lines()).try_for_each(|(line, content)| check(line, content.trim()))?;
    Ini::load_from_str_noescape(text).map_err(|error| NotIni::Other { line: error.line })
}

fn check(line: usize, content: &str) -> Result<(), NotIni> {
    if content.is_empty() || content.starts_with(['#', ';']) {
        return Ok(());
    }
    if content.starts_with('[') {
        return if content.contains(']') { Ok(()) } else { Err(NotIni::OpenSection { line }) };
    }
    let (_, value) = content.split_once(['=', ':']).ok_or(NotIni::Other { line })?;
    let value = value.trim_start();
    match value.chars().next().filter(|first| matches!(first, '"' | '\'')) {
        Some(quote) if !value[1..].contains(quote) => Err(NotIni::OpenQuote { line }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_is_wrong_is_named() {
        for (text, expected) in [
            ("[DEFAULT\nA = 1\n[AGENCIES]\n", NotIni::OpenSection { line: 1 }),
            ("A = 1\n\n[DEFAULT", NotIni::OpenSection { line: 3 }),
            ("A = 1\nB\nC = 1\n", NotIni::Other { line: 2 }),
            ("A = 1\n= 2\n", NotIni::Other { line: 2 }),
            ("[DEFAULT] # of all\n", NotIni::Other { line: 1 }),
            ("A = 1\nB = \"2\nC = 3\n", NotIni::OpenQuote { line: 2 }),
            ("A = '2\n", NotIni::OpenQuote { line: 1 }),
        ] {
            assert_eq!(parse(text).err(), Some(expected), "{text:?}");
        }
        let text = "# a comment\n; another\n\n [DEFAULT]\r\n A = 'x' \nB: it's\nC =\n";
        assert!(parse(text).is_ok(), "{:?}", parse(text));
    }
}

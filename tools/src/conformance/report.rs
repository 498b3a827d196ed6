//! The results of a run, as a table and as JUnit XML.

use std::fmt::{self, Display, Write};

use super::requirements::{PROTOCOL, Requirement, requirements};
use super::wire::Seen;

/// The result of one test.
pub type Verdict = Result<(), Unmet>;

/// Reason why a test did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// Something else came than must.
    Failed { expected: String, seen: String },
    /// This run can't test it.
    Skipped(&'static str),
}

impl Unmet {
    pub fn failed(expected: impl Display, seen: impl Display) -> Unmet {
        Unmet::Failed { expected: expected.to_string(), seen: seen.to_string() }
    }
}

/// Passes if `seen` is what must come after `what`.
pub fn must(what: &str, expected: &Seen, seen: &Seen) -> Verdict {
    if expected == seen { Ok(()) } else { Err(Unmet::failed(format_args!("{what}: {expected}"), seen)) }
}

/// Passes if `holds`.
pub fn ensure(holds: bool, expected: impl Display, seen: impl Display) -> Verdict {
    if holds { Ok(()) } else { Err(Unmet::failed(expected, seen)) }
}

/// The verdict on a requirement without a test. The page gives the reason.
const NOT_TESTABLE: Unmet = Unmet::Skipped("can't be tested from outside");

/// The verdict on each requirement, in the order of the page.
#[derive(Debug)]
pub struct Report {
    pub rows: Vec<(Requirement, Verdict)>,
}

impl Report {
    /// The report on the requirements that `is_asked` names, from the verdict of each test.
    pub fn on(verdicts: &[(&str, Verdict)], is_asked: impl Fn(&str) -> bool) -> Report {
        let asked = requirements(PROTOCOL).into_iter().filter(|requirement| is_asked(&requirement.id));
        let verdict_on = |requirement: Requirement| {
            let verdict = verdicts.iter().find(|(id, _)| *id == requirement.id).map(|(_, verdict)| verdict.clone());
            (requirement, verdict.unwrap_or(Err(NOT_TESTABLE)))
        };
        Report { rows: asked.map(verdict_on).collect() }
    }

    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|(_, verdict)| matches!(verdict, Err(Unmet::Failed { .. }))).count()
    }

    fn skipped(&self) -> usize {
        self.rows.iter().filter(|(_, verdict)| matches!(verdict, Err(Unmet::Skipped(_)))).count()
    }

    /// JUnit XML, as continuous integration reads it.
    pub fn junit(&self, suite: &str) -> String {
        let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (tests, failures, skipped) = (self.rows.len(), self.failed(), self.skipped());
        let _ = writeln!(
            xml,
            "<testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" skipped=\"{skipped}\">",
            escape(suite)
        );
        for (Requirement { id, text }, verdict) in &self.rows {
            let _ = write!(xml, "  <testcase classname=\"protocol\" name=\"{id}: {}\"", escape(&plain(text)));
            let _ = match verdict {
                Ok(()) => writeln!(xml, "/>"),
                Err(Unmet::Skipped(why)) => writeln!(xml, "><skipped message=\"{}\"/></testcase>", escape(why)),
                Err(Unmet::Failed { expected, seen }) => {
                    let message = escape(&format!("expected {expected}; seen {seen}"));
                    writeln!(xml, "><failure message=\"{message}\"/></testcase>")
                }
            };
        }
        xml + "</testsuite>\n"
    }
}

/// `text` without the targets of its Markdown links.
fn plain(text: &str) -> String {
    let mut parts = text.split("](");
    let first = parts.next().unwrap_or_default().to_owned();
    let whole = parts.fold(first, |whole, part| whole + part.split_once(')').map_or(part, |(_, rest)| rest));
    whole.replace('[', "")
}

/// `text` inside an attribute of XML 1.0, which has no control characters.
fn escape(text: &str) -> String {
    let text: String =
        text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Requirement { id, text }, verdict) in &self.rows {
            let text = plain(text);
            match verdict {
                Ok(()) => writeln!(f, "{id:5} passed   {text}")?,
                Err(Unmet::Skipped(why)) => writeln!(f, "{id:5} skipped  {why}")?,
                Err(Unmet::Failed { expected, seen }) => {
                    writeln!(f, "{id:5} FAILED   {text}\n      expected {expected}\n      seen     {seen}")?;
                }
            }
        }
        let (failed, skipped) = (self.failed(), self.skipped());
        write!(f, "{} passed, {failed} failed, {skipped} skipped", self.rows.len() - failed - skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row =
            |id: &str, verdict| (Requirement { id: id.to_owned(), text: "a < [b](#b) & \"c\"".to_owned() }, verdict);
        let failed = Err(Unmet::failed(Seen::RegisterBetOk, Seen::End));
        Report { rows: vec![row("S-1", Ok(())), row("S-2", failed), row("S-3", Err(Unmet::Skipped("no command")))] }
    }

    #[test]
    fn the_table_names_each_requirement_and_what_came() {
        let text = report().to_string();
        assert!(text.contains("S-2   FAILED") && text.contains("seen     the end of the stream"), "{text}");
        assert!(text.ends_with("1 passed, 1 failed, 1 skipped"), "{text}");
    }

    #[test]
    fn the_junit_report_is_escaped_and_counts_each_kind() {
        let xml = report().junit("a <server>");
        assert!(xml.contains("name=\"a &lt;server&gt;\" tests=\"3\" failures=\"1\" skipped=\"1\""), "{xml}");
        assert!(xml.contains("name=\"S-1: a &lt; b &amp; &quot;c&quot;\"/>"), "{xml}");
        assert!(xml.contains("<failure message=\"expected RegisterBetOk; seen the end of the stream\"/>"), "{xml}");
    }
}

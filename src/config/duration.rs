//! Durations as Go writes them: `5s`, `100ms`, `1m30s`, `1.5s`.

use std::time::Duration;

use fundu::TimeUnit::{Hour, MicroSecond, MilliSecond, Minute, NanoSecond, Second};
use fundu::{CustomDurationParserBuilder, CustomTimeUnit};

/// The units of Go's `time.ParseDuration`; a micro is written in three ways.
const UNITS: [CustomTimeUnit<'_>; 6] = [
    CustomTimeUnit::with_default(NanoSecond, &["ns"]),
    CustomTimeUnit::with_default(MicroSecond, &["us", "\u{b5}s", "\u{3bc}s"]),
    CustomTimeUnit::with_default(MilliSecond, &["ms"]),
    CustomTimeUnit::with_default(Second, &["s"]),
    CustomTimeUnit::with_default(Minute, &["m"]),
    CustomTimeUnit::with_default(Hour, &["h"]),
];
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The duration that `text` means, if it is above 0 and at most a year.
///
/// ```
/// use std::time::Duration;
/// use loteria::config::parse_duration;
///
/// assert_eq!(parse_duration("1m30s"), Some(Duration::from_secs(90)));
/// assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
/// assert_eq!(parse_duration("5"), None, "5 of what?");
/// ```
pub fn parse_duration(text: &str) -> Option<Duration> {
    // A unit is needed after each number in Go; the parser would take a last number without one for seconds.
    if !text.ends_with(|last: char| last.is_ascii_alphabetic()) || text.contains(char::is_whitespace) {
        return None;
    }
    let parser = CustomDurationParserBuilder::new()
        .time_units(&UNITS)
        .disable_exponent()
        .disable_infinity()
        .parse_multiple(None)
        .build();
    let duration = Duration::try_from(parser.parse(text).ok()?).ok()?;
    (Duration::ZERO < duration && duration <= YEAR).then_some(duration)
}

/// `duration` as Go's `Duration.String` writes it: `5s`, `1m30s`, `100ms`.
pub fn show_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds == 0 {
        return format!("{duration:?}");
    }
    let below_a_minute = format!("{}.{:09}", seconds % 60, duration.subsec_nanos());
    let below_a_minute = below_a_minute.trim_end_matches('0').trim_end_matches('.');
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{below_a_minute}s"),
        (0, minutes) => format!("{minutes}m{below_a_minute}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{below_a_minute}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("100ms", 100),
            ("1m30s", 90_000),
            ("1.5s", 1_500),
            (".5s", 500),
            ("1h2m3s4ms", 3_723_004),
            ("2h", 7_200_000),
            ("1500us", 1),
        ] {
            assert_eq!(parse_duration(text).map(|duration| duration.as_millis()), Some(milliseconds), "{text}");
        }
        for text in ["", "5", "s", "-1s", "0s", "5 s", "5x", "1m30", "1e3s", "9000h", "inf", "1d", "5s,1s", "NaNs"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for text in ["5s", "100ms", "1m30s", "1.5s", "1h0m0s", "2h3m0.25s", "1m0s"] {
            assert_eq!(parse_duration(text).map(show_duration).as_deref(), Some(text));
        }
    }
}

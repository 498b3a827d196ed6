//! A configuration key. One row of [`config!`] declares its field, type, names, default, valid values and help.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;

use super::{MAX_CREDENTIAL_BYTES, parse_duration};

/// A configuration key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Environment variable.
    pub variable: &'static str,
    /// Name in the file; empty if only the environment is read.
    pub name: &'static str,
    /// Value if it is set nowhere; empty if it then has none.
    pub default: &'static str,
    /// Valid values.
    pub kind: Kind,
    /// Meaning, as `--help` and the documents give it.
    pub help: &'static str,
}

/// Valid values of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number between these two, both included.
    Whole(u64, u64),
    /// A duration in Go's notation.
    Duration,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// One or more of `host:port`, with commas between them.
    Addresses,
    /// An IP address and a port to listen on.
    Listen,
    /// An IP address, or a host name.
    Host,
    /// The path of a file.
    Path,
    /// Any text.
    Text,
    /// A [`Credential`](super::Credential).
    Secret,
}

impl Key {
    /// A key, from the parts of its row. Of `names` and `kinds` the last counts, which is what the row gives, if it gives one.
    pub(super) const fn new(names: &[&'static str], default: &'static str, kinds: &[Kind], help: &'static str) -> Key {
        let (variable, name) = (names[0], names[names.len() - 1]);
        Key { variable, name, default, kind: kinds[kinds.len() - 1], help: help.trim_ascii() }
    }
}

impl fmt::Display for Kind {
    /// The short form, for `--help` and the documents: `1 to 65535`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Whole(min, max) => write!(f, "{min} to {max}"),
            Kind::Duration => f.write_str("duration"),
            Kind::OneOf(words) => f.write_str(&words.join(", ")),
            Kind::Addresses => f.write_str("host:port, or several with commas"),
            Kind::Listen => f.write_str("IP address:port"),
            Kind::Host => f.write_str("IP address or host name"),
            Kind::Path => f.write_str("path"),
            Kind::Text => f.write_str("text"),
            Kind::Secret => write!(f, "1 to {MAX_CREDENTIAL_BYTES} bytes"),
        }
    }
}

impl Kind {
    /// The long form, for errors: what a value must be.
    pub(super) fn valid(self) -> String {
        match self {
            Kind::Whole(..) => format!("a whole number from {self}"),
            Kind::Duration => {
                "a duration such as 100ms, 5s, 1.5s or 1m30s, above 0 and at most a year (8760h)".to_owned()
            }
            Kind::OneOf(_) => format!("one of {self}"),
            Kind::Listen => format!("an {self}, such as 127.0.0.1:8080 or [::1]:8080"),
            Kind::Host => format!("an {self}, such as 127.0.0.1, ::1 or server"),
            Kind::Path => "the path of a file".to_owned(),
            Kind::Addresses | Kind::Text | Kind::Secret => self.to_string(),
        }
    }

    /// True if `text`, which the type of its field takes, is valid here too.
    pub(super) fn admits(self, text: &str) -> bool {
        let is_within = |text: &str, min, max| whole_number(text).is_some_and(|number| (min..=max).contains(&number));
        match self {
            Kind::Whole(min, max) => is_within(text, min, max),
            Kind::Addresses => {
                let is_address = |(host, port): (&str, &str)| !host.is_empty() && is_within(port, 1, 65_535);
                text.split(',').all(|text| text.trim().rsplit_once(':').is_some_and(is_address))
            }
            _ => true,
        }
    }
}

/// The number that `text` is in decimal digits: no sign, no space, no separator.
pub(super) fn whole_number<N: FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// A type that a field of a configuration can have.
pub(super) trait FromText: Sized {
    /// Valid values of a field of this type, unless its row narrows them.
    const KIND: Kind;

    /// The value that `text` means.
    fn from_text(text: &str) -> Option<Self>;

    /// The value if there is no text; `None` if the key is needed.
    fn unset() -> Option<Self> {
        None
    }
}

impl<T: FromText> FromText for Option<T> {
    const KIND: Kind = T::KIND;

    fn from_text(text: &str) -> Option<Option<T>> {
        T::from_text(text).map(Some)
    }

    fn unset() -> Option<Option<T>> {
        Some(None)
    }
}

macro_rules! from_text {
    ($($type:ty: $kind:expr, $parse:expr;)+) => {$(
        impl FromText for $type {
            const KIND: Kind = $kind;

            fn from_text(text: &str) -> Option<$type> {
                ($parse)(text)
            }
        }
    )+};
}

from_text! {
    u16: Kind::Whole(0, u16::MAX as u64), whole_number;
    u32: Kind::Whole(0, u32::MAX as u64), whole_number;
    u64: Kind::Whole(0, u64::MAX), whole_number;
    usize: Kind::Whole(0, usize::MAX as u64), whole_number;
    i32: Kind::Whole(0, i32::MAX as u64), whole_number;
    bool: Kind::OneOf(&["true", "false"]), |text: &str| text.parse().ok();
    String: Kind::Text, |text: &str| Some(text.to_owned());
    SocketAddr: Kind::Listen, |text: &str| text.parse().ok();
    PathBuf: Kind::Path, |text: &str| (!text.is_empty()).then(|| PathBuf::from(text));
    Duration: Kind::Duration, parse_duration;
    LevelFilter: Kind::OneOf(&["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR", "CRITICAL"]), level;
}

/// The level that Python's `logging` or Go's `go-logging` calls by this name, in any case.
///
/// NOTICE, which only Go has, lies between INFO and WARNING. No line is logged at it, so it shows the same as WARNING.
fn level(name: &str) -> Option<LevelFilter> {
    match name.to_ascii_uppercase().as_str() {
        "TRACE" => Some(LevelFilter::Trace),
        "DEBUG" => Some(LevelFilter::Debug),
        "INFO" => Some(LevelFilter::Info),
        "NOTICE" | "WARNING" | "WARN" => Some(LevelFilter::Warn),
        "ERROR" | "CRITICAL" | "FATAL" => Some(LevelFilter::Error),
        _ => None,
    }
}

/// Declares an enum whose values are words of the configuration.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$meaning])* $variant,)+ }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $($name::$variant => $word,)+ })
            }
        }

        impl FromText for $name {
            const KIND: Kind = Kind::OneOf(&[$($word),+]);

            fn from_text(text: &str) -> Option<$name> {
                match text { $($word => Some($name::$variant),)+ _ => None }
            }
        }
    };
}
pub(super) use words;

/// Declares a struct with a field for each key, `KEYS` and `from_settings`.
///
/// A row is `/// help`, then `field: Type = "VARIABLE" as "name.in.the.file", "default", Kind;`. The name is the variable's if
/// it is left out, the kind the type's. A field behind `and` is computed by a function of the [`Settings`](super::Settings), from
/// keys that are declared in its braces and have no field of their own.
macro_rules! config {
    (
        $(#[$about:meta])*
        $config:ident {
            $($(#[doc = $help:literal])+
            $field:ident: $type:ty = $variable:literal $(as $name:literal)?, $default:literal $(, $kind:expr)?;)*
        }
        $(and {
            $($(#[$computed_about:meta])+
            $computed:ident: $computed_type:ty = $compute:path {
                $($(#[doc = $key_help:literal])+
                $key_variable:literal $(as $key_name:literal)?, $key_default:literal, $key_kind:expr;)*
            })*
        })?
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug)]
        pub struct $config {
            $($(#[doc = $help])+ pub $field: $type,)*
            $($($(#[$computed_about])+ pub $computed: $computed_type,)*)?
        }

        impl $config {
            /// The keys, as they are documented.
            pub const KEYS: &'static [Key] = &[
                $(Key::new(&[$variable $(, $name)?], $default, &[<$type as FromText>::KIND $(, $kind)?], concat!($($help),+)),)*
                $($($(
                    Key::new(&[$key_variable $(, $key_name)?], $key_default, &[$key_kind], concat!($($key_help),+)),
                )*)*)?
            ];

            /// The configuration that `settings` say.
            ///
            /// # Errors
            /// The first value that is not valid, or is needed and missing.
            pub fn from_settings(settings: &Settings) -> Result<$config, ConfigError> {
                Ok($config {
                    $($field: settings.value($variable)?,)*
                    $($($computed: $compute(settings)?,)*)?
                })
            }
        }
    };
}
pub(super) use config;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn level_names_of_python_and_of_go_are_known() {
        for (name, filter) in [
            ("DEBUG", LevelFilter::Debug),
            ("info", LevelFilter::Info),
            ("NOTICE", LevelFilter::Warn),
            ("WARNING", LevelFilter::Warn),
            ("ERROR", LevelFilter::Error),
            ("CRITICAL", LevelFilter::Error),
        ] {
            assert_eq!(level(name), Some(filter), "{name}");
        }
        assert_eq!(level("LOUD"), None);
    }

    #[test]
    fn a_whole_number_is_digits_and_nothing_else() {
        for (text, number) in [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        for text in ["", "+1", "-1", " 1", "1_000", "1.0", "0x1", "\u{661}", "18446744073709551616"] {
            assert_eq!(whole_number::<u64>(text), None, "{text}");
        }
    }
}

//! The form of the log's lines.

use super::Kind;
use super::key::{FromText, words};

words! {
    /// The form of the log's lines.
    LogFormat {
        /// The course's.
        Text = "text",
        /// A JSON object for each.
        Json = "json",
        /// The systemd journal's, which has its own time and takes the priority from the beginning of a line.
        Journal = "journal",
    }
}

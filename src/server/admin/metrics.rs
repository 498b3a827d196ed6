//! `/metrics`: a snapshot in the text format 0.0.4 of Prometheus. Pure.

use std::fmt::{Display, Write};

use super::snapshot::{FIRST_POWER, Snapshot};
use crate::central::Stage;

/// The content type of the format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of `snapshot`.
pub(super) fn render(snapshot: &Snapshot) -> String {
    let Snapshot { server, health, round, draw, commits, storage, connections, history: _, agencies } = snapshot;
    let mut text = Text(String::new());
    text.gauge("loteria_healthy", "1 if the last commit succeeded and none takes too long.", u8::from(health.ok));
    text.family("loteria_info", "gauge", "Version and role of the server.");
    text.line(format_args!("loteria_info{{version=\"{}\",role=\"{}\"}} 1", server.version, server.role));
    text.gauge("loteria_agencies", "Agencies of the round.", round.agencies);
    text.gauge("loteria_agencies_missing", "Agencies that have not closed and have no connection.", round.missing);
    text.gauge("loteria_agencies_connected", "Agencies that have not closed and have a connection.", round.connected);
    text.gauge("loteria_agencies_closed", "Agencies that have closed.", round.closed);
    text.family("loteria_bets_total", "counter", "Stored bets of the round.");
    text.line(format_args!("loteria_bets_total {}", round.bets));
    text.gauge("loteria_drawn", "1 once the draw has happened.", u8::from(draw.is_some()));
    let winners = draw.as_ref().map_or(0, |draw| draw.winners);
    text.gauge("loteria_winners", "Winning bets, once they are drawn.", winners);

    text.family("loteria_commit_duration_seconds", "histogram", "Duration of commits.");
    for (exponent, count) in (FIRST_POWER..).zip(&commits.histogram) {
        let bound = f64::from(1_u32 << exponent) / 1e6;
        text.line(format_args!("loteria_commit_duration_seconds_bucket{{le=\"{bound}\"}} {count}"));
    }
    text.line(format_args!("loteria_commit_duration_seconds_bucket{{le=\"+Inf\"}} {}", commits.count));
    text.line(format_args!("loteria_commit_duration_seconds_sum {}", commits.total_seconds));
    text.line(format_args!("loteria_commit_duration_seconds_count {}", commits.count));
    text.family("loteria_commits_failed_total", "counter", "Commits that stored nothing.");
    text.line(format_args!("loteria_commits_failed_total {}", commits.failed));

    text.gauge("loteria_storage_bets_bytes", "Size of the file of bets.", storage.bets_bytes);
    text.gauge("loteria_storage_free_bytes", "Free space of its disk.", storage.free_bytes);
    text.gauge("loteria_storage_size_bytes", "Size of its disk.", storage.size_bytes);
    text.gauge("loteria_connections", "Open connections on the port of the agencies.", connections.open);
    text.gauge("loteria_connections_parked", "Connections that wait for the draw.", connections.parked);
    text.gauge("loteria_buffer_bytes", "Memory of the buffers of connections.", connections.buffered_bytes);
    text.gauge("process_resident_memory_bytes", "Memory in use.", server.memory_bytes);
    let start = server.time - server.uptime_seconds;
    text.gauge("process_start_time_seconds", "Start of the process since 1970.", format_args!("{start:.3}"));

    text.family("loteria_agency_bets_total", "counter", "Stored bets of an agency.");
    agencies.iter().for_each(|agency| text.of_agency("loteria_agency_bets_total", agency.agency, agency.bets));
    text.family("loteria_agency_up", "gauge", "1 if an agency has closed or has a connection.");
    for agency in agencies {
        text.of_agency("loteria_agency_up", agency.agency, u8::from(agency.stage != Stage::Missing));
    }
    text.family("loteria_agency_closed", "gauge", "1 if an agency has closed.");
    for agency in agencies {
        let is_closed = matches!(agency.stage, Stage::Waiting | Stage::Closed);
        text.of_agency("loteria_agency_closed", agency.agency, u8::from(is_closed));
    }
    text.0
}

struct Text(String);

impl Text {
    fn line(&mut self, line: impl Display) {
        // Writing to a String can't fail.
        let _ = writeln!(self.0, "{line}");
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.line(format_args!("{name} {value}"));
    }

    fn of_agency(&mut self, name: &str, agency: u32, value: impl Display) {
        self.line(format_args!("{name}{{agency=\"{agency}\"}} {value}"));
    }
}

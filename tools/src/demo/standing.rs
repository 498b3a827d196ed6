//! The standing of a round, as the log lines of its programs tell it.

use loteria_tools::field;

/// The standing of a round.
#[derive(Debug)]
pub struct Standing {
    pub server: Server,
    /// Agency 1, 2, ...
    pub agencies: Vec<Agency>,
}

/// The server of a round.
#[derive(Debug, Default)]
pub struct Server {
    /// Bets that it has stored.
    pub stored: u64,
    pub phase: ServerPhase,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerPhase {
    #[default]
    Starting,
    Receiving,
    Killed,
    /// Up again, with so many bets on disk.
    Recovered(u64),
    Drawn,
}

/// An agency of a round.
#[derive(Debug, Default)]
pub struct Agency {
    /// Bets in its file.
    pub bets: u64,
    /// Bets of it that are acknowledged.
    pub stored: u64,
    pub phase: AgencyPhase,
    /// Documents of the winners that it was told.
    pub winners: Vec<u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AgencyPhase {
    #[default]
    Starting,
    Sending,
    /// The server does not answer.
    Retrying,
    /// All bets are stored, and other agencies are not done.
    Waiting,
    /// It was told so many winners.
    Told(u64),
    Failed,
}

impl Standing {
    /// A round that begins, of agencies with so many bets.
    pub fn new(bets: &[u64]) -> Standing {
        let agency = |&bets: &u64| Agency { bets, ..Agency::default() };
        Standing { server: Server::default(), agencies: bets.iter().map(agency).collect() }
    }

    /// Bets of all files.
    pub fn bets(&self) -> u64 {
        self.agencies.iter().map(|agency| agency.bets).sum()
    }
}

/// The number under `key`; 0 if there is none.
fn number(line: &str, key: &str) -> u64 {
    field(line, key).and_then(|value| value.parse().ok()).unwrap_or(0)
}

impl Server {
    /// Takes note of a line of its log.
    pub fn note(&mut self, line: &str) {
        match (field(line, "action"), field(line, "result")) {
            (Some("recover"), Some("success")) => {
                self.stored = number(line, "bets");
                self.phase = match self.phase {
                    ServerPhase::Killed => ServerPhase::Recovered(self.stored),
                    _ => ServerPhase::Receiving,
                };
            }
            (Some("apuesta_recibida"), Some("success")) => self.stored += number(line, "cantidad"),
            (Some("sorteo"), Some("success")) => self.phase = ServerPhase::Drawn,
            _ => {}
        }
    }
}

impl ServerPhase {
    /// The phase in words.
    pub fn words(self) -> String {
        match self {
            ServerPhase::Starting => "starting".to_owned(),
            ServerPhase::Receiving => "receiving bets".to_owned(),
            ServerPhase::Killed => "killed".to_owned(),
            ServerPhase::Recovered(bets) => format!("up again, with {} bets", grouped(bets)),
            ServerPhase::Drawn => "has drawn".to_owned(),
        }
    }
}

impl Agency {
    /// Takes note of a line of its log.
    pub fn note(&mut self, line: &str) {
        match (field(line, "action"), field(line, "result")) {
            (Some("apuesta_enviada"), Some("success")) => {
                self.stored += number(line, "cantidad");
                self.phase = AgencyPhase::Sending;
            }
            (Some("reanudar"), Some("success")) => {
                self.stored = number(line, "almacenadas");
                self.phase = AgencyPhase::Sending;
            }
            (Some("connect"), Some("in_progress")) => self.phase = AgencyPhase::Retrying,
            (Some("esperando_sorteo"), Some("in_progress")) => self.phase = AgencyPhase::Waiting,
            (Some("consulta_ganadores"), Some("success")) => {
                self.phase = AgencyPhase::Told(number(line, "cant_ganadores"));
            }
            (Some("ganadores"), Some("success")) => {
                let documents = field(line, "documentos").unwrap_or_default().split(' ');
                self.winners.extend(documents.filter_map(|document| document.parse::<u32>().ok()));
            }
            (Some("exit"), Some("fail")) => self.phase = AgencyPhase::Failed,
            _ => {}
        }
    }
}

impl AgencyPhase {
    /// The phase in words.
    pub fn words(self) -> String {
        match self {
            AgencyPhase::Starting => "starting".to_owned(),
            AgencyPhase::Sending => "sending".to_owned(),
            AgencyPhase::Retrying => "no answer, tries again".to_owned(),
            AgencyPhase::Waiting => "waiting for the draw".to_owned(),
            AgencyPhase::Told(1) => "1 winner".to_owned(),
            AgencyPhase::Told(winners) => format!("{} winners", grouped(winners)),
            AgencyPhase::Failed => "failed".to_owned(),
        }
    }
}

/// A number with a comma after each three digits, as the bars have it.
pub fn grouped(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(message: &str) -> String {
        format!("2026-11-21 12:00:00 INFO  [client] {message}")
    }

    #[test]
    fn an_agency_is_followed_through_its_log() {
        let mut agency = Agency::default();
        let mut after = |message: &str| {
            agency.note(&line(message));
            (agency.phase, agency.stored, agency.winners.clone())
        };
        let starting = (AgencyPhase::Starting, 0, vec![]);
        assert_eq!(after("action: config | result: success | client_id: 1"), starting);
        assert_eq!(after("a panic, which is no line of the contract"), starting);
        for (message, phase, stored) in [
            ("action: apuesta_enviada | result: success | cantidad: 100", AgencyPhase::Sending, 100),
            ("action: apuesta_enviada | result: success | cantidad: 50", AgencyPhase::Sending, 150),
            ("action: connect | result: in_progress | client_id: 1", AgencyPhase::Retrying, 150),
            ("action: reanudar | result: success | client_id: 1 | almacenadas: 200", AgencyPhase::Sending, 200),
            ("action: esperando_sorteo | result: in_progress | client_id: 1", AgencyPhase::Waiting, 200),
            ("action: consulta_ganadores | result: success | cant_ganadores: 3", AgencyPhase::Told(3), 200),
        ] {
            assert_eq!(after(message), (phase, stored, vec![]), "{message}");
        }
        after("action: ganadores | result: success | client_id: 1 | documentos: 7 8");
        assert_eq!(after("action: ganadores | result: success | client_id: 1 | documentos: 9").2, [7, 8, 9]);
        assert_eq!(after("action: exit | result: fail | error: x").0, AgencyPhase::Failed);
    }

    #[test]
    fn a_server_is_followed_through_its_death() {
        let mut server = Server::default();
        server.note(&line("action: recover | result: success | bets: 0 | agencies_closed: 0"));
        assert_eq!((server.phase, server.stored), (ServerPhase::Receiving, 0));
        server.note(&line("action: apuesta_recibida | result: success | cantidad: 148 | agencia: 1"));
        server.note(&line("action: apuesta_recibida | result: fail | cantidad: 148"));
        assert_eq!(server.stored, 148);
        server.phase = ServerPhase::Killed;
        server.note(&line("action: recover | result: success | bets: 296 | agencies_closed: 0"));
        assert_eq!((server.phase, server.stored), (ServerPhase::Recovered(296), 296));
        server.note(&line("action: sorteo | result: success"));
        assert_eq!(server.phase, ServerPhase::Drawn);
    }

    #[test]
    fn one_winner_is_singular() {
        let words = [0, 1, 2, 1234].map(|winners| AgencyPhase::Told(winners).words());
        assert_eq!(words, ["0 winners", "1 winner", "2 winners", "1,234 winners"]);
    }
}

//! The setups that are measured: how the server keeps its bets, and how agencies reach it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use loteria::config::tls::TlsClient;
use loteria::tls::Connector;
use loteria_tools::certificates::{Authority, Keys, SERVER_NAMES, Subject};
use tempfile::TempDir;

use crate::Failure;
use crate::database::{self, Database};
use crate::report::Report;

/// PostgreSQL syncs each commit, and has the memory that its documentation advises for a small server.
const SETTINGS: [&str; 3] = ["fsync=on", "shared_buffers=256MB", "max_wal_size=4GB"];

/// A setup of a round.
#[derive(Clone, Copy)]
pub enum Setup<'a> {
    /// Files, with a sync before batches are acknowledged.
    Durable,
    /// Files without a sync.
    NotSynced,
    /// Files as in [`Setup::Durable`]; agencies speak TLS.
    Tls(&'a Certificates),
    /// No files: a database, which syncs each commit.
    Postgres(&'a Cluster),
}

impl Setup<'_> {
    /// The name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Setup::Durable => "durable",
            Setup::NotSynced => "not synced",
            Setup::Tls(_) => "over TLS, durable",
            Setup::Postgres(Cluster { standby: None, .. }) => "in PostgreSQL",
            Setup::Postgres(Cluster { standby: Some(_), .. }) => "in PostgreSQL with a synchronous standby",
        }
    }

    /// Configures a server.
    pub fn configure_server(self, server: &mut Command) {
        match self {
            Setup::Durable => server.env("STORAGE_SYNC", "always"),
            Setup::NotSynced => server.env("STORAGE_SYNC", "never"),
            Setup::Tls(certificates) => {
                let path = |name| certificates.folder.path().join(name);
                server.env("TLS_CERTIFICATE_FILE", path("server.pem")).env("TLS_KEY_FILE", path("server.key"))
            }
            Setup::Postgres(cluster) => server.env("STORAGE_URL", Database::url(&[cluster.primary.port])),
        };
    }

    /// The authority that agencies trust, if they speak TLS.
    pub fn authority(self) -> Option<PathBuf> {
        match self {
            Setup::Tls(certificates) => Some(certificates.folder.path().join("ca.pem")),
            _ => None,
        }
    }

    /// Removes the round before, where the folder of the server does not hold it.
    pub fn clear(self) {
        if let Setup::Postgres(cluster) = self {
            cluster.primary.ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
            cluster.primary.ask("CHECKPOINT");
        }
    }
}

/// The files of a server's certificate.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub fn make() -> Result<Certificates, Failure> {
        let folder = tempfile::tempdir()?;
        let authority = Authority::new(Keys::P256)?;
        let server = authority.issue(Subject { name: "server", names: &SERVER_NAMES, is_server: true, days: 1 })?;
        fs::write(folder.path().join("ca.pem"), &authority.own().certificate)?;
        fs::write(folder.path().join("server.pem"), server.certificate)?;
        fs::write(folder.path().join("server.key"), server.key)?;
        Ok(Certificates { folder })
    }
}

/// An agency's side of TLS, for a server on this machine.
pub fn connector(authority: &Path) -> Result<Connector, Failure> {
    let settings = TlsClient { ca: authority.to_owned(), identity: None, server_names: vec!["localhost".to_owned()] };
    Ok(Connector::new(&settings)?)
}

/// A PostgreSQL of the benchmark, alone or with a synchronous standby beside it.
pub struct Cluster {
    pub primary: Database,
    standby: Option<Database>,
}

impl Cluster {
    /// Starts one. `None`, and a line in the report, where PostgreSQL is not installed.
    pub fn start(with_standby: bool, report: &mut Report) -> Option<Cluster> {
        // Debian's package: see the tests' `database`.
        if !Path::new("/usr/lib/postgresql").exists() {
            report.leave_out("PostgreSQL");
            return None;
        }
        Some(if with_standby {
            let (primary, standby) = Database::start_pair(&SETTINGS);
            Cluster { primary, standby: Some(standby) }
        } else {
            Cluster { primary: Database::start(&SETTINGS), standby: None }
        })
    }

    /// Seconds in which psql copies as many rows as the round has, `bets`, in as many transactions into a table without an
    /// index.
    pub fn copy(&self, bets: u64, transactions: u64) -> Result<f64, Failure> {
        let folder = database::folder();
        let (file, script) = (folder.path().join("rows"), folder.path().join("script"));
        let each = bets / transactions.max(1);
        let rows = format!("COPY (SELECT * FROM loteria_bet LIMIT {each}) TO '{}' BINARY", file.display());
        self.primary.ask(&rows);
        self.primary.ask("CREATE TABLE raw (LIKE loteria_bet)");
        let mut text = String::new();
        for _ in 0..transactions {
            writeln!(text, "\\copy raw FROM '{}' BINARY", file.display())?;
        }
        fs::write(&script, text)?;
        let began = Instant::now();
        let output = self.primary.psql().arg("-f").arg(&script).output()?;
        let seconds = began.elapsed().as_secs_f64();
        let copied = self.primary.ask("SELECT count(*) FROM raw");
        self.primary.ask("DROP TABLE raw");
        if !output.status.success() || copied.parse() != Ok(each * transactions) {
            return Err(format!("psql: {copied} rows, {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        Ok(seconds * bets as f64 / (each * transactions) as f64)
    }
}
